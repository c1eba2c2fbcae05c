"""The batches of a pass as a GPU takes them: made ahead in pinned memory, and filled up to few shapes.

Making a batch is the processor's work while the GPU computes the one before. From pinned memory a copy is
started and nobody waits for it; it is 100 KB of positions and codes a batch, some microseconds.

Shapes: histories of nearly one length are already together, so events are filled up to a multiple of eight
or more (which is also what attention kernels like their bias aligned to), histories to an eighth and
predictions to a sixteenth of a full batch. What fills up is never seen by a real event and weighs nothing.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from matinee.train.columns import Batch
from matinee.train.learner import Filled
from matinee.train.tensors import map_tensors

Made = Batch | Filled[Batch] | None

# Batches that wait to be taken.
_AHEAD = 3
_POLL_S = 0.1


class _Pass(Protocol):
    """One pass, as `train.sequences` draws it."""

    def __len__(self) -> int:
        """Number of batches."""

    def __iter__(self) -> Iterator[Batch | None]:
        """The batches in their order."""


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """What batches are filled up to.

    Attributes:
        batch_events: events of a full batch.
        longest: events that are read of one history at most.
        ordered: whether the network answers at every event, and not once a history.
        opening: whether it answers once more before the first.
    """

    batch_events: int
    longest: int
    ordered: bool = True
    opening: bool = False

    def filled(self, batch: Batch) -> Filled[Batch]:
        """A batch filled up; its losses and gradients are those of the batch."""
        rows, events = batch.histories.items.shape
        wide = max(events, min(events_of_shape(events), self.longest - self.opening))
        tall = _up(rows, max(1, self.batch_events // wide // 8))
        predictions = _up(len(batch.targets), max(1, self.batch_events // 16))
        histories = map_tensors(batch.histories, lambda column: _grown(column, rows, tall, events, wide))
        at = batch.rows
        if self.ordered:
            answers, more = events + self.opening, wide - events
            at = at + torch.div(at, answers, rounding_mode="floor") * more
        weights = batch.weights
        if weights is None:
            weights = torch.ones(len(batch.targets))
        real = len(batch.targets)
        return Filled(
            batch=replace(
                batch,
                histories=histories,
                rows=functional.pad(at, (0, predictions - real)),
                targets=functional.pad(batch.targets, (0, predictions - real)),
                weights=functional.pad(weights, (0, predictions - real)),
            ),
            predictions=real,
        )


def events_of_shape(events: int) -> int:
    """What so many events are filled up to: a multiple of 8, beyond 64 of 16, beyond 256 of 32."""
    for most, step in ((64, 8), (256, 16)):
        if events <= most:
            return _up(events, step)
    return _up(events, 32)


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A pass whose batches are made by a thread of its own, while the one before is learnt from.

    Attributes:
        made: the pass.
        shapes: what batches are filled up to; None: they are left as they are.
        pinned: whether they are put into pinned memory; that needs a GPU.
    """

    made: _Pass
    shapes: Shapes | None = None
    pinned: bool = True

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.made)

    def __iter__(self) -> Iterator[Made]:
        """The batches in their order."""
        waiting: queue.Queue[Made | BaseException] = queue.Queue(_AHEAD)
        ended = threading.Event()
        thread = threading.Thread(target=self._make, args=(waiting, ended), name="batches", daemon=True)
        thread.start()
        try:
            for _ in range(len(self.made)):
                found = waiting.get()
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            ended.set()
            thread.join()

    def _make(self, waiting: queue.Queue[Made | BaseException], ended: threading.Event) -> None:
        try:
            for batch in self.made:
                if not _put(waiting, self._ready(batch), ended):
                    return
        except BaseException as error:
            _put(waiting, error, ended)

    def _ready(self, batch: Batch | None) -> Made:
        if batch is None:
            return None
        found = batch if self.shapes is None else self.shapes.filled(batch)
        return map_tensors(found, Tensor.pin_memory) if self.pinned else found


def taken_ahead(
    passes: Callable[[int], _Pass], shapes: Shapes | None, pinned: bool = True
) -> Callable[[int], Ahead]:
    """Passes that are made ahead.

    Args:
        passes: by number.
        shapes: what batches are filled up to; None: they are left as they are.
        pinned: whether they are put into pinned memory.
    """
    return lambda number: Ahead(made=passes(number), shapes=shapes, pinned=pinned)


def _put(
    waiting: queue.Queue[Made | BaseException], found: Made | BaseException, ended: threading.Event
) -> bool:
    """Put something where there is room, unless nobody will take it."""
    while not ended.is_set():
        try:
            waiting.put(found, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False


def _grown(column: Tensor, rows: int, tall: int, events: int, wide: int) -> Tensor:
    """A column of histories with zeros for more histories and, where it has events, for more of them."""
    if column.dim() == 1:
        return functional.pad(column, (0, tall - rows))
    grown = column.new_zeros(tall, wide, *column.shape[2:])
    grown[:rows, :events] = column
    return grown


def _up(n: int, step: int) -> int:
    """The next multiple."""
    return -(-n // step) * step
