"""The same answer for everybody: scores of items that no history changes."""

from __future__ import annotations

import numpy as np

from matinee.answers.context import Context
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Int32, Int64


class PopularScorer:
    """Scores every asker by the tensor `scores` (float32, shape (items,)).

    The scores stand for everybody, newcomers included: a recent model answers them with what is popular of
    late. Of whom nothing is known they are what any model falls back on, and are called so
    (`fallback:popular`); the source of every other answer is the model's name.
    """

    def __init__(self, part: Part, context: Context) -> None:  # noqa: ARG002 (every scorer is made this way)
        self._scores: Float32 = np.asarray(part.tensors["scores"], dtype=np.float32)
        self._order: Int64 | None = None

    def score(self, askers: Askers) -> Float32:
        """The same scores for each asker."""
        return np.tile(self._scores, (len(askers), 1))

    def values(self, askers: Askers, rows: Int64, items: Int32, times: Int64 | None) -> Float32:
        """The score of some items as a value: of a model that predicts the same for everybody."""
        del askers, rows, times
        lacking = np.float32(self._scores.mean()) if len(self._scores) else np.float32(0.0)
        return np.where(items >= 0, self._scores[items], lacking).astype(np.float32)

    def personal(self, askers: Askers) -> Bool:
        """Whether anything is known of an asker: where nothing is, nobody could say anything personal."""
        return np.asarray(askers.histories.lengths > 0, dtype=np.bool_)

    def contributions(self, asker: Askers, item: int) -> Float32:  # noqa: ARG002 (no event changes a score)
        """Zeros: no event changes a score."""
        return np.zeros(len(asker.histories.items), dtype=np.float32)

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:  # noqa: ARG002 (all are scored alike)
        """The scores of some items: float32, shape (codes,)."""
        return np.asarray(self._scores[codes], dtype=np.float32)

    def reached(self, asker: Askers, n: int) -> Int64:  # noqa: ARG002 (all are scored alike)
        """The n items that are scored highest: int64."""
        if self._order is None:
            self._order = np.argsort(-self._scores, kind="stable")
        return self._order[:n]

    def without_each(self, asker: Askers, items: Int64) -> Float32:
        """The scores of some items, alike without each event: float32, shape (items, 1 + events)."""
        return np.repeat(self._scores[items][:, None], 1 + len(asker.histories.items), axis=1)

    def similar(self, items: Int32) -> Float32:
        """The popular items for each: popularity knows no likeness."""
        return np.tile(self._scores, (len(items), 1))
