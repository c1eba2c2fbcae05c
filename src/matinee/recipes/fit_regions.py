"""A model of its own for each region that is better off with one, beside the shared one.

Each region that is large enough is fitted by itself, on what came before the validation events, and so is
the shared model; both are judged by the region's validation viewers, and the better mean is taken. Of equals,
and where hardly anybody can be asked, the shared one is. Regions that chose their own are then fitted again
on everything that the shared model was fitted on. Every fit runs in a process of its own, side by side. The
test is not looked at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.answers.context import context_of
from matinee.answers.model import Model
from matinee.answers.regions import join_regions
from matinee.core.errors import InputError
from matinee.core.settings import config_values
from matinee.core.statistics import sign_flip_p
from matinee.core.words import counted
from matinee.data.homes import Homes, homes_by, only_of
from matinee.data.log import InteractionLog
from matinee.data.meaning import RATING
from matinee.data.split import Split
from matinee.evaluate.aim import Aim
from matinee.evaluate.evidence import Evidence
from matinee.evaluate.regions import OWN, SHARED
from matinee.recipes.choose import aim_to_choose_by
from matinee.recipes.fit_options import FitOptions
from matinee.recipes.handover import queries_of_home, write_handover
from matinee.recipes.isolate import Job, Tried
from matinee.recipes.kept import KeptParts
from matinee.recipes.progress import Progress
from matinee.recipes.rows import predicted
from matinee.recipes.side_by_side import Task, run_side_by_side
from matinee.recipes.spent import taken_before
from matinee.recommenders import make_recommender

# Fewer validation viewers say too little of which model is better.
FEWEST_ASKED = 50
# The share of the work that choosing takes.
_CHOOSING = 0.6


@dataclass(frozen=True, kw_only=True)
class ByRegion:
    """What the fits of regions came to.

    Attributes:
        model: answers each viewer by the model of their region; the shared one where no region has its own.
        facts: plain JSON values: `column`, `least_viewers`, `unknown_viewers`, `metric`, `protocol`, and
            `rows`, one a region: `region`, `viewers`, `events`, `asked`, `own` and `shared` (means on
            validation), `p`, `answers` ("own" or "shared") and `why`.
        cpu_s: CPU-seconds of the fits that stay.
        before_cpu_s: CPU-seconds of what was found finished.
        before_wall_s: wall seconds of the same.
    """

    model: Model
    facts: dict[str, Any]
    cpu_s: float = 0.0
    before_cpu_s: float = 0.0
    before_wall_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What all fits of regions have in common."""

    shared: Model
    homes: Homes
    options: FitOptions
    handover: Path
    place: Path
    aim: Aim

    def settings_of(self, home: int | None) -> Mapping[str, Any]:
        """The settings of one home's model, or of everybody's."""
        region = None if home is None else self.homes.names[home]
        return self.options.region_settings.get(region or "", self.options.settings)

    def task(self, step: str, home: int | None, log: InteractionLog, **job: Any) -> Task:
        """A fit of one home, or of everybody."""
        name, settings = self.shared.name, self.settings_of(home)
        what = Job(
            name=name,
            tries=[dict(settings)],
            seed=self.options.seed,
            kept=str(self.place / "kept"),
            at=self.aim.at,
            **job,
        )
        whose = "everybody" if home is None else self.homes.names[home]
        return Task(
            name=f"{name} of {whose}",
            folder=self.place / f"{step}-{SHARED if home is None else home}",
            job=what,
            needs=predicted(name, settings, log),
        )


def homes_to_fit_by(log: InteractionLog, column: str) -> Homes:
    """Where the viewers of a log are, which is to be fitted by this column.

    Raises:
        InputError: the column is not there, or values are to be predicted.
    """
    if log.target == RATING:
        raise InputError("--by is for recommenders that rank items: leave --by or --target rating out.")
    return homes_by(log, column)


def fit_regions(
    shared: Model, split: Split | None, homes: Homes, options: FitOptions, progress: Progress
) -> ByRegion:
    """Fit the regions of a log beside a shared model that is fitted already.

    Args:
        shared: the model that was fitted on everybody; the regions' last fits see their share of its log.
        split: whose validation chooses; None: the log is too short to hold anything back.
        homes: where the viewers are, by their codes.
        options: how the shared model was fitted. Where the run has checkpoints, what is finished is kept
            there, and fits that were broken off go on from it.
        progress: called with what is being done and the share that is done.

    Raises:
        Stopped: the run was asked to stop, or a signal came.
    """
    rows = [
        region_row(shared.log, split, homes, home, options.least_viewers) for home in range(len(homes.names))
    ]
    candidates = [home for home, row in enumerate(rows) if not row["why"]]
    facts: dict[str, Any] = {
        "column": homes.column,
        "least_viewers": options.least_viewers,
        "unknown_viewers": int(np.count_nonzero((homes.codes < 0) & (shared.log.histories.lengths > 0))),
        "protocol": split.protocol if split else None,
        "metric": aim_to_choose_by(shared.log).metric,
        "rows": rows,
    }
    if split is None or not candidates:
        return ByRegion(model=shared, facts=facts)
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="matinee-regions-")))
        handover = temporary / "log"
        handover.mkdir()
        # A fit that holds out is on training and validation, any other one on everything.
        held = options.hold_out is not None
        write_handover(handover, split, both=held, whole=not held, homes=homes.codes)
        work = _Work(
            shared=shared,
            homes=homes,
            options=options,
            handover=handover,
            place=(options.run.checkpoints or temporary) / "regions",
            aim=aim_to_choose_by(shared.log),
        )
        before = [taken_before(folder) for folder in work.place.glob("*-*")]
        judged = _judge(work, split, candidates, lambda doing, share: progress(doing, _CHOOSING * share))
        for home, found in judged.items():
            rows[home] |= found
        chosen = [home for home in candidates if rows[home]["answers"] == OWN]
        rest = 1.0 - _CHOOSING
        last = _fit_last(work, chosen, lambda doing, share: progress(doing, _CHOOSING + rest * share))
        return _joined(work, last, facts, before)


def region_row(
    log: InteractionLog, split: Split | None, homes: Homes, home: int, least_viewers: int
) -> dict[str, Any]:
    """What is known of a region before anything is fitted, and why it shares, if that is sure already.

    Args:
        log: what is learnt from.
        split: whose validation chooses; None: there is none.
        homes: where the viewers are.
        home: which region, by its position there.
        least_viewers: a region of fewer viewers shares.
    """
    lengths = log.histories.lengths[homes.codes == home]
    viewers, asked = int(np.count_nonzero(lengths)), 0
    if split is not None:
        mine = split.validation.take(queries_of_home(split.validation, homes.codes, home))
        asked = mine.n_viewers
    why = ""
    if viewers < least_viewers:
        why = f"{counted(viewers, 'viewer')} with events, a model of its own takes {least_viewers:,}"
    elif asked < FEWEST_ASKED:
        why = f"validation asks {counted(asked, 'viewer')}, of fewer than {FEWEST_ASKED} it tells too little"
    return {
        "region": homes.names[home],
        "viewers": viewers,
        "events": int(lengths.sum()),
        "asked": asked,
        "own": None,
        "shared": None,
        "p": None,
        "answers": SHARED,
        "why": why,
    }


def _judge(work: _Work, split: Split, candidates: list[int], progress: Progress) -> dict[int, dict[str, Any]]:
    """Each candidate's own model and the shared one before the region's validation viewers."""
    asked = [f"validation@{home}" for home in candidates]
    tasks = [work.task("judge", None, split.train, fit_on="train", judge=asked, sample=True)]
    for home, name in zip(candidates, asked, strict=True):
        theirs = only_of(split.train, work.homes.codes == home)
        tasks.append(work.task("judge", home, theirs, fit_on=f"train@{home}", judge=(name,), sample=True))
    shared, *own = run_side_by_side(work.handover, tasks, work.options.run, progress)
    return {
        home: verdict_of(work.aim, shared, tried, name)
        for home, name, tried in zip(candidates, asked, own, strict=True)
    }


def verdict_of(aim: Aim, shared: Tried, own: Tried, queries: str) -> dict[str, Any]:
    """Which of two models validation chooses for a region: `own`, `shared`, `p`, `answers`, `why`."""
    for one, whose in ((own, "its own"), (shared, "the shared")):
        if one.error:
            return {"answers": SHARED, "why": f"{whose} model could not be fitted: {one.error}"}
    mine, ours = own.found[queries], shared.found[queries]
    worths = [aim.worth(one.mean(aim.metric)) for one in (mine, ours)]
    better = worths[0] > worths[1]
    return {
        "own": mine.mean(aim.metric),
        "shared": ours.mean(aim.metric),
        "p": chance_of(mine, ours, aim.metric),
        "answers": OWN if better else SHARED,
        "why": f"on validation {'its own' if better else 'the shared'} model is the better one"
        if worths[0] != worths[1]
        else "on validation both are equally good",
    }


def chance_of(one: Evidence, other: Evidence, metric: str) -> float:
    """P of the paired sign-flip test over viewers that two models are equally good."""
    return float(sign_flip_p((one.column(metric) - other.column(metric))[:, None])[0])


def _fit_last(work: _Work, chosen: list[int], progress: Progress) -> dict[int, Tried]:
    """The fits that stay, of the regions that chose a model of their own."""
    fit_on = "train_and_validation" if work.options.hold_out is not None else "everything"
    tasks = []
    for home in chosen:
        theirs = only_of(work.shared.log, work.homes.codes == home)
        tasks.append(work.task("last", home, theirs, fit_on=f"{fit_on}@{home}", judge=(), keep=True))
    found = run_side_by_side(work.handover, tasks, work.options.run, progress)
    return dict(zip(chosen, found, strict=True))


def _joined(
    work: _Work, last: Mapping[int, Tried], facts: dict[str, Any], before: list[tuple[float, float]]
) -> ByRegion:
    """One model of all that was fitted."""
    own = {}
    for home, tried in last.items():
        found = None if tried.error else _found(work, home)
        if found is None:
            why = f"its own model could not be fitted on everything: {tried.error}"
            facts["rows"][home] |= {"answers": SHARED, "why": why}
        else:
            own[work.homes.names[home]] = (found.parts, found.context.popularity)
    shared = work.shared
    parts = join_regions(shared.name, shared.parts, own, work.homes.column) if own else shared.parts
    return ByRegion(
        model=replace(shared, parts=parts),
        facts=facts,
        cpu_s=sum(tried.cpu_s for tried in last.values() if not tried.error),
        before_cpu_s=sum(cpu_s for cpu_s, _ in before),
        before_wall_s=sum(wall_s for _, wall_s in before),
    )


def _found(work: _Work, home: int) -> Model | None:
    """A region's model, as its process left it."""
    fit_on = "train_and_validation" if work.options.hold_out is not None else "everything"
    name, log = work.shared.name, only_of(work.shared.log, work.homes.codes == home)
    kept = KeptParts(work.place / "kept", f"{fit_on}@{home}")
    config = make_recommender(name, work.settings_of(home)).config
    model = kept.find_model(name, config_values(config), work.options.seed, log)
    return None if model is None else replace(model, context=context_of(log))
