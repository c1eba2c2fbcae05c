"""What a whole run of some settings will cost, from what others have cost: dollars and how sure that is.

The logarithm of a run's dollars is a straight line in the columns of the space, and in the logarithms of
facts of the settings where a caller knows some (parameters, steps), plus a small Gaussian process for what
is not straight (log-linear models of cost foretell better than processes alone: Guinet et al. 2020). Both
together are one process with a linear and a Matern kernel; its few numbers are chosen by likelihood from a
small grid, so that a fit never fails. What a stopped or running trial cost by its last step is carried on to
all its steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.linalg import lapack

from matinee.core.types import Float64
from matinee.tune.kernel import matern, squared_distances
from matinee.tune.trial import Trial

# Standard deviation of a normal value that one in ten exceeds.
NINE_IN_TEN = 1.2816
_LEAST = 1e-12
# Logarithms are off by so much where a trial's cost was carried on from a part of its steps.
_CARRIED, _KILLED = 0.15, 0.5
_LINES, _BUMPS, _NOISES = (1.5, 12.0), (0.01, 0.3, 2.0), (1e-3, 0.03, 0.3)


def whole_dollars(trial: Trial) -> tuple[float, float] | None:
    """What a whole run of a trial costs and how far its logarithm may be off; None: nothing is known.

    What was paid twice, for nothing or to start a worker is left out: it is no property of the settings.
    """
    start = float(trial.facts.get("start_dollars", 0.0))
    paid = trial.dollars - trial.lost_dollars - start
    if trial.state == "done":
        return (max(paid, _LEAST), 0.0)
    if trial.curve and trial.steps and trial.state != "failed":
        last = trial.curve[-1]
        share = min(last.step / trial.steps, 1.0)
        by_then = last.dollars - start
        carried = max(min(by_then, paid) if paid > 0 else by_then, _LEAST) / share
        return (carried, _CARRIED * math.sqrt(1 / share))
    if trial.state == "failed" and 0 < trial.limit_dollars <= trial.dollars * 1.01:
        # It was killed at its limit: it would have cost more, nobody knows how much.
        return (1.5 * trial.dollars, _KILLED)
    return None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A fitted model of log dollars.

    Attributes:
        points: float64, shape (n, features): columns of the cube, then logarithms of facts, centred.
        columns: how many of the features are columns of the cube.
        centre: float64, shape (features,).
        scale: float64, shape (features,).
        mean: of log dollars.
        line: prior variance of each slope.
        bump: variance of what is not straight.
        noise: variance of the same settings' log dollars.
        inverse: float64, shape (n, n): of the Cholesky factor.
        weights: float64, shape (n,).
    """

    points: Float64
    columns: int
    centre: Float64
    scale: Float64
    mean: float
    line: float
    bump: float
    noise: float
    inverse: Float64
    weights: Float64

    def predict(self, features: Float64) -> tuple[Float64, Float64]:
        """Mean and standard deviation of log dollars of a whole run, the run's own noise included.

        Args:
            features: float64, shape (m, features).
        """
        placed = (features - self.centre) / self.scale
        alike = _alike(placed, self.points, self.line, self.bump)
        half = self.inverse @ alike.T
        own = self.line * (placed**2).sum(1) + self.bump + _LEVEL
        rest = np.maximum(own - (half**2).sum(0), 0.0)
        # The model's own numbers are in doubt while runs are few.
        doubt = 1 + 4 / len(self.points)
        return self.mean + alike @ self.weights, np.sqrt((rest + self.noise) * doubt)

    def at(self, points: Float64) -> Float64:
        """Mean log dollars where there are no facts but the columns: float64, shape (m,)."""
        return self.predict(points)[0]

    def slope(self, point: Float64) -> tuple[float, Float64]:
        """Mean log dollars at one point and its gradient in the columns."""
        placed = (point - self.centre) / self.scale
        gaps = placed - self.points
        squares = (gaps**2).sum(1)[None] / _length(len(point)) ** 2
        alike, slope = matern(squares)
        linear = self.line * (self.points @ placed) + _LEVEL
        value = self.mean + float((linear + self.bump * alike[0]) @ self.weights)
        pull = self.weights @ (self.line * self.points)
        pull = pull - self.bump * (slope[0] * self.weights) @ gaps / _length(len(point)) ** 2
        return value, pull / self.scale


_LEVEL = 4.0


def fit_cost(features: Float64, dollars: Sequence[tuple[float, float]], columns: int) -> Cost:
    """The model of some runs.

    Args:
        features: float64, shape (n, features), n at least 1.
        dollars: of each run, what it cost as a whole and how far its logarithm may be off.
        columns: how many of the features are columns of the cube.
    """
    logs = np.log(np.array([paid for paid, _ in dollars]))
    extra = np.array([off for _, off in dollars]) ** 2
    centre, scale = np.full(features.shape[1], 0.5), np.ones(features.shape[1])
    if features.shape[1] > columns:
        facts = features[:, columns:]
        centre[columns:] = facts.mean(0)
        scale[columns:] = np.maximum(2 * facts.std(0), 0.1)
    points = (features - centre) / scale
    mean = float(np.median(logs))
    best: tuple[float, tuple[float, float, float], Float64, Float64] | None = None
    lines = points @ points.T
    bumps, _ = matern(
        squared_distances(points, points, np.full((1, points.shape[1]), _length(points.shape[1])))[0]
    )
    for line, bump, noise in product(_LINES, _BUMPS, _NOISES):
        covariance = line * lines + bump * bumps + _LEVEL + np.diag(noise + extra)
        lower, failed = lapack.dpotrf(covariance, lower=1, clean=1)
        if failed:
            continue
        half = lapack.dtrtrs(lower, logs - mean, lower=1)[0]
        # Straight and nearly exact is what is believed first; each step away from it must pay.
        odds = 0.5 * half @ half + np.log(lower.diagonal()).sum() + 0.5 * _BUMPS.index(bump)
        if best is None or odds < best[0]:
            best = (float(odds), (line, bump, noise), lower, half)
    if best is None:
        raise ArithmeticError(f"No model of cost fits {len(logs)} runs of {logs.min():g} to {logs.max():g}.")
    _, (line, bump, noise), lower, half = best
    inverse = lapack.dtrtri(lower, lower=1)[0]
    return Cost(
        points=points,
        columns=columns,
        centre=centre,
        scale=scale,
        mean=mean,
        line=line,
        bump=bump,
        noise=noise,
        inverse=inverse,
        weights=inverse.T @ half,
    )


def _alike(points: Float64, others: Float64, line: float, bump: float) -> Float64:
    lengths = np.full((1, points.shape[1]), _length(points.shape[1]))
    alike, _ = matern(squared_distances(points, others, lengths)[0])
    return line * (points @ others.T) + bump * alike + _LEVEL


def _length(features: int) -> float:
    return 0.4 * math.sqrt(features)
