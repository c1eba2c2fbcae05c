"""Softmax cross-entropy over a whole catalogue, or against sampled items, whose logits are never kept.

`softmax_loss`: the gradient with respect to vectors and items is computed in the forward pass, chunk by
chunk, while the chunk's probabilities are still in the cache; the backward pass only scales it. Memory is
that of one chunk, whatever the number of predictions (the idea of cut cross-entropy, Wijmans et al. 2024, without
its kernel).

`sampled_loss`: one set of items drawn uniformly for all predictions of a batch, each logit corrected by the
log of how often it was drawn, so that the sum estimates the whole catalogue's (Bengio and Senecal 2008;
Klenitskiy and Vasilev 2023, "Turning dross into gold loss", for how many).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

# Logits of a chunk: about what a core's own cache holds.
_CELLS = 2**19


def softmax_loss(
    vectors: Tensor,
    items: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None = None,
    temperature: float = 1.0,
    smoothing: float = 0.0,
) -> Tensor:
    """Mean cross-entropy of each prediction's softmax over all items.

    Args:
        vectors: shape (predictions, width).
        items: shape (items, width).
        targets: int64, shape (predictions,): the item that came.
        weights: float32, shape (predictions,): how much each counts; None: 1.
        temperature: logits are divided by it.
        smoothing: share of each target that is spread over all items.

    Returns:
        A scalar: the weighted sum over the sum of weights.
    """
    loss: Tensor = _ChunkedSoftmax.apply(  # type: ignore[no-untyped-call]
        vectors, items, targets, weights, temperature, smoothing
    )
    return loss


def sampled_loss(  # noqa: PLR0913 (the same as above, and what is drawn)
    vectors: Tensor,
    items: Tensor,
    targets: Tensor,
    drawn: Tensor,
    *,
    weights: Tensor | None = None,
    temperature: float = 1.0,
    smoothing: float = 0.0,
) -> Tensor:
    """Mean cross-entropy of each target against some items that were drawn for all predictions.

    Args:
        vectors: shape (predictions, width).
        items: shape (items, width).
        targets: int64, shape (predictions,).
        drawn: int64, shape (n,): items drawn uniformly, with replacement.
        weights: float32, shape (predictions,): how much each counts; None: 1.
        temperature: logits are divided by it.
        smoothing: share of each target that is spread over what was drawn.

    Returns:
        A scalar: the weighted sum over the sum of weights.
    """
    correction = math.log(max(1, len(items) - 1) / len(drawn))
    own = (vectors * items[targets]).sum(-1, keepdim=True).float() / temperature
    others = (vectors @ items[drawn].T).float() / temperature
    hidden = drawn[None, :] == targets[:, None]
    total = torch.logsumexp(
        torch.cat([own, (others + correction).masked_fill(hidden, float("-inf"))], dim=1), dim=1
    )
    losses = total - (1.0 - smoothing) * own.squeeze(1)
    if smoothing:
        losses = losses - smoothing * others.mean(dim=1)
    if weights is None:
        return losses.mean()
    return (losses * weights).sum() / weights.sum()


class _ChunkedSoftmax(torch.autograd.Function):
    """See `softmax_loss`."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 (an autograd function takes all as arguments)
        ctx: Any,
        vectors: Tensor,
        items: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        temperature: float,
        smoothing: float,
    ) -> Tensor:
        n, width = vectors.shape
        shares = vectors.new_full((n,), 1.0 / max(n, 1)) if weights is None else weights / weights.sum()
        shares = (shares / temperature).float()
        half = torch.is_autocast_enabled(vectors.device.type)
        kind = torch.get_autocast_dtype(vectors.device.type) if half else items.dtype
        precise, table = vectors.to(kind), items.to(kind)
        of_vectors = torch.empty_like(precise)
        of_items = torch.zeros(width, len(items), dtype=torch.float32, device=items.device)
        rows = min(n, max(16, _CELLS // max(len(items), 1)))
        buffer = torch.empty(rows, len(items), dtype=kind, device=items.device)
        loss = torch.zeros((), device=items.device)
        for start in range(0, n, rows):
            part = slice(start, min(start + rows, n))
            chunk = buffer[: part.stop - start]
            torch.mm(precise[part] / temperature, table.T, out=chunk)
            loss += _chunk(chunk, targets[part], shares[part] * temperature, smoothing)
            torch.mm(chunk, table, out=of_vectors[part])
            weighted = precise[part].T * shares[part]
            of_items.add_(torch.mm(weighted.to(kind), chunk))
        of_vectors = of_vectors.float()
        if smoothing:
            # What is spread evenly over all items: the same for every prediction, so no pass over logits.
            even = smoothing / len(items)
            of_vectors.sub_(even * table.float().sum(dim=0))
            of_items.sub_(even * (precise.float().T @ shares)[:, None])
        of_vectors.mul_(shares[:, None])
        ctx.save_for_backward(of_vectors, of_items)
        ctx.kinds = vectors.dtype, items.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        of_vectors, of_items = ctx.saved_tensors
        (scale,) = grads
        of_items = of_items.mul_(scale).T.to(ctx.kinds[1])
        return of_vectors.to(ctx.kinds[0]).mul_(scale), of_items, None, None, None, None


def _chunk(logits: Tensor, targets: Tensor, shares: Tensor, smoothing: float) -> Tensor:
    """One chunk's loss; its logits become its softmax less the targets."""
    at = torch.arange(len(logits), device=logits.device)
    spread = logits[at, targets].float() - logits.mean(dim=1, dtype=torch.float32) if smoothing else 0.0
    torch.softmax(logits, -1, out=logits)
    chances = logits[at, targets].float().clamp_min(torch.finfo(logits.dtype).tiny)
    losses = smoothing * spread - chances.log()
    logits[at, targets] -= 1.0 - smoothing
    return (losses * shares).sum()
