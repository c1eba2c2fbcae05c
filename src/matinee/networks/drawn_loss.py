"""The sampled softmax of `losses.sampled_loss`, its gradient computed in the forward pass, chunk by chunk.

Written with torch's own operations, that loss passes over its logits a dozen times, each time through memory:
with 4,096 predictions and 2,048 drawn items, 34 MB a pass, that takes three times as long as the products.
Here a chunk of logits stays in a core's cache from the product that makes it to those that use its chances,
and nothing of it is kept (as `losses.softmax_loss` does over the whole catalogue).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Logits of a chunk: about what a core's own cache holds.
_CELLS = 2**18


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What targets are told from, and how.

    Attributes:
        items: int64, shape (n,): rows of the table, drawn uniformly, with replacement.
        of: how many items they were drawn from.
        temperature: logits are divided by it.
        smoothing: share of each target that is spread over what was drawn.
    """

    items: Tensor
    of: int
    temperature: float = 1.0
    smoothing: float = 0.0


def drawn_loss(
    vectors: Tensor, table: Tensor, targets: Tensor, drawn: Drawn, weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of each target against some items that were drawn for all predictions.

    Args:
        vectors: shape (predictions, width).
        table: shape (rows, width): vectors of the items that targets and draws are of.
        targets: int64, shape (predictions,): rows of the table.
        drawn: what they are told from.
        weights: float32, shape (predictions,): how much each counts; None: 1.

    Returns:
        A scalar: the weighted sum over the sum of weights.
    """
    if weights is None:
        shares = torch.full((len(vectors),), 1.0 / max(len(vectors), 1), device=vectors.device)
    else:
        shares = weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
    loss: Tensor = _DrawnSoftmax.apply(vectors, table, targets, drawn, shares)  # type: ignore[no-untyped-call]
    return loss


class _DrawnSoftmax(torch.autograd.Function):
    """See `drawn_loss`."""

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, table: Tensor, targets: Tensor, drawn: Drawn, shares: Tensor
    ) -> Tensor:
        with torch.autocast(vectors.device.type, enabled=False):
            found = _forward(vectors.to(table.dtype), table, targets, drawn, shares.to(table.dtype))
        loss, of_vectors, of_table = found
        ctx.save_for_backward(of_vectors, of_table)
        ctx.kind = vectors.dtype
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        of_vectors, of_table = ctx.saved_tensors
        return (of_vectors * grads[0]).to(ctx.kind), of_table * grads[0], None, None, None


def _forward(
    vectors: Tensor, table: Tensor, targets: Tensor, drawn: Drawn, shares: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, and its gradients with respect to vectors and table."""
    n = len(drawn.items)
    asked, others, own_rows = vectors / drawn.temperature, table[drawn.items], table[targets]
    across, weighted = others.T.contiguous(), asked * shares[:, None]
    own = (asked * own_rows).sum(dim=1)
    losses, slopes = torch.empty_like(own), torch.empty_like(own)
    of_vectors, of_others = torch.empty_like(asked), torch.zeros_like(others)
    size = max(16, _CELLS // max(n, 1))
    buffer = own.new_empty(min(size, len(own)), n)
    rows, columns = _same(targets, drawn.items)
    cuts = torch.searchsorted(rows, torch.arange(0, len(own) + size, size)).tolist()
    for number, start in enumerate(range(0, len(own), size)):
        part = slice(start, start + size)
        logits = torch.mm(asked[part], across, out=buffer[: len(own[part])])
        spread = logits.mean(dim=1) * drawn.smoothing if drawn.smoothing else 0.0
        # Of n draws, n / of are expected to be any one item: the target too, whose draws are hidden.
        logits += math.log(drawn.of / max(n, 1))
        hidden = slice(cuts[number], cuts[number + 1])
        logits[rows[hidden] - start, columns[hidden]] = -torch.inf
        highest = torch.maximum(logits.amax(dim=1), own[part])
        logits.sub_(highest[:, None]).exp_()
        mine = (own[part] - highest).exp()
        total = logits.sum(dim=1) + mine
        losses[part] = highest + total.log() - (1.0 - drawn.smoothing) * own[part] - spread
        slopes[part] = mine / total - (1.0 - drawn.smoothing)
        logits /= total[:, None]
        logits -= drawn.smoothing / max(n, 1)
        torch.mm(logits, others, out=of_vectors[part])
        of_others.addmm_(logits.T, weighted[part])
    of_vectors += slopes[:, None] * own_rows
    of_vectors *= shares[:, None] / drawn.temperature
    of_table = torch.zeros_like(table).index_add_(0, drawn.items, of_others)
    of_table.index_add_(0, targets, slopes[:, None] * weighted)
    return (losses * shares).sum(), of_vectors, of_table


def _same(targets: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Where a drawn item is the target itself: positions of both, int64, ascending by target."""
    ordered, order = drawn.sort()
    first = torch.searchsorted(ordered, targets)
    counts = torch.searchsorted(ordered, targets, right=True) - first
    rows = torch.repeat_interleave(torch.arange(len(targets), device=targets.device), counts)
    within = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    return rows, order[first[rows] + within]
