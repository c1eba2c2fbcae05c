"""BoTorch's log EI as a searcher, with the library's defaults; skipped where botorch is not installed.

One Gaussian process fitted by maximum a posteriori, qLogEI over the best value with runs under way as pending
points (Ament et al. 2023), each run to its end. Settings are points of this project's unit cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from matinee.core.seeds import generator
from matinee.core.space import Space
from matinee.core.types import Float64
from matinee.tune.space import Cube
from matinee.tune.trial import Suggestion, Trial

_STARTS, _RESTARTS, _RAW = 10, 8, 256


class BotorchSearch:
    """Log EI of one point at a time."""

    def __init__(self, space: Space, seed: int) -> None:
        self.seed, self.cube = seed, Cube.of(space)

    def ask(self, trials: Sequence[Trial], _: float) -> Suggestion | None:
        """Settings for one more run."""
        random = generator(self.seed, "botorch", len(trials) + 1)
        point = self.cube.draw(1, random)[0]
        done = [trial for trial in trials if trial.value is not None]
        if len(trials) >= _STARTS and len(done) >= 2:
            pending = self._points([trial for trial in trials if trial.state == "running"])
            values = np.array([[trial.value] for trial in done], dtype=np.float64)
            found = _highest(self._points(done), values, pending, int(random.integers(2**31)))
            point = self.cube.snap(found[None])[0]
        return Suggestion(settings=self.cube.decode(point), why="model", dollars=0.0, most_dollars=0.0)

    def keep_on(self, *_: Any) -> bool:
        """Always."""
        return True

    def _points(self, trials: Sequence[Trial]) -> Float64:
        points = np.array([self.cube.encode(trial.settings) for trial in trials])
        return points.reshape(len(trials), self.cube.n)


def _highest(points: Float64, values: Float64, pending: Float64, seed: int) -> Float64:
    """The point of the highest log EI: float64, shape (columns,)."""
    import torch
    from botorch.acquisition.logei import qLogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.optim import optimize_acqf
    from gpytorch.mlls import ExactMarginalLogLikelihood

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SingleTaskGP(torch.from_numpy(points), torch.from_numpy(values))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        awaited = torch.from_numpy(pending) if len(pending) else None
        gain = qLogExpectedImprovement(model, best_f=float(values.max()), X_pending=awaited)
        bounds = torch.tensor([[0.0], [1.0]], dtype=torch.float64).expand(2, points.shape[1])
        found, _ = optimize_acqf(gain, bounds, q=1, num_restarts=_RESTARTS, raw_samples=_RAW)
    return np.asarray(found.detach().numpy()[0], dtype=np.float64)
