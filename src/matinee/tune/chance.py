"""Where not to go: the chance that a trial ends instead of failing, from where others failed.

Each ended trial votes with a weight that falls with its distance; before anybody voted, nine in ten are
expected to end, with the weight of half a vote. Three failures in one corner therefore keep the search out of
it, and one failure of a lost machine in the middle of ten good trials does not.
"""

from __future__ import annotations

import math

import numpy as np

from matinee.core.types import Bool, Float64
from matinee.tune.kernel import matern

_ENDED, _FAILED = 0.45, 0.05


class Chance:
    """log P(a trial ends) anywhere in the cube.

    Args:
        points: float64, shape (n, columns): of ended and failed trials.
        failed: bool, shape (n,): which of them failed.
    """

    def __init__(self, points: Float64, failed: Bool) -> None:
        self._points = points
        self._good = 1.0 - failed.astype(np.float64)
        self._length = 0.15 * math.sqrt(max(points.shape[1], 1))

    def at(self, points: Float64) -> Float64:
        """Log P of some points: float64, shape (m,)."""
        squares = ((points[:, None, :] - self._points[None]) ** 2).sum(-1) / self._length**2
        votes, _ = matern(squares)
        logs: Float64 = np.log((_ENDED + votes @ self._good) / (_ENDED + _FAILED + votes.sum(1)))
        return logs

    def slope(self, point: Float64) -> tuple[float, Float64]:
        """Log P at one point and its gradient."""
        apart = point - self._points
        votes, slopes = matern((apart**2).sum(1) / self._length**2)
        good, all_ = _ENDED + votes @ self._good, _ENDED + _FAILED + votes.sum()
        pulls = -slopes[:, None] * apart / self._length**2
        return float(np.log(good / all_)), (self._good @ pulls) / good - pulls.sum(0) / all_
