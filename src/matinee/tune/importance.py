"""How much each setting matters: the share of the value's variance over the space that it alone brings.

The model of the search stands in for the objective: total effects (Homma and Saltelli 1996) by Jansen's
estimator (1999), E[(f(a) - f(a with one setting of b))^2] / 2 Var f over pairs of random settings a and b, as
functional ANOVA does for hyperparameters (Hutter et al. 2014). Effects that settings have together count for
each of them, so that the shares may add up to more than 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matinee.core.seeds import generator
from matinee.core.space import Space
from matinee.core.types import Float64
from matinee.tune.known import look
from matinee.tune.space import Cube
from matinee.tune.surrogate import Surrogate, fit_hyper
from matinee.tune.trial import Trial

_PAIRS, _AT_ONCE = 1_024, 256
_MOST_POINTS = 200
# A model of fewer trials than these says what the prior says.
FEWEST = 8


def importance(space: Space, trials: Sequence[Trial], *, noisy: bool = False) -> dict[str, float]:
    """The total effect of each setting, the greatest first; empty where too few trials are done to tell.

    Args:
        space: what was searched.
        trials: of the study.
        noisy: whether the same settings give different values.
    """
    cube = Cube.of(space)
    done = [trial for trial in trials if trial.value is not None]
    if len(done) < FEWEST or not cube.n:
        return {}
    known = look(done, lambda trial: cube.snap(cube.encode(trial.settings)[None])[0], _MOST_POINTS, cube.n)
    if known is None:
        return {}
    model = Surrogate(known.observed, fit_hyper(known.observed, noisy=noisy))
    random = generator(0, "importance")
    one, other = (cube.draw(_PAIRS, random) for _ in range(2))
    before = _means(model, one)
    spread = float(np.var(np.concatenate([before, _means(model, other)])))
    found = {}
    for name, columns in cube.columns.items():
        moved = one.copy()
        moved[:, columns] = other[:, columns]
        change = before - _means(model, cube.snap(moved))
        found[name] = float(np.mean(change**2)) / 2.0 / spread if spread > 0 else 0.0
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _means(model: Surrogate, points: Float64) -> Float64:
    """What the ensemble expects, in warped units: float64, shape (points,)."""
    weights = model.hyper.weights
    parts = [
        weights @ model.predict(points[start : start + _AT_ONCE])[0]
        for start in range(0, len(points), _AT_ONCE)
    ]
    return np.concatenate(parts)
