"""The forward pass of `matinee.answers.forward_pass` for one ordered history, at the least cost.

Plain two-dimensional arrays, no filling and no blocks; equal to the pass for many within rounding. What the
first layer makes of an item hangs on the item alone: a catalogue of ordinary size has it reckoned once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from matinee.answers.layers import Layer, normed, octaves, opened
from matinee.core.types import Float32, Float64, Int32

# What the first layer makes of all items is kept up to so many bytes.
_TABLE_BYTES = 32 * 2**20
# Sums of a softmax between which nothing is lost.
_FAINT, _LOUD = 1e-25, 1e30


class ForwardOne:
    """One history in, one vector out.

    Args:
        items: float32, shape (items, width).
        layers: the network's.
        steps: what distance adds to attention, as `layers.by_step` returns it.
        places: learnt vectors of positions, or None.
        times: what octaves of time add to attention, or None.
    """

    def __init__(
        self,
        items: Float32,
        layers: Sequence[Layer],
        steps: Float32,
        *,
        heads: int,
        places: Float32 | None,
        times: Float32 | None,
    ) -> None:
        self._items, self._layers, self._places, self._times = items, list(layers), places, times
        self._heads, self._width = heads, items.shape[1]
        self._longest = (steps.shape[1] + 1) // 2
        self._steps = steps
        # [head, query, key]: a view of the steps, of any number of first events.
        self._bias = sliding_window_view(steps, self._longest, axis=1)[:, ::-1]
        self._ones = np.ones((self._longest, 1), np.float32)

    def vector(self, codes: Int32, seconds: Float64 | None = None, logs: Float32 | None = None) -> Float32:
        """What a history asks for, before the last norm: float32, shape (1, width).

        Args:
            codes: int32, shape (events,): one event at least, `longest` at most.
            seconds: when each was, where the network knows of times.
            logs: float32, shape (events,): the logarithm of what each counts; None: all alike.
        """
        x = self._items[codes]
        if self._places is not None:
            x += self._places[: len(codes)]
        apart = logged = None
        if seconds is not None and self._times is not None:
            apart = self._times[:, octaves(seconds[:, None] - seconds)]
        if logs is not None:
            at = np.arange(len(codes))
            logged = logs * (at[:, None] > at)
        for number, layer in enumerate(self._layers[:-1]):
            parts, gate = self._into(layer, x, codes if number == 0 else None)
            bias = _added(self._bias[:, : len(x), : len(x)], apart, logged)
            x = _rest(layer, x, self._seen(parts, bias), gate)
        if not self._layers:
            return x[-1:]
        bias = self._steps[:, self._longest - len(x) : self._longest]
        ends = None if apart is None else apart[:, -1], None if logged is None else logged[-1]
        return self._last(x, _added(bias, *ends))

    def _into(self, layer: Layer, x: Float32, codes: Int32 | None) -> tuple[Float32, Float32 | None]:
        """Queries, keys and values of all events, and how far their gates are open."""
        if codes is not None and self._table is not None:
            parts, gates = self._table
            return parts[codes], None if gates is None else gates[codes]
        return layer.into(normed(x)), opened(layer.gates[0](x)) if layer.gates else None

    @cached_property
    def _table(self) -> tuple[Float32, Float32 | None] | None:
        """What the first of several layers makes of each item, where that takes little room."""
        few = 16 * self._width * len(self._items) <= _TABLE_BYTES
        if not few or self._places is not None or len(self._layers) < 2:
            return None
        first = self._layers[0]
        gates = opened(first.gates[0](self._items)) if first.gates else None
        return first.into(normed(self._items)), gates

    def _seen(self, parts: Float32, bias: Float32) -> Float32:
        """What each event has seen of those before it: float32, shape (events, width)."""
        n = len(parts)
        queries, keys, values = parts.reshape(n, 3, self._heads, -1).transpose(1, 2, 0, 3)
        logits: Float32 = queries @ keys.swapaxes(1, 2)
        seen = self._mean(logits, values, bias)
        return seen.swapaxes(0, 1).reshape(n, self._width)

    def _last(self, x: Float32, bias: Float32) -> Float32:
        """The last layer, for the last event alone: float32, shape (1, width)."""
        layer, width = self._layers[-1], self._width
        weight, shift = self._of_last
        eased = normed(x)
        queries = (eased[-1:] @ layer.into.weight[:, :width] + layer.into.bias[:width]).reshape(
            self._heads, 1, -1
        )
        logits = np.asarray((queries @ weight[0]) @ eased.T, dtype=np.float32)
        mixed = self._mean(logits, eased, bias[:, None])
        values = (mixed @ weight[1] + shift).reshape(1, width)
        gate = opened(layer.gates[0](x[-1:])) if layer.gates else None
        return _rest(layer, x[-1:], values, gate)

    @cached_property
    def _of_last(self) -> tuple[tuple[Float32, Float32], Float32]:
        """The last layer's weights of keys, turned, and of values, by head; and what is added to values."""
        into = self._layers[-1].into
        weight = into.weight.reshape(self._width, 3, self._heads, -1).transpose(1, 2, 0, 3)
        keys = np.ascontiguousarray(weight[1].swapaxes(1, 2))
        return (keys, np.ascontiguousarray(weight[2])), into.bias.reshape(3, self._heads, 1, -1)[2]

    def _mean(self, logits: Float32, values: Float32, bias: Float32) -> Float32:
        """The mean of values by the softmax of logits and bias: float32, shape (heads, queries, width)."""
        ones = self._ones[: logits.shape[-1]]
        chances = logits + bias
        with np.errstate(over="ignore", invalid="ignore"):
            np.exp(chances, out=chances)
            sums = chances @ ones
        if not (sums.min() > _FAINT and sums.max() < _LOUD):
            chances = logits + bias
            chances -= chances.max(axis=-1, keepdims=True)
            np.exp(chances, out=chances)
            sums = chances @ ones
        mixed = np.asarray(chances @ values, dtype=np.float32)
        mixed /= sums
        return mixed


def _added(bias: Float32, apart: Float32 | None, logged: Float32 | None) -> Float32:
    """What is added to attention: by distance, by time between, by what events count."""
    if apart is not None:
        bias = bias + apart
    return bias if logged is None else bias + logged


def _rest(layer: Layer, x: Float32, seen: Float32, gate: Float32 | None) -> Float32:
    """What comes of events, and of what they have seen: float32, shape (events, width)."""
    found = layer.out(seen)
    if gate is not None:
        found *= gate
    found += x
    hidden = layer.hidden_into(normed(found))
    if not layer.gates:
        hidden *= opened(hidden)
        more = layer.hidden_out(hidden)
    else:
        half = hidden.shape[1] // 2
        wide, value = hidden[:, :half], hidden[:, half:]
        open_ = opened(wide)
        open_ *= wide
        open_ *= value
        more = layer.hidden_out(open_)
        more *= opened(layer.gates[1](found))
    more += found
    return more
