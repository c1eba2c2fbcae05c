"""What events mean: who merged, which kinds count and how much, what is positive, what says no.

Between reading and indexing. The order of the steps is part of the meaning: viewers who merged become one,
then events that are not positive go, then the kinds get their weights, targets and noes, then sessions are
folded.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.core.errors import InputError, SettingsError, unknown_name
from matinee.core.types import Bool, Float32, Int64
from matinee.core.words import counted
from matinee.data.aliases import merge_viewers, read_aliases
from matinee.data.columns import ALIASES, plain_name
from matinee.data.events import Events
from matinee.data.option_words import Condition, parse_gap, parse_positive
from matinee.data.options import LogOptions

RATING = "rating"
# Events of neighbouring viewers that are folded in one go.
_FOLDED_AT_ONCE = 1 << 18
_ROW_COLUMNS = ("viewer", "item", "time", "position", "kind", "value", "weight", "target", "negative")


def apply(events: Events, options: LogOptions) -> tuple[Events, tuple[str, ...]]:
    """Give events their meaning.

    Without options nothing changes: every event counts 1, every kind is to be predicted, nothing says no.

    Args:
        events: the rows as they were read.
        options: what the log's owner says of them.

    Returns:
        The events with `weight`, `target` and `negative` set where an option asks for it, and fewer rows
        where one does; and what was done, in plain words.

    Raises:
        SettingsError: an option names a kind or value that the log lacks; it names the nearest one.
        DataError: the file of aliases is unusable.
        InputError: no event is left.
    """
    notes: list[str] = []
    if options.aliases is not None:
        events, note = merge_viewers(events, read_aliases(Path(options.aliases)))
        notes.append(note)
    _check_kinds(events, options)
    predicts_value = options.target == RATING
    if predicts_value or options.positive is not None:
        mask, note = _with_value(events, options) if predicts_value else _positive(events, options)
        events = _keep(events, mask)
        notes += [note] if note else []
        if not len(events):
            raise InputError(
                f"No event is left: {note}. Ask for less with --positive, or for another --target."
            )
    events = replace(
        events,
        weight=_weights(events, options),
        target=None if options.target is None or predicts_value else _of_kinds(events, (options.target,)),
        negative=_of_kinds(events, options.negative) if options.negative else events.negative,
    )
    if events.negative is not None and events.negative.all():
        raise InputError("Every event left says no (--negative): nothing can be recommended.")
    if options.session_gap is not None:
        events, note = _fold_sessions(events, parse_gap(options.session_gap))
        notes.append(note)
    return events, tuple(notes)


def _check_kinds(events: Events, options: LogOptions) -> None:
    """Refuse options that name what the log does not have, or that contradict each other."""
    target = () if options.target in (None, RATING) else (str(options.target),)
    for option, names in (("target", target), ("weight", options.weight), ("negative", options.negative)):
        for name in names:
            if events.kind is None:
                raise SettingsError(
                    f"--{option} names the kind {name!r}, but the log has no column of kinds: "
                    "say which column it is with --columns kind=NAME."
                )
            if name not in events.kinds:
                raise unknown_name(f"kind of event in --{option}", name, events.kinds)
    if options.target in options.negative:
        raise SettingsError(f"{options.target!r} is both --target and --negative: choose one.")
    if options.negative and set(options.negative) >= set(events.kinds):
        raise SettingsError("--negative names every kind of the log: nothing is left to be recommended.")
    if options.target == RATING and options.positive is not None:
        raise SettingsError("--target rating predicts every value: leave --positive out.")
    if options.target == RATING and events.value is None:
        raise SettingsError(
            "--target rating, but the log has no column of values: say which it is with --columns value=NAME."
        )


def _with_value(events: Events, options: LogOptions) -> tuple[Bool, str]:
    """What a value can be learnt from, of the kind `rating` where the log has one.

    Events that say no keep their place without a value.
    """
    mask = ~np.isnan(_values(events))
    if RATING in events.kinds:
        mask &= _of_kinds(events, (RATING,))
    if options.negative:
        mask |= _of_kinds(events, options.negative)
    return mask, _left_out(len(mask) - int(mask.sum()), "without a rating")


def _positive(events: Events, options: LogOptions) -> tuple[Bool, str]:
    """Which events stay under `--positive`: what meets the condition, and what it does not judge.

    A condition on a kind's name judges that kind. A condition on the value judges every kind that ever
    brings one: in a log of views and ratings, `rating>=4` leaves the views alone. An event of a judged kind
    with an empty value does not meet it. Kinds that say no are not judged.
    """
    condition = parse_positive(str(options.positive))
    values = _values(events)
    judged = _judged(events, condition, options)
    if options.negative:
        judged &= ~_of_kinds(events, options.negative)
    mask = ~judged | condition.holds(values)
    words = f"not {condition.name}{condition.sign}{condition.bound:g}"
    return mask, _left_out(len(mask) - int(mask.sum()), words)


def _judged(events: Events, condition: Condition, options: LogOptions) -> Bool:
    if events.value is None:
        raise SettingsError(
            f"--positive {options.positive!r}, but the log has no column of values: "
            "say which it is with --columns value=NAME."
        )
    if condition.name in events.kinds and events.kind is not None:
        return _of_kinds(events, (condition.name,))
    if plain_name(condition.name) not in ALIASES["value"] and condition.name != options.columns.get("value"):
        raise unknown_name("value in --positive", condition.name, {*ALIASES["value"], *events.kinds})
    if events.kind is None:
        return np.ones(len(events), dtype=bool)
    brings = np.zeros(len(events.kinds), dtype=bool)
    brings[np.unique(events.kind[~np.isnan(events.value)])] = True
    return np.asarray(brings[events.kind], dtype=bool)


def _weights(events: Events, options: LogOptions) -> Float32 | None:
    """float32, shape (rows,): the weight of each event's kind; kinds that no option names count 1."""
    if not options.weight or events.kind is None:
        return events.weight
    table = np.array([options.weight.get(kind, 1.0) for kind in events.kinds], dtype=np.float32)
    if not table[np.unique(events.kind)].any():
        raise SettingsError("--weight gives every kind of the log 0: nothing would be learnt.")
    return np.asarray(table[events.kind], dtype=np.float32)


def _of_kinds(events: Events, names: tuple[str, ...]) -> Bool:
    """bool, shape (rows,): whether the event is of one of some kinds."""
    if events.kind is None:
        return np.zeros(len(events), dtype=bool)
    table = np.array([kind in names for kind in events.kinds], dtype=bool)
    return np.asarray(table[events.kind], dtype=bool)


def _fold_sessions(events: Events, gap_ms: int) -> tuple[Events, str]:
    """Make one event of the same item again within a session.

    A session is a viewer's events with no pause longer than the gap. The one event stands where the first
    did, and at its time; it is of the kind that says most: one to be predicted before others, then the
    greatest weight, then the earliest; that kind's value, weight and target come with it. What says no is
    folded apart from what says yes.
    """
    if events.time is None:
        raise SettingsError("--session-gap needs times, but the log has none: leave it out.")
    strength = _strengths(events)
    rows = np.argsort(events.viewer, kind="stable")
    ends = np.cumsum(np.bincount(events.viewer, minlength=len(events.viewers)))
    folded, mask, sessions, start = copy(events), np.zeros(len(events), dtype=bool), 0, 0
    columns = {name: getattr(events, name) for name in ("kind", "value", "weight", "target")}
    moved = {name: column.copy() for name, column in columns.items() if column is not None}
    # Some neighbouring viewers at a time: their sorts stay in the processor's cache.
    while start < len(rows):
        place = int(np.searchsorted(ends, start + _FOLDED_AT_ONCE, side="right")) - 1
        end = int(max(ends[max(place, 0)], ends[np.searchsorted(ends, start, side="right")]))
        first, strongest, number = _fold(events, strength, rows[start:end], gap_ms)
        mask[first] = True
        sessions += number
        for name, column in moved.items():
            column[first] = columns[name][strongest]
        start = end
    for name, column in moved.items():
        setattr(folded, name, column)
    folded_away = counted(len(mask) - int(mask.sum()), "event was", "events were")
    return _keep(folded, mask), (
        f"{folded_away} the same item again within a session of {sessions:,} "
        f"(pauses over {gap_ms / 60_000:g} min end one) and folded into the first"
    )


def _fold(
    events: Events, strength: NDArray[Any] | None, rows: Int64, gap_ms: int
) -> tuple[Int64, Int64, int]:
    """Fold some viewers' events, grouped by viewer and in the order of the file.

    Returns:
        The row of each first event, the row of the one of the same session and item that says most, and the
        number of sessions.
    """
    moment = np.asarray(events.time)[rows]
    rows = rows[np.lexsort((moment, events.viewer[rows]))]
    moment, viewer = np.asarray(events.time)[rows], events.viewer[rows]
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = (np.diff(viewer) != 0) | (np.diff(moment) > gap_ms)
    session = np.cumsum(begins)
    # A group is one item in one session, yes and no apart; sorts keep the order of time within it.
    group = (session * len(events.items) + events.item[rows]) * 2
    group += 0 if events.negative is None else events.negative[rows]
    order = np.argsort(group, kind="stable")
    new = np.ones(len(rows), dtype=bool)
    new[1:] = np.diff(group[order]) != 0
    first = rows[order[new]]
    if strength is None:
        return first, first, int(session[-1])
    strongest = rows[np.lexsort((strength[rows], group))[new]]
    return first, strongest, int(session[-1])


def _strengths(events: Events) -> NDArray[Any] | None:
    """Sort key of how much an event says, most first: float32, shape (rows,); None where all say as much."""
    if events.weight is None and events.target is None:
        return None
    strength = np.zeros(len(events), np.float32) if events.weight is None else -events.weight
    if events.target is not None:
        # Above any weight, so that a purchase to be predicted is not lost in a heavier view.
        strength[events.target] -= 1 + float(np.abs(strength).max(initial=0.0))
    return strength


def _values(events: Events) -> Float32:
    return np.full(len(events), np.nan, np.float32) if events.value is None else events.value


def _keep(events: Events, mask: Bool) -> Events:
    """The events where `mask` is true; viewers and items stay known, so that nobody's id is forgotten."""
    if mask.all():
        return events
    kept = copy(events)
    for name in _ROW_COLUMNS:
        column = getattr(events, name)
        setattr(kept, name, None if column is None else column[mask])
    return kept


def _left_out(events: int, which: str) -> str:
    return f"{counted(events, 'event is', 'events are')} {which} and left out" if events else ""
