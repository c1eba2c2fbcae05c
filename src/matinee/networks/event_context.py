"""What is known of an event beside its item: learnt vectors of its kind, its value and the time before it.

Each of them is a code; the vectors of an event's codes are added to its item's on the way in (as positions
are; Li et al. 2020, "Time interval aware self-attention", embeds times). Code 0 stands for what nobody said,
and has a vector of its own: in training, some histories are read as if nobody had said anything.

Where a viewer is belongs to no event: a learnt vector of the region is added to whatever the history asks
for, so that it raises what is liked there. A region that nobody knows adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

# Share of histories that a step of training reads as if nobody had said anything of one sort.
UNTOLD = 0.1


class EventContext(nn.Module):
    """Vectors of events by what is known of them; all start at zero.

    Args:
        sizes: for each sort of code how many there are, 0 included.
        width: of the vectors.

    Attributes:
        drawn: as that of `blocks.LockedDropout`.
    """

    def __init__(self, sizes: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.drawn: tuple[int, slice] | None = None
        self.tables = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(size, width)) for name, size in sizes.items()}
        )

    def forward(self, codes: Mapping[str, Tensor]) -> Tensor:
        """What is added to events: (histories, events, width), from int64 codes (histories, events)."""
        found = []
        for name, table in self.tables.items():
            known = codes[name]
            if self.training:
                known = known * _told(known[:, :1], self.drawn).long()
            found.append(functional.embedding(known, table))
        return torch.stack(found).sum(dim=0)


class Regions(nn.Module):
    """A vector of each region; all start at zero.

    Args:
        regions: how many there are.
        width: of the vectors.

    Attributes:
        drawn: as that of `blocks.LockedDropout`.
    """

    def __init__(self, regions: int, width: int) -> None:
        super().__init__()
        self.drawn: tuple[int, slice] | None = None
        self.table = nn.Parameter(torch.zeros(regions, width))

    def forward(self, codes: Tensor) -> Tensor:
        """What is added to what is asked for: (histories, 1, width), from int64 codes, below 0 unknown."""
        known = (codes >= 0).to(self.table.dtype)
        if self.training:
            known = known * _told(known, self.drawn)
        return (functional.embedding(codes.clamp_min(0), self.table) * known[:, None])[:, None]


def _told(like: Tensor, drawn: tuple[int, slice] | None) -> Tensor:
    """Of which histories anything is told in this step: 0 or 1, of a tensor's shape (histories, ...)."""
    n, rows = drawn or (len(like), slice(None))
    return torch.empty(n, *like.shape[1:], device=like.device).bernoulli_(1.0 - UNTOLD)[rows]
