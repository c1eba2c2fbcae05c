"""What the kernel's own numbers may be: not one best fit, but an ensemble drawn from their posterior.

The numbers are the logarithms of a length for each column, of the amplitude and of the noise. Their prior is
normal; the lengths' grows with the root of the number of columns, so that many columns do not make every
point a stranger to all others (Hvarfner et al. 2024). The mode is found by gradients; around it, draws from
the normal curve that the Fisher information gives (Laplace's approximation) are weighed by how likely they
really are, with no weight far above the rest (truncated importance sampling, Ionides 2008). That costs
one fit and some ten Cholesky factors; a chain of the same accuracy costs several times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from matinee.core.seeds import generator
from matinee.core.types import Float64
from matinee.tune.kernel import differences, matern
from matinee.tune.warp import Warp

# The level of the whole surface is not known either: a constant of this variance is added to the kernel.
LEVEL = 1.0
JITTER = 1e-9
_BENDS = (0.7, 1.0, 1.25, 1.5, 1.75, 2.0)


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Normal priors of the logarithms, and the bounds of the search.

    Attributes:
        mean: float64, shape (columns + 2,): lengths, amplitude, noise variance.
        sd: float64, the same shape.
        low: float64, the same shape.
        high: float64, the same shape.
    """

    mean: Float64
    sd: Float64
    low: Float64
    high: Float64


def prior_of(columns: int, noisy: bool) -> Prior:
    """The prior for so many columns; noisy: whether the same settings may give different values."""
    length = np.log(0.4) + 0.5 * np.log(columns)
    noise, noise_sd = (np.log(1e-2), 1.5) if noisy else (np.log(1e-6), 2.0)
    return Prior(
        mean=np.r_[np.full(columns, length), 0.0, noise],
        sd=np.r_[np.full(columns, 1.0), 1.0, noise_sd],
        low=np.r_[np.full(columns, -4.0), -4.0, np.log(1e-9)],
        high=np.r_[np.full(columns, 4.0), 4.0, np.log(2.0)],
    )


class Evidence:
    """How likely the values are under any numbers of the kernel.

    Args:
        points: float64, shape (n, columns), in the unit cube.
        extra: float64, shape (n,): variance of each value on top of the common noise, in warped units.
        prior: of the kernel's numbers.
    """

    def __init__(self, points: Float64, extra: Float64, prior: Prior) -> None:
        self.columns = points.shape[1]
        self.prior = prior
        self._extra = extra
        self._apart = differences(points)
        self._diagonal = np.arange(len(points)) * (len(points) + 1)

    def factor(self, numbers: Float64) -> tuple[Float64, Float64, Float64] | None:
        """Cholesky factor (n, n, lower), likeness and slope at these numbers; None: it has none."""
        n, d = len(self._extra), self.columns
        squares = np.exp(-2 * numbers[:d]) @ self._apart
        alike, slope = matern(squares.reshape(n, n))
        covariance = np.exp(numbers[d]) * alike + LEVEL
        covariance.ravel()[self._diagonal] += np.exp(numbers[d + 1]) + JITTER + self._extra
        lower, failed = lapack.dpotrf(covariance, lower=1, clean=1)
        return None if failed else (lower, alike, slope)

    def cost(self, numbers: Float64, values: Float64) -> tuple[float, Float64]:
        """Minus the log posterior density, up to a constant, and its gradient."""
        found = self.factor(numbers)
        if found is None:
            return 1e12, np.zeros_like(numbers)
        lower, alike, slope = found
        d, prior = self.columns, self.prior
        weights = lapack.dpotrs(lower, values, lower=1)[0]
        inverse = lapack.dpotri(lower, lower=1)[0]
        pull = np.outer(weights, weights)
        pull -= inverse + np.tril(inverse, -1).T
        away = (numbers - prior.mean) / prior.sd
        total = 0.5 * values @ weights + np.log(lower.diagonal()).sum() + 0.5 * away @ away
        gradient = np.empty_like(numbers)
        amplitude = np.exp(numbers[d])
        slope *= pull
        gradient[:d] = self._apart @ slope.ravel() * (-0.5 * amplitude * np.exp(-2 * numbers[:d]))
        gradient[d] = -0.5 * amplitude * np.vdot(pull, alike)
        gradient[d + 1] = -0.5 * np.exp(numbers[d + 1]) * pull.trace()
        return float(total), gradient + away / prior.sd

    def costs(self, many: Float64, values: Float64) -> Float64:
        """`cost` without the gradient for several sets of numbers: float64, shape (members,)."""
        totals = np.full(len(many), np.inf)
        for member, numbers in enumerate(many):
            found = self.factor(numbers)
            if found is not None:
                half = lapack.dtrtrs(found[0], values, lower=1)[0]
                away = (numbers - self.prior.mean) / self.prior.sd
                totals[member] = 0.5 * half @ half + np.log(found[0].diagonal()).sum() + 0.5 * away @ away
        return totals

    def mode(self, start: Float64, values: Float64, most: int) -> Float64:
        """The likeliest numbers near a start, in at most so many steps."""
        bounds = list(zip(self.prior.low, self.prior.high, strict=True))
        options: Any = {"maxiter": most, "maxcor": 8, "ftol": 1e-7, "gtol": 1e-3}
        found = minimize(
            self.cost, start, args=(values,), jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
        return np.asarray(found.x)

    def curvature(self, numbers: Float64) -> Float64:
        """Fisher information of the numbers plus the prior's precision: float64, square."""
        found = self.factor(numbers)
        precision = np.diag(self.prior.sd**-2.0)
        if found is None:
            return precision
        lower, alike, slope = found
        n, d = len(lower), self.columns
        inverse = lapack.dpotri(lower, lower=1)[0]
        inverse += np.tril(inverse, -1).T
        scales = np.exp(numbers[d] - 2 * numbers[:d])
        changes = np.empty((d + 2, n, n))
        np.multiply(self._apart.reshape(d, n, n), slope * scales[:, None, None], out=changes[:d])
        changes[d] = np.exp(numbers[d]) * alike
        changes[d + 1] = np.exp(numbers[d + 1]) * np.eye(n)
        moved = np.matmul(inverse, changes)
        rows = moved.reshape(d + 2, n * n)
        turned = moved.transpose(0, 2, 1).reshape(d + 2, n * n)
        information: Float64 = precision + 0.5 * rows @ turned.T
        return information


def fit_mode(evidence: Evidence, values: Float64, warp: Warp) -> tuple[Float64, Warp]:
    """The likeliest numbers, and the bend under which the values are likeliest.

    Args:
        evidence: of the points.
        values: float64, shape (n,): as measured.
        warp: the curve to start from.
    """
    prior = evidence.prior
    numbers = evidence.mode(prior.mean, warp(values), 8)
    found = evidence.factor(numbers)
    if found is not None and len(values) >= 5:
        curves = [warp.bent(values, bend) for bend in _BENDS]
        fits = [lapack.dtrtrs(found[0], curve(values), lower=1)[0] for curve in curves]
        # A bend must earn its place: 1.25 is what it is before anything is known (prior sd .5).
        scores = [
            curve.log_slopes(values) - 0.5 * half @ half - 2.0 * (curve.bend - 1.25) ** 2
            for curve, half in zip(curves, fits, strict=True)
        ]
        warp = curves[int(np.argmax(scores))]
    return evidence.mode(numbers, warp(values), 25), warp


def draw_ensemble(
    evidence: Evidence, numbers: Float64, values: Float64, members: int
) -> tuple[Float64, Float64]:
    """Numbers drawn around a mode, and their weights.

    Args:
        evidence: of the points.
        numbers: the mode.
        values: float64, shape (n,): warped.
        members: how many draws; the least likely ones are left out.

    Returns:
        float64, shape (kept, columns + 2), and float64, shape (kept,), adding up to 1.
    """
    information, turns = np.linalg.eigh(evidence.curvature(numbers))
    spread = turns / np.sqrt(np.maximum(information, 1e-3))
    half = generator(0, "ensemble", members, len(numbers)).standard_normal((members // 2, len(numbers)))
    standard = np.concatenate([half, -half])
    drawn = np.clip(numbers + standard @ spread.T, evidence.prior.low, evidence.prior.high)
    logs = -evidence.costs(drawn, values) + 0.5 * (standard**2).sum(1)
    weights = np.exp(logs - logs.max())
    weights = np.minimum(weights, weights.mean() * np.sqrt(members))
    weights /= weights.sum()
    kept = weights > 0.02 / members
    return drawn[kept], weights[kept] / weights[kept].sum()
