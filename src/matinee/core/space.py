"""What a search may change: the values that one setting can take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]

    def draw(self, random: np.random.Generator) -> Any:
        """One value, each as likely."""
        return self.values[int(random.integers(len(self.values)))]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A range of numbers, both ends included.

    Attributes:
        low: the least value.
        high: the greatest value.
        log: whether to search its logarithm.
        whole: whether only whole numbers fit.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, random: np.random.Generator) -> float | int:
        """One value, uniform over the range or over its logarithm."""
        if self.log:
            value = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = random.uniform(self.low, self.high)
        return round(value) if self.whole else float(value)


Space = Mapping[str, Choice | Span]


def draw(space: Space, random: np.random.Generator) -> dict[str, Any]:
    """One random point of a space."""
    return {name: values.draw(random) for name, values in space.items()}
