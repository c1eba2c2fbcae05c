"""The first settings, before there is a model: spread over the space, cheap ones first once costs are known.

A sixth of the budget at most goes into them. Points come from a scrambled Sobol sequence; with three costs
known, of those points that lie far from what was tried the cheapest is next (cheap-first initial design, Lee
et al. 2020, CArBO).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import qmc

from matinee.core.seeds import generator
from matinee.core.types import Float64
from matinee.tune.propose import Places
from matinee.tune.trial import Trial

SHARE = 1 / 6
_OFFERED = 64


def how_many(columns: int, asked: int | None) -> int:
    """How many settings come before the model."""
    return asked if asked is not None else min(max(columns + 4, 5), 12)


def is_starting(trials: Sequence[Trial], columns: int, asked: int | None, total_dollars: float) -> bool:
    """Whether the next settings are still of the first ones.

    Args:
        trials: of the study.
        columns: of the cube.
        asked: how many first settings are wanted; None: by the number of columns.
        total_dollars: the budget, spent or not.
    """
    done = sum(trial.state == "done" for trial in trials)
    if done < 2:
        return True
    if len(trials) >= how_many(columns, asked):
        return False
    first = [trial for trial in trials if trial.why in ("start", "given")]
    paid = sum(max(trial.dollars, 0.0) for trial in first)
    return len(first) < 2 or paid + paid / len(first) <= SHARE * total_dollars


def offered(cube: Places, seed: int, trial_count: int) -> Float64:
    """Points of the sequence that come next: float64, shape (64, columns), snapped."""
    if cube.n == 0:
        return np.zeros((1, 0))
    sequence = qmc.Sobol(cube.n, rng=generator(seed, "start"))
    block = trial_count // _OFFERED
    if block:
        sequence.fast_forward(block * _OFFERED)
    return cube.snap(sequence.random(_OFFERED))


def next_first(points: Float64, tried: Float64, log_costs: Float64 | None) -> int:
    """Which of the offered points is next.

    Args:
        points: float64, shape (m, columns).
        tried: float64, shape (t, columns).
        log_costs: float64, shape (m,): foretold log dollars; None: too little is known of costs.
    """
    if not len(tried):
        return 0
    gaps = np.sqrt(((points[:, None] - tried[None]) ** 2).sum(-1)).min(1)
    if log_costs is None or float(np.ptp(log_costs)) < 0.1:
        return int(np.argmax(gaps > 0.5 * gaps.max()))
    far = np.flatnonzero(gaps >= 0.6 * gaps.max())
    return int(far[np.argmin(log_costs[far])])
