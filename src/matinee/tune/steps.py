"""Steps as whole numbers, for those who know no others."""

from __future__ import annotations

from collections.abc import Sequence

from matinee.tune.trial import Point


def whole_steps(curve: Sequence[Point]) -> list[int]:
    """The steps of a curve where all of them are whole; else its positions, from 1."""
    if all(point.step == int(point.step) for point in curve):
        return [int(point.step) for point in curve]
    return list(range(1, len(curve) + 1))
