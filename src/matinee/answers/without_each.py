"""What an ordered history asks for without each of its last events, by the layers of a forward pass.

Whoever looks only back sees nothing of an event that comes later: without event e, all before it stay what
they were, and those after it lie one step nearer to those before it. So the whole history goes through the
layers once, and of the history without e only the events after e: for the last n events n * (n - 1) / 2 rows,
where n passes would take n times as many as there are events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee.answers.layers import HIDDEN, Layer, normed, octaves, rest, stretches
from matinee.core.types import Float32, Float64


@dataclass(frozen=True, kw_only=True)
class Line:
    """A history as it comes to the first layer.

    Attributes:
        x: float32, shape (events, width).
        seconds: when each was, where the network knows of times.
        logs: float32, shape (events,): the logarithm of what each counts; None: all alike.
    """

    x: Float32
    seconds: Float64 | None = None
    logs: Float32 | None = None


class WithoutEach:
    """One history in, a vector for each of its last events out.

    Args:
        layers: the network's, one at least.
        steps: what distance adds to attention, as `layers.by_step` returns it.
        heads: of attention.
        times: what octaves of time add to attention, or None.
    """

    def __init__(self, layers: Sequence[Layer], steps: Float32, *, heads: int, times: Float32 | None) -> None:
        self._layers, self._steps, self._heads, self._times = list(layers), steps, heads, times
        self._longest = (steps.shape[1] + 1) // 2
        self._of_distance: Float32 | None = None

    def vectors(self, line: Line, n: int) -> Float32:
        """What is asked for without each of the n last events, before the last norm: float32, (n, width).

        Args:
            line: two events at least, and at most one more than the network looks at.
            n: from 2 to the number of events.
        """
        width, first = line.x.shape[1], len(line.x) - n
        gone, at = np.divmod(np.arange(n * n), n)
        # Whatever stands before the event that is gone is as it was.
        later = np.flatnonzero(at > gone)
        base, suffix = line.x, line.x[None, first:]
        more = self._more(line)
        bias = self._bias(more, len(base), n)
        for layer in self._layers[:-1]:
            seen = self._seen(layer, base[:first], suffix, bias).reshape(-1, width)
            rows = np.broadcast_to(suffix, (n, n, width)).reshape(-1, width)[later]
            base = self._through(layer, base, more)
            suffix = np.repeat(base[None, first:], n, axis=0)
            suffix.reshape(-1, width)[later] = rest(layer, rows, seen[later])
        return self._last(base, np.broadcast_to(suffix, (n, n, width)), more)

    def _more(self, line: Line) -> Float32 | None:
        """What time and weights add to attention: float32, shape (heads or 1, events, events)."""
        more = None
        if line.seconds is not None and self._times is not None:
            more = self._times[:, octaves(line.seconds[:, None] - line.seconds)]
        if line.logs is not None:
            at = np.arange(len(line.logs))
            logged = (line.logs * (at[:, None] > at))[None]
            more = logged if more is None else more + logged
        return more

    def _bias(self, more: Float32 | None, events: int, n: int) -> tuple[Float32, Float32]:
        """What is added to attention of the n last events: to those before them, and to each other.

        Returns:
            float32 of shapes (1, heads or 1, n, events - n) and (n, heads or 1, n, n): without, head, query,
            key.
        """
        first = events - n
        query, key = np.arange(first, events)[:, None], np.arange(first)
        before = self._steps[:, np.maximum(self._longest + key - query, 0)][None]
        among = self._among(n)
        if more is not None:
            before = before + more[:, first:, :first]
            among = among + more[:, first:, first:]
        return before, among

    def _among(self, n: int) -> Float32:
        """What distance adds to attention among n events, without each: (n, heads or 1, n, n)."""
        if self._of_distance is None or len(self._of_distance) != n:
            gone, query, key = np.ogrid[:n, :n, :n]
            nearer = (key < gone) & (gone < query)
            found = self._steps[:, self._longest - 1 + key - query + nearer].swapaxes(0, 1)
            self._of_distance = np.where((key == gone)[:, None], HIDDEN, found)
        return self._of_distance

    def _seen(self, layer: Layer, before: Float32, suffix: Float32, bias: tuple[Float32, Float32]) -> Float32:
        """What each of the last events has seen, without each: float32, shape (n, n, width)."""
        queries, keys, values = self._parts(layer, suffix)
        _, earlier_keys, earlier_values = self._parts(layer, before[None])
        of_last = _weighed(queries @ keys.swapaxes(-1, -2) + bias[1], values)
        of_before = _weighed(queries @ earlier_keys.swapaxes(-1, -2) + bias[0], earlier_values)
        n, width = len(bias[1]), before.shape[1]
        return _joined(of_last, of_before).swapaxes(1, 2).reshape(n, n, width)

    def _parts(self, layer: Layer, x: Float32) -> tuple[Float32, Float32, Float32]:
        """Queries, keys and values: float32, each of shape (histories, heads, events, width of a head)."""
        rows = x.reshape(-1, x.shape[-1])
        parts = np.empty((len(rows), 3 * x.shape[-1]), np.float32)
        for some in stretches(len(rows)):
            parts[some] = layer.into(normed(rows[some]))
        shape = (*x.shape[:2], 3, self._heads, x.shape[-1] // self._heads)
        found = parts.reshape(shape).transpose(2, 0, 3, 1, 4)
        return found[0], found[1], found[2]

    def _through(self, layer: Layer, x: Float32, more: Float32 | None) -> Float32:
        """The whole history through a layer; its last event is never asked for: float32, shape of x."""
        at = np.arange(len(x))
        bias = self._steps[:, np.clip(self._longest - 1 + at - at[:, None], 0, 2 * self._longest - 2)]
        queries, keys, values = self._parts(layer, x[None])
        logits = queries @ keys.swapaxes(-1, -2) + (bias if more is None else bias + more)
        mixed, sums, _ = _weighed(logits, values)
        return rest(layer, x, (mixed / sums)[0].swapaxes(0, 1).reshape(x.shape))

    def _last(self, base: Float32, suffix: Float32, more: Float32 | None) -> Float32:
        """The last layer, for the last event that is left: float32, shape (n, width)."""
        layer, n, (events, width) = self._layers[-1], len(suffix), base.shape
        gone, key = np.arange(events - n, events)[:, None], np.arange(events)
        bias = self._steps[:, np.maximum(self._longest + 1 - events + key - (key > gone), 0)]
        if more is not None:
            bias = bias + more[:, [*[events - 1] * (n - 1), events - 2]]
        bias = np.where(key == gone, HIDDEN, bias).swapaxes(0, 1)
        ends = suffix[:, -1].copy()
        ends[-1] = base[-2]
        before, after = normed(base[: events - n]), normed(suffix.reshape(-1, width)).reshape(suffix.shape)
        weight = layer.into.weight.reshape(width, 3, self._heads, -1).transpose(1, 2, 0, 3)
        shift = layer.into.bias.reshape(3, self._heads, 1, -1)
        pulled = ((normed(ends) @ weight[0] + shift[0]) @ weight[1].swapaxes(1, 2)).swapaxes(0, 1)
        mixed = _joined(
            _weighed(pulled @ after.swapaxes(1, 2) + bias[:, :, events - n :], after),
            _weighed(pulled @ before.T + bias[:, :, : events - n], before),
        )
        values = mixed.swapaxes(0, 1) @ weight[2] + shift[2]
        return rest(layer, ends, values.swapaxes(0, 1).reshape(n, width))


def _weighed(logits: Float32, values: Float32) -> tuple[Float32, Float32, Float32]:
    """Values summed by the exponentials of logits, the sums of these, and what was taken from the logits."""
    highest = logits.max(axis=-1, keepdims=True, initial=HIDDEN)
    logits = logits - highest
    np.exp(logits, out=logits)
    return logits @ values, logits.sum(axis=-1, keepdims=True), highest


def _joined(one: tuple[Float32, Float32, Float32], other: tuple[Float32, Float32, Float32]) -> Float32:
    """The mean of values of two sorts by the softmax over both."""
    highest = np.maximum(one[2], other[2])
    mine, theirs = np.exp(one[2] - highest), np.exp(other[2] - highest)
    return np.asarray(
        (one[0] * mine + other[0] * theirs) / (one[1] * mine + other[1] * theirs), dtype=np.float32
    )
