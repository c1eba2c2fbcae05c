"""Where a trial that has not ended will probably end, from how whole trials went on from the same place.

A stopped or running trial enters the model with its foretold final value and a doubt. The forecast pools the
whole curves: those that stood nearest to this one after the same share of their steps tell how much is
usually gained from there on (a regression on past curves, after Chandrashekaran and Lane 2017). Before three
whole curves are known, the curve is carried on along the logarithm of its steps, with a wide doubt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from matinee.core.types import Float64
from matinee.tune.trial import Trial

# How many whole curves a forecast needs, and how many neighbours it asks at least.
_ENOUGH, _NEIGHBOURS = 3, 4
# Below this chance of beating the best, a trial is stopped.
HOPELESS = 0.03


def share_done(trial: Trial) -> float | None:
    """How much of a trial's steps its curve covers, 0 to 1; None: nobody knows."""
    if not trial.curve or not trial.steps or trial.steps <= 0:
        return None
    return min(trial.curve[-1].step / trial.steps, 1.0)


def foretell(trial: Trial, whole: Sequence[Trial]) -> tuple[float, float] | None:
    """The final value of a trial and its standard deviation; None where its curve tells nothing.

    Args:
        trial: with a curve.
        whole: done trials; those without a curve are passed over.
    """
    share = share_done(trial)
    if share is None:
        return None
    now = trial.curve[-1].value
    pairs = [
        (at, float(other.value))
        for other in whole
        if (at := _value_at(other, share)) is not None and other.value is not None
    ]
    if len(pairs) < _ENOUGH:
        return _alone(trial, share, pairs)
    table = np.array(pairs)
    asked = min(len(table), max(_NEIGHBOURS, len(table) // 3))
    near = table[np.argsort(np.abs(table[:, 0] - now), kind="stable")[:asked]]
    gains = near[:, 1] - near[:, 0]
    middle = float(np.median(gains))
    reach = 3 * 1.4826 * float(np.median(np.abs(gains - middle)))
    held = np.clip(gains, middle - reach, middle + reach) if reach > 0 else gains
    # A neighbour that stood further away says less.
    gap = float(np.median(np.abs(near[:, 0] - now)))
    spread = float(held.std()) * math.sqrt(1 + 2 / asked) + 0.3 * gap * (1 - share)
    least = 0.02 * float(np.median(np.abs(table[:, 1] - np.median(table[:, 1])))) * (1 - share)
    return now + float(held.mean()), max(spread, least, 1e-12 * max(abs(now), 1.0))


def chance_to_beat(foretold: tuple[float, float], mark: float) -> float:
    """The chance that a trial so foretold ends above a mark."""
    return float(ndtr((foretold[0] - mark) / foretold[1]))


def _value_at(trial: Trial, share: float) -> float | None:
    """What a whole trial had reached after so much of its steps, between its points along log steps."""
    if not trial.curve or not trial.steps:
        return None
    steps: Float64 = np.array([point.step for point in trial.curve])
    values: Float64 = np.array([point.value for point in trial.curve])
    asked = share * trial.steps
    if asked < 0.5 * steps[0]:
        return None
    return float(np.interp(math.log(asked), np.log(steps), values))


def _alone(trial: Trial, share: float, pairs: list[tuple[float, float]]) -> tuple[float, float]:
    values = np.array([point.value for point in trial.curve])
    logs = np.log([point.step for point in trial.curve])
    late = values[len(values) // 2 :], logs[len(values) // 2 :]
    rising = 0.0
    if len(late[0]) > 1 and late[1][-1] > late[1][0]:
        rising = float((late[0][-1] - late[0][0]) / (late[1][-1] - late[1][0]))
    # Curves flatten: half of what the slope promises.
    gain = 0.5 * rising * math.log(1 / share)
    seen = [abs(end - at) for at, end in pairs]
    doubt = abs(gain) + float(values.std()) + max(seen, default=0.0)
    return float(values[-1]) + gain, max(doubt, 0.1 * abs(float(values[-1])), 1e-9)
