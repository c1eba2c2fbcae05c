"""The forward pass of `matinee.networks.sequential.SequentialNetwork` in numpy, for histories' last events.

Equal to torch's within rounding, and cheaper, because an answer needs what the last event asks for and
nothing else:

- the last layer reckons no keys and values. With one query q of a head, q . (K z) = (K'q) . z, and the mean
  of values V z is V times the mean of z, for the normed events z;
- the other layers look only back, queries in stretches that see the keys up to their own end;
- what a norm scales and shifts is folded into the weights that come after it, and so are the halves of
  sigmoid(x) = (1 + tanh(x / 2)) / 2;
- a softmax goes without the maxima of its rows, unless the numbers then leave the range of floats.

Histories are taken in blocks of like length, and what each event does alone in rows few enough for a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from matinee.answers.event_context import GAP, EventContext
from matinee.answers.forward_one import ForwardOne
from matinee.answers.layers import (
    HIDDEN,
    Layer,
    Linear,
    by_step,
    normed,
    octaves,
    read_layer,
    rest,
    stretches,
)
from matinee.answers.without_each import Line, WithoutEach
from matinee.core.types import Float32, Float64, Histories, Int64

# Events of a block, filling included, and how much longer than its shortest history its longest may be.
_EVENTS = 2048
_LIKE = 1.15
# Queries of a stretch.
_STRETCH = 64
_LEAST_WEIGHT = 1e-6
# Sums of a softmax between which nothing is lost.
_FAINT, _LOUD = 1e-25, 1e30


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Some histories of like length, left-aligned: shapes (histories, events), of lengths (histories,)."""

    x: Float32
    lengths: Int64
    seconds: Float64 | None
    logs: Float32 | None


class ForwardPass:
    """Histories in, vectors out.

    Args:
        tensors: of a `SequentialNetwork`, by its own names: float32.
        settings: `layers`, `heads`, `gated`, `positions`, `times`, `longest`, `ordered` and, where there is
            one, `opening`, as the network's.

    Attributes:
        items: float32, shape (items, width): what answers are told by.
        ordered: whether the order of events means something.
        reads: so many events of a history are read at most.
        opens: whether something is asked for before the first event.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> None:
        self.items: Float32 = np.asarray(tensors["items"], dtype=np.float32)
        self._heads = int(settings["heads"])
        self.ordered = bool(settings["ordered"])
        self.opens = self.ordered and bool(settings.get("opening", False))
        self._longest = int(settings["longest"])
        self.reads = self._longest - self.opens
        # The opening is read as one more item, the last one.
        self._read = np.vstack([self.items, tensors["opening"]]) if self.opens else self.items
        gates = 2 if settings["gated"] else 0
        self._layers = [
            read_layer(tensors, f"blocks.{number}.", self._heads, gates)
            for number in range(int(settings["layers"]))
        ]
        self._last_norm = tensors["last_norm.weight"], tensors["last_norm.bias"]
        self._asking = None if self.ordered else np.asarray(tensors["asking"], dtype=np.float32)
        positions = settings["positions"] if self.ordered else "none"
        self._places = tensors["places"] if positions == "places" else None
        self._steps = by_step(tensors, positions, self._longest)
        self._times = tensors["times.table"] if self.ordered and settings["times"] else None
        self._context = EventContext(tensors, settings)
        self._without = WithoutEach(self._layers, self._steps, heads=self._heads, times=self._times)
        self._one = ForwardOne(
            self._read,
            self._layers,
            self._steps,
            places=self._places,
            times=self._times,
            last=Linear(weight=np.diag(self._last_norm[0]), bias=self._last_norm[1]),
        )

    def vectors(self, histories: Histories) -> Float32:
        """What each history asks for.

        Args:
            histories: of known items alone, none longer than `reads`.

        Returns:
            float32, shape (histories, width); zeros for a history without events where events are ordered.
        """
        told = self._context.vectors(histories)
        if self.opens:
            told = None if told is None else np.insert(told, histories.offsets[:-1], np.float32(0.0), axis=0)
            histories = _led(histories, len(self.items))
        if len(histories) == 1 and self.ordered and len(histories.items):
            return self._vector(histories, told)
        found = np.zeros((len(histories), self.items.shape[1]), np.float32)
        lengths = histories.lengths
        order = np.argsort(lengths, kind="stable")
        if self.ordered:
            order = order[lengths[order] > 0]
        for rows in _of_like_length(order, lengths):
            found[rows] = self._asked(self._block(histories, rows, told))
        return found

    def _vector(self, history: Histories, told: Float32 | None) -> Float32:
        """What one ordered history asks for, of whose events something may be told: float32, (1, width)."""
        seconds = None if self._times is None or history.times is None else history.times / 1000.0
        logs = None
        if history.weights is not None:
            logs = np.log(np.maximum(history.weights, np.float32(_LEAST_WEIGHT)), dtype=np.float32)
        return self._one.vector(history.items, seconds, logs, told)

    def without_each(self, history: Histories, n: int) -> Float32 | None:
        """What one history asks for without each of its n last events.

        Args:
            history: of known items alone, two events at least, at most one more than `longest`.
            n: from 2 to the number of events.

        Returns:
            float32, shape (n, width); None where this network has no quicker way than to be asked n times.
        """
        if not (self.ordered and self._layers) or self._places is not None:
            return None
        if GAP in self._context.sorts:
            # The event after the one that is left out has another one before it.
            return None
        told = self._context.vectors(history)
        if self.opens:
            # Without the first event the beginning would be at the time of the second.
            if self._times is not None:
                return None
            told = None if told is None else np.insert(told, 0, np.float32(0.0), axis=0)
            history = _led(history, len(self.items))
        weights, x = history.weights, self._read[history.items]
        line = Line(
            x=x if told is None else x + told,
            seconds=None if history.times is None else history.times / 1000.0,
            logs=None if weights is None else np.log(np.maximum(weights, np.float32(_LEAST_WEIGHT))),
        )
        weight, bias = self._last_norm
        asked: Float32 = normed(self._without.vectors(line, n)) * weight + bias
        return asked

    def _block(self, histories: Histories, rows: Int64, told: Float32 | None) -> _Block:
        lengths = histories.lengths[rows]
        along = np.arange(int(lengths.max()))
        places = histories.offsets[rows][:, None] + np.minimum(along, np.maximum(lengths - 1, 0)[:, None])
        x = np.zeros((*places.shape, self.items.shape[1]), np.float32)
        if places.size:
            places = np.minimum(places, len(histories.items) - 1)
            np.take(self._read, histories.items[places], axis=0, out=x)
            if told is not None:
                x += told[places]
        seconds = logs = None
        if self._times is not None and histories.times is not None:
            seconds = histories.times[places] / 1000.0
        if histories.weights is not None:
            weights = np.maximum(histories.weights[places], np.float32(_LEAST_WEIGHT))
            logs = np.log(weights, dtype=np.float32)
        if self._places is not None:
            x += self._places[: len(along)]
        block = _Block(x=x, lengths=lengths, seconds=seconds, logs=logs)
        return block if self._asking is None else _with_asking(block, self._asking)

    def _asked(self, block: _Block) -> Float32:
        """What each history of a block asks for: float32, shape (histories, width)."""
        for layer in self._layers[:-1]:
            block = self._through(layer, block)
        last = block.x[np.arange(len(block.x)), block.lengths - 1]
        if self._layers:
            last = self._last(self._layers[-1], block, last)
        weight, bias = self._last_norm
        asked: Float32 = normed(last) * weight + bias
        return asked

    def _through(self, layer: Layer, block: _Block) -> _Block:
        """A layer, for all events."""
        n, events, width = block.x.shape
        x = block.x.reshape(-1, width)
        parts = np.empty((len(x), 3 * width), np.float32)
        for rows in stretches(len(x)):
            parts[rows] = layer.into(normed(x[rows]))
        heads = parts.reshape(n, events, 3, self._heads, width // self._heads).transpose(2, 0, 3, 1, 4)
        seen = np.empty((n, events, self._heads, width // self._heads), np.float32)
        for rows in stretches(events, _STRETCH):
            until = rows.stop if self.ordered else events
            keys, values = heads[1:, :, :, :until]
            bias = self._bias(block, np.arange(rows.start, rows.stop), until)
            seen[:, rows] = _attend(heads[0][:, :, rows], keys, values, bias).swapaxes(1, 2)
        x = rest(layer, x, seen.reshape(-1, width))
        return replace(block, x=x.reshape(n, events, width))

    def _last(self, layer: Layer, block: _Block, last: Float32) -> Float32:
        """A layer, for the last event of each history: float32, shape (histories, width)."""
        n, _, width = block.x.shape
        at_ease = normed(block.x.reshape(-1, width)).reshape(block.x.shape)
        ends = at_ease[np.arange(n), block.lengths - 1]
        weight = layer.into.weight.reshape(width, 3, self._heads, -1).transpose(1, 2, 0, 3)
        bias = layer.into.bias.reshape(3, self._heads, 1, -1)
        queries = ends @ weight[0] + bias[0]
        pulled = (queries @ weight[1].swapaxes(1, 2)).swapaxes(0, 1)
        mixed = _attend(pulled, at_ease, at_ease, self._bias_of_last(block))
        values = mixed.swapaxes(0, 1) @ weight[2] + bias[2]
        return rest(layer, last, values.swapaxes(0, 1).reshape(n, width))

    def _bias(self, block: _Block, queries: Int64, until: int) -> Float32:
        """What is added to the attention of some queries to the keys before `until`.

        Returns:
            float32, broadcasting to (histories, heads, queries, until).
        """
        if not self.ordered:
            return _bias_of_sets(block)[:, None, None, :]
        at = np.arange(until)
        first, last = self._longest - 1 - int(queries[-1]), self._longest - 1 - int(queries[0])
        windows = sliding_window_view(self._steps[:, first : last + until], until, axis=1)
        bias = windows[None, :, ::-1]
        if block.seconds is not None and self._times is not None:
            apart = block.seconds[:, queries, None] - block.seconds[:, None, :until]
            bias = bias + self._times[:, octaves(apart)].swapaxes(0, 1)
        if block.logs is not None:
            bias = bias + block.logs[:, None, None, :until] * (queries[:, None] > at)
        return bias

    def _bias_of_last(self, block: _Block) -> Float32:
        """What is added to the attention of last events: float32, (histories, heads or 1, events)."""
        if not self.ordered:
            return _bias_of_sets(block)[:, None, :]
        at, ends = np.arange(block.x.shape[1]), block.lengths - 1
        bias = self._steps[:, self._longest - 1 + at - ends[:, None]].swapaxes(0, 1)
        if block.seconds is not None and self._times is not None:
            apart = block.seconds[np.arange(len(ends)), ends][:, None] - block.seconds
            bias = bias + self._times[:, octaves(apart)].swapaxes(0, 1)
        if block.logs is not None:
            bias = bias + (block.logs * (ends[:, None] > at))[:, None, :]
        return bias


def _with_asking(block: _Block, asking: Float32) -> _Block:
    """A block with the vector that asks put after each history."""
    n, _, width = block.x.shape
    x = np.concatenate([block.x, np.zeros((n, 1, width), np.float32)], axis=1)
    x[np.arange(n), block.lengths] = asking
    logs = block.logs
    if logs is not None:
        logs = np.concatenate([logs, np.zeros((n, 1), np.float32)], axis=1)
        logs[np.arange(n), block.lengths] = 0.0
    return _Block(x=x, lengths=block.lengths + 1, seconds=None, logs=logs)


def _bias_of_sets(block: _Block) -> Float32:
    """What is added to the attention to each event of sets: float32, shape (histories, events)."""
    beyond = np.arange(block.x.shape[1]) >= block.lengths[:, None]
    return np.where(beyond, HIDDEN, np.float32(0.0) if block.logs is None else block.logs)


def _attend(queries: Float32, keys: Float32, values: Float32, bias: Float32) -> Float32:
    """The mean of values, weighted by the softmax of what queries and keys have in common.

    Args:
        queries: shape (..., queries, width).
        keys: shape (..., keys, width).
        values: shape (..., keys, width of values).
        bias: added to logits, broadcasting to (..., queries, keys).

    Returns:
        float32, shape (..., queries, width of values).
    """
    keys, ones = keys.swapaxes(-1, -2), np.ones((keys.shape[-2], 1), np.float32)
    logits = queries @ keys
    logits += bias
    with np.errstate(over="ignore", invalid="ignore"):
        np.exp(logits, out=logits)
        sums = logits @ ones
    if not (sums.min(initial=1.0) > _FAINT and sums.max(initial=1.0) < _LOUD):
        logits = queries @ keys
        logits += bias
        logits -= logits.max(axis=-1, keepdims=True)
        np.exp(logits, out=logits)
        sums = logits @ ones
    mixed = np.asarray(logits @ values, dtype=np.float32)
    mixed /= sums
    return mixed


def _led(histories: Histories, opening: int) -> Histories:
    """Histories with the opening before the first event: at the same time, of weight 1."""
    starts, items, times = histories.offsets[:-1], histories.items, histories.times
    if times is not None:
        padded = np.append(times, times[-1:] if len(times) else 0)
        times = np.insert(times, starts, padded[starts])
    weights = histories.weights
    return Histories(
        items=np.insert(items, starts, np.int32(opening)),
        offsets=histories.offsets + np.arange(len(histories.offsets)),
        times=times,
        weights=None if weights is None else np.insert(weights, starts, np.float32(1.0)),
    )


def _of_like_length(order: Int64, lengths: Int64) -> Iterator[Int64]:
    """Histories in the order of their lengths, cut into blocks: int64 arrays of positions."""
    first = 0
    for place, length in enumerate(lengths[order].tolist()):
        if place == first:
            shortest = length
        elif length * (place - first + 1) > _EVENTS or length > _LIKE * shortest + 4:
            yield order[first:place]
            first, shortest = place, length
    if len(order):
        yield order[first:]
