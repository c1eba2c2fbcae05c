"""The forward pass of `matinee.answers.forward_pass` for one ordered history, at the least cost.

Plain two-dimensional arrays, no filling and no blocks; equal to the pass for many within rounding. At this
size a call of numpy costs as much as what it does, so that weights are multiplied beforehand where that saves
one, and a bias is the last row of a weight whose rows are multiplied with a 1 at their end. What the first
layer makes of an item hangs on the item alone: a catalogue of ordinary size has it reckoned once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from matinee.answers.layers import Layer, Linear, normed, normed_beside_one, octaves, opened
from matinee.core.types import Float32, Float64, Int32

# What the first layer makes of all items, and what distance adds to attention, is kept up to so many bytes.
_TABLE_BYTES = 32 * 2**20
# Logits of which no exponential leaves the range of floats, and sums of a softmax above which none is lost.
_HIGH, _FAINT = 60.0, 1e-25


class _Made(NamedTuple):
    """What a layer makes of events before they look at each other.

    Attributes:
        parts: queries, keys and values: float32, shape (events, 3 x width).
        base: what is there whatever they see: float32, shape (events, width).
        gate: how far what they see is let through: float32, shape (events, width); None: all of it.
    """

    parts: Float32
    base: Float32
    gate: Float32 | None


class ForwardOne:
    """One history in, one vector out.

    Args:
        items: float32, shape (items, width).
        layers: the network's.
        steps: what distance adds to attention, as `layers.by_step` returns it.
        places: learnt vectors of positions, or None.
        times: what octaves of time add to attention, or None.
        last: what a normed vector is multiplied with, and what is then added.
    """

    def __init__(
        self,
        items: Float32,
        layers: Sequence[Layer],
        steps: Float32,
        *,
        places: Float32 | None,
        times: Float32 | None,
        last: Linear,
    ) -> None:
        self._items, self._layers, self._places, self._times = items, list(layers), places, times
        self._heads, self._width = layers[0].heads if layers else 1, items.shape[1]
        self._longest = (steps.shape[1] + 1) // 2
        self._steps = steps
        # [head, query, key], for any number of first events: a view of the steps, unless a copy is small.
        bias = sliding_window_view(steps, self._longest, axis=1)[:, ::-1]
        self._bias = np.ascontiguousarray(bias) if bias.nbytes <= _TABLE_BYTES else bias
        self._ones = np.ones((self._longest, 1), np.float32)
        self._hidden = [_hidden_into(layer) for layer in self._layers]
        self._asking = _for_normed(last)

    def vector(
        self,
        codes: Int32,
        seconds: Float64 | None = None,
        logs: Float32 | None = None,
        told: Float32 | None = None,
    ) -> Float32:
        """What a history asks for: float32, shape (1, width).

        Args:
            codes: int32, shape (events,): one event at least, `longest` at most.
            seconds: when each was, where the network knows of times.
            logs: float32, shape (events,): the logarithm of what each counts; None: all alike.
            told: float32, shape (events, width): what else is known of each, as it is added to its item.
        """
        apart = None
        if seconds is not None and self._times is not None:
            apart = self._times[:, octaves(seconds[:, None] - seconds)]
        x = self._before_last(codes, apart, logs, told)
        end = self._last(x, apart, logs) if self._layers else x[-1:]
        return np.asarray(normed_beside_one(end) @ self._asking, dtype=np.float32)

    def _before_last(
        self, codes: Int32, apart: Float32 | None, logs: Float32 | None, told: Float32 | None
    ) -> Float32:
        """What comes to the last layer: float32, shape (events, width)."""
        if len(self._layers) < 2:
            return self._placed(codes, told)
        bias = self._between(len(codes), apart, logs)
        x = self._through(0, self._first(codes, told), bias)
        for number, layer in enumerate(self._layers[1:-1], 1):
            x = self._through(number, _into(layer, x), bias)
        return x

    def _through(self, number: int, made: _Made, bias: Float32) -> Float32:
        """A layer, for all events: float32, shape (events, width)."""
        layer = self._layers[number]
        return _rest(layer, self._hidden[number], self._seen(made.parts, bias) @ layer.out.weight, made)

    def _placed(self, codes: Int32, told: Float32 | None) -> Float32:
        """Events as they come to the first layer: float32, shape (events, width)."""
        x = self._items.take(codes, axis=0)
        if told is not None:
            x += told
        if self._places is not None:
            x += self._places[: len(codes)]
        return x

    def _between(self, n: int, apart: Float32 | None, logs: Float32 | None) -> Float32:
        """What is added to attention between n events: float32, shape (heads or 1, n, n)."""
        bias = self._bias[:, :n, :n]
        if apart is not None:
            bias = bias + apart
        if logs is not None:
            # What an event counts is told to those after it, not to itself.
            bias = bias + logs
            bias.reshape(len(bias), -1)[:, :: n + 1] -= logs
        return bias

    def _first(self, codes: Int32, told: Float32 | None) -> _Made:
        """What the first layer makes of events: looked up, where items are all and were reckoned with."""
        if told is not None or self._table is None:
            return _into(self._layers[0], self._placed(codes, told))
        rows, width = self._table.take(codes, axis=0), self._width
        gate = rows[:, 4 * width :] if self._layers[0].gates else None
        return _Made(rows[:, : 3 * width], rows[:, 3 * width : 4 * width], gate)

    @cached_property
    def _table(self) -> Float32 | None:
        """What the first of several layers makes of each item, side by side, where that takes little room."""
        few = 20 * self._width * len(self._items) <= _TABLE_BYTES
        if not few or self._places is not None or len(self._layers) < 2:
            return None
        return np.hstack([one for one in _into(self._layers[0], self._items) if one is not None])

    def _seen(self, parts: Float32, bias: Float32) -> Float32:
        """What each event has seen of those before it: float32, shape (events, width)."""
        n = len(parts)
        queries, keys, values = parts.reshape(n, 3, self._heads, -1).transpose(1, 2, 0, 3)
        seen = self._mean(queries @ keys.swapaxes(1, 2), bias, values)
        return seen.swapaxes(0, 1).reshape(n, self._width)

    def _last(self, x: Float32, apart: Float32 | None, logs: Float32 | None) -> Float32:
        """The last layer, for the last event alone: float32, shape (1, width)."""
        bias = self._steps[:, self._longest - len(x) : self._longest]
        if apart is not None:
            bias = bias + apart[:, -1]
        if logs is not None:
            bias = bias + logs
            bias[:, -1] -= logs[-1]
        layer, end = self._layers[-1], x[-1:]
        pulling, telling = self._of_last
        eased = normed_beside_one(x)
        pulled = (eased[-1] @ pulling).reshape(self._heads, -1)
        seen = self._mean(pulled @ eased.T, bias, eased)
        gate = opened(layer.gates[0](end)) if layer.gates else None
        return _rest(layer, self._hidden[-1], seen.reshape(1, -1) @ telling, _Made(seen, end, gate))

    def _mean(self, logits: Float32, bias: Float32, values: Float32) -> Float32:
        """The mean of values by the softmax of logits and bias: float32, shape (..., queries, width)."""
        ones = self._ones[: logits.shape[-1]]
        chances = logits + bias
        fine = chances.max() < _HIGH
        if fine:
            np.exp(chances, out=chances)
            sums = chances @ ones
            fine = sums.min() > _FAINT
        if not fine:
            chances = logits + bias
            chances -= chances.max(axis=-1, keepdims=True)
            np.exp(chances, out=chances)
            sums = chances @ ones
        mixed = np.asarray(chances @ values, dtype=np.float32)
        mixed /= sums
        return mixed

    @cached_property
    def _of_last(self) -> tuple[Float32, Float32]:
        """The last layer's attention as two weights, of events that stand beside a 1.

        Returns:
            From the last event to what each head looks for, shape (width + 1, heads x (width + 1)): its query
            times the weights of keys, whose bias says nothing that a softmax keeps; and from what each head
            has found to what comes out, shape (heads x (width + 1), width): by values, and by `out`.
        """
        layer, heads = self._layers[-1], self._heads
        shape = (self._width + 1, 3, heads, self._width // heads)
        into = _for_normed(layer.into).astype(np.float64).reshape(shape).transpose(1, 2, 0, 3)
        queries, keys, values = into[0], into[1].copy(), into[2]
        keys[:, -1] = 0.0
        pulling = (queries @ keys.swapaxes(1, 2)).swapaxes(0, 1).reshape(self._width + 1, -1)
        telling = values @ layer.out.weight.reshape(heads, -1, self._width)
        telling[0, -1] += layer.out.bias
        return pulling.astype(np.float32), telling.reshape(-1, self._width).astype(np.float32)


def _into(layer: Layer, x: Float32) -> _Made:
    """What a layer makes of events before they look at each other."""
    parts, base = layer.into(normed(x)), x + layer.out.bias
    if not layer.gates:
        return _Made(parts, base, None)
    gate = opened(layer.gates[0](x))
    return _Made(parts, x + gate * layer.out.bias, gate)


def _rest(layer: Layer, hidden_into: Sequence[Float32], found: Float32, made: _Made) -> Float32:
    """What comes of events, and of what they have found: float32, shape (events, width)."""
    if made.gate is not None:
        found *= made.gate
    found += made.base
    eased = normed_beside_one(found)
    wide = eased @ hidden_into[0]
    hidden = opened(wide)
    hidden *= wide
    if layer.gates:
        hidden *= eased @ hidden_into[1]
    more = layer.hidden_out(hidden)
    if layer.gates:
        more *= opened(layer.gates[1](found))
    more += found
    return more


def _hidden_into(layer: Layer) -> list[Float32]:
    """The weights of what opens and of what is let through, where there are gates: in halves of their own.

    BLAS is quicker with two small products than with a large one.
    """
    weight = _for_normed(layer.hidden_into)
    return [np.ascontiguousarray(half) for half in np.split(weight, 2 if layer.gates else 1, axis=1)]


def _for_normed(linear: Linear) -> Float32:
    """A weight for what `normed_beside_one` makes: float32, shape (width + 1, width of the weight)."""
    return np.vstack([linear.weight * np.float32(math.sqrt(len(linear.weight))), linear.bias])
