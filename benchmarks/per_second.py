"""Expected improvement per second, as Spearmint's paper describes it.

Snoek, Larochelle, Adams 2012, sections 3.2 and 3.3. Two Gaussian processes, one of the values and one of the
logarithm of what a run costs, each averaged over an ensemble of its hyperparameters; where runs are under way
the model is told where, not what. Chosen is the point of greatest expected improvement over expected cost.
The processes are those of `matinee.tune`; budget, learning curves and first settings by price are not in the
paper and not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr

from matinee.core.seeds import generator
from matinee.core.space import Space, draw
from matinee.core.types import Float64
from matinee.tune.space import Cube
from matinee.tune.surrogate import Observed, Surrogate, fit_hyper
from matinee.tune.trial import Suggestion, Trial

_STARTS = 10
_CANDIDATES, _NEAR, _ROUNDS = 2_000, 200, 4


class PerSecond:
    """EI per second, each run to its end."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed
        self.cube = Cube.of(space)

    def ask(self, trials: Sequence[Trial], _: float) -> Suggestion | None:
        """Settings for one more run."""
        random = generator(self.seed, "per second", len(trials) + 1)
        settings = draw(self.space, random)
        done = [trial for trial in trials if trial.value is not None]
        if len(trials) >= _STARTS and len(done) >= 2:
            settings = self.cube.decode(self._best(done, trials, random))
        return Suggestion(settings=settings, why="model", dollars=0.0, most_dollars=0.0)

    def keep_on(self, *_: Any) -> bool:
        """Always."""
        return True

    def _best(self, done: Sequence[Trial], trials: Sequence[Trial], random: np.random.Generator) -> Float64:
        values = np.array([float(trial.value) for trial in done if trial.value is not None])
        points = self._points(done)
        pending = self._points([trial for trial in trials if trial.state == "running"])
        model = _model(points, values, pending)
        logs = np.log([trial.dollars for trial in done])
        price = _model(points, logs, pending)
        best = float(model.hyper.warp(values).max())

        def rate(asked: Float64) -> Float64:
            improvement = _mean(model, _improvement(model, asked, best))
            return improvement - _log_cost(price, asked, logs)

        asked = np.concatenate([self.cube.draw(_CANDIDATES, random), points])
        for width in 0.2 * 0.4 ** np.arange(_ROUNDS):
            top = asked[int(np.argmax(rate(asked)))]
            near = top + random.normal(0.0, width, (_NEAR, self.cube.n))
            asked = np.concatenate([top[None], self.cube.snap(near.clip(0.0, 1.0))])
        return np.asarray(asked[int(np.argmax(rate(asked)))])

    def _points(self, trials: Sequence[Trial]) -> Float64:
        points = np.array([self.cube.encode(trial.settings) for trial in trials])
        return self.cube.snap(points.reshape(len(trials), self.cube.n))


def _model(points: Float64, values: Float64, pending: Float64) -> Surrogate:
    observed = Observed(points=points, values=values, doubts=np.zeros(len(values)), pending=pending)
    return Surrogate(observed, fit_hyper(observed, noisy=False))


def _improvement(model: Surrogate, points: Float64, best: float) -> Float64:
    """Of each member of the ensemble: float64, shape (members, points)."""
    means, deviations = model.predict(points)
    z = (means - best) / deviations
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return np.asarray(deviations * (density + z * ndtr(z)))


def _mean(model: Surrogate, improvement: Float64) -> Float64:
    return np.asarray(np.log(np.maximum(model.hyper.weights @ improvement, 1e-300)))


def _log_cost(model: Surrogate, points: Float64, seen: Float64) -> Float64:
    """The logarithm of what a run costs, expected; within two of what was seen."""
    means = model.hyper.weights @ model.predict(points)[0]
    logs = np.linspace(seen.min() - 2.0, seen.max() + 2.0, 1_000)
    return np.asarray(np.interp(means, model.hyper.warp(logs), logs))
