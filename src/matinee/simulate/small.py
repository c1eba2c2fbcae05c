"""Two small logs for tests: viewers who can be predicted, and viewers who cannot."""

from __future__ import annotations

from matinee.data.log import InteractionLog
from matinee.simulate.options import SimulationOptions
from matinee.simulate.tables import simulate_log


def predictable(seed: int = 0) -> InteractionLog:
    """600 viewers of 200 items who mostly follow on from what they watched: learners beat popularity."""
    return simulate_log(_small(0.8, seed))


def patternless(seed: int = 0) -> InteractionLog:
    """600 viewers of 200 items who all draw from one popularity: no learner can beat popularity."""
    return simulate_log(_small(0.0, seed))


def _small(predictability: float, seed: int) -> SimulationOptions:
    return SimulationOptions(viewers=600, items=200, events=15_000, predictability=predictability, seed=seed)
