"""The same answer for everybody: scores of items that no history changes."""

from __future__ import annotations

import numpy as np

from matinee.answers.context import Context
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Int32


class PopularScorer:
    """Scores every asker by the tensor `scores` (float32, shape (items,)).

    It has an answer of its own for everybody, newcomers included, so nothing falls back from it.
    """

    def __init__(self, part: Part, context: Context) -> None:  # noqa: ARG002 (every scorer is made this way)
        self._scores: Float32 = np.asarray(part.tensors["scores"], dtype=np.float32)

    def score(self, askers: Askers) -> Float32:
        """The same scores for each asker."""
        return np.tile(self._scores, (len(askers), 1))

    def personal(self, askers: Askers) -> Bool:
        """True: its own answer stands for everybody."""
        return np.ones(len(askers), dtype=np.bool_)

    def contributions(self, history: Int32, item: int) -> Float32:  # noqa: ARG002 (no event changes a score)
        """Zeros: no event changes a score."""
        return np.zeros(len(history), dtype=np.float32)

    def similar(self, items: Int32) -> Float32:
        """The popular items for each: popularity knows no likeness."""
        return np.tile(self._scores, (len(items), 1))
