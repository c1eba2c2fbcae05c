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
# Curves are read off at these logarithms of the share of all steps.
_PLACES = np.linspace(math.log(1 / 1024), 0.0, 140)
# Below this chance of beating the best, a trial is stopped.
HOPELESS = 0.03


def share_done(trial: Trial) -> float | None:
    """How much of a trial's steps its curve covers, 0 to 1; None: nobody knows."""
    if not trial.curve or not trial.steps or trial.steps <= 0:
        return None
    return min(trial.curve[-1].step / trial.steps, 1.0)


class Whole:
    """The curves of done trials, read off at even places of the logarithm of their share.

    Args:
        trials: done ones; those without a curve are passed over.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        read = [(trial, _read_off(trial)) for trial in trials if trial.curve and trial.steps]
        self._values = np.array([values for _, values in read]).reshape(len(read), len(_PLACES))
        self._ends = np.array([trial.value for trial, _ in read], dtype=np.float64)

    def pairs(self, share: float) -> Float64:
        """What each curve was at a share of its steps, and where it ended: float64, shape (k, 2).

        Curves that began later than there are left out.
        """
        at = float(np.interp(math.log(share), _PLACES, np.arange(len(_PLACES))))
        low = min(int(at), len(_PLACES) - 2)
        values = self._values[:, low] + (at - low) * (self._values[:, low + 1] - self._values[:, low])
        known = np.isfinite(values)
        return np.column_stack([values[known], self._ends[known]])


def foretell(trial: Trial, whole: Whole) -> tuple[float, float] | None:
    """The final value of a trial and its standard deviation; None where its curve tells nothing.

    Args:
        trial: with a curve.
        whole: the curves of done trials.
    """
    share = share_done(trial)
    if share is None:
        return None
    now = trial.curve[-1].value
    table = whole.pairs(share)
    if len(table) < _ENOUGH:
        return _alone(trial, share, table)
    asked = min(len(table), max(_NEIGHBOURS, len(table) // 3))
    near = table[np.argsort(np.abs(table[:, 0] - now), kind="stable")[:asked]]
    gains = near[:, 1] - near[:, 0]
    middle = _middle(gains)
    reach = 3 * 1.4826 * _middle(np.abs(gains - middle))
    held = np.clip(gains, middle - reach, middle + reach) if reach > 0 else gains
    # A neighbour that stood further away says less.
    gap = _middle(np.abs(near[:, 0] - now))
    spread = float(held.std()) * math.sqrt(1 + 2 / asked) + 0.3 * gap * (1 - share)
    least = 0.02 * _middle(np.abs(table[:, 1] - _middle(table[:, 1]))) * (1 - share)
    return now + float(held.mean()), max(spread, least, 1e-12 * max(abs(now), 1.0))


def _middle(values: Float64) -> float:
    # numpy's median takes ten times as long for a handful of values.
    return float(np.sort(values)[len(values) // 2])


def chance_to_beat(foretold: tuple[float, float], mark: float) -> float:
    """The chance that a trial so foretold ends above a mark."""
    return float(ndtr((foretold[0] - mark) / foretold[1]))


def _read_off(trial: Trial) -> Float64:
    """A curve at `_PLACES`, not a number where it had not begun."""
    steps: Float64 = np.array([point.step for point in trial.curve], dtype=np.float64)
    values: Float64 = np.array([point.value for point in trial.curve], dtype=np.float64)
    shares = np.log(steps / float(trial.steps or 1.0))
    begun = shares[0] - math.log(2) <= _PLACES
    return np.where(begun, np.interp(_PLACES, shares, values), np.nan)


def _alone(trial: Trial, share: float, table: Float64) -> tuple[float, float]:
    values = np.array([point.value for point in trial.curve])
    logs = np.log([point.step for point in trial.curve])
    late = values[len(values) // 2 :], logs[len(values) // 2 :]
    rising = 0.0
    if len(late[0]) > 1 and late[1][-1] > late[1][0]:
        rising = float((late[0][-1] - late[0][0]) / (late[1][-1] - late[1][0]))
    # Curves flatten: half of what the slope promises.
    gain = 0.5 * rising * math.log(1 / share)
    doubt = abs(gain) + float(values.std()) + float(np.abs(table[:, 1] - table[:, 0]).max(initial=0.0))
    return float(values[-1]) + gain, max(doubt, 0.1 * abs(float(values[-1])), 1e-9)
