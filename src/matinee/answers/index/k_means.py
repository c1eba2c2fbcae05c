"""Centres of vectors (Lloyd 1982), learnt from a sample where there are many."""

from __future__ import annotations

import numpy as np

from matinee.core.seeds import generator
from matinee.core.types import Float32, Int64

# Vectors looked at for each centre while they are learnt, and vectors of a block.
_EACH = 40
_ROWS = 8_192


def k_means(points: Float32, k: int, *, seed: int, passes: int = 8) -> Float32:
    """Centres: float32, shape (k, width). A centre that nothing is near to starts again at some point."""
    random = generator(seed, "k-means", len(points), k)
    n = min(len(points), _EACH * k)
    some = points[np.sort(random.choice(len(points), n, replace=False))]
    centres = some[np.sort(random.choice(n, k, replace=False))]
    for _ in range(passes):
        owners = nearest(some, centres)
        order = np.argsort(owners, kind="stable")
        counts = np.bincount(owners, minlength=k)
        filled = np.flatnonzero(counts)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)[:-1]])
        centres = some[random.choice(n, k)]
        centres[filled] = np.add.reduceat(some[order], starts[filled], axis=0) / counts[filled][:, None]
    return np.ascontiguousarray(centres)


def nearest(points: Float32, centres: Float32) -> Int64:
    """The nearest centre of each point: int64, shape (points,)."""
    owners = np.empty(len(points), np.int64)
    half = (centres**2).sum(axis=1) / 2
    for start in range(0, len(points), _ROWS):
        nearness = points[start : start + _ROWS] @ centres.T
        nearness -= half
        owners[start : start + _ROWS] = nearness.argmax(axis=1)
    return owners
