"""How much a point promises: expected improvement, what it is per dollar, and Gittins indices.

For a value N(mean, sd^2) and a mark t to beat, EI = sd h(z), z = (mean - t) / sd, h(z) = phi(z) + z Phi(z).
Its logarithm is taken without ever taking the logarithm of an underflow (Ament et al. 2023, section 4), and
averaged over an ensemble as EI itself is: log sum_k w_k EI_k.

A point's Gittins index is the mark g at which it is worth exactly its price: EI(g) = rate * cost (Xie et al.
2024, equation 4). The point with the highest index is also the one that maximises log EI(g) - log cost for
g = that index, which is how it is polished.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.special import erfcx, log_ndtr

from matinee.core.types import Float64
from matinee.tune.surrogate import Surrogate

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_ROOT_HALF_PI = np.sqrt(np.pi / 2)


def log_h(z: Float64) -> Float64:
    """log(phi(z) + z Phi(z)) for any z, float64 of any shape; its relative error stays small at z = -1e8."""
    z = np.asarray(z, dtype=np.float64)
    low = np.minimum(z, -1.0)
    # phi(z) (1 - |z| Phi(z) / phi(z)); the bracket is 1 / z^2 - 3 / z^4 + ... where its difference cancels.
    with np.errstate(over="ignore"):
        bracket = 1.0 + low * _ROOT_HALF_PI * erfcx(-low / np.sqrt(2))
        inverse = low**-2.0
    series = inverse * (1 - 3 * inverse * (1 - 5 * inverse * (1 - 7 * inverse)))
    bracket = np.where(low < -100, series, bracket)
    left = -0.5 * low * low - _HALF_LOG_2PI + np.log(np.maximum(bracket, 1e-300))
    high = np.maximum(z, -1.0)
    right = np.log(np.exp(-0.5 * high * high - _HALF_LOG_2PI) + high * np.exp(log_ndtr(high)))
    logs: Float64 = np.where(z < -1.0, left, right)
    return logs


def log_ei(means: Float64, sds: Float64, mark: Float64 | float) -> Float64:
    """Log E max(value - mark, 0) of normal values."""
    return log_h((means - mark) / sds) + np.log(sds)


def averaged(logs: Float64, weights: Float64) -> Float64:
    """Log of the weighted mean of what `logs` (members, m) are the logarithms of: float64, shape (m,)."""
    most = logs.max(axis=0)
    mean: Float64 = most + np.log(weights @ np.exp(logs - most))
    return mean


def gittins(means: Float64, sds: Float64, weights: Float64, log_price: Float64) -> Float64:
    """The mark at which each point is worth its price, averaged over the ensemble.

    Args:
        means: float64, shape (members, m).
        sds: float64, shape (members, m).
        weights: float64, shape (members,).
        log_price: float64, shape (m,): log(rate * cost), in the units of the values.

    Returns:
        float64, shape (m,): the g of log EI(g) = log_price.
    """
    # EI is more than mean - g on the left, and less than sd exp(-z^2 / 2) for each member on the right.
    low = weights @ means - np.exp(np.minimum(log_price, 30.0))
    high = (means + sds * np.sqrt(2 * np.maximum(np.log(sds) - log_price, 0.0))).max(0)
    mark = low
    for _ in range(60):
        z = (means - mark) / sds
        total = averaged(log_h(z) + np.log(sds), weights)
        low, high = np.where(total > log_price, mark, low), np.where(total > log_price, high, mark)
        fall = weights @ np.exp(log_ndtr(z) - total)
        moved = mark + (total - log_price) / np.maximum(fall, 1e-300)
        # Newton's step where it stays between what is known, half way where it does not.
        moved = np.where((moved > low) & (moved < high), moved, 0.5 * (low + high))
        done = np.abs(moved - mark).max() < 1e-10
        mark = moved
        if done:
            break
    return mark


def highest_index(means: Float64, sds: Float64, weights: Float64, log_price: Float64) -> tuple[int, float]:
    """The point of the highest Gittins index, and that index.

    A point whose EI over the index of another is below its own price has a lower index: a few indices tell
    which of many is the highest. Arguments are those of `gittins`.
    """
    left = np.arange(means.shape[1])
    row = int(np.argmax(weights @ means - np.exp(np.minimum(log_price, 30.0))))
    while True:
        mark = float(gittins(means[:, [row]], sds[:, [row]], weights, log_price[[row]])[0])
        left = left[left != row]
        worth = averaged(log_ei(means[:, left], sds[:, left], mark), weights) - log_price[left]
        left, worth = left[worth > 0], worth[worth > 0]
        if not len(left):
            return row, mark
        row = int(left[np.argmax(worth)])


class Sloped(Protocol):
    """A smooth function of points in the unit cube."""

    def at(self, points: Float64) -> Float64:
        """Its values: float64, shape (m,)."""

    def slope(self, point: Float64) -> tuple[float, Float64]:
        """Its value and gradient at one point."""


class Worth:
    """log EI over a mark at any point, less so much times the logarithm of its cost; with its gradient.

    Args:
        model: the surrogate.
        marks: float64, shape (members,): what is to be beaten, in warped units.
        chance: gives log P(a trial does not fail) and its gradient at a point; None: none fails.
        price: gives log dollars and their gradient at a point; None: they don't count.
    """

    def __init__(
        self, model: Surrogate, marks: Float64, chance: Sloped | None = None, price: Sloped | None = None
    ) -> None:
        self.model, self.marks, self.chance, self.price = model, marks, chance, price

    def at(self, points: Float64) -> Float64:
        """The worth of some points: float64, shape (m,)."""
        means, sds = self.model.predict(points)
        worth = averaged(log_ei(means, sds, self.marks[:, None]), self.model.hyper.weights)
        if self.chance is not None:
            worth = worth + self.chance.at(points)
        return worth if self.price is None else worth - self.price.at(points)

    def slope(self, point: Float64) -> tuple[float, Float64]:
        """The worth of one point and its gradient."""
        means, sds, mean_slopes, sd_slopes = self.model.slopes(point)
        z = (means - self.marks) / sds
        logs = log_h(z) + np.log(sds)
        weights = self.model.hyper.weights
        total = averaged(logs[:, None], weights)[0]
        up = weights * np.exp(log_ndtr(z) - total)
        wide = weights * np.exp(-0.5 * z * z - _HALF_LOG_2PI - total)
        gradient = up @ mean_slopes + wide @ sd_slopes
        for part, sign in ((self.chance, 1.0), (self.price, -1.0)):
            if part is not None:
                value, slope = part.slope(point)
                total, gradient = total + sign * value, gradient + sign * slope
        return float(total), gradient
