"""The value that an asker would give to an item, as a sum of biases, factors and the mood of a sitting.

value(u, i, t) = mean + scale * (b_i + e_i(t) + b_u + x_u . y_i + s_u(t)),   kept within the log's scale,

averaged over draws from the posterior (one draw is a point estimate). The items' vectors [b_i, y_i] are the
part's tensor `items` (float32, shape (items, draws, 1 + k)); e_i(t) is the item's bias in an era of the log
(`eras`, float32, shape (items, eras)). What an asker adds is solved from their own ratings, so newcomers are
answered like anybody: [b_u, x_u] has a normal prior of mean `means` and precision `precisions`, moved by what
the asker rated at all, whatever the value (`axes`, `links`: SVD++'s implicit feedback, Koren 2008); the
ratings of one sitting share a mood s_u of precision `moods`, which is integrated out. An event without a
value tells only that it was.

An item with few ratings is pulled toward what such an item gets, so that one happy viewer does not lead
every list; `caution` further takes so many standard deviations over the draws off a score.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.context import Context
from matinee.answers.sittings import sitting_at, sittings
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Float64, Histories, Int32, Int64

# Predictions beyond this share of the scale from its ends are bent inward, and keep their order.
_BEND = 0.02


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What was solved for one asker, by draw.

    Attributes:
        vectors: float64, shape (draws, 1 + k): [b_u, x_u].
        matrix: float64, shape (draws, 1 + k, 1 + k): how sure they are.
        told: float64, shape (draws, 1 + k, rated): what each rating says, before `matrix` is divided by.
        rated: int64, shape (rated,): positions in the history of events with a value.
        moods: float64, shape (draws, sittings).
        numbers: int64, shape (rated,): the sitting of each rating, counted from 0.
    """

    vectors: Float64
    matrix: Float64
    told: Float64
    rated: Int64
    moods: Float64
    numbers: Int64


class ValuesScorer:
    """Predicts values; as a score, the value at no particular time."""

    def __init__(self, part: Part, context: Context) -> None:
        self._settings: dict[str, Any] = dict(part.settings)
        tensors = part.tensors
        self._items: Float32 = np.asarray(tensors["items"], dtype=np.float32)
        self._stranger: Float32 = np.asarray(tensors["stranger"], dtype=np.float32)
        self._means = np.asarray(tensors["means"], dtype=np.float64)
        self._precisions = np.asarray(tensors["precisions"], dtype=np.float64)
        self._noise = np.asarray(tensors["noise"], dtype=np.float64)
        self._moods: Float64 | None = _optional(tensors.get("moods"))
        self._eras: Float32 | None = tensors.get("eras")
        self._axes: Float64 | None = _optional(tensors.get("axes"))
        self._links: Float64 | None = _optional(tensors.get("links"))
        self._n_items = context.n_items
        self._draws = self._items.shape[1]

    def score(self, askers: Askers) -> Float32:
        """The predicted value of every item, less `caution`."""
        asked = [self._solve(one) for one in _each(askers)]
        if not asked:
            return np.zeros((0, self._n_items), dtype=np.float32)
        vectors = np.stack([one.vectors for one in asked])
        raw = self._sums(vectors, self._items)
        if self._settings.get("caution"):
            raw -= self._settings["caution"] * self._spread(vectors)
        if self._eras is not None:
            raw += self._eras[:, -1]
        return self._told(raw)

    def values(self, askers: Askers, rows: Int64, items: Int32, times: Int64 | None) -> Float32:
        """The value that some askers would give to some items at some moments.

        Args:
            askers: who.
            rows: int64, shape (n,), rising: which asker each question is about.
            items: int32, shape (n,): item codes; -1: an item that the catalogue lacks.
            times: int64, shape (n,), milliseconds: when; None where that is not known.

        Returns:
            float32, shape (n,), within the log's scale.
        """
        told = np.zeros(len(rows), dtype=np.float64)
        bounds = np.searchsorted(rows, np.arange(len(askers) + 1))
        for row, one in enumerate(_each(askers)):
            part = slice(bounds[row], bounds[row + 1])
            if part.start == part.stop:
                continue
            when = None if times is None else times[part]
            told[part] = self._values_of(one, items[part], when)
        return self._told(told)

    def personal(self, askers: Askers) -> Bool:
        """Whether an asker's history has a rating, or an item that somebody rated."""
        history = askers.histories
        speaks = np.zeros(len(history.items), dtype=np.bool_)
        if history.values is not None:
            speaks |= ~np.isnan(history.values)
        if self._axes is not None:
            speaks |= np.any(self._axes[history.items] != 0, axis=1)
        return np.bincount(history.rows()[speaks], minlength=len(askers)) > 0

    def contributions(self, asker: Askers, item: int) -> Float32:
        """What each event adds to the score: its rating's share, and that of having rated at all.

        Returns:
            float32, shape (events,), adding up to the score less that of an empty history.
        """
        history = asker.histories
        parts = np.zeros(len(history.items), dtype=np.float64)
        if not len(parts):
            return parts.astype(np.float32)
        one = self._solve(history)
        wanted = np.concatenate([np.ones((self._draws, 1)), self._items[item, :, 1:]], axis=1)
        lever = np.linalg.solve(one.matrix, wanted[:, :, None])[:, :, 0]
        parts[one.rated] = np.einsum("sdj,sd->j", one.told, lever) / self._draws
        if self._axes is not None and self._links is not None:
            codes, first = np.unique(history.items, return_index=True)
            lean = np.einsum("srd,sd->r", self._links, wanted) / (self._draws * np.sqrt(len(codes)))
            parts[first] += self._axes[codes] @ lean
        empty = np.zeros(1, dtype=np.int64)
        alone = replace(asker, histories=history.take(empty - 1))
        told = self.score(asker)[0, item] - self.score(alone)[0, item]
        # The ends of the scale bend the sum; each event keeps its share.
        total = parts.sum()
        return np.asarray(parts * (told / total if abs(total) > 1e-12 else 0.0), dtype=np.float32)

    def similar(self, items: Int32) -> Float32:
        """The cosine between items' factors over all draws; zero where there are none."""
        wide = self._items[:, :, 1:].reshape(len(self._items), -1)
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        directions = wide / np.maximum(lengths, np.float32(1e-12))
        return np.asarray(directions[items] @ directions.T, dtype=np.float32)

    def _values_of(self, history: Histories, items: Int32, times: Int64 | None) -> Float64:
        """Predictions about one asker in the fit's units: float64, shape (n,)."""
        one = self._solve(history)
        vectors = np.where((items >= 0)[:, None, None], self._items[items], self._stranger)
        told: Float64 = self._sums(one.vectors[None], vectors)[0].astype(np.float64)
        if self._eras is not None:
            told += np.where(items >= 0, self._eras[items, self._era_of(times, len(items))], 0.0)
        if times is not None and history.times is not None and one.moods.size:
            pause = float(self._settings["pause_minutes"])
            place = sitting_at(history.times[one.rated], one.numbers, times, pause)
            told += np.where(place >= 0, one.moods.mean(axis=0)[place], 0.0)
        return told

    def _sums(self, vectors: Float64, items: Float32) -> Float32:
        """b_i + b_u + x_u . y_i, the mean over draws: shape (askers, items)."""
        asked = vectors.astype(np.float32)
        own = asked[:, :, 0].mean(axis=1, keepdims=True)
        asked[:, :, 0] = 1.0
        wide = asked.reshape(len(asked), -1) @ items.reshape(len(items), -1).T
        return np.asarray(wide / np.float32(self._draws) + own, dtype=np.float32)

    def _spread(self, vectors: Float64) -> Float32:
        """The standard deviation of the same over draws: float32, shape (askers, items)."""
        total = np.zeros((len(vectors), self._n_items), dtype=np.float32)
        squares = np.zeros_like(total)
        for draw in range(self._draws):
            asked = vectors[:, draw].astype(np.float32)
            own = asked[:, :1].copy()
            asked[:, 0] = 1.0
            one = asked @ self._items[:, draw].T + own
            total += one
            squares += one * one
        mean = total / self._draws
        return np.asarray(np.sqrt(np.maximum(squares / self._draws - mean * mean, 0.0)), dtype=np.float32)

    def _solve(self, history: Histories) -> _Asked:
        """The posterior mean of one asker's vector in each draw."""
        prior = self._means + self._implicit(history.items)
        values = history.values
        rated = np.flatnonzero(~np.isnan(values)) if values is not None else np.zeros(0, np.int64)
        if values is None or not len(rated):
            return self._unmoved(prior)
        codes = history.items[rated]
        design = self._items[codes].transpose(1, 0, 2).astype(np.float64)
        wanted = (values[rated] - self._settings["mean"]) / self._settings["scale"]
        if self._eras is not None:
            when = None if history.times is None else history.times[rated]
            wanted = wanted - self._eras[codes, self._era_of(when, len(codes))]
        left = wanted[None] - design[:, :, 0]
        design[:, :, 0] = 1.0
        left -= (design @ prior[:, :, None])[:, :, 0]
        numbers = self._numbers(history, rated)
        weighed = self._less_moods(design, numbers)
        matrix = weighed.transpose(0, 2, 1) @ design + self._precisions
        told = weighed.transpose(0, 2, 1) * left[:, None, :]
        vectors = prior + np.linalg.solve(matrix, told.sum(axis=2, keepdims=True))[:, :, 0]
        left -= (design @ (vectors - prior)[:, :, None])[:, :, 0]
        moods = self._moods_of(left, numbers)
        return _Asked(vectors=vectors, matrix=matrix, told=told, rated=rated, moods=moods, numbers=numbers)

    def _unmoved(self, prior: Float64) -> _Asked:
        """Somebody who rated nothing."""
        none = np.zeros(0, dtype=np.int64)
        return _Asked(
            vectors=prior,
            matrix=self._precisions,
            told=np.zeros((*prior.shape, 0)),
            rated=none,
            moods=np.zeros((self._draws, 0)),
            numbers=none,
        )

    def _implicit(self, items: Int32) -> Float64:
        """How what was rated at all moves an asker's prior: float64, shape (draws, 1 + k)."""
        if self._axes is None or self._links is None or not len(items):
            return np.zeros_like(self._means)
        codes = np.unique(items)
        return np.asarray((self._axes[codes].sum(axis=0) / np.sqrt(len(codes))) @ self._links)

    def _numbers(self, history: Histories, rated: Int64) -> Int64:
        """The sitting of each rating, counted from 0."""
        numbers = sittings(history, float(self._settings.get("pause_minutes", 0.0)))
        if numbers is None or self._moods is None:
            return np.zeros(0, dtype=np.int64)
        return np.unique(numbers[rated], return_inverse=True)[1].astype(np.int64)

    def _less_moods(self, design: Float64, numbers: Int64) -> Float64:
        """C^-1 Z for the noise's covariance C: that of each rating, and a mood for each sitting."""
        weighed = design * self._noise[:, None, None]
        if self._moods is None or not len(numbers):
            return weighed
        starts, sizes = _runs(numbers)
        share = self._noise[:, None] / (self._moods[:, None] + self._noise[:, None] * sizes)
        shared = np.add.reduceat(weighed, starts, axis=1) * share[:, :, None]
        return weighed - shared[:, numbers]

    def _moods_of(self, left: Float64, numbers: Int64) -> Float64:
        """The mood of each sitting, from what the vectors leave over: float64, shape (draws, sittings)."""
        if self._moods is None or not len(numbers):
            return np.zeros((self._draws, 0))
        starts, sizes = _runs(numbers)
        share = self._noise[:, None] / (self._moods[:, None] + self._noise[:, None] * sizes)
        return np.asarray(np.add.reduceat(left, starts, axis=1) * share)

    def _era_of(self, times: Int64 | None, n: int) -> Int64:
        """The era of each moment; the last one where the time is not known."""
        eras = 1 if self._eras is None else self._eras.shape[1]
        if times is None:
            return np.full(n, eras - 1, dtype=np.int64)
        return era_of(times, self._settings["era_start"], self._settings["era_ms"], eras)

    def _told(self, raw: NDArray[Any]) -> Float32:
        """The fit's units as values of the log."""
        told = raw * self._settings["scale"] + self._settings["mean"]
        return within(told, self._settings["low"], self._settings["high"])


def within(values: NDArray[Any], low: float, high: float) -> Float32:
    """Values bent into a scale so that their order stays: float32 of the same shape."""
    room = _BEND * (high - low)
    if room <= 0:
        return np.full(values.shape, low, dtype=np.float32)
    over, under = np.maximum(values - (high - room), 0.0), np.maximum(low + room - values, 0.0)
    bent = np.clip(values, low + room, high - room)
    bent = bent + room * over / (room + over) - room * under / (room + under)
    return np.asarray(bent, dtype=np.float32)


def era_of(times: Int64, start: int, era_ms: int, eras: int) -> Int64:
    """Which of equal stretches of time each moment falls into: the first before, the last after them all."""
    return np.clip((times - start) // max(era_ms, 1), 0, eras - 1)


def _runs(numbers: Int64) -> tuple[Int64, Int64]:
    """Where each run of equal numbers starts, and how long it is."""
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    return starts, np.diff(np.append(starts, len(numbers)))


def _each(askers: Askers) -> list[Histories]:
    return [askers.histories.take(np.array([row])) for row in range(len(askers))]


def _optional(tensor: NDArray[Any] | None) -> Float64 | None:
    return None if tensor is None else np.asarray(tensor, dtype=np.float64)
