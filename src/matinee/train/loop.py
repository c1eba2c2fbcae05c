"""Training any network: passes over batches, a loss, fused AdamW, an average of the weights, early stopping.

Everything that differs between a recommender and any other network is an argument. A run on a CPU with one
thread is exact: interrupted and gone on with, it ends with the very weights of one that never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from matinee.core.errors import MatineeError, Stopped
from matinee.core.run import Run
from matinee.train.adamw import clip_gradients
from matinee.train.checkpoint import Checkpoints, fingerprint, newest_checkpoint
from matinee.train.device import Place, find_place
from matinee.train.interrupt import Interrupts
from matinee.train.learner import CudaGraphs, Filled, Learner, records
from matinee.train.plan import Plan, average_at, rate_at
from matinee.train.preflight import preflight
from matinee.train.progress import Teller, farewell, sound_loss, sound_snapshot
from matinee.train.state import Point, State, begin, restore, snapshot, weights_of
from matinee.train.team import together

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
N = TypeVar("N", bound=nn.Module)


class Batches(Protocol[B_co]):
    """One pass. Its batches are best made one by one, when they are asked for."""

    def __len__(self) -> int:
        """Steps of the pass."""

    def __iter__(self) -> Iterator[B_co]:
        """The batch of each step."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came of it.

    Attributes:
        best: parameters and buffers by name, on the CPU: averaged where the plan says so, and of the best
            validation where there is one.
        curve: a point for each pass.
        validation: the best one; None without one.
        predictions: made in all passes.
        stopped_early: whether validation ended it before the plan's last pass.
        notes: sentences for people: checkpoints that were passed over.
    """

    best: dict[str, Tensor]
    curve: tuple[Point, ...]
    validation: float | None
    predictions: int
    stopped_early: bool
    notes: tuple[str, ...]


def train(  # noqa: PLR0913 (what is learnt, by which plan, how this run goes, and whose checkpoints it may take)
    network: N,
    loss_of: Callable[[N, B], tuple[Tensor, int] | None],
    passes: Callable[[int], Batches[B | Filled[B]]],
    plan: Plan,
    run: Run = Run(),  # noqa: B008 (frozen)
    validate: Callable[[N], float] | None = None,
    *,
    key: str = "",
) -> Trained:
    """Train a network.

    Args:
        network: moved to the run's device and trained from the weights that it has.
        loss_of: the mean loss of a batch (a scalar) and how many predictions it is the mean of, or None for
            a batch that teaches nothing. Called under autocast, with the batch's tensors on the device.
        passes: the batches of a pass, counted from 0; they may depend on nothing else. Those that are filled
            up to shapes that come back are recorded on a GPU. Where several processes train together, each
            gets its share of every batch (`batches.Share`).
        plan: how long and how hard.
        run: where, how precisely, who is told, what is kept.
        validate: how good a network is, larger is better. Called without gradients, in eval mode, in float32.
        key: of the data and the loss: a checkpoint under another key is another run's.

    Raises:
        Stopped: `run.should_stop()` said so; a checkpoint is saved where the run keeps any.
        KeyboardInterrupt: Ctrl-C; the same.
        InputError: the device, the disk or the checkpoint folder cannot be used.
        MatineeError: the loss, or the validation, is no finite number.
    """
    place = find_place(run.device, run.precision, run.processes)
    network.to(place.device).train()
    name = fingerprint(plan, network, key)
    folder = run.checkpoints / name if run.checkpoints and run.processes.first else None
    with (
        place.fork_random(),
        Interrupts() as interrupts,
        Checkpoints(folder, run.checkpoint_every_s) as kept,
        together(run, place) as team,
    ):
        validate = validate if team.first else None
        state, notes = _start(network, plan, place, kept, validate)
        team.join(state, name)
        place.set_random_state(state.random)
        sound = partial(sound_snapshot, state)
        told = Teller(run.tell, state, plan, notes)
        recorder = CudaGraphs(place.device) if records(network, place, run.record) else None
        learn = Learner(network, team.learner(network, loss_of), place, recorder, told.note)
        try:
            while not state.over(plan):
                batches = passes(state.epoch)
                for batch in islice(iter(batches), state.step, None):
                    if team.asked(run.should_stop()):
                        raise _Asked
                    with interrupts.held():
                        loss, predictions = learn(batch)
                        _update(state, plan, len(batches), team.mean(loss), predictions)
                        state.random = place.random_state()
                    told.now_and_then(state.step / len(batches))
                    kept.save_if_due(sound)
                value, cpu_s = _validated(state, plan, validate)
                with interrupts.held():
                    _end_pass(state, plan, value, cpu_s)
                    state.ended = team.ended(state.ended)
                told.now()
            kept.save(sound)
        except (KeyboardInterrupt, _Asked) as stop:
            if not interrupts.broken:
                kept.save(sound)
            kind = KeyboardInterrupt if isinstance(stop, KeyboardInterrupt) else Stopped
            raise kind(farewell(state, plan, folder is not None)) from None
    return _trained(state, notes)


class _Asked(Exception):
    """Somebody asked to stop, and the state is not yet saved."""


def _start(
    network: N,
    plan: Plan,
    place: Place,
    kept: Checkpoints,
    validate: Callable[[N], float] | None,
) -> tuple[State[N], tuple[str, ...]]:
    """From the newest checkpoint, or from the beginning, after a preflight."""
    torch.manual_seed(plan.seed)
    state = begin(network, plan, place.random_state())
    taken, notes = newest_checkpoint(kept.folder) if kept.folder else (None, ())
    if taken is not None:
        restore(state, taken)
    else:
        preflight(
            kept.folder, partial(snapshot, state), lambda: _validated(state, plan, validate, always=True)
        )
    return state, notes


def _update(state: State[N], plan: Plan, steps: int, loss: Tensor | None, predictions: int) -> None:
    """One step of the optimiser, the average and the sums, once the gradients are there.

    Args:
        state: of the run.
        plan: of the run.
        steps: of the whole pass.
        loss: None where nothing was learnt.
        predictions: that the loss is the mean of.
    """
    if loss is not None:
        if plan.clip:
            clip_gradients(list(state.network.parameters()), plan.clip)
        done = (state.epoch + state.step / steps) / plan.passes
        state.optimiser.step(rate_at(plan, done, state.steps))
        state.steps += 1
        state.follow(average_at(plan, state.steps))
        state.loss_sum += loss.detach() * predictions
    state.step += 1
    state.pass_predictions += predictions
    state.predictions += predictions
    cpu_s, wall_s = state.watch.lap()
    state.cpu_s += cpu_s
    state.wall_s += wall_s


@torch.no_grad()
def _validated(
    state: State[N], plan: Plan, validate: Callable[[N], float] | None, always: bool = False
) -> tuple[float | None, float]:
    """What `validate` says at the end of this pass, and its CPU-seconds; None where it is not its turn."""
    turn = always or (state.epoch + 1) % plan.validate_every == 0 or state.epoch + 1 == plan.passes
    if validate is None or not turn:
        return None, 0.0
    state.watch.lap()
    state.judged.eval()
    try:
        value = float(validate(state.judged))
    finally:
        state.network.train()
    if not math.isfinite(value):
        raise MatineeError(f"Validation after {state.epoch} passes gave {value}, expected a finite number.")
    return value, state.watch.lap()[0]


def _end_pass(state: State[N], plan: Plan, value: float | None, cpu_s: float) -> None:
    """Write down how the pass went; keep the best weights, and end where patience does."""
    loss = sound_loss(state)
    state.validation_cpu_s += cpu_s
    if value is not None:
        state.since_best += 1
        if state.best is None or value > state.best:
            state.best, state.since_best = value, 0
            state.best_weights = weights_of(state.judged)
        state.ended = 0 < plan.patience <= state.since_best
    state.curve.append(
        Point(
            loss=loss,
            validation=value,
            predictions=state.predictions,
            cpu_s=state.cpu_s,
            wall_s=state.wall_s,
            validation_cpu_s=state.validation_cpu_s,
        )
    )
    state.epoch, state.step, state.pass_predictions = state.epoch + 1, 0, 0
    state.loss_sum.zero_()


def _trained(state: State[N], notes: tuple[str, ...]) -> Trained:
    return Trained(
        best=state.best_weights or weights_of(state.judged),
        curve=tuple(state.curve),
        validation=state.best,
        predictions=state.predictions,
        stopped_early=state.ended,
        notes=notes,
    )
