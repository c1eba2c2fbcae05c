"""Events to histories: each viewer's events side by side, oldest first, the same event once.

Linear in the number of events. Rows are dealt, keeping their order, into blocks of neighbouring viewers with
about a quarter of a million events each; a block is small enough to be sorted in the processor's cache by one
integer that holds viewer, time and row. Only a permutation and one column at a time are in memory beside the
events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Bool, Histories, Int32, Int64, Ragged
from matinee.data.events import Events

_BLOCK_EVENTS = 1 << 18
_COMPARED_EVENTS = 1 << 20

Allocate = Callable[[str, Any, int], NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """An index.

    Attributes:
        histories: the events that do not say no.
        negatives: what each viewer turned down, or None.
        negative_times: int64, shape (entries of negatives,): milliseconds of the first no; None without
            times.
        duplicates: events left out because the same one is there already.
        tied: events that share their time with another of the same viewer; None where there are no times.
        order: "time", "order" or "none".
    """

    histories: Histories
    negatives: Ragged | None
    negative_times: Int64 | None
    duplicates: int
    tied: int | None
    order: str


def in_memory(name: str, dtype: Any, size: int) -> NDArray[Any]:
    """Room for one array of the index."""
    del name
    return np.empty(size, dtype)


def build_index(events: Events, allocate: Allocate = in_memory) -> Indexed:
    """Index events. The events' arrays are given up one by one, so that they never lie in memory twice.

    The same event again (viewer, item, kind, value, and time or position) is counted and left out. In a log
    without times and positions a viewer's item is kept once for each kind, whatever the value: the first row
    counts. Events with the same time keep the order of the file.

    Args:
        events: what was read, after `meaning.apply`; its columns are None afterwards.
        allocate: name, dtype and size -> an array to be filled: in memory, or a file of the cache.
    """
    order = "time" if events.time is not None else "order" if events.position is not None else "none"
    moments = events.time if events.time is not None else events.position
    counts = np.bincount(events.viewer, minlength=len(events.viewers)).astype(np.int64)
    rows, bounds = _deal(events.viewer, counts)
    negatives, negative_times = _negatives(events)
    lengths = np.zeros(len(counts), np.int64)
    places, kept = np.empty(len(rows), rows.dtype), [0]
    duplicates = tied = 0
    for start, end in pairwise(bounds):
        block = _sort_block(events, moments, rows[start:end])
        duplicates += block.duplicates
        tied += block.tied
        kept.append(kept[-1] + len(block.places))
        places[kept[-2] : kept[-1]] = block.places
        if len(block.places):
            lengths[block.first : block.first + len(block.lengths)] = block.lengths
    offsets = allocate("offsets", np.int64, len(counts) + 1)
    offsets[0] = 0
    np.cumsum(lengths, out=offsets[1:])
    dealt = _Dealt(rows=rows, bounds=bounds, places=places, kept=kept)
    histories = _histories(events, dealt, offsets, allocate)
    return Indexed(
        histories=histories,
        negatives=negatives,
        negative_times=negative_times,
        duplicates=duplicates,
        tied=tied if order == "time" else None,
        order=order,
    )


def _deal(viewer: Int32, counts: Int64) -> tuple[NDArray[Any], list[int]]:
    """Row numbers grouped into blocks of neighbouring viewers, in the order of the file within each block.

    Returns:
        The row numbers (int32 where they fit), and where each block begins and the last one ends.
    """
    n = len(viewer)
    dtype = np.int32 if n < 2**31 else np.int64
    ends = np.cumsum(counts)
    if not len(counts):
        return np.arange(0, dtype=dtype), [0]
    block_of = (np.maximum(ends - 1, 0) // _BLOCK_EVENTS).astype(np.int32)
    sizes = np.bincount(block_of, weights=counts).astype(np.int64)
    bounds = [0, *np.cumsum(sizes[sizes > 0]).tolist()]
    rows = np.arange(n, dtype=dtype)
    if all(np.all(part[1:] >= part[:-1]) for part in _pieces(viewer)):
        return rows, bounds
    # A matrix of one row, read by columns: scipy's change of layout is a stable counting sort in compiled
    # code.
    from scipy.sparse import csr_array

    matrix: Any = csr_array(
        (cast(Any, rows), block_of[viewer], np.array([0, n], dtype)), shape=(1, len(sizes))
    )
    return matrix.tocsc().data, bounds


def _pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Overlapping pieces by one entry, so that neighbours can be compared without copies of the whole."""
    for start in range(0, max(len(array) - 1, 0), _COMPARED_EVENTS):
        yield array[start : start + _COMPARED_EVENTS + 1]


@dataclass(frozen=True, kw_only=True)
class _Dealt:
    """Blocks of rows in the order of the file, and where in its block each event of the index stands."""

    rows: NDArray[Any]
    bounds: list[int]
    places: NDArray[Any]
    kept: list[int]

    def copy(self, source: NDArray[Any], target: NDArray[Any]) -> None:
        """Bring one column into the order of the index.

        A block is fetched in the order of the file and sorted in the processor's cache: fetched in the order
        of the index, nearly every event would wait for memory.
        """
        for (start, end), (first, last) in zip(pairwise(self.bounds), pairwise(self.kept), strict=True):
            block = source[self.rows[start:end]]
            np.take(block, self.places[first:last], out=target[first:last], mode="clip")


@dataclass(frozen=True, kw_only=True)
class _Block:
    places: NDArray[Any]
    first: int
    lengths: Int64
    duplicates: int
    tied: int


def _sort_block(events: Events, moments: Int64 | None, rows: NDArray[Any]) -> _Block:
    """One block's rows by viewer, then moment, then row, without duplicates and noes."""
    viewer = events.viewer[rows]
    moment = None if moments is None else moments[rows]
    order = _order(viewer, moment)
    rows, viewer = rows[order], viewer[order]
    moment = None if moment is None else moment[order]
    keep = ~_duplicates(events, viewer, moment, rows)
    duplicates = len(keep) - int(keep.sum())
    if events.negative is not None:
        keep &= ~events.negative[rows]
    if not keep.all():
        order, viewer = order[keep], viewer[keep]
        moment = None if moment is None else moment[keep]
    first = int(viewer[0]) if len(viewer) else 0
    same = _same(viewer, moment)
    in_tie = np.zeros(len(order), bool)
    in_tie[1:] |= same
    in_tie[:-1] |= same
    lengths = np.bincount(viewer - first) if len(viewer) else np.zeros(0, np.int64)
    return _Block(places=order, first=first, lengths=lengths, duplicates=duplicates, tied=int(in_tie.sum()))


def _order(viewer: Int32, moment: Int64 | None) -> NDArray[Any]:
    """The permutation by viewer, then moment, then place: all three in one integer where they fit."""
    n = len(viewer)
    key = viewer.astype(np.int64)
    key -= key.min()
    if moment is not None and not np.all(moment[1:] >= moment[:-1]):
        since = moment - moment.min()
        if not (since % 1000).any():
            since //= 1000
        bits = int(since.max()).bit_length()
        if int(key.max()).bit_length() + bits > 63:
            return np.lexsort((moment, viewer))
        key = (key << bits) | since
    if np.all(key[1:] >= key[:-1]):
        return np.arange(n)
    bits = (n - 1).bit_length()
    if int(key.max()).bit_length() + bits > 63:
        return np.argsort(key, kind="stable")
    key = (key << bits) | np.arange(n)
    key.sort()
    return key & ((1 << bits) - 1)


def _same(viewer: Int32, moment: Int64 | None) -> Bool:
    """Whether each event but the first has the viewer and the moment of the one before it."""
    same: Bool = viewer[1:] == viewer[:-1]
    return same if moment is None else same & (moment[1:] == moment[:-1])


def _duplicates(events: Events, viewer: Int32, moment: Int64 | None, rows: NDArray[Any]) -> Bool:
    """Which of a block's events (sorted) are there already, in an earlier row."""
    found = np.zeros(len(rows), bool)
    same = _same(viewer, moment)
    if not same.any():
        return found
    in_run = np.zeros(len(rows), bool)
    in_run[1:] |= same
    in_run[:-1] |= same
    places = np.flatnonzero(in_run)
    run = np.cumsum(np.concatenate([[True], ~same]))[places]
    rows = rows[places]
    facts: list[NDArray[Any]] = [run, events.item[rows]]
    if events.kind is not None:
        facts.append(events.kind[rows])
    if events.value is not None and moment is not None:
        facts.append(events.value[rows].view(np.int32))  # bits, so that an empty value equals an empty one
    order = _sorted_by(facts)
    again = np.ones(len(places) - 1, bool)
    for fact in facts:
        in_order = fact[order]
        again &= in_order[1:] == in_order[:-1]
    found[places[order[1:][again]]] = True
    return found


def _sorted_by(facts: list[NDArray[Any]]) -> NDArray[Any]:
    """A stable permutation by some columns, the first one counting most."""
    run, item = facts[0].astype(np.int64), facts[1]
    wide = int(item.max()).bit_length()
    if len(facts) == 2 and int(run.max()).bit_length() + wide <= 63:
        return np.argsort((run << wide) | item, kind="stable")
    return np.lexsort(tuple(reversed(facts)))


def _histories(events: Events, dealt: _Dealt, offsets: Int64, allocate: Allocate) -> Histories:
    """The columns in the index's order, one after the other; each is given up by the events when done."""
    events.viewer = events.viewer[:0]
    events.position = None

    def column(name: str, source: NDArray[Any] | None) -> Any:
        if source is None:
            return None
        target = allocate(name, source.dtype, dealt.kept[-1])
        dealt.copy(source, target)
        return target

    taken: dict[str, Any] = {}
    for name, attribute in (
        ("items", "item"), ("times", "time"), ("kinds", "kind"), ("values", "value"), ("weights", "weight"),
        ("targets", "target"),
    ):  # fmt: skip
        source = getattr(events, attribute)
        if attribute == "kind" and len(events.kinds) < 2:
            source = None
        taken[name] = column(name, source)
        setattr(events, attribute, None if attribute != "item" else source[:0].copy())
    return Histories(offsets=offsets, **taken)


def _negatives(events: Events) -> tuple[Ragged | None, Int64 | None]:
    """Each viewer's items that were turned down, each once, by item code; and when for the first time."""
    if events.negative is None or not events.negative.any():
        return None, None
    chosen = np.flatnonzero(events.negative)
    keys = events.viewer[chosen].astype(np.int64) * len(events.items) + events.item[chosen]
    pairs, pair_of = np.unique(keys, return_inverse=True)
    viewer, item = np.divmod(pairs, len(events.items))
    counts = np.bincount(viewer, minlength=len(events.viewers))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    negatives = Ragged(values=item.astype(np.int32), offsets=offsets)
    if events.time is None:
        return negatives, None
    first = np.full(len(pairs), np.iinfo(np.int64).max)
    np.minimum.at(first, pair_of, events.time[chosen])
    return negatives, first
