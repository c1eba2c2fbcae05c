"""Who trains a network: one process, or several together (`processes.py`), behind one promise."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from torch import Tensor

from matinee.core.run import Run
from matinee.train.device import Place
from matinee.train.state import B, LossOf, N, State


class Team(Protocol):
    """What the loop asks of those who train."""

    first: bool

    def join(self, state: State[N], key: str) -> None:
        """Meet the others and stand where the first one stands.

        Args:
            state: of this process's run.
            key: what all must agree on.
        """

    def learner(self, network: N, loss_of: LossOf[N, B]) -> LossOf[N, B]:
        """A loss as `train` takes it, whose backward pass leaves the gradients of the whole batch."""

    def asked(self, here: bool) -> bool:
        """Whether any of them was asked to stop; `here`: whether this one was."""

    def mean(self, loss: Tensor | None) -> Tensor | None:
        """The loss of the whole batch, from what `learner` gave."""

    def ended(self, here: bool) -> bool:
        """Whether training has ended early, which the first one knows."""


class Alone:
    """One process: nothing is shared."""

    first = True

    def join(self, state: State[N], key: str) -> None:
        """Nobody is to be met."""

    def learner(self, network: N, loss_of: LossOf[N, B]) -> LossOf[N, B]:
        """The loss as it is."""
        del network
        return loss_of

    def asked(self, here: bool) -> bool:
        """What is known here."""
        return here

    def mean(self, loss: Tensor | None) -> Tensor | None:
        """The loss as it is."""
        return loss

    def ended(self, here: bool) -> bool:
        """What is known here."""
        return here


def together(run: Run, place: Place) -> AbstractContextManager[Team]:
    """The processes that train, until the context is left.

    Raises:
        MatineeError: another process failed, or is gone.
    """
    if run.processes.size == 1:
        return nullcontext(Alone())
    # Not every build of torch has what this needs.
    from matinee.train.processes import joined

    return joined(run, place)
