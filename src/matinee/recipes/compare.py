"""Comparing recommenders: the same data for all, each fit in a process of its own, the test scored once."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.electricity import electricity_dollars
from matinee.core.errors import InputError, MatineeError, SettingsError, unknown_name
from matinee.data.log import InteractionLog
from matinee.data.read import read_log
from matinee.data.split import Split, split_log, tied_times
from matinee.evaluate.scoreboard import Row, Scoreboard, make_scoreboard
from matinee.recipes.handover import write_handover
from matinee.recipes.isolate import Job, Tried, run_isolated
from matinee.recipes.search import draw_tries
from matinee.recommenders import RECOMMENDERS, make_recommender

Progress = Callable[[str, float], None]

# The rows of a table that nobody chose, in its order; those of them that exist.
DEFAULT_ROWS = (
    "popularity",
    "recent",
    "friends",
    "user_knn",
    "item_knn",
    "ease",
    "transitions",
    "sequential",
    "blend",
)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """How every recommender of a table is treated."""

    at: tuple[int, ...]
    settings: Mapping[str, Mapping[str, Any]]
    tries: int
    refit: bool
    seed: int
    handover: Path
    folder: Path

    @property
    def metric(self) -> str:
        """What validation chooses by."""
        return f"ndcg@{self.at[0]}"


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
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Scoreboard:
    """Judge recommenders on a log: metrics with intervals, costs, paired differences and a verdict.

    Args:
        log: the log.
        recommenders: names; None: popularity, recent, friends if given, user_knn, item_knn, ease,
            transitions, sequential, blend, as far as they exist.
        protocol: how to divide the log (`split_log`); None: the one that the log supports best.
        test: a test log of its own, or its file.
        targets: in a time-split, "next" or "successive".
        at: lengths of the list; validation chooses by ndcg at the first.
        settings: name -> settings that differ from the defaults; a search leaves them alone.
        tries: how many settings of each are tried on validation, the defaults first.
        refit: fit again on training and validation, settings fixed, before the test is scored.
        seed: seed of split, fits, searches and statistics.
        on_progress: called with what is being done and the share that is done.

    Raises:
        SettingsError: an unknown name, setting or protocol.
        InputError: the test has no viewer, or no item, of the log.
        MatineeError: no recommender could be fitted.
    """
    settings = dict(settings or {})
    names = _names(log, recommenders)
    _check(names, settings, at, tries)
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
            at=tuple(at),
            settings=settings,
            tries=tries,
            refit=refit or split.refit,
            seed=seed,
            handover=handover,
            folder=Path(place),
        )
        write_handover(handover, split, both=plan.refit)
        rows = []
        for done, name in enumerate(names):
            tell(name, (done + 0.1) / (len(names) + 0.5))
            rows.append(_judge_one(name, plan))
    if all(row.error for row in rows):
        raise MatineeError(f"No recommender could be fitted; {rows[0].name}: {rows[0].error}")
    tell("intervals and paired tests", 0.98)
    about = {**describe(split, at, seed), "refit": plan.refit, "tries": tries}
    return make_scoreboard(about, rows, at=at, seed=seed)


def describe(split: Split, at: Sequence[int], seed: int) -> dict[str, Any]:
    """What a table says of its log and protocol."""
    log, test = split.log, split.test
    return {
        "protocol": split.protocol,
        "why": split.why,
        "at": list(at),
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


def _names(log: InteractionLog, asked: Sequence[str] | None) -> list[str]:
    if asked is None:
        return [
            name
            for name in DEFAULT_ROWS
            if name in RECOMMENDERS
            and (name != "friends" or log.friends is not None)
            and (name != "recent" or log.histories.times is not None)
        ]
    for name in asked:
        if name not in RECOMMENDERS:
            raise unknown_name("recommender", name, RECOMMENDERS)
    return list(dict.fromkeys(asked))


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


def _judge_one(name: str, plan: _Plan) -> Row:
    """One recommender's row: search, validation, the last fit, the test."""
    given = dict(plan.settings.get(name, {}))
    chosen, searched = given, list[Tried]()
    drawn = draw_tries(name, given, plan.tries, plan.seed)
    if len(drawn) > 1:
        searched = _run(plan, name, "search", tries=drawn, judge=("validation",), sample=True)
        best = _best(searched, plan.metric)
        if best is None:
            return Row(
                name=name, settings=given, error=searched[0].error, tries=_listed(searched, plan.metric)
            )
        chosen = drawn[best]
    told: Tried | None = None
    if plan.refit:
        (told,) = _run(plan, name, "validation", tries=[chosen], judge=("validation",))
        if told.error:
            return Row(name=name, settings=chosen, error=told.error)
    last, judged = ("train_and_validation", ()) if plan.refit else ("train", ("validation",))
    (final,) = _run(
        plan, name, "final", tries=[chosen], fit_on=last, judge=(*judged, "test", "newcomers"), timed=True
    )
    if final.error:
        return Row(name=name, settings=chosen, error=final.error, tries=_listed(searched, plan.metric))
    newcomers = final.found["newcomers"]
    return Row(
        name=name,
        settings=final.settings,
        evidence=final.found["test"],
        newcomers=newcomers if newcomers.counts.sum() else None,
        validation=(told or final).found["validation"].mean(plan.metric),
        costs=_costs(final, searched, told),
        tries=_listed(searched, plan.metric),
        note=final.note,
    )


def _run(plan: _Plan, name: str, step: str, **job: Any) -> list[Tried]:
    what = Job(name=name, at=plan.at, seed=plan.seed, **job)
    return run_isolated(plan.handover, plan.folder / f"{name}-{step}", what)


def _best(searched: Sequence[Tried], metric: str) -> int | None:
    """The try with the highest value on validation; the first of equals; None where all failed."""
    values = [_value(tried, metric) for tried in searched]
    alive = [place for place, tried in enumerate(searched) if not tried.error]
    if not alive:
        return None
    return max(alive, key=lambda place: (-math.inf if math.isnan(values[place]) else values[place], -place))


def _value(tried: Tried, metric: str) -> float:
    return math.nan if tried.error else tried.found["validation"].mean(metric)


def _listed(searched: Sequence[Tried], metric: str) -> list[dict[str, Any]]:
    """The tries, for the table."""
    return [
        {
            "settings": dict(tried.settings),
            "value": _value(tried, metric),
            "cpu_s": tried.cpu_s + tried.judge_cpu_s,
            "error": tried.error,
        }
        for tried in searched
    ]


def _costs(final: Tried, searched: Sequence[Tried], told: Tried | None) -> dict[str, float]:
    """What the last fit cost, and what choosing its settings did."""
    search = [*searched, *([told] if told is not None else [])]
    return {
        "fit_cpu_s": final.cpu_s,
        "search_cpu_s": sum(tried.cpu_s + tried.judge_cpu_s for tried in search),
        "fit_wall_s": final.wall_s,
        "fit_dollars": electricity_dollars(final.wall_s),
        "answer_ms": final.answer_ms,
        "peak_rss_mb": final.peak_rss_mb,
    }


def with_command(board: Scoreboard, command: str) -> Scoreboard:
    """The same table, saying how it was made."""
    return replace(board, facts={**board.facts, "command": command})
