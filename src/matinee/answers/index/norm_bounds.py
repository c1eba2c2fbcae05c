"""Exact: items are read from the longest vector on, until no shorter one can be among the best.

q . x <= |q| |x| (Cauchy and Schwarz): once the n-th best product found so far is larger than |q| times the
length of the next item's vector, there is nothing left to find. The items' mean, which adds the same to all
products, is taken off first: that makes vectors shorter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.index.found import Found, threshold
from matinee.core.types import Float32, Int64

# The first look takes this share of the items, and each further one as many as all before it or fewer.
_FIRST_SHARE = 16
_FEWEST = 2_048
# Sums of 32 bits round: so much of the largest product there can be is left for it.
_ROUNDING = 1e-5


class NormBounds:
    """Reads items from the longest vector on.

    Args:
        tensors: `order` (items,), int32, from the longest on; `lengths` (items,) and `sorted` (items, width),
            of the items less their mean, in that order.
        vectors: float32, shape (items, width).
    """

    exact = True

    def __init__(
        self, tensors: Mapping[str, NDArray[Any]], _settings: Mapping[str, Any], vectors: Float32
    ) -> None:
        self._tensors, self._vectors = dict(tensors), vectors
        self._order: NDArray[np.int32] = tensors["order"]
        self._lengths: Float32 = tensors["lengths"]
        self._sorted: Float32 = tensors["sorted"]
        self._sums = np.empty(len(vectors), np.float32)

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it looks."""
        return {"way": "norm_bounds"}

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """What is stored."""
        return self._tensors

    def best(self, asked: Float32, n: int, effort: int = 1) -> Found:  # noqa: ARG002
        """As of Index. Not for two threads at once."""
        items, sums = len(self._sums), self._sums
        n = min(n, items)
        length = float(np.linalg.norm(asked))
        seen, least = 0, -np.inf
        step = max(items // _FIRST_SHARE, _FEWEST, n)
        while seen < items and length * float(self._lengths[seen]) >= least:
            end = min(items, seen + step)
            np.dot(self._sorted[seen:end], asked, out=sums[seen:end])
            least = threshold(sums[:end], n, 16) - _ROUNDING * length * float(self._lengths[0])
            seen = end
        kept = np.flatnonzero(sums[:seen] >= threshold(sums[:seen], n))
        if len(kept) > n:
            kept = kept[np.argpartition(-sums[kept], n - 1)[:n]]
        codes: Int64 = self._order[kept].astype(np.int64)
        return Found(codes, self._vectors.take(codes, axis=0) @ asked, seen * len(asked))


def norm_bounds(vectors: Float32) -> NormBounds:
    """Sort items by length: float32, shape (items, width)."""
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    lengths = np.linalg.norm(vectors - mean, axis=1)
    order = np.argsort(-lengths, kind="stable")
    tensors = {
        "order": order.astype(np.int32),
        "lengths": lengths[order].astype(np.float32),
        "sorted": vectors[order] - mean,
    }
    return NormBounds(tensors, {}, vectors)
