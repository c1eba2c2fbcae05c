"""The protocols: how a log is divided, each in one function.

A protocol takes a log and says which events a fit may see, and what is asked in validation and in the
test. Viewers with fewer than three events only train; targets that the history has already are left out and
counted, unless the log's repeats are a fair answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from matinee.core.errors import InputError
from matinee.core.seeds import generator
from matinee.core.types import Bool, Float64, Int64, Ragged
from matinee.data.log import InteractionLog
from matinee.data.meaning import RATING
from matinee.data.negatives import (
    negatives_before,
    negatives_by_events,
    negatives_less_targets,
    negatives_of,
)
from matinee.data.queries import Queries, first_seen, item_set_queries, next_event_queries, with_values

_FEWEST_EVENTS = 3


@dataclass(frozen=True, kw_only=True)
class Division:
    """A log divided by a protocol.

    Attributes:
        train: bool, shape (events,): what a fit may see.
        both: bool, shape (events,): training and validation together.
        validation: the queries that settings are chosen on.
        test: the queries that are scored once, newcomers included.
        past: bool, shape (test queries,): whether the viewer had a past when the log was divided.
        negatives: what viewers had turned down by the end of `train`; None where nothing, or nothing dated.
        both_negatives: the same by the end of `both`.
        words: what was done, for people: completes "time-split: ...".
        refit: whether the test is always answered by a fit on training and validation together.
    """

    train: Bool
    both: Bool
    validation: Queries
    test: Queries
    past: Bool
    negatives: Ragged | None
    both_negatives: Ragged | None
    words: str
    refit: bool = False


@dataclass(frozen=True, kw_only=True)
class DivisionOptions:
    """How to divide.

    Attributes:
        targets: in a time-split, "next": each viewer's next event, or "successive": each later one in turn.
        quantile: in a time-split, the share of events before the moment.
        seed: seed of the protocols that draw.
        test: the test log of `given`.
    """

    targets: str = "next"
    quantile: float = 0.9
    seed: int = 0
    test: InteractionLog | None = None


def divide_leave_one_out(log: InteractionLog, options: DivisionOptions) -> Division:
    """The last target of each viewer is the test, the one before it validation, what came before trains."""
    del options
    histories = log.histories
    wanted = _targets(log)
    place = _rank_within(log, wanted, from_end=True)
    test, validation = np.flatnonzero(place == 0), np.flatnonzero(place == 1)
    # The first held-out event of each viewer ends what may be learnt; everything later is the future.
    end_train, end_both = histories.offsets[1:].copy(), histories.offsets[1:].copy()
    owners = np.searchsorted(histories.offsets, test, side="right") - 1
    end_train[owners], end_both[owners] = test, test
    end_train[np.searchsorted(histories.offsets, validation, side="right") - 1] = validation
    asked = np.zeros(len(histories), dtype=bool)
    asked[owners] = True
    first = first_seen(histories, log.n_items, asked)
    held = np.concatenate([test, validation])
    known = [_about(log, noes) for noes in negatives_by_events(log, (end_train, end_both), held)]
    queries = next_event_queries(histories, test, test, first, known[1])
    return Division(
        train=_before(log, end_train),
        both=_before(log, end_both),
        validation=_with_history(next_event_queries(histories, validation, validation, first, known[0])),
        test=queries,
        past=queries.lengths > 0,
        negatives=known[0]["negatives"],
        both_negatives=known[1]["negatives"],
        words="each viewer's last event is the test, the one before it chose the settings, "
        "the rest was learnt from",
    )


def divide_time(log: InteractionLog, options: DivisionOptions) -> Division:
    """One moment for everybody: what came before it trains and validates, what came after it is the test."""
    times = log.histories.times
    if times is None:
        raise InputError(
            "A time-split needs times, and this log has none: take leave-one-out or random-holdout."
        )
    start, moment = time_moments(times, options.quantile)
    earlier, train = times < moment, times < start
    negatives, undated = negatives_before(log, start)
    about = _about(log, negatives_before(log, moment)[0])
    queries, past = _after(log, moment, None, options, about)
    validation, known = _after(log, start, moment, options, _about(log, negatives))
    words = time_words(start, moment, options.quantile)
    if undated:
        words += "; what viewers turned down has no dates here and was left out"
    return Division(
        train=train,
        both=earlier,
        validation=_with_history(validation.take(known)),
        test=queries,
        past=past,
        negatives=negatives,
        both_negatives=about["negatives"],
        words=words,
    )


def divide_random(log: InteractionLog, options: DivisionOptions) -> Division:
    """Of each viewer's events one tenth is the test and one tenth validation, drawn at random: 8:1:1.

    Another share, such as 80/20, is a test file of one's own: `given`.
    """
    wanted = _targets(log)
    drawn = _rank_within(log, wanted, keys=generator(options.seed, "random-holdout").random(len(log)))
    rows = log.histories.rows()
    counts = np.bincount(rows[wanted], minlength=len(log.histories))
    n_test = np.minimum(np.maximum(counts // 10, 1), counts)
    n_both = np.minimum(n_test + np.maximum(counts // 10, 1), np.minimum(counts, log.histories.lengths - 1))
    test = wanted & (drawn < n_test[rows])
    validation = wanted & ~test & (drawn < n_both[rows])
    negatives = negatives_less_targets(log, np.flatnonzero(validation | test))
    return _held_sets(
        log,
        ~test & ~validation,
        validation,
        test,
        _about(log, negatives),
        "of each viewer's events one in ten is the test and one in ten chose the settings, drawn at random",
    )


def divide_new_viewers(log: InteractionLog, options: DivisionOptions) -> Division:
    """A tenth of the viewers is the test and a tenth validation: none of their events is learnt from.

    The first 80 % of a held-out viewer's history is told when asking (in order where the log has one, else
    drawn), the rest is to be found.
    """
    histories = log.histories
    random = generator(options.seed, "new-viewers")
    able = np.flatnonzero(histories.lengths >= _FEWEST_EVENTS)
    able = able[random.permutation(len(able))]
    share = len(able) // 10
    group = np.zeros(len(histories), dtype=np.int8)
    group[able[:share]], group[able[share : 2 * share]] = 2, 1
    if not share:
        raise InputError(f"new-viewers needs ten viewers with three events or more, found {len(able)}.")
    keys = None if log.ordered else random.random(len(log))
    place = _rank_within(log, np.ones(len(log), dtype=bool), keys=keys)
    rows = histories.rows()
    told = np.minimum(np.ceil(histories.lengths * 0.8).astype(np.int64), histories.lengths - 1)
    late = (place >= told[rows]) & (group[rows] > 0)
    wanted = _targets(log) & late
    ends = histories.offsets[:-1] + np.where(group > 0, told, histories.lengths)
    (negatives,) = negatives_by_events(log, (ends,), np.flatnonzero(wanted))
    about = _about(log, negatives)
    learnt = negatives_of(negatives, group == 0)
    source = histories.keep(~late)
    queries = [
        item_set_queries(source, rows[held].astype(np.int64), histories.items[held], about)
        for held in (wanted & (group[rows] == 1), wanted & (group[rows] == 2))
    ]
    train = group[rows] == 0
    return Division(
        train=train,
        both=train,
        validation=queries[0],
        test=queries[1],
        past=np.ones(len(queries[1]), dtype=bool),
        negatives=learnt,
        both_negatives=learnt,
        words="one viewer in ten is the test and one in ten chose the settings; nothing of theirs was learnt "
        "from, four fifths of their history is told when they ask",
    )


def divide_given(log: InteractionLog, options: DivisionOptions) -> Division:
    """The test is a log of its own; a tenth of each viewer's events validates, then all is refitted."""
    test_log = options.test
    if test_log is None:
        raise InputError("The protocol given needs a test log: --test FILE.")
    keys = None if log.ordered else generator(options.seed, "given").random(len(log))
    wanted = _targets(log)
    drawn = _rank_within(log, wanted, keys=keys, from_end=True)
    rows = log.histories.rows()
    counts = np.bincount(rows[wanted], minlength=len(log.histories))
    carved = np.minimum(np.maximum(counts // 10, 1), log.histories.lengths - 1)
    held = wanted & (drawn < carved[rows])
    everything = np.ones(len(log), dtype=bool)
    carved_at = np.flatnonzero(held)
    if log.ordered:
        (negatives,) = negatives_by_events(log, (_first_of(log, carved_at),), carved_at)
    else:
        negatives = negatives_less_targets(log, carved_at)
    division = _held_sets(log, ~held, held, np.zeros(len(log), dtype=bool), _about(log, negatives), "")
    queries = _foreign_queries(log, test_log)
    return replace(
        division,
        both=everything,
        test=queries,
        past=queries.lengths > 0,
        both_negatives=log.negatives,
        words="the test is the file given; one training event in ten chose the settings, "
        "then everything was fitted again on all of training",
        refit=True,
    )


PROTOCOLS: dict[str, Callable[[InteractionLog, DivisionOptions], Division]] = {
    "leave-one-out": divide_leave_one_out,
    "time-split": divide_time,
    "random-holdout": divide_random,
    "new-viewers": divide_new_viewers,
    "given": divide_given,
}


def time_words(start: int, moment: int, quantile: float = DivisionOptions.quantile) -> str:
    """What a time-split does whose validation and test start at these times, for people."""
    return (
        f"nothing that happened from {describe_moment(moment)} UTC on (the {quantile:g} quantile of "
        f"event times) was seen by any fit; the settings were chosen on what happened from "
        f"{describe_moment(start)} to then"
    )


def describe_moment(milliseconds: int) -> str:
    """A time for people, UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _targets(log: InteractionLog) -> Bool:
    """Events that may be predicted: of the wanted kind, and of a viewer with three events or more."""
    able = np.repeat(log.histories.lengths >= _FEWEST_EVENTS, log.histories.lengths)
    return able if log.histories.targets is None else able & log.histories.targets


def _rank_within(
    log: InteractionLog, wanted: Bool, *, keys: Float64 | None = None, from_end: bool = False
) -> Int64:
    """The place of each wanted event among its viewer's wanted ones, from 0: int64, shape (events,).

    Args:
        log: the log.
        wanted: bool, shape (events,); the others get a place after every wanted one.
        keys: numbers in [0, 1) to order by; None: the log's order.
        from_end: count from the last one.
    """
    place = np.full(len(log), np.iinfo(np.int64).max, dtype=np.int64)
    events = np.flatnonzero(wanted)
    rows = log.histories.rows()[events]
    if keys is not None:
        bits = 62 - len(log.histories).bit_length()
        drawn = (keys[events] * (1 << bits)).astype(np.int64)
        events = events[np.argsort((rows.astype(np.int64) << bits) | drawn, kind="stable")]
    starts = np.searchsorted(rows, np.arange(len(log.histories)))
    if from_end:
        ends = np.searchsorted(rows, np.arange(len(log.histories)), side="right")
        place[events] = ends[rows] - 1 - np.arange(len(events))
    else:
        place[events] = np.arange(len(events)) - starts[rows]
    return place


def _before(log: InteractionLog, ends: Int64) -> Bool:
    """Events that stand before their viewer's end: bool, shape (events,)."""
    return np.arange(len(log)) < np.repeat(ends, log.histories.lengths)


def _quantile(times: Int64, share: float) -> int:
    """The least time with at least this share of the times before it, or at it."""
    place = min(int(share * len(times)), len(times) - 1)
    return int(np.partition(times, place)[place])


def time_moments(times: Int64, quantile: float = DivisionOptions.quantile) -> tuple[int, int]:
    """Where validation and the test of a time-split start.

    Raises:
        InputError: most events have the same time.
    """
    moment = _quantile(times, quantile)
    earlier = times[times < moment]
    if not len(earlier):
        raise InputError(
            f"A time-split at the {quantile} quantile leaves nothing to learn from: most events have "
            f"the same time ({describe_moment(moment)}). Take leave-one-out or random-holdout."
        )
    # Validation is to training as the test is to both.
    return _quantile(earlier, quantile), moment


def _after(
    log: InteractionLog, start: int, stop: int | None, options: DivisionOptions, about: dict[str, Any]
) -> tuple[Queries, Bool]:
    """Queries of the events from `start` to before `stop`; which of their viewers had a past at `start`."""
    histories = log.histories
    times = np.asarray(histories.times)
    late = times >= start
    held = _targets(log) & (late if stop is None else late & (times < stop))
    split = histories.offsets[:-1] + np.bincount(histories.rows()[~late], minlength=len(histories))
    if options.targets == "next":
        held = held & (_rank_within(log, held) == 0)
    positions = np.flatnonzero(held)
    owners = np.searchsorted(histories.offsets, positions, side="right") - 1
    ends = split[owners] if options.targets == "next" else positions
    asked = np.zeros(len(histories), dtype=bool)
    asked[owners] = True
    queries = next_event_queries(histories, positions, ends, first_seen(histories, log.n_items, asked), about)
    return queries, split[queries.viewers] > histories.offsets[:-1][queries.viewers]


def _held_sets(
    log: InteractionLog, train: Bool, validation: Bool, test: Bool, about: dict[str, Any], words: str
) -> Division:
    """The division whose targets are sets of each viewer's events."""
    rows, items = log.histories.rows().astype(np.int64), log.histories.items
    both = train | validation
    source = log.histories.keep(both)
    queries = item_set_queries(source, rows[test], items[test], about)
    return Division(
        train=train,
        both=both,
        validation=_with_history(
            item_set_queries(log.histories.keep(train), rows[validation], items[validation], about)
        ),
        test=queries,
        past=queries.lengths > 0,
        negatives=about["negatives"],
        both_negatives=about["negatives"],
        words=words,
    )


def _foreign_queries(log: InteractionLog, test: InteractionLog) -> Queries:
    """Queries from a test log with ids of its own."""
    viewer_of = log.viewers.codes(test.viewers.arrow).astype(np.int64)
    item_of = log.items.codes(test.items.arrow)
    wanted = np.ones(len(test), dtype=bool) if test.histories.targets is None else test.histories.targets
    rows = test.histories.rows()[wanted]
    # Viewers whom the log lacks get rows after its own, with empty histories.
    strangers = np.flatnonzero(viewer_of < 0)
    known = len(log.histories)
    viewer_of[strangers] = known + np.arange(len(strangers))
    offsets = log.histories.offsets
    source = replace(
        log.histories, offsets=np.concatenate([offsets, np.full(len(strangers), offsets[-1], dtype=np.int64)])
    )
    about = {"n_items": log.n_items, "repeats": log.repeats, "negatives": log.negatives}
    items = item_of[test.histories.items[wanted]]
    queries = item_set_queries(source, viewer_of[rows], items, about)
    if log.target == RATING:
        events = replace(test.histories.keep(wanted), items=items)
        queries = with_values(queries, viewer_of[rows], events)
    return replace(
        queries, source=log.histories, viewers=np.where(queries.viewers >= known, -1, queries.viewers)
    )


def _first_of(log: InteractionLog, positions: Int64) -> Int64:
    """Each viewer's first of some events, which are in order; the end of the history where there is none."""
    first = log.histories.offsets[1:].copy()
    owners = np.searchsorted(log.histories.offsets, positions, side="right") - 1
    first[owners[::-1]] = positions[::-1]
    return first


def _about(log: InteractionLog, negatives: Ragged | None) -> dict[str, Any]:
    return {"n_items": log.n_items, "repeats": log.repeats, "negatives": negatives}


def _with_history(queries: Queries) -> Queries:
    return queries.take(queries.lengths > 0)
