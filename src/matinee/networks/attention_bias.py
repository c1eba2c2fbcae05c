"""What is added to the attention between two events of a history, by how far they lie apart.

- `DistanceBias`: each head decays with the number of events between, at a rate of its own (Press et al. 2022,
  "Train short, test long", ALiBi). Head h adds log(decay_h) for each step back, so that before anything is
  learnt it weighs events as a closed form's decayed history does.
- `StepBias`: a learnt number for each distance and head, distances beyond the last one sharing its number
  (Zhai et al. 2024, HSTU, section 3.1; Ye et al. 2025, FuXi-alpha).
- `TimeBias`: a learnt number for each octave of the time between and head (HSTU, the same section).

A bias is added to attention logits of shape (histories, heads, events, events), newer events in rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# 1 second to 2 ** 31 seconds, and "at once".
TIME_BUCKETS = 33
MOST_STEPS = 512


class DistanceBias(nn.Module):
    """log(decay) for each step back.

    Args:
        decays: one rate between 0 and 1 for each head.
    """

    slopes: Tensor

    def __init__(self, decays: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.tensor([math.log(decay) for decay in decays]))

    def forward(self, steps: Tensor) -> Tensor:
        """Bias of some distances: float32, shape (heads, events, events), from int64 (events, events)."""
        return self.slopes[:, None, None] * steps


class StepBias(nn.Module):
    """A learnt number for each head and distance.

    Args:
        heads: how many heads.
        longest: distances from here on share a number.
    """

    def __init__(self, heads: int, longest: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, min(longest, MOST_STEPS)))

    def forward(self, steps: Tensor) -> Tensor:
        """Bias of some distances: float32, shape (heads, events, events), from int64 (events, events)."""
        return self.table[:, steps.clamp(0, self.table.shape[1] - 1)]


class TimeBias(nn.Module):
    """A learnt number for each head and octave of seconds.

    Args:
        heads: how many heads.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, TIME_BUCKETS))

    def forward(self, seconds: Tensor) -> Tensor:
        """Bias of some histories: (histories, heads, events, events), from the events' times.

        Args:
            seconds: float32 or int64, shape (histories, events), of any origin.
        """
        apart = (seconds[:, :, None] - seconds[:, None, :]).clamp_min(0)
        return self.table[:, time_buckets(apart)].transpose(0, 1)


def time_buckets(seconds: Tensor) -> Tensor:
    """The octave of each stretch of time: 0 for less than a second, then 1 + floor(log2): int64."""
    octaves = torch.log2(seconds.double().clamp_min(1.0)).floor().long() + 1
    return torch.where(seconds < 1, 0, octaves).clamp_max(TIME_BUCKETS - 1)
