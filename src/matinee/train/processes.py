"""One network trained by several processes: torch's own DistributedDataParallel, started by `torchrun`.

A step learns from the very batch that one process would have learnt from. Every process takes its share of
the histories, and all of them move the same weights by the same gradient: that of the whole batch's mean
loss, so that shares with more predictions count for more. All draw the same random numbers, masks of dropout
for the whole batch included, so the number of processes changes nothing but rounding, and a run may go on
with another number. What is moved in each step is every gradient once (that of the item vectors too, whole),
one number of the loss, and whether somebody asked to stop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from inspect import signature
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.nn.parallel import DistributedDataParallel

from matinee.core.errors import MatineeError
from matinee.core.processes import Processes
from matinee.core.run import Run
from matinee.networks.blocks import LockedDropout
from matinee.networks.event_context import EventContext, Regions
from matinee.train.batches import Share
from matinee.train.device import Place
from matinee.train.meeting import END, Ended, Lost, Meeting, first_line, meeting_of
from matinee.train.state import B, LossOf, N, Snapshot, State, restore, snapshot

# A process that waits for a validation waits as long as it takes; one that dies is noticed at once, for its
# connections close.
_PATIENCE = timedelta(days=7)
# Since torch 2.13 the one is the name, and the other a warning.
_SYNC_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)
# What the others need of a run: they neither average nor keep the best.
_SPREAD = ("network/", "optimiser/", "random/", "loss_sum")
# How long the first process may take to say why it ends.
_LAST_WORDS_S = 5.0


class Together:
    """One of several processes that train a network.

    Args:
        meeting: where they leave words.
        place: where this one trains.
        should_stop: asked while the others are waited for.
    """

    def __init__(self, meeting: Meeting, place: Place, should_stop: Callable[[], bool]) -> None:
        self.first = meeting.processes.first
        self._meeting, self._place, self._should_stop = meeting, place, should_stop
        self._processes: Processes = meeting.processes
        # A meeting may train one network after the other: each has words of its own.
        meeting.trainings += 1
        self._turn = f"training {meeting.trainings}"
        self._step: DistributedDataParallel | None = None

    def join(self, state: State[N], key: str) -> None:
        """Meet the others and stand where the first one stands.

        Args:
            state: of this process's run, put there.
            key: what they must agree on beside the kind of device and the precision: plan, network, data.

        Raises:
            MatineeError: another process failed, or trains something else.
        """
        kind = self._place.device.type
        self._agree(f"{key} on {kind}, {'bfloat16' if self._place.half else 'float32'}")
        if kind == "cuda":
            torch.cuda.set_device(self._place.device)
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo",
            store=PrefixStore(self._turn, self._meeting.store),
            rank=self._processes.rank,
            world_size=self._processes.size,
            timeout=_PATIENCE,
        )
        self._spread(state)

    def learner(self, network: N, loss_of: LossOf[N, B]) -> LossOf[N, B]:
        """The loss of a share of a batch, whose backward pass leaves the gradients of the whole batch.

        Args:
            network: whose weights are learnt; the same in all processes.
            loss_of: as `train` takes it.
        """
        # Weights are the same already, and so are buffers that training leaves alone.
        buffers: dict[str, Any] = {_SYNC_BUFFERS: False}
        self._step = step = DistributedDataParallel(
            _Step(network, loss_of, self._processes.size),
            init_sync=False,
            gradient_as_bucket_view=True,
            **buffers,
        )

        def learn(network: N, batch: B) -> tuple[Tensor, int] | None:
            del network
            # It teaches no process anything, then: they were all cut from the same batch.
            if batch is None:
                return None
            share = share_of(batch)
            return step(batch, share), share.predictions

        return learn

    def asked(self, here: bool) -> bool:
        """Whether any process was asked to stop: all stop after the same step."""
        told = torch.tensor([here], dtype=torch.uint8)
        distributed.all_reduce(told, distributed.ReduceOp.MAX)
        return bool(told.item())

    def mean(self, loss: Tensor | None) -> Tensor | None:
        """The loss of the whole batch, from what `learner` gave each process."""
        if loss is None:
            return None
        total = loss.detach().clone()
        distributed.all_reduce(total)
        return total / self._processes.size

    def ended(self, here: bool) -> bool:
        """Whether the first process has ended training early; waits until it has validated."""
        told = torch.tensor([here], dtype=torch.uint8)
        distributed.broadcast(told, 0)
        return bool(told.item())

    def part(self) -> None:
        """Leave the others; the threads that spoke to them have ended then.

        Whoever lets go of the group last waits for its threads, which may need Python's lock to free tensors.
        DistributedDataParallel's own parts would wait with that lock in their hands, for ever: they go first.
        """
        if not distributed.is_initialized():
            return
        group = distributed.group.WORLD
        if self._step is not None:
            del self._step.reducer, self._step.logger
        distributed.destroy_process_group()
        del group

    def _agree(self, key: str) -> None:
        """Wait until every process is ready for the same run."""
        meeting, size = self._meeting, self._processes.size
        words = {word: f"{self._turn}: {word}" for word in ("run", "ready", "all")}
        if self.first:
            meeting.tell(words["run"], key)
            for rank in range(1, size):
                meeting.wait(f"{words['ready']} {rank}", should_stop=self._should_stop)
            meeting.tell(words["all"])
            return
        word, found = meeting.wait(words["run"], END, should_stop=self._should_stop)
        if word == END:
            raise Ended
        if found != key:
            raise MatineeError(
                "It is about to train something else than the first process does: give every machine the "
                "same log files, the same settings, versions and kind of device."
            )
        meeting.tell(f"{words['ready']} {self._processes.rank}")
        if meeting.wait(words["all"], END, should_stop=self._should_stop)[0] == END:
            raise Ended

    def _spread(self, state: State[N]) -> None:
        """Every process gets what the first one's next step depends on."""
        if self.first:
            taken = snapshot(state)
            tensors = {name: t for name, t in taken.tensors.items() if name.startswith(_SPREAD)}
            about = [
                [name, str(t.dtype).removeprefix("torch."), list(t.shape)] for name, t in tensors.items()
            ]
            self._meeting.tell(
                f"{self._turn}: state", json.dumps({"tensors": about, "facts": dict(taken.facts)})
            )
        else:
            told = json.loads(self._meeting.wait(f"{self._turn}: state")[1])
            tensors = {
                name: torch.empty(shape, dtype=getattr(torch, kind)) for name, kind, shape in told["tensors"]
            }
        for tensor in tensors.values():
            if tensor.numel():
                distributed.broadcast(tensor.view(-1).view(torch.uint8), 0)
        if not self.first:
            state.average = None
            restore(state, Snapshot(tensors=tensors, facts=told["facts"]))


class _Step(nn.Module):
    """The loss of a share, weighted so that its mean over processes is the mean loss of the whole batch."""

    def __init__(self, network: nn.Module, loss_of: Callable[..., Any], size: int) -> None:
        super().__init__()
        self.network = network
        self._loss_of, self._size = loss_of, size
        drops = (LockedDropout, EventContext, Regions)
        self._dropouts = [module for module in network.modules() if isinstance(module, drops)]

    def forward(self, batch: object, share: Share) -> Tensor:
        self._draw((share.histories, share.rows))
        loss: Tensor = self._loss_of(self.network, batch)[0]
        self._draw(None)
        return loss * (self._size * share.weight)

    def _draw(self, drawn: tuple[int, slice] | None) -> None:
        for dropout in self._dropouts:
            dropout.drawn = drawn


def share_of(batch: Any) -> Share:
    """Which part of a batch a process has.

    Raises:
        ValueError: it is a whole one, so every process would learn the same.
    """
    share = getattr(batch, "share", None)
    if not isinstance(share, Share):
        raise ValueError("Several processes train together, but batches come whole: cut them first.")
    return share


@contextmanager
def joined(run: Run, place: Place) -> Iterator[Together]:
    """Train with the other processes of a run until this is left.

    Raises:
        MatineeError: another process failed, or is gone.
        Ended: the first process is done already.
    """
    meeting = meeting_of(run.processes)
    together = Together(meeting, place, run.should_stop)
    try:
        yield together
    except RuntimeError as error:
        if _is_lost(error):
            raise _loss(meeting, error) from error
        if not run.processes.first:
            meeting.fail(f"{type(error).__name__}: {first_line(error)}")
        raise
    finally:
        together.part()


def _is_lost(error: RuntimeError) -> bool:
    """Whether it is the connection that failed; gloo has no error of its own."""
    words = str(error).lower()
    return isinstance(error, distributed.DistError) or any(
        sign in words for sign in ("gloo", "nccl", "connection")
    )


def _loss(meeting: Meeting, error: RuntimeError) -> Exception:
    """What to say of a connection that failed."""
    if meeting.processes.first:
        meeting.heed_failure()
    elif meeting.heard(END, _LAST_WORDS_S):
        # It has said itself why.
        return Ended()
    return Lost(
        f"Another of the {meeting.processes.size} processes that train together is gone "
        f"({first_line(error)}). What was saved on the way is kept: the same command with --resume goes on "
        "from there."
    )
