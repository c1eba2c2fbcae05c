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

from matinee.core.processes import ALONE, Processes
from matinee.core.seeds import generator
from matinee.core.types import Histories as Events
from matinee.core.types import Int64
from matinee.train.batches import Windows, draw_windows
from matinee.train.beside import Beside, noes_of_rows
from matinee.train.columns import Batch, Columns, Drawn


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
        processes: which of the processes that take every batch together; each reads its share of it.
    """

    longest: int
    batch_events: int
    times: bool = False
    last: int = 0
    opening: bool = False
    beside: Beside | None = None
    processes: Processes = ALONE


def next_events(events: Events, reading: Reading, seed: int) -> Callable[[int], Pass]:
    """Passes that teach each next event; the pass of a number is always the same.

    Args:
        events: oldest first; events that are no `targets` are read and never foretold.
        reading: how they are read.
        seed: of all draws.
    """
    columns = _columns(events, reading)

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
        drawn = Drawn(
            first=places[:, 0],
            read=read,
            lengths=lengths - unread,
            outputs=outputs,
            rows=histories[0] * outputs + histories[1],
            foretold=after[wanted],
            noes=turned,
        )
        return columns.batch(drawn)

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
    columns = _columns(events, reading)
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
            turned = None
            if noes is not None:
                viewers = owners[places[:, 0]]
                turned = noes.within(events.offsets[viewers], events.offsets[viewers + 1])
            drawn = Drawn(
                first=places[:, 0],
                read=mixed[:, : int(read.max())],
                lengths=read,
                outputs=1,
                rows=np.nonzero(wanted)[0],
                foretold=mixed[wanted],
                noes=turned,
            )
            return columns.batch(drawn)

        return Pass(windows=windows, make=make)

    return draw


def _columns(events: Events, reading: Reading) -> Columns:
    return Columns(events, times=reading.times, beside=reading.beside, processes=reading.processes)
