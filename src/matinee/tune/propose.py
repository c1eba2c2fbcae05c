"""Finding the point that is worth most: candidates near and far, then a climb along the gradient."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize

from matinee.core.types import Bool, Float64
from matinee.tune.acquisition import Worth


class Places(Protocol):
    """The unit cube of a space (`space.Cube`).

    Attributes:
        n: number of columns.
        free: bool, shape (n,): columns of continuous settings.
    """

    @property
    def n(self) -> int: ...  # noqa: D102

    @property
    def free(self) -> Bool: ...  # noqa: D102

    def snap(self, points: Float64) -> Float64:
        """The same points at places that stand for settings."""

    def draw(self, m: int, random: np.random.Generator) -> Float64:
        """Random points, snapped."""


def candidates(cube: Places, tops: Float64, lengths: Float64, m: int, random: np.random.Generator) -> Float64:
    """Points worth a look: half of them anywhere, half of them near the best so far.

    Args:
        cube: the space.
        tops: float64, shape (t, columns): the best points so far.
        lengths: float64, shape (columns,): how far a column's change matters.
        m: how many.
        random: the stream to draw from.

    Returns:
        float64, shape (m, columns), snapped.
    """
    far = cube.draw(m // 2, random)
    near = m - len(far)
    centres = tops[random.integers(len(tops), size=near)]
    reach = np.minimum(lengths, 0.5) * 10.0 ** random.uniform(-2.5, 0.0, size=(near, 1))
    moved = random.random((near, cube.n)) < random.choice([0.3, 1.0], size=(near, 1))
    moved[np.arange(near), random.integers(cube.n, size=near)] = True
    shifted = centres + moved * reach * random.standard_normal((near, cube.n))
    # A column of a choice changes by being drawn anew: no small step leads from one value to another.
    anew = moved & ~cube.free & (random.random((near, cube.n)) < 0.5)
    shifted = np.where(anew, cube.draw(near, random), shifted)
    return np.concatenate([far, cube.snap(np.clip(shifted, 0.0, 1.0))])


def climb(worth: Worth, starts: Float64, cube: Places, most: int = 25) -> tuple[Float64, Float64]:
    """The best places reached from some starts: points (s, columns), snapped, and their worth (s,).

    Only the columns of continuous settings move; the others stay where the start has them.
    """
    free = np.flatnonzero(cube.free)
    if not len(free) or not len(starts):
        return starts, worth.at(starts) if len(starts) else np.zeros(0)
    reached = []
    for start in starts:

        def lost(moved: Float64, start: Float64 = start) -> tuple[float, Float64]:
            point = start.copy()
            point[free] = moved
            value, slope = worth.slope(point)
            return -value, -slope[free]

        options: Any = {"maxiter": most, "maxcor": 8, "ftol": 1e-6, "gtol": 1e-3, "maxls": 10}
        found = minimize(
            lost, start[free], jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(free), options=options
        )
        point = start.copy()
        point[free] = np.clip(found.x, 0.0, 1.0)
        reached.append(point)
    points = cube.snap(np.array(reached))
    return points, worth.at(points)


def apart(points: Float64, worth: Float64, lengths: Float64, most: int) -> Float64:
    """The best points that are no near neighbours of better ones: at most so many, best first."""
    kept: list[int] = []
    for row in np.argsort(-worth, kind="stable"):
        gaps = (points[kept] - points[row]) / lengths
        if not kept or np.sqrt((gaps**2).sum(1)).min() > 0.3:
            kept.append(int(row))
        if len(kept) == most:
            break
    return points[kept]
