"""The layers of a network as they are reckoned with: norms folded in, queries scaled, halves taken.

`matinee.answers.forward_pass` says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Float32, Float64, Int64

# As in torch, what hides an event; and as little as distance alone may leave of one: beyond it lie numbers
# so small that processors are slow with them.
HIDDEN = np.float32(-1e4)
_FARTHEST = np.float32(-60.0)
_NORM_EPSILON = np.float32(1e-5)
# Rows of what each event does alone: few enough for a cache.
_ROWS = 512


@dataclass(frozen=True, kw_only=True)
class Linear:
    """x @ weight + bias."""

    weight: Float32
    bias: Float32

    def __call__(self, x: Float32) -> Float32:
        """What comes out: float32, shape (rows, width of the weight)."""
        found: Float32 = x @ self.weight
        found += self.bias
        return found


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The weights of a block: norms folded in, queries scaled, what goes into a gate and comes out halved."""

    into: Linear
    out: Linear
    hidden_into: Linear
    hidden_out: Linear
    gates: tuple[Linear, ...]
    heads: int


def rest(layer: Layer, x: Float32, seen: Float32) -> Float32:
    """What comes of events, and of what they have seen: float32, shape (events, width)."""
    out = np.empty_like(x)
    for rows in stretches(len(x)):
        found = layer.out(seen[rows])
        if layer.gates:
            found *= opened(layer.gates[0](x[rows]))
        found += x[rows]
        hidden = layer.hidden_into(normed(found))
        if layer.gates:
            hidden, value = np.split(hidden, 2, axis=1)
            more = layer.hidden_out(opened(hidden) * hidden * value)
            more *= opened(layer.gates[1](found))
        else:
            more = layer.hidden_out(opened(hidden) * hidden)
        np.add(found, more, out=out[rows])
    return out


def stretches(n: int, size: int = _ROWS) -> Iterator[slice]:
    """Slices of `size` of n rows, one after the other."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def read_layer(tensors: Mapping[str, NDArray[Any]], name: str, heads: int, gates: int) -> Layer:
    """The layer whose tensors begin with a name, as it is reckoned with."""
    into = _after_norm(tensors, name + "attention.into", name + "norms.0")
    hidden = _after_norm(tensors, name + "forward_layer.into", name + "norms.1")
    width, wide = hidden.weight.shape
    queries = np.ones(3 * width, np.float32)
    queries[:width] = 1.0 / math.sqrt(width // heads)
    half = np.full(wide, 0.5, np.float32)
    half[wide // 2 if gates else wide :] = 1.0
    gated = np.float32(0.5 if gates else 1.0)
    return Layer(
        into=_scaled(into, queries),
        out=_scaled(_linear(tensors, name + "attention.out"), gated),
        hidden_into=_scaled(hidden, half),
        hidden_out=_scaled(_linear(tensors, name + "forward_layer.out"), gated),
        gates=tuple(
            _scaled(_linear(tensors, f"{name}gates.{branch}"), np.float32(0.5)) for branch in range(gates)
        ),
        heads=heads,
    )


def _scaled(linear: Linear, by: Float32 | np.float32) -> Linear:
    return Linear(weight=linear.weight * by, bias=linear.bias * by)


def _linear(tensors: Mapping[str, NDArray[Any]], name: str) -> Linear:
    weight = np.ascontiguousarray(tensors[name + ".weight"].T, dtype=np.float32)
    return Linear(weight=weight, bias=np.asarray(tensors[name + ".bias"], np.float32))


def _after_norm(tensors: Mapping[str, NDArray[Any]], name: str, norm: str) -> Linear:
    """A linear layer of what a norm has scaled and shifted, as one of what it has only normed."""
    plain = _linear(tensors, name)
    scale, shift = tensors[norm + ".weight"], tensors[norm + ".bias"]
    return Linear(weight=scale[:, None] * plain.weight, bias=shift @ plain.weight + plain.bias)


def by_step(tensors: Mapping[str, NDArray[Any]], positions: str, longest: int) -> Float32:
    """What distance adds to attention, by how far the key lies ahead of the query.

    Returns:
        float32, shape (heads or 1, 2 * longest - 1): column `longest - 1 + key - query`; keys ahead hidden.
    """
    steps = np.arange(longest)
    past = np.zeros((1, longest), np.float32)
    if positions == "distance":
        past = np.maximum(tensors["distances.slopes"][:, None] * steps.astype(np.float32), _FARTHEST)
    elif positions == "steps":
        table = tensors["distances.table"]
        past = table[:, np.minimum(steps, table.shape[1] - 1)]
    ahead = np.full((len(past), longest - 1), HIDDEN)
    return np.concatenate([past[:, ::-1], ahead], axis=1)


def octaves(seconds: Float64) -> Int64:
    """0 for less than a second, then 1 + floor(log2), 32 at most: read from the numbers' own exponents."""
    exponents = np.ascontiguousarray(seconds).view(np.int64) >> 52
    return np.asarray(np.clip(exponents - 1022, 0, 32), dtype=np.int64)


def opened(x: Float32) -> Float32:
    """How far gates are open, twice over: 1 + tanh(x), which is 2 sigmoid(2 x)."""
    found = np.tanh(x)
    found += np.float32(1.0)
    return found


def normed(x: Float32) -> Float32:
    """Each row of mean 0 and variance 1: float32, shape (rows, width)."""
    width = x.shape[1]
    centred: Float32 = x - x @ _even(width)
    spread = np.vecdot(centred, centred)
    spread *= np.float32(1.0 / width)
    spread += _NORM_EPSILON
    np.sqrt(spread, out=spread)
    centred /= spread[:, None]
    return centred


def normed_beside_one(x: Float32) -> Float32:
    """Each row of mean 0 and length 1, and a 1 at its end: float32, shape (rows, width + 1).

    For weights whose last row is their bias, and whose others are `math.sqrt(width)` times as large.
    """
    found: Float32 = x @ _centring(x.shape[1])
    lengths = np.vecdot(found, found)
    lengths += x.shape[1] * _NORM_EPSILON
    np.sqrt(lengths, out=lengths)
    found /= lengths[:, None]
    found[:, -1] = 1.0
    return found


@lru_cache(maxsize=16)
def _centring(width: int) -> Float32:
    """What takes the mean from a row, and puts a 0 at its end."""
    centring = np.eye(width, width + 1, dtype=np.float32)
    centring[:, :-1] -= np.float32(1.0 / width)
    return centring


@lru_cache(maxsize=16)
def _even(width: int) -> Float32:
    """What a row is multiplied by to have its mean."""
    return np.full((width, 1), 1.0 / width, np.float32)
