"""Where a training run stands: everything that its next step depends on, as named tensors and plain numbers.

A checkpoint is exactly this, so a run that goes on from one makes the same steps as one that never stopped.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from matinee.train.adamw import AdamW
from matinee.train.plan import Plan
from matinee.train.rows import RowAverage

B = TypeVar("B")
N = TypeVar("N", bound=nn.Module)
# The mean loss of a batch and how many predictions it is the mean of; None where a batch teaches nothing.
LossOf = Callable[[N, B], tuple[Tensor, int] | None]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One pass on the learning curve.

    Attributes:
        loss: mean over the pass's predictions; None where there were none.
        validation: what `validate` returned at its end; None where it was not asked.
        predictions: made so far, in all passes.
        cpu_s: CPU-seconds of this process so far, validations left out.
        wall_s: wall seconds so far, validations left out.
        validation_cpu_s: CPU-seconds of validations so far.
    """

    loss: float | None
    validation: float | None
    predictions: int
    cpu_s: float
    wall_s: float
    validation_cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A copy of a state.

    Attributes:
        tensors: by name, on the CPU, shared with nobody.
        facts: plain JSON values.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


class Stopwatch:
    """Seconds of this process since it was last asked."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def lap(self) -> tuple[float, float]:
        """CPU-seconds and wall seconds since the last lap."""
        before = self._cpu, self._wall
        self._cpu, self._wall = time.process_time(), time.monotonic()
        return self._cpu - before[0], self._wall - before[1]


@dataclass
class State(Generic[N]):
    """A run between two steps.

    Attributes:
        network: what is trained.
        average: a copy with the moving average of its weights; None where the plan has none.
        optimiser: AdamW.
        random: where the random streams stood after the last whole step.
        loss_sum: of this pass, on the network's device, so that no step waits for it.
        pass_predictions: of this pass.
        epoch: which pass is under way, from 0.
        step: how many of its steps are done.
        steps: done in all passes.
        predictions: made in all passes.
        best: the best validation so far.
        best_weights: by name, what scored it.
        since_best: validations since then.
        ended: whether training stopped early.
        cpu_s: CPU-seconds spent, validations left out.
        wall_s: wall seconds spent, validations left out.
        validation_cpu_s: CPU-seconds of validations.
        curve: passes that are done.
        watch: what the seconds are read from.
        rows: of tables that are moved row by row: how far their averages are up to date.
    """

    network: N
    average: N | None
    optimiser: AdamW
    random: dict[str, Tensor]
    loss_sum: Tensor
    pass_predictions: int = 0
    epoch: int = 0
    step: int = 0
    steps: int = 0
    predictions: int = 0
    best: float | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    since_best: int = 0
    ended: bool = False
    cpu_s: float = 0.0
    wall_s: float = 0.0
    validation_cpu_s: float = 0.0
    curve: list[Point] = field(default_factory=list)
    watch: Stopwatch = field(default_factory=Stopwatch)
    rows: dict[str, RowAverage] = field(default_factory=dict)

    @property
    def judged(self) -> N:
        """The network that is validated and returned."""
        if self.average is None:
            return self.network
        with torch.no_grad():
            for name, rows in self.rows.items():
                rows.settle(self.average.get_parameter(name), self.network.get_parameter(name))
        return self.average

    @property
    def loss(self) -> float | None:
        """Mean loss of this pass so far; waits for the device."""
        return self.loss_sum.item() / self.pass_predictions if self.pass_predictions else None

    def over(self, plan: Plan) -> bool:
        """Whether all passes are made, or no more are wanted."""
        return self.ended or self.epoch >= plan.passes

    def follow(self, decay: float) -> None:
        """Move the average towards the weights; running counts of the network are taken as they are."""
        if self.average is not None:
            moved = self.optimiser.moved
            for name in moved:
                table = self.average.get_parameter(name)
                self.rows.setdefault(name, RowAverage(table)).follow(table, moved[name], decay)
            averages: list[Tensor] = [p for name, p in self.average.named_parameters() if name not in moved]
            weights: list[Tensor] = [p for name, p in self.network.named_parameters() if name not in moved]
            torch._foreach_lerp_(averages, weights, 1.0 - decay)
            for average, buffer in zip(self.average.buffers(), self.network.buffers(), strict=True):
                average.copy_(buffer)


_FACTS = (
    "pass_predictions",
    "epoch",
    "step",
    "steps",
    "predictions",
    "best",
    "since_best",
    "ended",
    "cpu_s",
    "wall_s",
    "validation_cpu_s",
)


def begin(network: N, plan: Plan, random: dict[str, Tensor]) -> State[N]:
    """A run that has made no step; the network is on its device."""
    network.zero_grad(set_to_none=True)
    average = copy.deepcopy(network).eval().requires_grad_(False) if plan.average else None
    device = next(network.parameters()).device
    optimiser = AdamW(
        dict(network.named_parameters()),
        betas=plan.betas,
        weight_decay=plan.weight_decay,
        undecayed=plan.undecayed,
    )
    return State(network, average, optimiser, random, torch.zeros((), device=device))


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's parameters and buffers by name, on the CPU."""
    return {name: _kept(tensor) for name, tensor in network.state_dict().items()}


def snapshot(state: State[N]) -> Snapshot:
    """Copy everything that the next step depends on."""
    tensors = {f"network/{name}": tensor for name, tensor in state.network.state_dict().items()}
    if state.average is not None:
        tensors |= {f"average/{name}": tensor for name, tensor in state.average.state_dict().items()}
    tensors |= {f"optimiser/{name}": tensor for name, tensor in state.optimiser.tensors().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in state.best_weights.items()}
    tensors |= {f"random/{name}": tensor for name, tensor in state.random.items()}
    for name, rows in state.rows.items():
        tensors |= {f"rows.{kind}/{name}": tensor for kind, tensor in rows.tensors().items()}
    tensors["loss_sum"] = state.loss_sum
    facts = {name: getattr(state, name) for name in _FACTS}
    facts["curve"] = [asdict(point) for point in state.curve]
    return Snapshot(tensors={name: _kept(tensor) for name, tensor in tensors.items()}, facts=facts)


def restore(state: State[N], taken: Snapshot) -> None:
    """Put a run where a snapshot of it stood; the caller puts its random streams there too."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in taken.tensors.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = tensor
    state.network.load_state_dict(groups["network"])
    if state.average is not None:
        state.average.load_state_dict(groups["average"])
    state.optimiser.load(groups.get("optimiser", {}))
    state.best_weights = groups.get("best", {})
    state.random = groups["random"]
    if state.average is not None:
        for name in groups.get("rows.until", {}):
            state.rows[name] = RowAverage(state.average.get_parameter(name))
            state.rows[name].load({kind: groups[f"rows.{kind}"][name] for kind in ("until", "now")})
    state.loss_sum = groups["loss_sum"][""].to(state.loss_sum.device, copy=True)
    for name in _FACTS:
        setattr(state, name, taken.facts[name])
    state.curve = [Point(**point) for point in taken.facts["curve"]]


def _kept(tensor: Tensor) -> Tensor:
    """A copy on the CPU that nobody else writes to."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
