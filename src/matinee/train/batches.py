"""Which histories are learnt from together: of like length, so that hardly any work is spent on filling.

Every pass takes one window of each history: the last events where they fit, else the last window or one drawn
anywhere, each half of the time. Windows are ordered by length, those of nearly the same length at random, cut
into batches of about as many events each, and the batches shuffled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.core.processes import Processes

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]

# Windows whose lengths differ by less than this share may change places from one pass to the next.
_LIKE = 0.05

# A batch is closed early where less than this share of it would be events, once it is this share of its size.
_FILLED = 0.95
_CRUMB = 0.125


@dataclass(frozen=True, kw_only=True)
class Windows:
    """A pass over some histories, batch by batch.

    Attributes:
        starts: int64, shape (windows,): position of each window's first event.
        lengths: int64, shape (windows,): its events, one at least.
        batches: positions of windows, for each batch in the order of the pass.
    """

    starts: Int64
    lengths: Int64
    batches: tuple[Int64, ...]

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batches)

    @property
    def filled(self) -> float:
        """Share of all computed events that are real, and not filling."""
        slots = sum(len(batch) * int(self.lengths[batch].max()) for batch in self.batches)
        return float(self.lengths.sum()) / max(slots, 1)

    def places(self, number: int) -> tuple[Int64, Int64]:
        """Where the events of a batch stand.

        Returns:
            Positions of events, int64, shape (windows, longest), a window's last event repeated beyond its
            end; and the windows' lengths, int64, shape (windows,).
        """
        batch = self.batches[number]
        lengths = self.lengths[batch]
        along = np.minimum(np.arange(int(lengths.max())), lengths[:, None] - 1)
        return self.starts[batch][:, None] + along, lengths


def draw_windows(
    offsets: Int64, longest: int, batch_events: int, random: np.random.Generator, last_share: float = 0.5
) -> Windows:
    """Draw one pass.

    Args:
        offsets: int64, shape (histories + 1,): where each history's events stand.
        longest: events of a window.
        batch_events: events of a batch, filling included.
        random: draws windows and orders.
        last_share: how often a history that is too long gives its last window.
    """
    lengths = np.diff(offsets)
    whole = np.flatnonzero(lengths > 0)
    lengths, starts = lengths[whole], offsets[:-1][whole]
    beyond = np.maximum(lengths - longest, 0)
    drawn = (random.random(len(whole)) * (beyond + 1)).astype(np.int64)
    starts = starts + np.where(random.random(len(whole)) < last_share, beyond, drawn)
    lengths = np.minimum(lengths, longest)
    order = np.argsort(lengths * (1.0 + _LIKE * random.random(len(lengths))), kind="stable")
    cuts = _cuts(lengths[order], batch_events)
    batches = [batch for batch in np.split(order, cuts) if len(batch)]
    turns = random.permutation(len(batches))
    return Windows(starts=starts, lengths=lengths, batches=tuple(batches[turn] for turn in turns))


def _cuts(lengths: Int64, batch_events: int) -> list[int]:
    """Where to cut an ordered row of windows so that (windows x longest of them) stays within a batch.

    A batch that is no crumb is closed early where one more window would make too much of it filling: in a
    small log, where a batch spans many lengths, that keeps arithmetic for events.
    """
    cuts, first, longest, events = [], 0, 0, 0
    # A running maximum decides, so this is a loop; it takes a millisecond for ten thousand windows.
    for place, length in enumerate(lengths.tolist()):
        before, slots = longest * (place - first), max(longest, length) * (place - first + 1)
        filling = events + length < _FILLED * slots and before >= _CRUMB * batch_events
        if place > first and (slots > batch_events or filling):
            cuts.append(place)
            first, longest, events = place, 0, 0
        longest, events = max(longest, length), events + length
    return cuts


@dataclass(frozen=True, kw_only=True)
class Share:
    """What part of a batch one of several processes takes: every n-th history, as long ones stand together.

    A process for which there is none takes the first one all the same, and it counts nothing.

    Attributes:
        weight: what the mean loss of this part counts in that of the batch.
        predictions: of the whole batch.
        histories: of the whole batch.
        start: the first history that is taken.
        step: from one to the next.
    """

    weight: float
    predictions: int
    histories: int
    start: int
    step: int

    @staticmethod
    def of(histories: int, owners: Int64, weights: Float32 | None, processes: Processes) -> Share:
        """The part of one process.

        Args:
            histories: of the batch, one at least.
            owners: int64, shape (predictions,): the history of each.
            weights: float32, shape (predictions,): how much each counts; None: 1.
            processes: which one, of how many.
        """
        there = processes.rank < histories
        start, step = (processes.rank, processes.size) if there else (0, histories)
        mine = owners % step == start
        counts = np.ones(len(owners)) if weights is None else weights.astype(np.float64)
        weight = float(counts[mine].sum() / max(counts.sum(), np.finfo(np.float32).tiny)) if there else 0.0
        return Share(weight=weight, predictions=len(owners), histories=histories, start=start, step=step)

    @property
    def rows(self) -> slice:
        """Which histories of the batch."""
        return slice(self.start, None, self.step)

    def mine(self, owners: Int64) -> NDArray[np.bool_]:
        """Which predictions, by their histories."""
        return np.equal(owners % self.step, self.start)
