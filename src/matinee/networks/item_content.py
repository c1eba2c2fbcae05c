"""What items are like by what they are: a linear map of their features, its length bounded.

z = sum over features f of share(f) W[f] + vector V;  the result is z / sqrt(1 + (|z| / bound)^2), which is z
where that is short, and never longer than the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True, eq=False)
class Described:
    """The features of all items; nobody writes into them, and a copy of a network shares them.

    Attributes:
        features: int64, shape (entries,): the features of all items, item by item.
        offsets: int64, shape (items + 1,): where each item's entries stand.
        shares: float32, shape (entries,): what each counts.
        vectors: float32, shape (items, numbers); numbers may be 0.
        n_features: how many features there are.
    """

    features: Tensor
    offsets: Tensor
    shares: Tensor
    vectors: Tensor
    n_features: int

    def take(self, rows: Tensor) -> Described:
        """The features of some items, given by their codes."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = functional.pad(lengths.cumsum(0), (1, 0))
        entries = torch.arange(int(offsets[-1]), device=rows.device)
        entries = entries + torch.repeat_interleave(starts - offsets[:-1], lengths)
        return Described(
            features=self.features[entries],
            offsets=offsets,
            shares=self.shares[entries],
            vectors=self.vectors[rows],
            n_features=self.n_features,
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Described:
        """The same: it never changes."""
        return self


class ItemContent(nn.Module):
    """Vectors of items from what they are.

    Args:
        described: the features of all items.
        width: of the vectors.
        bound: what no vector is longer than.
        dropout: share of the features that a step of training goes without.
    """

    def __init__(self, described: Described, width: int, bound: float, dropout: float = 0.0) -> None:
        super().__init__()
        self.described = described
        self.bound, self.dropout = bound, dropout
        # What has no numbers gets no gradient, and several processes would wait for one.
        words, numbers = described.n_features, described.vectors.shape[1]
        self.words = nn.Parameter(torch.zeros(words, width), requires_grad=words > 0)
        self.directions = nn.Parameter(torch.zeros(numbers, width), requires_grad=numbers > 0)

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """The vector of every item, or of some (int64 codes): shape (items, width)."""
        known = self.described if rows is None else self.described.take(rows)
        words: Tensor = self.words
        if self.training and self.dropout:
            kept = torch.empty(len(words), 1, device=words.device).bernoulli_(1.0 - self.dropout)
            words = words * (kept / (1.0 - self.dropout))
        z = functional.embedding_bag(
            known.features,
            words,
            known.offsets,
            mode="sum",
            per_sample_weights=known.shares.to(words.dtype),
            include_last_offset=True,
        )
        if known.vectors.shape[1]:
            z = z + known.vectors.to(z.dtype) @ self.directions
        return z / (1.0 + (z / self.bound).square().sum(dim=1, keepdim=True)).sqrt()
