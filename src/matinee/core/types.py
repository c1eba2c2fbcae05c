"""The arrays that pass between layers: ragged histories, those who ask, and what they are answered.

Nothing here is viewers x items: a log of n events is a handful of arrays of length n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ragged:
    """Lists of item (or viewer) codes of different lengths: row r is `values[offsets[r]:offsets[r + 1]]`.

    Attributes:
        values: int32, shape (entries,).
        offsets: int64, shape (rows + 1,), starting at 0.
        weights: float32, shape (entries,), or None where every entry counts 1.
    """

    values: Int32
    offsets: Int64
    weights: Float32 | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def row(self, r: int) -> Int32:
        """The entries of row r."""
        return self.values[self.offsets[r] : self.offsets[r + 1]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Histories:
    """What each viewer did, oldest first: viewer v's events are `items[offsets[v]:offsets[v + 1]]`.

    The arrays may be memory maps; nobody writes into them. Ties in time keep the order of the file.

    Attributes:
        items: int32, shape (events,): item codes.
        offsets: int64, shape (viewers + 1,), starting at 0.
        times: int64, shape (events,): milliseconds since 1970, UTC; None where the log has none.
        kinds: int8, shape (events,): positions in the log's `kinds`; None where there is one kind only.
        values: float32, shape (events,): ratings, counts, shares watched; None where the log has none.
        weights: float32, shape (events,): how much each event teaches; None where every event counts 1.
        targets: bool, shape (events,): whether the event is of the kind to be predicted; None: all are.
    """

    items: Int32
    offsets: Int64
    times: Int64 | None = None
    kinds: Int8 | None = None
    values: Float32 | None = None
    weights: Float32 | None = None
    targets: Bool | None = None

    def __len__(self) -> int:
        """Number of viewers, those without events included."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64:
        """Events of each viewer: int64, shape (viewers,)."""
        return np.diff(self.offsets)

    def rows(self) -> Int32:
        """The viewer of each event: int32, shape (events,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    def row(self, viewer: int) -> Int32:
        """The item codes of one viewer, oldest first."""
        return self.items[self.offsets[viewer] : self.offsets[viewer + 1]]

    def take(self, viewers: NDArray[np.integer]) -> Histories:
        """The histories of some viewers, in the order asked; a code below 0 gets an empty history."""
        known = np.maximum(np.asarray(viewers, dtype=np.int64), 0)
        lengths = (
            np.where(np.asarray(viewers) < 0, 0, self.lengths[known])
            if len(self)
            else np.zeros(len(known), np.int64)
        )
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        starts = self.offsets[:-1][known] if len(self) else lengths
        picked = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return self._events(picked, offsets)

    def keep(self, mask: Bool) -> Histories:
        """The same viewers with only the events where `mask` (bool, shape (events,)) is true."""
        counted = np.concatenate([np.zeros(1, np.int64), np.cumsum(mask, dtype=np.int64)])
        return self._events(np.flatnonzero(mask), counted[self.offsets])

    def last(self, n: int) -> Histories:
        """The same viewers with only the latest n events of each."""
        back = np.repeat(self.offsets[1:], self.lengths) - np.arange(len(self.items))
        return self.keep(back <= n)

    def _events(self, picked: Int64, offsets: Int64) -> Histories:
        def of(array: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if array is None else array[picked]

        return replace(
            self,
            items=self.items[picked],
            offsets=offsets,
            times=of(self.times),
            kinds=of(self.kinds),
            values=of(self.values),
            weights=of(self.weights),
            targets=of(self.targets),
        )


def histories_of(lists: Sequence[Sequence[int]]) -> Histories:
    """Histories from plain lists of item codes, oldest first."""
    lengths = np.array([len(row) for row in lists], dtype=np.int64)
    flat = [item for row in lists for item in row]
    return Histories(
        items=np.array(flat, dtype=np.int32),
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Askers:
    """Those who ask for an answer: a history each, and who they are where that is known.

    Attributes:
        histories: what each asker did up to now; n rows.
        viewers: int64, shape (n,): the asker's viewer code in the log that the model was fitted on, or -1 for
            a newcomer. Used by what knows people (friends, user_knn leaves the asker's own row out), never
            to look up a history.
        regions: where each asker is, None where nobody said; None: nobody said of any. What is said goes
            before what a table of viewers says.
    """

    histories: Histories
    viewers: Int64
    regions: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        """Number of askers."""
        return len(self.viewers)

    def take(self, rows: NDArray[np.integer]) -> Askers:
        """Some of the askers, in the order asked."""
        regions = None if self.regions is None else tuple(self.regions[row] for row in rows)
        return Askers(histories=self.histories.take(rows), viewers=self.viewers[rows], regions=regions)

    def at(self, region: str | None) -> Askers:
        """The same askers, all of them in one region; None leaves it to what is known of them."""
        return self if region is None else replace(self, regions=(region,) * len(self))


def newcomers(histories: Histories) -> Askers:
    """Askers of whom nothing is known but a history."""
    return Askers(histories=histories, viewers=np.full(len(histories), -1, dtype=np.int64))
