"""How alike two settings are: the Matern-5/2 kernel with a length for each column, and its slopes.

Points lie in the unit cube. For x and z with r^2 = sum_j ((x_j - z_j) / length_j)^2,

    k(r) = (1 + q + q^2 / 3) exp(-q),   q = sqrt(5) r,   dk / d(r^2) = -(5 / 6) (1 + q) exp(-q)

(Rasmussen and Williams 2006, equation 4.17). Both are written as functions of r^2, because the slope is
smooth at r = 0 where that of r is not.
"""

from __future__ import annotations

import numpy as np

from matinee.core.types import Float64

_ROOT5 = 5.0**0.5


def matern(squares: Float64) -> tuple[Float64, Float64]:
    """The kernel and minus twice its slope in r^2, for squared distances of any shape.

    Args:
        squares: r^2, 0 or more.

    Returns:
        Likeness, 1 at r = 0; and (5 / 3) (1 + q) exp(-q), which every derivative of it is a multiple of.
    """
    q = np.sqrt(squares)
    q *= _ROOT5
    decay = np.exp(-q)
    slope = (q + 1.0) * decay
    q *= q
    q *= decay
    q /= 3.0
    q += slope
    slope *= 5.0 / 3.0
    return q, slope


def differences(points: Float64) -> Float64:
    """Squared differences of all pairs, a row for each column: float64, shape (columns, points * points)."""
    n, columns = points.shape
    apart = points.T[:, :, None] - points.T[:, None, :]
    return (apart * apart).reshape(columns, n * n)


def squared_distances(points: Float64, others: Float64, lengths: Float64) -> Float64:
    """r^2 of every point from every other for several sets of lengths.

    Args:
        points: float64, shape (m, columns).
        others: float64, shape (n, columns).
        lengths: float64, shape (members, columns).

    Returns:
        float64, shape (members, m, n).
    """
    a, b = points / lengths[:, None, :], others / lengths[:, None, :]
    squares: Float64 = np.matmul(a, b.transpose(0, 2, 1))
    squares *= -2.0
    squares += np.einsum("kmj,kmj->km", a, a)[:, :, None]
    squares += np.einsum("knj,knj->kn", b, b)[:, None, :]
    np.maximum(squares, 0.0, out=squares)
    return squares
