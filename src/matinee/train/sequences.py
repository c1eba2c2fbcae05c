"""Passes over histories for a `SequentialNetwork`: batches of what it reads and what it must foretell.

Ordered histories teach every next event: a window's events but the last go in, its events but the first come
out. Sets teach their own other half: each pass draws which half of a history is read, and the asking vector
must foretell the rest. Where what was turned down teaches, all of a window's events go in: what was turned
down after the last of them is told from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from matinee.answers.event_context import GAP
from matinee.core.seeds import generator
from matinee.core.types import Bool, Float32, Int64
from matinee.core.types import Histories as Events
from matinee.networks.sequential import Histories, SequentialNetwork
from matinee.train.batches import Windows, draw_windows
from matinee.train.beside import Beside, noes_of_rows


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step learns from.

    Attributes:
        histories: what the network reads.
        rows: int64, shape (predictions,): which of the network's outputs, flattened, each prediction is from.
        targets: int64, shape (predictions,): the item that came.
        weights: float32, shape (predictions,): how much each prediction counts; None: 1.
        noes: int64, each of shape (noes,): outputs and the items that they must not ask for; None: none.
    """

    histories: Histories
    rows: Tensor
    targets: Tensor
    weights: Tensor | None = None
    noes: tuple[Tensor, Tensor] | None = None

    def vectors(self, network: SequentialNetwork, table: Tensor | None = None) -> Tensor:
        """What the network asks for at each prediction: shape (predictions, width).

        Args:
            network: reads the histories.
            table: the vector of every item; None: the network makes it.
        """
        return self.outputs(network, table)[self.rows]

    def outputs(self, network: SequentialNetwork, table: Tensor | None = None) -> Tensor:
        """The network's outputs, flattened: shape (outputs, width); arguments as in `vectors`."""
        found: Tensor = network(self.histories, table)
        return found.flatten(0, 1)


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
        beside: what else is known; None: nothing.
        device: where batches go.
    """

    longest: int
    batch_events: int
    times: bool = False
    last: int = 0
    opening: bool = False
    beside: Beside | None = None
    device: str = "cpu"


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
    noes = None if reading.beside is None else reading.beside.noes
    # Without noes, nobody asks what comes after a window's last event.
    unread = 0 if noes is not None else 1
    longest = reading.longest + skipped if unread else reading.longest - reading.opening

    def make(places: Int64, lengths: Int64) -> Batch | None:
        after = places[:, skipped:]
        ends = (lengths - skipped)[:, None]
        wanted = np.arange(after.shape[1]) < ends
        if reading.last:
            wanted &= np.arange(after.shape[1]) >= ends - reading.last
        if reading.opening:
            wanted[:, 0] &= first[places[:, 0]]
        read, histories = places[:, : places.shape[1] - unread], np.nonzero(wanted)
        outputs = read.shape[1] + reading.opening
        turned = None
        if noes is not None:
            there = np.arange(read.shape[1]) < lengths[:, None]
            turned = noes_of_rows(noes, read, there, outputs, int(reading.opening))
        rows = histories[0] * outputs + histories[1]
        return columns.batch(places[:, 0], read, lengths - unread, (rows, after[wanted]), turned)

    def draw(number: int) -> Pass:
        random = generator(seed, "windows", number)
        windows = draw_windows(events.offsets, longest, reading.batch_events, random)
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
    noes = None if reading.beside is None else reading.beside.noes

    def draw(number: int) -> Pass:
        random = generator(seed, "halves", number)
        shuffled = np.lexsort((random.random(len(owners)), owners))
        windows = draw_windows(events.offsets, 2 * reading.longest, reading.batch_events, random)

        def make(places: Int64, lengths: Int64) -> Batch | None:
            read = np.maximum(lengths // 2, np.minimum(lengths, 1))
            at = np.arange(places.shape[1])
            wanted = (at >= read[:, None]) & (at < lengths[:, None])
            mixed = shuffled[places]
            foretold = np.nonzero(wanted)[0], mixed[wanted]
            turned = None
            if noes is not None:
                viewers = owners[places[:, 0]]
                turned = noes.within(events.offsets[viewers], events.offsets[viewers + 1])
            return columns.batch(places[:, 0], mixed[:, : int(read.max())], read, foretold, turned)

        return Pass(windows=windows, make=make)

    return draw


class _Columns:
    """The columns of a log as tensors are made from them."""

    def __init__(self, events: Events, reading: Reading) -> None:
        self._items: Int64 = np.asarray(events.items, dtype=np.int64)
        self._offsets = events.offsets
        self._weights: Float32 | None = events.weights
        self._targets: Bool | None = events.targets
        self._seconds = events.times / 1000.0 if reading.times and events.times is not None else None
        self._beside = reading.beside or Beside()
        self._device = reading.device

    def batch(
        self,
        first: Int64,
        read: Int64,
        lengths: Int64,
        foretold: tuple[Int64, Int64],
        noes: tuple[Int64, Int64] | None,
    ) -> Batch | None:
        """A batch from positions of events; None where nothing is foretold.

        Args:
            first: int64, shape (histories,): some event of each.
            read: int64, shape (histories, events).
            lengths: int64, shape (histories,): how many of these are no filling.
            foretold: which output foretells which event.
            noes: which output must not ask for which item, or None.
        """
        rows, targets = foretold
        if self._targets is not None:
            kept = self._targets[targets]
            rows, targets = rows[kept], targets[kept]
        if not len(rows):
            return None
        histories = Histories(
            items=self._tensor(self._items[read]),
            lengths=self._tensor(lengths),
            seconds=None if self._seconds is None else self._tensor(self._seconds[read]),
            weights=None if self._weights is None else self._tensor(self._weights[read]),
            codes={name: self._codes(name, read) for name in self._beside.codes} or None,
            regions=self._regions(first),
        )
        return Batch(
            histories=histories,
            rows=self._tensor(rows),
            targets=self._tensor(self._items[targets]),
            weights=None if self._weights is None else self._tensor(self._weights[targets]),
            noes=None if noes is None else (self._tensor(noes[0]), self._tensor(noes[1])),
        )

    def _codes(self, name: str, read: Int64) -> Tensor:
        """What is known of events; of the time before the first one that is read nothing is."""
        codes = self._beside.codes[name][read].astype(np.int64)
        if name == GAP:
            codes[:, :1] = 0
        return self._tensor(codes)

    def _regions(self, first: Int64) -> Tensor | None:
        regions = self._beside.regions
        if regions is None:
            return None
        return self._tensor(regions[np.searchsorted(self._offsets, first, side="right") - 1])

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
