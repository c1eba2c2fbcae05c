"""What a run says of itself while it goes on, and when it is stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from matinee.core.errors import MatineeError
from matinee.core.run import Step
from matinee.train.plan import Plan
from matinee.train.state import N, Snapshot, State, snapshot

_EVERY_S = 1.0


class Teller:
    """Tells a `Step` about once a second: reading the loss more often would make every step wait for it.

    Args:
        tell: is told.
        state: of the run.
        plan: of the run.
        notes: sentences to begin with.
    """

    def __init__(
        self, tell: Callable[[Step], None], state: State[Any], plan: Plan, notes: tuple[str, ...] = ()
    ) -> None:
        self._tell, self._state, self._plan = tell, state, plan
        self._told = time.monotonic()
        # When this run's first step was made, and the share that was done then, maybe by an earlier run.
        self._began: tuple[float, float] | None = None
        for note in notes:
            self.note(note)

    def note(self, sentence: str) -> None:
        """Tell a sentence instead of what is being done."""
        self._tell(Step(share=self._share(0.0), doing=sentence))

    def now_and_then(self, of_pass: float) -> None:
        """Tell, where a second has gone by.

        Args:
            of_pass: share of the pass that is done.
        """
        if self._began is None:
            self._began = time.monotonic(), self._share(of_pass)
        if time.monotonic() - self._told >= _EVERY_S:
            self.now(of_pass)

    def now(self, of_pass: float = 0.0) -> None:
        """Tell.

        Args:
            of_pass: share of the pass that is done.

        Raises:
            MatineeError: the loss is no number any more.
        """
        state, plan = self._state, self._plan
        self._told = time.monotonic()
        share = self._share(of_pass)
        began_s, before = self._began or (self._told, share)
        values = [point.validation for point in state.curve if point.validation is not None]
        losses = [sound_loss(state), *(point.loss for point in reversed(state.curve))]
        self._tell(
            Step(
                share=share,
                doing=f"pass {min(state.epoch + 1, plan.passes)} of {plan.passes}",
                loss=next((loss for loss in losses if loss is not None), None),
                validation=(plan.measure, values[-1]) if values else None,
                left_s=(self._told - began_s) * (1.0 - share) / (share - before) if share > before else None,
                cpu_s=state.cpu_s + state.validation_cpu_s,
                passes=(state.epoch, plan.passes),
            )
        )

    def _share(self, of_pass: float) -> float:
        """How much of all passes is done."""
        return 1.0 if self._state.ended else min(1.0, (self._state.epoch + of_pass) / self._plan.passes)


def sound_loss(state: State[N]) -> float | None:
    """Mean loss of this pass so far; waits for the device.

    Raises:
        MatineeError: it is no number any more.
    """
    loss = state.loss
    if loss is not None and not math.isfinite(loss):
        raise MatineeError(
            f"The loss became {loss} in pass {state.epoch + 1}: take a lower rate, or a clip of 1."
        )
    return loss


def sound_snapshot(state: State[N]) -> Snapshot:
    """A snapshot that is worth going on from.

    Raises:
        MatineeError: the loss is no number any more.
    """
    sound_loss(state)
    return snapshot(state)


def farewell(state: State[N], plan: Plan, kept: bool) -> str:
    """What to say when a run is stopped.

    Args:
        state: of the run.
        plan: of the run.
        kept: whether a checkpoint was saved.
    """
    where = f"Training stopped in pass {min(state.epoch + 1, plan.passes)} of {plan.passes}"
    if kept:
        return f"{where} and was saved: the same fit with the same checkpoint folder goes on from there."
    return f"{where} and nothing of it was kept: give a checkpoint folder to be able to go on."
