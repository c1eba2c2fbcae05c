"""Which recommender to fit where nobody said: the one that ranks a validation stretch best."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matinee.core.errors import InputError, MatineeError
from matinee.core.run import Run
from matinee.core.statistics import bootstrap_means, interval_of
from matinee.data.log import InteractionLog
from matinee.data.split import Split, default_protocol, split_log
from matinee.evaluate.aim import Aim, aim_of
from matinee.evaluate.evidence import Evidence, read
from matinee.recipes.handover import write_handover
from matinee.recipes.isolate import Job, run_isolated
from matinee.recipes.progress import Progress, slots
from matinee.recipes.rows import predicted, wanted_parts
from matinee.recipes.spent import taken_before

_AT = (10,)
FEWEST_VIEWERS = 200

_JOB = Job(name="", tries=[{}], judge=("validation",), sample=True, at=_AT)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What validation said.

    Attributes:
        name: the recommender that ranked best.
        protocol: the protocol whose validation said so.
        metrics: metric -> its mean with 95 % interval, of that recommender on validation.
        means: the mean of the aim's metric of every recommender that was tried; None where its fit failed.
        before_cpu_s: CPU-seconds that an interrupted choice had taken, which this one went on from.
        before_wall_s: wall seconds of its fits.
    """

    name: str
    protocol: str
    metrics: dict[str, dict[str, float]]
    means: dict[str, float | None]
    before_cpu_s: float = 0.0
    before_wall_s: float = 0.0


def split_to_choose_on(log: InteractionLog, *, seed: int, targets: str = "next") -> Split | None:
    """The split whose validation a choice is made on; None where the log is too short for any.

    The log's default protocol, as long as its validation asks at least `FEWEST_VIEWERS`: what a handful of
    viewers did last says next to nothing of who is best. Else leave-one-out, else random-holdout, which ask
    everybody and flatter; of three that ask too few the one that asks most.

    Args:
        log: the log.
        seed: seed of the protocols that draw.
        targets: what a time-split asks for, as `split_log` takes it.
    """
    most: Split | None = None
    for protocol in (None, "leave-one-out", "random-holdout"):
        try:
            timed = (protocol or default_protocol(log)[0]) == "time-split"
            split = split_log(log, protocol, seed=seed, targets=targets if timed else "next")
        except InputError:
            continue
        if split.validation.n_viewers >= FEWEST_VIEWERS:
            return split
        if split.validation.n_viewers > (most.validation.n_viewers if most else 0):
            most = split
    return most


def aim_to_choose_by(log: InteractionLog) -> Aim:
    """What a choice among recommenders of this log is made by."""
    return aim_of(log.target, _AT)


def why_not_default(log: InteractionLog, protocol: str) -> str:
    """Why a choice was made on another protocol than the log's default, in words; "" where it was not."""
    default = default_protocol(log)[0]
    if protocol == default:
        return ""
    return f"because the {default} asks too few viewers"


def choose(
    split: Split, names: Sequence[str], *, seed: int, progress: Progress, run: Run | None = None
) -> Choice:
    """Fit each recommender with its default settings on train, rank validation, take the best.

    Each fit runs in a process of its own, judged by at most 2,000 validation viewers; the test is not looked
    at. Of equals the first is taken.

    Args:
        split: the split.
        names: the recommenders.
        seed: seed of fits and of who is asked.
        progress: called with what is being done and the share that is done.
        run: how the fits go. Where it has checkpoints, a choice that was interrupted goes on from there:
            candidates that were finished are not fitted again.

    Raises:
        MatineeError: no recommender could be fitted; the message says why the last one could not.
        Stopped: the run was asked to stop.
    """
    run, aim = run or Run(), aim_to_choose_by(split.log)
    means: dict[str, float | None] = {}
    found: dict[str, Evidence] = {}
    error, before_cpu_s, before_wall_s = "", 0.0, 0.0
    costs = [1.0 + predicted(name, {}, split.train).cpu_s for name in names]
    with tempfile.TemporaryDirectory(prefix="matinee-choose-") as temporary:
        handover = Path(temporary) / "log"
        handover.mkdir()
        write_handover(handover, split, both=False)
        place = run.checkpoints or Path(temporary)
        for slot in slots(names, costs, progress, 1.0):
            cpu_s, wall_s = taken_before(place / slot.name)
            before_cpu_s, before_wall_s = before_cpu_s + cpu_s, before_wall_s + wall_s
            keep = slot.name in wanted_parts(names)
            job = replace(_JOB, name=slot.name, seed=seed, kept=str(place / "kept"), keep=keep)
            (tried,) = run_isolated(handover, place / slot.name, job, replace(run, tell=slot.tell))
            error = tried.error or error
            if not tried.error:
                found[slot.name] = tried.found["validation"]
            means[slot.name] = None if tried.error else tried.found["validation"].mean(aim.metric)
    if not found:
        raise MatineeError(f"No recommender could be fitted: {error}")
    best = max(found, key=lambda name: aim.worth(found[name].mean(aim.metric)))
    return Choice(
        name=best,
        protocol=split.protocol,
        metrics=_metrics(found[best], seed),
        means=means,
        before_cpu_s=before_cpu_s,
        before_wall_s=before_wall_s,
    )


def _metrics(found: Evidence, seed: int) -> dict[str, dict[str, float]]:
    drawn = bootstrap_means(found.sums, found.counts, seed=seed)
    return {
        name: interval_of(found.mean(name), read(name, drawn[:, column])).to_json()
        for column, name in enumerate(found.names)
    }
