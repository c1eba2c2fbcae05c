"""One step's loss and gradients: the batch goes to the network's device, forward, backward.

On a CPU, and wherever shapes never come back, kernels are started one by one. On a GPU small kernels are over
before the next one is started, so there the work on batches of one shape is recorded the second time the
shape comes, and replayed from then on (CUDA graphs: https://docs.pytorch.org/docs/stable/notes/cuda.html).
That needs no compiler on the machine that trains. What the optimiser does stays outside: it is a handful of
kernels for all weights, and its rate differs from step to step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from matinee.train.device import Place
from matinee.train.tensors import map_tensors, tensors_of

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
N = TypeVar("N", bound=nn.Module)
Results = tuple[Tensor | None, ...]

# The gradients of each recorded shape have a place of their own. Where so many bytes are no room for a few
# of them, a step's kernels are so long that starting them costs nothing.
_GRADIENT_BYTES = 2**30
_FEWEST_SHAPES, _MOST_SHAPES = 8, 48


@dataclass(frozen=True, kw_only=True)
class Filled(Generic[B_co]):
    """A batch filled up to a shape that comes back; what fills it weighs nothing.

    Attributes:
        batch: of the shape.
        predictions: how many of it are real.
    """

    batch: B_co
    predictions: int


class Recorder(Protocol):
    """Records work on a device."""

    def record(self, work: Callable[[], Results]) -> tuple[Results, Callable[[], None]]:
        """Record some work without doing it.

        Args:
            work: reads and writes tensors in place, and returns others.

        Returns:
            What it returned, not yet computed, and what does the work: reads what `work` read from where it
            was, and writes results where the returned ones lie.
        """


class CudaGraphs:
    """CUDA graphs that share memory: one is replayed at a time.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], Results]) -> tuple[Results, Callable[[], None]]:
        """See `Recorder`."""
        graph = torch.cuda.CUDAGraph()
        # Another thread may pin the next batch's memory meanwhile: only this one is held to the rules.
        with (
            torch.cuda.device(self._device),
            torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"),
        ):
            results = work()
        return results, graph.replay


def records(network: nn.Module, place: Place, wanted: bool = True) -> bool:
    """Whether the steps of a network are recorded where it is trained.

    Args:
        network: whose weights say whether there is room.
        place: where it is trained.
        wanted: False: they are not.
    """
    alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
    return wanted and alone and place.device.type == "cuda" and shapes_within(network) >= _FEWEST_SHAPES


def shapes_within(network: nn.Module) -> int:
    """How many shapes' gradients are kept at most."""
    bytes_ = sum(p.nbytes for p in network.parameters() if p.requires_grad)
    return min(_MOST_SHAPES, _GRADIENT_BYTES // max(bytes_, 1))


@dataclass(frozen=True)
class _Recorded:
    """A shape's work: where its batch is put, what it returns, what does it."""

    inputs: list[Tensor]
    results: Results
    replay: Callable[[], None]


def _silent(sentence: str) -> None:
    del sentence


class Learner(Generic[N, B]):
    """Computes the loss and the gradients of batches.

    Args:
        network: on the place's device.
        loss_of: as `train` takes it.
        place: device and precision.
        recorder: records filled batches; None: every step is made anew.
        note: is told why they cannot be recorded.
    """

    def __init__(
        self,
        network: N,
        loss_of: Callable[[N, B], tuple[Tensor, int] | None],
        place: Place,
        recorder: Recorder | None = None,
        note: Callable[[str], None] = _silent,
    ) -> None:
        self._network, self._loss_of, self._place = network, loss_of, place
        self._recorder, self._note = recorder, note
        self._room = shapes_within(network)
        self._seen: set[tuple[Any, ...]] = set()
        self._recorded: dict[tuple[Any, ...], _Recorded] = {}

    def __call__(self, batch: B | Filled[B]) -> tuple[Tensor | None, int]:
        """Compute; gradients are left at the parameters.

        Returns:
            The mean loss and how many predictions it is the mean of; None and 0 where nothing is learnt. The
            loss may be overwritten by the next call.
        """
        if not isinstance(batch, Filled):
            return self._anew(self._moved(batch))
        if self._recorder is not None:
            recorded = self._recording(self._recorder, batch.batch)
            if recorded is not None:
                return self._replayed(recorded, batch.batch), batch.predictions
        return self._anew(self._moved(batch.batch))[0], batch.predictions

    def _anew(self, batch: B) -> tuple[Tensor | None, int]:
        """Forward and backward, kernel by kernel."""
        with self._place.autocast():
            loss, predictions = self._loss_of(self._network, batch) or (None, 0)
        if loss is not None:
            torch.autograd.backward(loss)
        return loss, predictions

    def _moved(self, batch: B) -> B:
        """The batch on the device; from pinned memory nobody waits for the copy."""
        device = self._place.device
        return map_tensors(batch, lambda tensor: tensor.to(device, non_blocking=True))

    def _recording(self, recorder: Recorder, batch: B) -> _Recorded | None:
        """The recorded work on a batch's shape; None where it is new, or there is no room for one more."""
        shape = tuple((found.shape, found.dtype) for found in tensors_of(batch))
        if shape not in self._recorded and shape in self._seen and len(self._recorded) < self._room:
            try:
                self._recorded[shape] = self._record(recorder, batch)
            except RuntimeError as error:
                self._recorder = None
                reason = str(error).strip().split("\n", 1)[0]
                self._note(f"Steps could not be recorded and are made one by one: {reason}")
        self._seen.add(shape)
        return self._recorded.get(shape)

    def _record(self, recorder: Recorder, batch: B) -> _Recorded:
        """Record forward and backward on a copy of the batch that others of its shape are put into."""
        held = map_tensors(batch, lambda tensor: tensor.to(self._place.device, copy=True))
        learnt = [p for p in self._network.parameters() if p.requires_grad]

        def work() -> Results:
            with self._place.autocast():
                loss, _ = self._loss_of(self._network, held) or (None, 0)
            if loss is None:
                raise RuntimeError("a filled batch taught nothing")
            gradients = torch.autograd.grad(loss, learnt, allow_unused=True)
            # Laid out as the weights are: the optimiser's kernel walks both in the order of memory.
            return loss.detach(), *(None if found is None else found.contiguous() for found in gradients)

        results, replay = recorder.record(work)
        return _Recorded(tensors_of(held), results, replay)

    def _replayed(self, recorded: _Recorded, batch: B) -> Tensor:
        """Do recorded work on a batch."""
        for held, tensor in zip(recorded.inputs, tensors_of(batch), strict=True):
            held.copy_(tensor, non_blocking=True)
        recorded.replay()
        learnt = (p for p in self._network.parameters() if p.requires_grad)
        loss, *gradients = recorded.results
        for parameter, gradient in zip(learnt, gradients, strict=True):
            parameter.grad = gradient
        if loss is None:
            raise RuntimeError("recorded work has no loss")
        return loss
