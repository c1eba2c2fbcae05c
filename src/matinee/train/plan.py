"""What a training run does: how many passes, at which rate, averaged how, until when.

The rate rises in a straight line over the warm-up and then falls along half a cosine (Loshchilov and Hutter
2017, SGDR, without its restarts).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from matinee.core.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how hard a network is trained; no word here of where or how precisely.

    Attributes:
        passes: over all training data; more learn more and cost as much more.
        rate: learning rate at its peak.
        warmup: steps over which the rate rises to its peak.
        floor: share of the peak at which the cosine ends.
        betas: AdamW's decays of the two moments; a higher second one forgets less.
        weight_decay: how hard weight matrices are pulled to zero (Loshchilov and Hutter 2019, AdamW).
        undecayed: names of parameters that are never pulled, such as item vectors; nor are biases.
        average: decay of the moving average of all weights, which is what is validated and returned; nearer
            to 1 looks further back; 0: the weights themselves.
        clip: the norm that a step's gradient is cut to; 0: never.
        patience: validations in a row without a new best one before training stops; 0: never.
        validate_every: passes from one validation to the next; the last one is always validated.
        seed: draws dropout.
        measure: what `validate` returns, for people.
    """

    passes: int = 10
    rate: float = 3e-3
    warmup: int = 100
    floor: float = 0.03
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    undecayed: tuple[str, ...] = ()
    average: float = 0.0
    clip: float = 0.0
    patience: int = 0
    validate_every: int = 1
    seed: int = 0
    measure: str = "validation"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        bounds = {
            "passes": (1, math.inf),
            "warmup": (0, math.inf),
            "floor": (0.0, 1.0),
            "weight_decay": (0.0, math.inf),
            "clip": (0.0, math.inf),
            "patience": (0, math.inf),
            "validate_every": (1, math.inf),
        }
        for name, (least, most) in bounds.items():
            found = getattr(self, name)
            if not least <= found <= most:
                raise SettingsError(f"Training needs {name} from {least} to {most}, found {found}.")
        if not 0.0 < self.rate < math.inf:
            raise SettingsError(f"Training needs a rate above 0, found {self.rate}.")
        if not all(0.0 <= decay < 1.0 for decay in (*self.betas, self.average)):
            raise SettingsError(
                f"Training needs betas and average from 0 to below 1, found {self.betas} and {self.average}."
            )


def rate_at(plan: Plan, share: float, steps: int) -> float:
    """The learning rate of a step.

    Args:
        plan: says the peak, the warm-up and the floor.
        share: how much of all passes is done, 0 to 1.
        steps: how many steps were made before.
    """
    rise = min(1.0, (steps + 1) / max(plan.warmup, 1))
    fall = plan.floor + (1.0 - plan.floor) * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))
    return plan.rate * rise * fall


def average_at(plan: Plan, steps: int) -> float:
    """The average's decay after so many steps: little at first, so that the start is soon forgotten."""
    return min(plan.average, (steps + 1) / (steps + 10))
