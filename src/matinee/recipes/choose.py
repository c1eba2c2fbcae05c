"""Which recommender to fit where nobody said: the one that ranks a validation stretch best."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError, MatineeError
from matinee.core.statistics import bootstrap_means, interval_of
from matinee.data.log import InteractionLog
from matinee.data.split import Split, default_protocol, split_log
from matinee.evaluate.evidence import Evidence
from matinee.recipes.compare import DEFAULT_ROWS
from matinee.recipes.handover import write_handover
from matinee.recipes.isolate import Job, run_isolated
from matinee.recommenders import RECOMMENDERS

Progress = Callable[[str, float], None]

METRIC = "ndcg@10"
FEWEST_VIEWERS = 200

# Recommenders that answer from other people's histories.
PEOPLE = ("friends", "user_knn")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What validation said.

    Attributes:
        name: the recommender that ranked best.
        protocol: the protocol whose validation said so.
        metrics: metric -> its mean with 95 % interval, of that recommender on validation.
        means: the mean of `METRIC` of every recommender that was tried; None where its fit failed.
    """

    name: str
    protocol: str
    metrics: dict[str, dict[str, float]]
    means: dict[str, float | None]


def candidates(log: Any, *, histories: bool) -> list[str]:
    """The recommenders worth trying on a log.

    Args:
        log: the log.
        histories: whether the model may answer from other people's histories.
    """
    names = [name for name in DEFAULT_ROWS if name in RECOMMENDERS and (histories or name not in PEOPLE)]
    return [name for name in names if name != "friends" or log.friends is not None]


def split_to_choose_on(log: InteractionLog, *, seed: int) -> Split | None:
    """The split whose validation a choice is made on; None where the log is too short for any.

    The log's default protocol, as long as its validation asks at least `FEWEST_VIEWERS`: what a handful of
    viewers did last says next to nothing of who is best. Else leave-one-out, else random-holdout, which ask
    everybody and flatter; of three that ask too few the one that asks most.
    """
    most: Split | None = None
    for protocol in (None, "leave-one-out", "random-holdout"):
        try:
            split = split_log(log, protocol, seed=seed)
        except InputError:
            continue
        if split.validation.n_viewers >= FEWEST_VIEWERS:
            return split
        if split.validation.n_viewers > (most.validation.n_viewers if most else 0):
            most = split
    return most


def why_not_default(log: InteractionLog, protocol: str) -> str:
    """Why a choice was made on another protocol than the log's default, in words; "" where it was not."""
    default = default_protocol(log)[0]
    if protocol == default:
        return ""
    return f"because the {default} asks too few viewers"


def choose(split: Split, names: Sequence[str], *, seed: int, progress: Progress) -> Choice:
    """Fit each recommender with its default settings on train, rank validation, take the best.

    Each fit runs in a process of its own, judged by at most 2,000 validation viewers; the test is not looked
    at. Of equals the first is taken.

    Raises:
        MatineeError: no recommender could be fitted; the message says why the last one could not.
    """
    means: dict[str, float | None] = {}
    found: dict[str, Evidence] = {}
    error = ""
    with tempfile.TemporaryDirectory(prefix="matinee-choose-") as place:
        handover = Path(place) / "log"
        handover.mkdir()
        write_handover(handover, split, both=False)
        for done, name in enumerate(names):
            progress(f"trying {name}", done / (len(names) + 1))
            job = Job(name=name, tries=[{}], judge=("validation",), sample=True, at=(10,), seed=seed)
            (tried,) = run_isolated(handover, Path(place) / name, job)
            error = tried.error or error
            if not tried.error:
                found[name] = tried.found["validation"]
            means[name] = None if tried.error else tried.found["validation"].mean(METRIC)
    if not found:
        raise MatineeError(f"No recommender could be fitted: {error}")
    best = max(found, key=lambda name: means[name] or 0.0)
    return Choice(name=best, protocol=split.protocol, metrics=_metrics(found[best], seed), means=means)


def _metrics(found: Evidence, seed: int) -> dict[str, dict[str, float]]:
    drawn = bootstrap_means(found.sums, found.counts, seed=seed)
    return {
        name: interval_of(found.mean(name), drawn[:, column]).to_json()
        for column, name in enumerate(found.names)
    }
