"""Passes over histories for a `SequentialNetwork`: batches of what it reads and what it must foretell.

Ordered histories teach every next event: a window's events but the last go in, its events but the first come
out. Sets teach their own other half: each pass draws which half of a history is read, and the asking vector
must foretell the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from matinee.core.processes import ALONE, Processes
from matinee.core.seeds import generator
from matinee.core.types import Bool, Float32, Int64
from matinee.core.types import Histories as Events
from matinee.networks.sequential import Histories, SequentialNetwork
from matinee.train.batches import Share, Windows, draw_windows


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step learns from.

    Attributes:
        histories: what the network reads.
        rows: int64, shape (predictions,): which of the network's outputs, flattened, each prediction is from.
        targets: int64, shape (predictions,): the item that came.
        weights: float32, shape (predictions,): how much each prediction counts; None: 1.
        share: what part of a larger batch it is; None: it is a whole one.
    """

    histories: Histories
    rows: Tensor
    targets: Tensor
    weights: Tensor | None = None
    share: Share | None = None

    def vectors(self, network: SequentialNetwork, table: Tensor | None = None) -> Tensor:
        """What the network asks for at each prediction: shape (predictions, width).

        Args:
            network: reads the histories.
            table: the vector of every item; None: the network makes it.
        """
        found: Tensor = network(self.histories, table)
        return found.flatten(0, 1)[self.rows]


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over all histories; iterating makes its batches one by one."""

    windows: Windows
    make: Callable[[Int64, Int64], Batch | None]

    def __len__(self) -> int:
        """Number of batches, those without a prediction included."""
        return len(self.windows)

    def __iter__(self) -> Iterator[Batch | None]:
        """The batches in their order; None for one that has nothing to foretell."""
        return (self.make(*self.windows.places(number)) for number in range(len(self)))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How histories are read.

    Attributes:
        longest: events that the network reads of one history.
        batch_events: events of a batch, filling included.
        times: whether it looks at times.
        last: only so many last events of a window are foretold; 0: all.
        opening: whether the beginning stands before what is read, and is the first of `longest` events.
        processes: which of the processes that take every batch together; each reads its share of it.
    """

    longest: int
    batch_events: int
    times: bool = False
    last: int = 0
    opening: bool = False
    processes: Processes = ALONE


def next_events(events: Events, reading: Reading, seed: int) -> Callable[[int], Pass]:
    """Passes that teach each next event; the pass of a number is always the same.

    Args:
        events: oldest first; events that are no `targets` are read and never foretold.
        reading: how they are read.
        seed: of all draws.
    """
    columns = _Columns(events, reading)

    # From the opening on a window's first event is foretold too, where it is the first of all.
    skipped = 0 if reading.opening else 1
    first = np.zeros(len(events.items) + 1, dtype=np.bool_)
    first[events.offsets[:-1]] = True

    def make(places: Int64, lengths: Int64) -> Batch | None:
        after = places[:, skipped:]
        ends = (lengths - skipped)[:, None]
        wanted = np.arange(after.shape[1]) < ends
        if reading.last:
            wanted &= np.arange(after.shape[1]) >= ends - reading.last
        if reading.opening:
            wanted[:, 0] &= first[places[:, 0]]
        outputs = after.shape[1]
        return columns.batch(places[:, :-1], lengths - 1, np.flatnonzero(wanted), after[wanted], outputs)

    def draw(number: int) -> Pass:
        random = generator(seed, "windows", number)
        windows = draw_windows(events.offsets, reading.longest + skipped, reading.batch_events, random)
        return Pass(windows=windows, make=make)

    return draw


def other_halves(events: Events, reading: Reading, seed: int) -> Callable[[int], Pass]:
    """Passes that teach half of each history, drawn anew, from the rest; a number's pass is always the same.

    Args:
        events: their order means nothing.
        reading: how they are read.
        seed: of all draws.
    """
    columns = _Columns(events, reading)
    owners = events.rows()

    def draw(number: int) -> Pass:
        random = generator(seed, "halves", number)
        shuffled = np.lexsort((random.random(len(owners)), owners))
        windows = draw_windows(events.offsets, 2 * reading.longest, reading.batch_events, random)

        def make(places: Int64, lengths: Int64) -> Batch | None:
            read = np.maximum(lengths // 2, np.minimum(lengths, 1))
            at = np.arange(places.shape[1])
            wanted = (at >= read[:, None]) & (at < lengths[:, None])
            mixed = shuffled[places]
            rows = np.nonzero(wanted)[0]
            return columns.batch(mixed[:, : int(read.max())], read, rows, mixed[wanted])

        return Pass(windows=windows, make=make)

    return draw


class _Columns:
    """The columns of a log as tensors are made from them."""

    def __init__(self, events: Events, reading: Reading) -> None:
        self._items: Int64 = np.asarray(events.items, dtype=np.int64)
        self._weights: Float32 | None = events.weights
        self._targets: Bool | None = events.targets
        self._seconds = events.times / 1000.0 if reading.times and events.times is not None else None

        self._processes = reading.processes

    def batch(
        self, read: Int64, lengths: Int64, rows: Int64, foretold: Int64, outputs: int = 1
    ) -> Batch | None:
        """A batch, or this process's share of it; None where nothing is foretold.

        Args:
            read: positions of the events that are read, shape (histories, events).
            lengths: of the histories.
            rows: which of the network's outputs, flattened, each prediction is from.
            foretold: positions of the events that each foretells.
            outputs: of the network, for each history.
        """
        if self._targets is not None:
            kept = self._targets[foretold]
            rows, foretold = rows[kept], foretold[kept]
        if not len(rows):
            return None
        share = None
        if self._processes.size > 1:
            owners = rows // outputs
            counts = None if self._weights is None else self._weights[foretold]
            share = Share.of(len(read), owners, counts, self._processes)
            mine = share.mine(owners)
            rows = (owners[mine] // share.step * outputs) + rows[mine] % outputs
            read, lengths, foretold = read[share.rows], lengths[share.rows], foretold[mine]
        histories = Histories(
            items=self._tensor(self._items[read]),
            lengths=self._tensor(lengths),
            seconds=None if self._seconds is None else self._tensor(self._seconds[read]),
            weights=None if self._weights is None else self._tensor(self._weights[read]),
        )
        weights = None if self._weights is None else self._tensor(self._weights[foretold])
        targets = self._tensor(self._items[foretold])
        return Batch(
            histories=histories, rows=self._tensor(rows), targets=targets, weights=weights, share=share
        )

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array))
