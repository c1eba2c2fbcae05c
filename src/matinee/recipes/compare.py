"""Comparing recommenders: the same data for all, each fit in a process of its own, the test scored once."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.electricity import electricity_dollars
from matinee.core.errors import InputError, MatineeError, SettingsError, unknown_name
from matinee.core.run import Run
from matinee.core.version import version
from matinee.data.log import InteractionLog
from matinee.data.read import read_log
from matinee.data.split import Split, split_log, tied_times
from matinee.evaluate.aim import Aim, aim_of
from matinee.evaluate.evidence import Evidence
from matinee.evaluate.regions import Fits
from matinee.evaluate.scoreboard import Row, Scoreboard, make_scoreboard
from matinee.recipes.compare_regions import Place, Regions, facts_of, judge_regions, regions_of
from matinee.recipes.fit_options import LEAST_VIEWERS
from matinee.recipes.fit_regions import homes_to_fit_by
from matinee.recipes.handover import write_handover
from matinee.recipes.isolate import Job, Tried, run_isolated
from matinee.recipes.progress import Progress, Slot, slots
from matinee.recipes.rows import (
    Rows,
    default_rows,
    missing,
    predicted,
    require_aim,
    require_place,
    wanted_parts,
)
from matinee.recipes.search import draw_tries
from matinee.recommenders import RECOMMENDERS, make_recommender

# The share of the bar that the fits on everybody take, where regions follow.
_SHARED = 0.6


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """How every recommender of a table is treated."""

    aim: Aim
    settings: Mapping[str, Mapping[str, Any]]
    tries: int
    refit: bool
    seed: int
    run: Run
    handover: Path
    folder: Path
    wanted: frozenset[str]
    regions: Regions | None = None
    # Of each recommender what its fits came to before the viewers of each region.
    of_regions: dict[str, dict[str, Evidence]] = field(default_factory=dict)


def compare(  # noqa: PLR0913 (the public door: each is a choice of its own)
    log: InteractionLog,
    recommenders: Sequence[str] | None = None,
    *,
    protocol: str | None = None,
    test: InteractionLog | str | None = None,
    targets: str = "next",
    at: Sequence[int] = (10, 20),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    tries: int = 1,
    refit: bool = False,
    by: str | None = None,
    least_viewers: int = LEAST_VIEWERS,
    seed: int = 0,
    run: Run | None = None,
    on_progress: Progress | None = None,
) -> Scoreboard:
    """Judge recommenders on a log: metrics with intervals, costs, paired differences and a verdict.

    Args:
        log: the log.
        recommenders: names; None: popularity, recent, friends if given, user_knn, item_knn, ease,
            transitions, sequential, blend, and of a log without order ensemble, as far as what they need is
            installed.
        protocol: how to divide the log (`split_log`); None: the one that the log supports best.
        test: a test log of its own, or its file.
        targets: in a time-split, "next" or "successive".
        at: lengths of the list; validation chooses by ndcg at the first. Values, where the log's target is
            the rating, are judged without lists: by rmse.
        settings: name -> settings that differ from the defaults; a search leaves them alone.
        tries: how many settings of each are tried on validation, the defaults first.
        refit: fit again on training and validation, settings fixed, before the test is scored.
        by: a column of the viewers' table: each of its regions has the recommenders fitted on its own
            viewers too, with the same settings, and held against the shared ones.
        least_viewers: a region of fewer viewers has no fits of its own.
        seed: seed of split, fits, searches and statistics.
        run: device and precision of the fits that train in steps, and who may stop them.
        on_progress: called with what is being done and the share that is done.

    Raises:
        SettingsError: an unknown name, setting or protocol.
        MissingExtra: what a recommender that was named needs is not installed.
        InputError: the test has no viewer, or no item, of the log.
        MatineeError: no recommender could be fitted.
    """
    settings = dict(settings or {})
    rows = default_rows(log) if recommenders is None else _named(recommenders)
    _check(rows.names, settings, at, tries)
    require_aim(rows.names, log.target)
    require_place(rows.names, run or Run())
    if least_viewers < 1:
        raise SettingsError(f"least_viewers is {least_viewers}: expected at least 1.")
    homes = None if by is None else homes_to_fit_by(log, by)
    tell = on_progress or (lambda _doing, _share: None)
    tell("dividing the log", 0.0)
    given = read_log(test) if isinstance(test, str) else test
    if given is not None:
        _refuse_strangers(log, given)
    split = split_log(log, protocol, targets=targets, seed=seed, test=given)
    with tempfile.TemporaryDirectory(prefix="matinee-compare-") as place:
        handover = Path(place) / "log"
        handover.mkdir()
        plan = _Plan(
            aim=aim_of(log.target, at),
            settings=settings,
            tries=tries,
            refit=refit or split.refit,
            seed=seed,
            run=run or Run(),
            handover=handover,
            folder=Path(place),
            wanted=wanted_parts(rows.names),
            regions=None if homes is None else regions_of(split, homes, least_viewers),
        )
        write_handover(handover, split, both=plan.refit, homes=None if homes is None else homes.codes)
        costs = [_expected(name, plan, split.train) for name in rows.names]
        end = 0.97 if homes is None else _SHARED
        judged = [_judge_one(slot, plan) for slot in slots(rows.names, costs, tell, end)]
        by_region = _judge_regions(plan, judged, tell)
    if all(row.error for row in judged):
        raise MatineeError(f"No recommender could be fitted; {judged[0].name}: {judged[0].error}")
    tell("intervals and paired tests", 0.98)
    about = {**describe(split, at, seed), "refit": plan.refit, "tries": tries, "notes": rows.left_out}
    board = make_scoreboard(about, judged, at=at, seed=seed)
    if plan.regions is None:
        return board
    found = facts_of(plan.regions, by_region, _place_of(plan), board.chosen)
    return replace(board, facts={**board.facts, **found})


def _judge_regions(plan: _Plan, judged: Sequence[Row], tell: Progress) -> list[list[Fits]]:
    """What each region's own fits came to."""
    if plan.regions is None:
        return []

    def of_regions(doing: str, share: float) -> None:
        tell(f"regions: {doing}", _SHARED + (0.97 - _SHARED) * share)

    return judge_regions(plan.regions, judged, plan.of_regions, _place_of(plan), of_regions)


def _place_of(plan: _Plan) -> Place:
    run = replace(plan.run, checkpoints=None, kept=None)
    return Place(
        handover=plan.handover, folder=plan.folder, aim=plan.aim, seed=plan.seed, refit=plan.refit, run=run
    )


def describe(split: Split, at: Sequence[int], seed: int) -> dict[str, Any]:
    """What a table says of its log and protocol."""
    log, test = split.log, split.test
    return {
        "protocol": split.protocol,
        "why": split.why,
        "target": log.target,
        "at": list(aim_of(log.target, at).at),
        "viewers": int(np.count_nonzero(log.histories.lengths)),
        "items": log.n_items,
        "events": len(log),
        "queries": len(test),
        "targets": test.n_targets,
        "asked_viewers": test.n_viewers,
        "left_out": split.left_out,
        "tied_times": tied_times(log),
        "newcomers": {
            "viewers": split.newcomers.n_viewers,
            "queries": len(split.newcomers),
            "targets": split.newcomers.n_targets,
        },
        "validation": {"viewers": split.validation.n_viewers, "targets": split.validation.n_targets},
        "log_sha256": log.fingerprint,
        "seed": seed,
        "versions": {"matinee": version("matinee"), "numpy": np.__version__},
    }


def _named(asked: Sequence[str]) -> Rows:
    """The rows that somebody named, each once.

    Raises:
        SettingsError: nobody knows a name.
        MissingExtra: what one needs is not installed.
    """
    for name in asked:
        if name not in RECOMMENDERS:
            raise unknown_name("recommender", name, RECOMMENDERS)
        error = missing(name)
        if error is not None:
            raise error
    return Rows(names=list(dict.fromkeys(asked)), left_out=[])


def _expected(name: str, plan: _Plan, train: InteractionLog) -> float:
    """About how many seconds a row takes, for the bar: its fits, and starting a process."""
    given = plan.settings.get(name, {})
    tries = len(draw_tries(name, given, plan.tries, plan.seed))
    fits = 1 + plan.refit + (tries if tries > 1 else 0)
    return 1.0 + fits * predicted(name, given, train).cpu_s


def _refuse_strangers(log: InteractionLog, test: InteractionLog) -> None:
    """Refuse a test of which nothing is in the log: it would judge nothing."""
    for what, theirs, known in (
        ("viewers", test.viewers, log.viewers),
        ("items", test.items, log.items),
    ):
        if len(theirs) and (known.codes(theirs.arrow) < 0).all():
            raise InputError(
                f"None of the test's {len(theirs):,} {what} is in the log: are the ids written the same way?"
            )


def _check(
    names: Sequence[str], settings: Mapping[str, Mapping[str, Any]], at: Sequence[int], tries: int
) -> None:
    """Refuse what cannot be run before anything is."""
    if not names:
        raise SettingsError("No recommender to compare.")
    if not at or min(at) < 1:
        raise SettingsError(f"Lengths of the list must be at least 1, found {list(at)}.")
    if tries < 1:
        raise SettingsError(f"Each recommender needs at least one try, found {tries}.")
    for name, values in settings.items():
        make_recommender(name, values)
        if name not in names:
            raise SettingsError(
                f"Settings were given for {name}, which is not compared: compared are {', '.join(names)}."
            )


def _judge_one(slot: Slot, plan: _Plan) -> Row:
    """One recommender's row: search, validation, the last fit, the test."""
    name = slot.name
    given = dict(plan.settings.get(name, {}))
    chosen, searched = given, list[Tried]()
    drawn = draw_tries(name, given, plan.tries, plan.seed)
    parts = slot.split((len(drawn) > 1) + plan.refit + 1)
    if len(drawn) > 1:
        searched = _run(plan, next(parts), "search", tries=drawn, judge=("validation",), sample=True)
        best = _best(searched, plan.aim)
        if best is None:
            return Row(name=name, settings=given, error=searched[0].error, tries=_listed(searched, plan.aim))
        chosen = drawn[best]
    told: Tried | None = None
    if plan.refit:
        asked = ("validation", *_of_regions(plan, "validation"))
        (told,) = _run(plan, next(parts), "validation", tries=[chosen], judge=asked)
        if told.error:
            return Row(name=name, settings=chosen, error=told.error)
    last, judged = "train_and_validation", _of_regions(plan, "test")
    if not plan.refit:
        last, judged = "train", ("validation", *_of_regions(plan, "validation"), *judged)
    job = {"tries": [chosen], "fit_on": last, "judge": (*judged, "test", "newcomers"), "timed": True}
    (final,) = _run(plan, next(parts), "final", **job)
    if final.error:
        return Row(name=name, settings=chosen, error=final.error, tries=_listed(searched, plan.aim))
    newcomers = final.found["newcomers"]
    plan.of_regions[name] = {**(told.found if told else {}), **final.found}
    return Row(
        name=name,
        settings=final.settings,
        evidence=final.found["test"],
        newcomers=newcomers if newcomers.counts.sum() else None,
        validation=(told or final).found["validation"].mean(plan.aim.metric),
        costs=_costs(final, searched, told),
        tries=_listed(searched, plan.aim),
        note=final.note,
    )


def _of_regions(plan: _Plan, kind: str) -> tuple[str, ...]:
    """The queries of every region, where there are any."""
    return () if plan.regions is None else plan.regions.queries(kind)


def _run(plan: _Plan, slot: Slot, step: str, **job: Any) -> list[Tried]:
    kept = str(plan.folder / "kept")
    what = Job(
        name=slot.name, at=plan.aim.at, seed=plan.seed, kept=kept, keep=slot.name in plan.wanted, **job
    )
    run = replace(plan.run, tell=slot.tell, checkpoints=None, kept=None)
    return run_isolated(plan.handover, plan.folder / f"{slot.name}-{step}", what, run)


def _best(searched: Sequence[Tried], aim: Aim) -> int | None:
    """The try that is best on validation; the first of equals; None where all failed."""
    worths = [aim.worth(_value(tried, aim)) for tried in searched]
    alive = [place for place, tried in enumerate(searched) if not tried.error]
    if not alive:
        return None
    return max(alive, key=lambda place: (-math.inf if math.isnan(worths[place]) else worths[place], -place))


def _value(tried: Tried, aim: Aim) -> float:
    return math.nan if tried.error else tried.found["validation"].mean(aim.metric)


def _listed(searched: Sequence[Tried], aim: Aim) -> list[dict[str, Any]]:
    """The tries, for the table."""
    return [
        {
            "settings": dict(tried.settings),
            "value": _value(tried, aim),
            "cpu_s": tried.cpu_s + tried.judge_cpu_s,
            "error": tried.error,
        }
        for tried in searched
    ]


def _costs(final: Tried, searched: Sequence[Tried], told: Tried | None) -> dict[str, float]:
    """What the last fit cost, as a whole, and what choosing its settings took, without what was found."""
    search = [*searched, *([told] if told is not None else [])]
    return {
        "fit_cpu_s": final.cpu_s,
        "search_cpu_s": sum(tried.cpu_s - tried.found_cpu_s + tried.judge_cpu_s for tried in search),
        "fit_wall_s": final.wall_s,
        "fit_dollars": electricity_dollars(final.wall_s),
        "answer_ms": final.answer_ms,
        "peak_rss_mb": final.peak_rss_mb,
    }


def with_command(board: Scoreboard, command: str) -> Scoreboard:
    """The same table, saying how it was made."""
    return replace(board, facts={**board.facts, "command": command})
