"""What the values probably are where nobody has looked: an exact Gaussian process, averaged over an ensemble.

Every member of the ensemble (`ensemble.py`) is a process of its own. Points whose value is still to come
make it surer of what is near them without changing what it expects (the kriging believer of Ginsbourger et
al. 2010, each member believing itself).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from matinee.core.types import Float64
from matinee.tune.ensemble import JITTER, LEVEL, Evidence, draw_ensemble, fit_mode, prior_of
from matinee.tune.kernel import matern, squared_distances
from matinee.tune.warp import Warp, warp_of


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the model is told.

    Attributes:
        points: float64, shape (n, columns), in the unit cube.
        values: float64, shape (n,), larger is better, finite.
        doubts: float64, shape (n,): standard deviation of each value beyond the common noise, in its own
            units; 0 for a finished trial, more for one whose end is only foretold.
        pending: float64, shape (p, columns): where values are still to come.
    """

    points: Float64
    values: Float64
    doubts: Float64
    pending: Float64


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """An ensemble of the kernel's numbers, and the curve that its values are seen through.

    Attributes:
        numbers: float64, shape (members, columns + 2): logarithms of lengths, amplitude, noise variance.
        weights: float64, shape (members,), adding up to 1.
        warp: the curve.
    """

    numbers: Float64
    weights: Float64
    warp: Warp


def extra_variance(warp: Warp, values: Float64, doubts: Float64) -> Float64:
    """The variance that a doubt is once warped: float64, shape (n,)."""
    extra = np.zeros(len(values))
    for row in np.flatnonzero(doubts > 0):
        extra[row] = warp.width(float(values[row]), float(doubts[row])) ** 2
    return np.minimum(extra, 1e4)


def fit_hyper(observed: Observed, *, noisy: bool, members: int = 12, bend: bool = True) -> Hyper:
    """The ensemble for these values."""
    values = observed.values
    warp = warp_of(values)
    extra = extra_variance(warp, values, observed.doubts)
    evidence = Evidence(observed.points, extra, prior_of(observed.points.shape[1], noisy))
    if bend:
        numbers, warp = fit_mode(evidence, values, warp)
    else:
        numbers = evidence.mode(evidence.prior.mean, warp(values), 30)
    drawn, weights = draw_ensemble(evidence, numbers, warp(values), members)
    return Hyper(numbers=drawn, weights=weights, warp=warp)


class Surrogate:
    """The model of one moment.

    Args:
        observed: what it is told.
        hyper: the ensemble.

    Attributes:
        hyper: the ensemble.
        lengths: float64, shape (members, columns).
    """

    def __init__(self, observed: Observed, hyper: Hyper) -> None:
        columns = observed.points.shape[1]
        self.hyper = hyper
        self.lengths = np.exp(hyper.numbers[:, :columns])
        self._amplitude = np.exp(hyper.numbers[:, columns])
        self._places = np.concatenate([observed.points, observed.pending])
        n, total = len(observed.points), len(self._places)
        values = hyper.warp(observed.values)
        noise = np.exp(hyper.numbers[:, columns + 1])[:, None] + JITTER + np.zeros(total)
        noise[:, :n] += extra_variance(hyper.warp, observed.values, observed.doubts)
        alike, _ = matern(squared_distances(self._places, self._places, self.lengths))
        alike *= self._amplitude[:, None, None]
        alike += LEVEL
        alike[:, np.arange(total), np.arange(total)] += noise
        self._inverse = np.empty_like(alike)
        self._weights = np.zeros((len(alike), total))
        for member, covariance in enumerate(alike):
            lower, failed = lapack.dpotrf(covariance, lower=1, clean=1)
            if failed:
                covariance[np.diag_indices(total)] += 1e-6
                lower, failed = lapack.dpotrf(covariance, lower=1, clean=1)
            self._inverse[member] = lapack.dtrtri(lower, lower=1)[0]
            first = self._inverse[member, :n, :n]
            self._weights[member, :n] = first.T @ (first @ values)
        self._prior = self._amplitude + LEVEL

    @property
    def size(self) -> int:
        """How many points it looks at."""
        return len(self._places)

    def predict(self, points: Float64) -> tuple[Float64, Float64]:
        """Mean and standard deviation, in warped units and without noise, for each member.

        Args:
            points: float64, shape (m, columns).

        Returns:
            Two arrays float64, shape (members, m).
        """
        alike, _ = matern(squared_distances(points, self._places, self.lengths))
        alike *= self._amplitude[:, None, None]
        alike += LEVEL
        means = np.matmul(alike, self._weights[:, :, None])[:, :, 0]
        half = np.matmul(self._inverse, alike.transpose(0, 2, 1))
        rest = self._prior[:, None] - np.einsum("knm,knm->km", half, half)
        return means, np.sqrt(np.maximum(rest, 1e-14))

    def slopes(self, point: Float64) -> tuple[Float64, Float64, Float64, Float64]:
        """Mean and standard deviation at one point, and their gradients.

        Args:
            point: float64, shape (columns,).

        Returns:
            Means and deviations, shape (members,); their gradients, shape (members, columns); float64.
        """
        apart = point - self._places
        inverse_squares = self.lengths**-2.0
        alike, slope = matern(inverse_squares @ (apart * apart).T)
        scale = self._amplitude[:, None]
        alike *= scale
        alike += LEVEL
        slope *= scale
        means = np.einsum("kn,kn->k", alike, self._weights)
        half = np.matmul(self._inverse, alike[:, :, None])
        back = np.matmul(half.transpose(0, 2, 1), self._inverse)[:, 0, :]
        deviations = np.sqrt(np.maximum(self._prior - (half[:, :, 0] ** 2).sum(1), 1e-14))
        mean_slopes = -((slope * self._weights) @ apart) * inverse_squares
        rest_slopes = 2 * ((slope * back) @ apart) * inverse_squares
        return means, deviations, mean_slopes, rest_slopes / (2 * deviations[:, None])
