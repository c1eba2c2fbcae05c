"""What is added to the attention between two events of a history, by how far they lie apart.

- `DistanceBias`: each head decays with the number of events between, at a rate of its own that is not learnt
  (Press et al. 2022, "Train short, test long", ALiBi; its slopes are 2 ** (-8 h / heads)). Head h adds
  log(decay_h) for each step back, so that before anything is learnt it weighs events as a closed form's
  decayed history does.
- `StepBias`: a learnt number for each distance and head, distances beyond the last one sharing its number.
- `TimeBias`: a learnt number for each octave of the time between and head.

The last two are the relative attention bias of HSTU (Zhai et al. 2024, "Actions speak louder than words",
section 3), which adds both to the logits as is done here; it reads the time from the event that is asked for,
which nobody knows when asking, where we read it from the last event before. FuXi-alpha (Ye et al. 2025) gives
each of the two a channel of attention of its own instead of adding them up.

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
# Distance takes no event further down than this: e ** -60 is nothing beside one event, and smaller numbers
# soon are denormal, with which processors are slow.
FARTHEST = -60.0


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
        return (self.slopes[:, None, None] * steps).clamp_min(FARTHEST)


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
            seconds: float64 or int64, shape (histories, events), of any origin. (In float32, seconds since
                1970 are two minutes apart.)
        """
        apart = (seconds[:, :, None] - seconds[:, None, :]).clamp_min(0)
        return self.table[:, time_buckets(apart)].transpose(0, 1)


def time_buckets(seconds: Tensor) -> Tensor:
    """The octave of each stretch of time: 0 for less than a second, then 1 + floor(log2): int64."""
    # The exponent of a float is exact where a rounded logarithm may miss a power of two.
    return torch.frexp(seconds.double()).exponent.long().clamp(0, TIME_BUCKETS - 1)
