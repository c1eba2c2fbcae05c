"""Softmax cross-entropy over a whole catalogue, whose logits are never kept, or against sampled items.

`softmax_loss`: the gradient with respect to vectors and items is computed in the forward pass, chunk by
chunk, while the chunk's probabilities are still in the cache; the backward pass only scales it. Memory is
that of one chunk, whatever the number of predictions (cut cross-entropy, Wijmans et al. 2024, has the same
aim; it computes logits a second time in the backward pass, inside a kernel of its own). On a GPU a chunk is
wide enough that its products run at the device's own rate: nothing is compiled on the machine that trains.

`sampled_loss`: one set of items drawn uniformly for all predictions of a batch, each logit less the log of
how often its item is expected among them, so that the sum of exponentials estimates the whole catalogue's
without bias (Bengio and Senecal 2008, "Adaptive importance sampling"); the loss, its logarithm, is a little
low on average, less so the more are drawn. Klenitskiy and Vasilev 2023, "Turning dross into gold loss", show
that it takes many.

`turned_down_loss`: what an item that was turned down costs: log(1 + n p), for its chance p among n items. It
is next to nothing where the item is less likely than the average one. (Unlikelihood, -log(1 - p), of Welleck
et al. 2020 hardly moves an item whose chance is below a few hundredths, as nearly all items' are.)
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from matinee.networks.chunks import chunk_rows

# bfloat16 products summed in float32 as they are made (torch 2.8, CUDA).
_SUMS_WIDER = hasattr(torch.ops.aten.addmm, "dtype_out")


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
        A scalar: the weighted sum over the sum of weights; 0 where they sum to 0. A target whose chance is
        below the smallest float counts as if it were that (87 nats in float32); its gradient is exact.
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
    of: int | None = None,
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
        of: how many items there are, where `items` holds only those that the batch is about; None: as many.

    Returns:
        A scalar: the weighted sum over the sum of weights.
    """
    # Of n draws, n / items are expected to be any one item: the target too, whose draws are hidden.
    correction = math.log((of or len(items)) / len(drawn))
    rows = functional.embedding(torch.cat([targets, drawn]), items)
    exact = torch.promote_types(_kind(vectors, items), torch.float32)
    own = (vectors * rows[: len(targets)]).sum(-1, keepdim=True).to(exact) / temperature
    others = (vectors @ rows[len(targets) :].T).to(exact) / temperature
    hidden = drawn[None, :] == targets[:, None]
    corrected = (others + correction).masked_fill(hidden, float("-inf"))
    losses = torch.logsumexp(torch.cat([own, corrected], dim=1), dim=1) - (1.0 - smoothing) * own.squeeze(1)
    if smoothing:
        losses = losses - smoothing * others.mean(dim=1)
    return (losses * _shares(weights, len(vectors), vectors.device).to(exact)).sum()


def turned_down_loss(
    vectors: Tensor, turned: Tensor, items: Tensor, temperature: float = 1.0, most: int = 2048
) -> Tensor:
    """Summed cost of asking for what was turned down.

    Args:
        vectors: shape (noes, width): what was asked for.
        turned: shape (noes, width): the items that were turned down.
        items: shape (items, width): the catalogue.
        temperature: logits are divided by it.
        most: of a larger catalogue, so many items drawn uniformly tell what the average one gets.

    Returns:
        A scalar.
    """
    if len(items) > most:
        items = items[torch.randint(len(items), (most,), device=items.device)]
    exact = torch.promote_types(_kind(vectors, items), torch.float32)
    own = (vectors * turned).sum(-1).to(exact) / temperature
    even = torch.logsumexp((vectors @ items.T).to(exact) / temperature, dim=1) - math.log(len(items))
    return functional.softplus(own - even).sum()


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
        kind = _kind(vectors, items)
        exact = torch.promote_types(kind, torch.float32)
        shares = _shares(weights, len(vectors), vectors.device).to(exact)
        asked, table = (vectors / temperature).to(kind), items.to(kind)
        # Column by column, the table is read in order by the product that makes logits: twice as fast.
        across = table.T.contiguous()
        weighted = asked.T.to(exact) * shares
        chances = torch.empty(len(vectors), dtype=kind, device=vectors.device)
        of_vectors = torch.empty_like(asked)
        of_items = torch.zeros_like(across, dtype=exact)
        rows = chunk_rows(len(vectors), len(items), vectors.device.type, across.element_size())
        buffer = torch.empty(rows, len(items), dtype=kind, device=vectors.device)
        for start in range(0, len(vectors), rows):
            part = slice(start, start + rows)
            wanted = targets[part, None]
            chunk = torch.mm(asked[part], across, out=buffer[: len(wanted)])
            torch.softmax(chunk, -1, out=chunk)
            chances[part] = chunk.gather(1, wanted).squeeze(1)
            chunk.scatter_add_(1, wanted, chunk.new_full(wanted.shape, smoothing - 1.0))
            torch.mm(chunk, table, out=of_vectors[part])
            _add_product(of_items, weighted[:, part], chunk)
        losses = -chances.to(exact).clamp_min(torch.finfo(exact).tiny).log()
        of_vectors = of_vectors.to(exact)
        if smoothing:
            # What is spread evenly over all items is the same for every prediction: no pass over logits.
            even = table.to(exact).mean(dim=0)
            losses += smoothing * (asked * (table[targets] - even)).sum(dim=1)
            of_vectors -= smoothing * even
            of_items -= smoothing / len(items) * weighted.sum(dim=1, keepdim=True)
        of_vectors *= shares[:, None] / temperature
        ctx.save_for_backward(of_vectors, of_items)
        ctx.kinds = vectors.dtype, items.dtype
        return (losses * shares).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        of_vectors, of_items = ctx.saved_tensors
        of_vectors = (of_vectors * grads[0]).to(ctx.kinds[0])
        of_items = (of_items * grads[0]).T.to(ctx.kinds[1], memory_format=torch.contiguous_format)
        return of_vectors, of_items, None, None, None, None


def _kind(vectors: Tensor, items: Tensor) -> torch.dtype:
    """The precision of products: autocast's where it is on."""
    device = vectors.device.type
    if torch.is_autocast_enabled(device) and vectors.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return torch.promote_types(vectors.dtype, items.dtype)


def _shares(weights: Tensor | None, n: int, device: torch.device) -> Tensor:
    """What each prediction counts of the mean; nothing where all weigh nothing."""
    if weights is None:
        return torch.full((n,), 1.0 / max(n, 1), dtype=torch.float64, device=device)
    return weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a product to a total that may be more precise than its right side."""
    if total.dtype == right.dtype:
        total.addmm_(left, right)
    elif _SUMS_WIDER and right.device.type == "cuda":
        torch.addmm(total, left.to(right.dtype), right, out_dtype=total.dtype, out=total)
    else:
        total += torch.mm(left.to(right.dtype), right)
