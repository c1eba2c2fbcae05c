"""Questions with known answers: a viewer, a moment of asking, and what was then chosen.

A query is a position in a log's own arrays, not a copy of a history: the thousand successive targets of one
long history cost a thousand pairs of numbers, and histories are copied a batch of askers at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Askers, Bool, Float32, Histories, Int32, Int64, Ragged


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Questions to be judged by.

    Attributes:
        source: the histories that `viewers` and `ends` point into.
        viewers: int64, shape (n,): the viewer of each query, a row of `source`; -1: one that the log lacks.
        ends: int64, shape (n,): a query's history is `source.items[source.offsets[viewer]:end]`.
        targets: n rows: the items that were chosen, each once; -1: an item that the catalogue lacks, a miss.
        negatives: items that each viewer had turned down, rows as in `source`; or None.
        n_items: size of the catalogue.
        repeats: whether an item of the history is a fair answer.
        left_out: targets left out because the history has them already.
        values: float32, shape (targets,): what each target was given, where the log's target is the value.
        times: int64, shape (targets,), milliseconds: when; None without times, or where values are not asked.
    """

    source: Histories
    viewers: Int64
    ends: Int64
    targets: Ragged
    negatives: Ragged | None = None
    n_items: int
    repeats: bool = False
    left_out: int = 0
    values: Float32 | None = None
    times: Int64 | None = None

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.viewers)

    @property
    def n_targets(self) -> int:
        """Number of targets of all queries together."""
        return len(self.targets.values)

    @property
    def n_viewers(self) -> int:
        """Number of different viewers who are asked about."""
        known = self.viewers[self.viewers >= 0]
        return len(np.unique(known)) + int((self.viewers < 0).sum())

    @property
    def lengths(self) -> Int64:
        """Events in the history of each query: int64, shape (n,)."""
        return np.where(self.viewers < 0, 0, self.ends - self._starts)

    def askers(self, rows: NDArray[np.integer]) -> Askers:
        """Those who ask some of the queries, each with the history up to the moment of asking."""
        lengths = self.lengths[rows]
        offsets = _offsets(lengths)
        first = self._starts[rows]
        picked = np.repeat(first - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Askers(histories=_events(self.source, picked, offsets), viewers=self.viewers[rows])

    def forgetful(self) -> Queries:
        """The same queries over histories that end where each viewer is last asked."""
        ends = self.source.offsets[:-1].copy()
        np.maximum.at(ends, self.viewers[self.viewers >= 0], self.ends[self.viewers >= 0])
        kept = np.arange(len(self.source.items)) < np.repeat(ends, self.source.lengths)
        source = self.source.keep(kept)
        cut = replace(self, source=source)
        return replace(cut, ends=cut._starts + self.lengths)

    def take(self, rows: NDArray[np.integer] | Bool) -> Queries:
        """Some of the queries: positions, or a mask of shape (n,)."""
        picked = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            viewers=self.viewers[picked],
            ends=self.ends[picked],
            targets=take_rows(self.targets, picked),
            values=None if self.values is None else self.values[_entries(self.targets, picked)],
            times=None if self.times is None else self.times[_entries(self.targets, picked)],
        )

    @property
    def _starts(self) -> Int64:
        known = np.maximum(self.viewers, 0)
        return self.source.offsets[known] if len(self.source) else known


def take_rows(ragged: Ragged, rows: NDArray[np.integer]) -> Ragged:
    """Some rows of a ragged array, in the order asked."""
    lengths = np.diff(ragged.offsets)[rows]
    offsets = _offsets(lengths)
    picked = _entries(ragged, rows)
    weights = None if ragged.weights is None else ragged.weights[picked]
    return Ragged(values=ragged.values[picked], offsets=offsets, weights=weights)


def _entries(ragged: Ragged, rows: NDArray[np.integer]) -> Int64:
    """Positions of the entries of some rows, in the order asked."""
    lengths = np.diff(ragged.offsets)[rows]
    offsets = _offsets(lengths)
    entries: Int64 = np.repeat(ragged.offsets[:-1][rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return entries


def with_values(queries: Queries, viewers: Int64, events: Histories) -> Queries:
    """The same queries, knowing what was given to each target, and when.

    Args:
        queries: made of these events; -1 among their targets are items that the catalogue lacks.
        viewers: int64, shape (events,): the viewer of each event, as in `queries.viewers`.
        events: the events, viewer by viewer; of several with the same item the first is told.
    """
    width = queries.n_items + 1
    keys = viewers * width + events.items + 1
    order = np.argsort(keys, kind="stable")
    owners = np.repeat(queries.viewers, np.diff(queries.targets.offsets))
    wanted = owners * width + queries.targets.values + 1
    # A viewer's targets that the catalogue lacks stand first and look alike: each is an event of its own.
    place = np.arange(len(wanted)) - np.repeat(queries.targets.offsets[:-1], np.diff(queries.targets.offsets))
    again = np.where(queries.targets.values < 0, place, 0)
    picked = order[np.searchsorted(keys[order], wanted) + again]
    values = np.asarray(events.values, dtype=np.float32)[picked]
    return replace(queries, values=values, times=None if events.times is None else events.times[picked])


def first_seen(histories: Histories, n_items: int, viewers: Bool) -> Int64:
    """Where each event's item first stands in its viewer's history.

    Args:
        histories: the histories.
        n_items: size of the catalogue.
        viewers: bool, shape (viewers,): whom to look at, which bounds the memory.

    Returns:
        int64, shape (events,): the position of the first event of the same viewer and item; the event's own
        position for everybody who was not looked at.
    """
    found = np.arange(len(histories.items), dtype=np.int64)
    events = np.flatnonzero(np.repeat(viewers, histories.lengths))
    keys = np.repeat(np.arange(len(histories), dtype=np.int64), histories.lengths)[events] * n_items
    keys += histories.items[events]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    fresh = np.ones(len(keys), dtype=bool)
    fresh[1:] = keys[1:] != keys[:-1]
    heads = np.flatnonzero(fresh)
    found[events[order]] = events[order[heads]][np.cumsum(fresh) - 1]
    return found


def next_event_queries(
    source: Histories, positions: Int64, ends: Int64, first: Int64, about: dict[str, Any]
) -> Queries:
    """One query for each event that is to be predicted.

    Args:
        source: the histories.
        positions: int64, shape (n,): the events to predict.
        ends: int64, shape (n,): where the history of each query ends.
        first: what `first_seen` says of these histories.
        about: `n_items`, `repeats` and `negatives` of the queries.
    """
    viewers = np.searchsorted(source.offsets, positions, side="right") - 1
    fair = np.ones(len(positions), dtype=bool) if about["repeats"] else first[positions] >= ends
    positions, ends, viewers = positions[fair], ends[fair], viewers[fair]
    return Queries(
        source=source,
        viewers=viewers,
        ends=ends,
        targets=Ragged(values=source.items[positions], offsets=np.arange(len(positions) + 1, dtype=np.int64)),
        left_out=int((~fair).sum()),
        **about,
    )


def item_set_queries(source: Histories, viewers: Int64, items: Int32, about: dict[str, Any]) -> Queries:
    """One query for each viewer, asked at the end of the history, whose targets are a set of items.

    Args:
        source: the histories: all that may be known when asking.
        viewers: int64, shape (pairs,): the viewer of each held-out event, a row of `source`.
        items: int32, shape (pairs,): its item, -1 where the catalogue lacks it.
        about: `n_items`, `repeats` and `negatives` of the queries.
    """
    width = about["n_items"] + 1
    keys = viewers * width + items + 1
    if not np.all(items >= 0):  # items that the catalogue lacks are misses, each of them
        lacking = items < 0
        pairs = np.concatenate([np.unique(keys[~lacking]), keys[lacking]])
        pairs.sort()
    else:
        pairs = np.unique(keys)
    left_out = 0
    if not about["repeats"]:
        asked = np.zeros(len(source), dtype=bool)
        asked[viewers] = True
        events = np.repeat(asked, source.lengths)
        rows = np.repeat(np.arange(len(source), dtype=np.int64), source.lengths)[events]
        known = rows * width + source.items[events] + 1
        # Histories come viewer by viewer, as the pairs do: these searches stay in the processor's cache.
        places = np.minimum(np.searchsorted(pairs, known), len(pairs) - 1)
        fresh = np.ones(len(pairs), dtype=bool)
        fresh[places[pairs[places] == known]] = False
        left_out, pairs = int((~fresh).sum()), pairs[fresh]
    owners, starts = np.unique(pairs // width, return_index=True)
    return Queries(
        source=source,
        viewers=owners,
        ends=source.offsets[1:][owners],
        targets=Ragged(
            values=(pairs % width - 1).astype(np.int32),
            offsets=np.append(starts, len(pairs)).astype(np.int64),
        ),
        left_out=left_out,
        **about,
    )


def _offsets(lengths: NDArray[np.integer]) -> Int64:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _events(source: Histories, picked: Int64, offsets: Int64) -> Histories:
    def of(array: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if array is None else array[picked]

    return Histories(
        items=source.items[picked],
        offsets=offsets,
        times=of(source.times),
        kinds=of(source.kinds),
        values=of(source.values),
        weights=of(source.weights),
        targets=of(source.targets),
    )
