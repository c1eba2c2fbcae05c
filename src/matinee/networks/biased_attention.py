"""Softmax attention whose bias is learnt, on a CPU.

PyTorch's fast kernel for CPUs gives no gradient of the bias; where one is wanted, it falls back to a path of
many passes. Here both ways are written down: with P = softmax(scale Q K' + B) and O = P V,

    dV = P' dO,   dS = P * (dO V' - rowsum(dO * O)),   dQ = scale dS K,   dK = scale dS' Q,   dB = dS

(Dao et al. 2022, "FlashAttention", appendix B.2), dB summed over what B was broadcast along.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def biased_attention(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Attend, with a gradient for the bias.

    Args:
        queries: shape (sequences, heads, events, size).
        keys: of the same shape.
        values: of the same shape.
        bias: added to logits, broadcast to (sequences, heads, events, events).

    Returns:
        Shape (sequences, heads, events, size).
    """
    found: Tensor = _BiasedAttention.apply(queries, keys, values, bias)  # type: ignore[no-untyped-call]
    return found


class _BiasedAttention(torch.autograd.Function):
    """See `biased_attention`."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        n, heads, events, size = queries.shape
        scaled, keys, values = (
            part.reshape(n * heads, events, size) for part in (queries * size**-0.5, keys, values)
        )
        chances = torch.bmm(scaled, keys.transpose(1, 2))
        chances.view(n, heads, events, events).add_(bias)
        torch.softmax(chances, -1, out=chances)
        found = torch.bmm(chances, values)
        ctx.save_for_backward(scaled, keys, values, chances, found)
        ctx.bias_shape, ctx.bias_kind = bias.shape, bias.dtype
        return found.view(n, heads, events, size)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        scaled, keys, values, chances, found = ctx.saved_tensors
        n, heads, events, size = grads[0].shape
        grad = grads[0].reshape(n * heads, events, size)
        of_values = torch.bmm(chances.transpose(1, 2), grad)
        of_logits = torch.bmm(grad, values.transpose(1, 2))
        of_logits.sub_((grad * found).sum(-1, keepdim=True)).mul_(chances)
        of_queries = torch.bmm(of_logits, keys).mul_(size**-0.5)
        of_keys = torch.bmm(of_logits.transpose(1, 2), scaled)
        of_bias = of_logits.view(n, heads, events, events).sum_to_size(ctx.bias_shape).to(ctx.bias_kind)
        shape = grads[0].shape
        return of_queries.view(shape), of_keys.view(shape), of_values.view(shape), of_bias
