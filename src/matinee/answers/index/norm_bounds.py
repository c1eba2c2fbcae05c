"""Exact: a product is bounded by its leading part and the norms of the rest (Cauchy and Schwarz).

x . y <= x[:m] . y[:m] + |x[m:]| |y[m:]|

in coordinates that put what both sides vary in first. The bounds of all items take m of their width's
numbers; items whose bound lies under the n-th best product found so far need no further look. Vectors are
turned by A, x' = xA and y' = yA^-T, so that both have the same diagonal covariance (the balancing of Moore
1981): with the items less their mean, which ranks nothing, that makes the rest of both small at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.index.found import Found, largest, threshold
from matinee.core.types import Float32, Float64

# Bounds are sums in other coordinates: so much, of the largest that a product can be, is left for rounding.
_ROUNDING = 1e-5
_ROWS = 65_536


class NormBounds:
    """Looks at every item's bound, and at those items that it does not rule out.

    Args:
        tensors: `turn` (width, width), what is asked for is turned by; `mean` (width,), of the items;
            `leading` (m, items) and `rests` (items,), of the items less their mean and turned.
        vectors: float32, shape (items, width).
    """

    exact = True

    def __init__(
        self, tensors: Mapping[str, NDArray[Any]], _settings: Mapping[str, Any], vectors: Float32
    ) -> None:
        self._turn: Float32 = tensors["turn"]
        self._mean: Float32 = tensors["mean"]
        self._leading: Float32 = tensors["leading"]
        self._rests: Float32 = tensors["rests"]
        self._vectors = vectors
        self._sums = np.empty(len(vectors), np.float32)
        self._more = np.empty(len(vectors), np.float32)
        self._longest = float(np.sqrt((self._leading**2).sum(axis=0) + self._rests**2).max(initial=0.0))

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it looks."""
        return {"way": "norm_bounds", "leading": len(self._leading)}

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """What is stored."""
        return {
            "turn": self._turn,
            "mean": self._mean,
            "leading": self._leading,
            "rests": self._rests,
        }

    def best(self, asked: Float32, n: int, effort: int = 1) -> Found:  # noqa: ARG002
        """As of Index. Not for two threads at once."""
        m, sums = len(self._leading), self._sums
        n = min(n, len(sums))
        turned = asked @ self._turn
        np.dot(turned[:m], self._leading, out=sums)
        np.multiply(self._rests, np.float32(np.linalg.norm(turned[m:])), out=self._more)
        sums += self._more
        # The n-th best of those with the highest bounds is reached by n items: the others must beat it.
        first = threshold(sums, min(2 * n, len(sums)))
        codes = np.flatnonzero(sums >= first)
        scores = self._vectors.take(codes, axis=0) @ asked
        # Products of items less their mean differ from those of the items by the same for all.
        worst = np.partition(scores, len(scores) - n)[len(scores) - n] - float(asked @ self._mean)
        least = worst - _ROUNDING * self._longest * float(np.linalg.norm(turned))
        if least < first:
            codes = np.flatnonzero(sums >= least)
            scores = self._vectors.take(codes, axis=0) @ asked
        read = self._leading.size + 2 * len(sums) + len(codes) * self._vectors.shape[1]
        return largest(codes, scores, n, read)


def norm_bounds(vectors: Float32, asked: Float32, leading: int) -> NormBounds:
    """Turn the items so that what is asked for, and they, vary in the first numbers most.

    Args:
        vectors: float32, shape (items, width).
        asked: float32, shape (n, width): what histories like those to come ask for.
        leading: how many numbers of each item its bound takes exactly.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    of_items, of_asked = _root(_moments(vectors, mean)), _root(_moments(asked, np.zeros(len(mean))))
    _, spectrum, axes = np.linalg.svd(of_asked @ of_items)
    # The least directions, in which nothing varies, must not be divided by.
    scale = np.sqrt(np.maximum(spectrum, spectrum[0] * 1e-6 + 1e-30))
    turn = (of_items @ axes.T / scale).astype(np.float32)
    back = (np.linalg.inv(of_items) @ axes.T * scale).astype(np.float32)
    shape = leading, len(vectors)
    first, rests = np.empty(shape, np.float32), np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        turned = (vectors[rows] - mean.astype(np.float32)) @ back
        first[:, rows] = turned[:, :leading].T
        rests[rows] = np.linalg.norm(turned[:, leading:], axis=1)
    tensors = {"turn": turn, "mean": mean.astype(np.float32), "leading": first, "rests": rests}
    return NormBounds(tensors, {}, vectors)


def _moments(vectors: Float32, mean: Float64) -> Float64:
    """Second moments about a point: shape (width, width)."""
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), _ROWS):
        away = vectors[start : start + _ROWS] - mean
        total += away.T @ away
    return np.asarray(total / max(len(vectors), 1))


def _root(moments: Float64) -> Float64:
    """The symmetric root of a matrix, with a little in every direction."""
    spectrum, axes = np.linalg.eigh(moments)
    least = max(float(spectrum[-1]), 1e-30) * 1e-6
    return np.asarray((axes * np.sqrt(np.maximum(spectrum, least))) @ axes.T)
