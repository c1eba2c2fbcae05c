"""Transformer blocks for histories: attention and a feed-forward layer, each after a norm (pre-norm).

Two shapes. `plain`: x + f(norm(x)) with one hidden layer (Xiong et al. 2020, "On layer normalization in the
transformer architecture"). `gated`: x + sigmoid(W x) * f(norm(x)), the gate read from the block's input as it
came in, before the norm (LiGR: Borisyuk et al. 2025, "From Features to Transformers"; RecTools' LiGRLayer
reads it there too). Its hidden layer is SwiGLU, two thirds as wide, so that its three matrices hold as many
numbers as the two of a plain one (Shazeer 2020, "GLU variants improve transformer", section 2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from matinee.networks.biased_attention import biased_attention


class LockedDropout(nn.Module):
    """Dropout with one mask for a whole sequence (Gal and Ghahramani 2016): cheaper, and stronger.

    Args:
        share: how much is dropped.

    Attributes:
        drawn: for how many sequences masks are drawn, and which of them are here, where several processes
            take a batch together: each draws all masks, so that their number changes none; None: all are.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.drawn: tuple[int, slice] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop features of (sequences, events, width), the same ones for all events of a sequence."""
        if not self.training or self.share == 0.0:
            return x
        n, rows = self.drawn or (len(x), slice(None))
        kept = torch.empty(n, 1, x.shape[2], dtype=x.dtype, device=x.device)
        return x * kept.bernoulli_(1.0 - self.share).div_(1.0 - self.share)[rows]


class Attention(nn.Module):
    """Softmax attention with heads.

    Args:
        width: of what comes in and goes out; a multiple of `heads`.
        heads: how many.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Attend within each sequence.

        Args:
            x: shape (sequences, events, width).
            bias: added to the logits, broadcast to (sequences, heads, events, events); -inf hides.
        """
        n, events, width = x.shape
        # Cut before heads are split: the gradients of the three are then joined by one copy, not two.
        queries, keys, values = (
            part.view(n, events, self.heads, width // self.heads).transpose(1, 2)
            for part in self.into(x).chunk(3, -1)
        )
        bias = bias.to(queries.dtype)
        if bias.requires_grad and bias.device.type == "cpu":
            seen = biased_attention(queries, keys, values, bias)
        else:
            seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        return self.out(seen.transpose(1, 2).reshape(n, events, width))  # type: ignore[no-any-return]


class PlainForward(nn.Module):
    """One hidden layer.

    Args:
        width: of what comes in and goes out.
        hidden: width of the hidden layer.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.into = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (sequences, events, width) to the same."""
        return self.out(functional.silu(self.into(x)))  # type: ignore[no-any-return]


class GatedForward(nn.Module):
    """One hidden layer that is the product of two (SwiGLU), of the cost of a plain one.

    Args:
        width: of what comes in and goes out.
        hidden: width of a plain layer that costs the same; two thirds of it are used.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        narrow = max(8, round(hidden * 2 / 3 / 8) * 8)
        self.into = nn.Linear(width, 2 * narrow)
        self.out = nn.Linear(narrow, width)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (sequences, events, width) to the same."""
        gate, value = self.into(x).chunk(2, -1)
        return self.out(functional.silu(gate) * value)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention, then a feed-forward layer, each added to what came in.

    Args:
        width: of what comes in and goes out.
        heads: attention heads.
        hidden: width of the hidden layer.
        gated: whether branches are gated (LiGR).
        dropout: share of each branch's features that is dropped in training.
    """

    def __init__(self, width: int, heads: int, hidden: int, gated: bool, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = Attention(width, heads)
        self.forward_layer = GatedForward(width, hidden) if gated else PlainForward(width, hidden)
        self.gates = nn.ModuleList([nn.Linear(width, width) for _ in range(2 if gated else 0)])
        self.dropout = LockedDropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Shape (sequences, events, width) to the same; `bias` as in `Attention`."""
        x = x + self.dropout(self._gated(0, x, self.attention(self.norms[0](x), bias)))
        found: Tensor = self._gated(1, x, self.forward_layer(self.norms[1](x)))
        return x + self.dropout(found)  # type: ignore[no-any-return]

    def _gated(self, branch: int, x: Tensor, found: Tensor) -> Tensor:
        if not self.gates:
            return found
        return torch.sigmoid(self.gates[branch](x)) * found
