"""Tests that may be looked at any day: evidence and intervals that hold at every stopping time at once.

Each witness brings one value between 0 and 1. Against a supposed mean m one bets on the values as they
come, at fair odds if m is right: a bet of share c on larger values multiplies the capital by 1 - c + c x / m,
one on smaller values by 1 - c + c (1 - x) / (1 - m). The capital of a mixture of such bets is a martingale if
the mean is m, so that it ever reaches 1 / alpha with a probability of alpha at most (Ville 1939): whoever
stops there, on whatever day, is wrong that rarely. All m that the capital has not ruled out are a confidence
sequence (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021; Waudby-Smith and Ramdas 2024, section 4).

The capital is convex in m, also in its logarithm, so that what is not ruled out is an interval. It depends on
how often each value came, not on the order: nothing but counts has to be kept.

A witness is whoever is independent of the others: a viewer, not a click; a round, not a title. It counts once
and keeps its value. Several clicks of one viewer, taken as several witnesses, say more than they know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from matinee.core.errors import InputError
from matinee.core.types import Bool, Float64

ALPHA = 0.05

# The shares that are bet: half an octave apart, for effects down to a few thousandths. The larger weigh more:
# what small bets find takes many witnesses, who make up for a small weight.
_SHARES = 0.98 * 2.0 ** (-np.arange(26) / 2)
_LOG_WEIGHTS = -2 * np.log(np.arange(26) + 1.0)
_LOG_WEIGHTS = _LOG_WEIGHTS - np.log(2 * np.exp(_LOG_WEIGHTS).sum())

_EDGE = 1e-9
_CLOSE = 1e-8
_NARROWINGS = 5
_GRID = 17


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How often each value came, of witnesses who each brought one.

    Attributes:
        values: float64, different values from 0 to 1.
        counts: float64, how many witnesses brought each, same shape.
    """

    values: Float64
    counts: Float64

    @property
    def witnesses(self) -> int:
        """How many there were."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Their mean; NaN where there were none."""
        return float(self.values @ self.counts / self.counts.sum()) if self.witnesses else math.nan


@dataclass(frozen=True, kw_only=True)
class Sequential:
    """What can be said now, and could have been said on any other day with the same right.

    Attributes:
        mean: the mean, or the difference or ratio of two; NaN without witnesses.
        low: where its interval starts.
        high: where its interval ends.
        evidence: the capital won against what was supposed (an e-value): 20 is worth p = .05.
        witnesses: how many there were, of two arms together.
        decided: whether what was supposed is ruled out.
    """

    mean: float
    low: float
    high: float
    evidence: float
    witnesses: int
    decided: bool

    @property
    def p(self) -> float:
        """The evidence as a p that may be looked at any day: 1 / evidence, at most 1."""
        return 1.0 / max(self.evidence, 1.0)


def tally(values: Sequence[float] | Float64) -> Tally:
    """Count values from 0 to 1, one a witness.

    Raises:
        InputError: a value is outside of 0 to 1, or no number.
    """
    array = np.asarray(values, dtype=np.float64)
    wrong = ~((array >= 0) & (array <= 1))
    if wrong.any():
        raise InputError(f"A witness brings a value from 0 to 1, found {array[wrong][0]}.")
    found, counts = np.unique(array, return_counts=True)
    return Tally(values=found, counts=counts.astype(np.float64))


def tally_hits(hits: int, trials: int) -> Tally:
    """Count witnesses who each said yes (a hit) or no.

    Raises:
        InputError: there are more hits than trials, or fewer than none.
    """
    if not 0 <= hits <= trials:
        raise InputError(f"Expected hits from 0 to the number of trials, found {hits} of {trials}.")
    return Tally(values=np.array([0.0, 1.0]), counts=np.array([trials - hits, hits], dtype=np.float64))


def mean_of(seen: Tally, *, against: float = 0.5, alpha: float = ALPHA) -> Sequential:
    """The mean of what witnesses brought, and the evidence that it is not `against`.

    Args:
        seen: their values.
        against: the mean that is supposed, above 0 and below 1.
        alpha: how often one may be wrong.

    Raises:
        InputError: `against` or `alpha` is not between 0 and 1.
    """
    _between("against", against)
    bar = _bar(alpha)
    if not seen.witnesses:
        return Sequential(mean=math.nan, low=0.0, high=1.0, evidence=1.0, witnesses=0, decided=False)

    def over(m: Float64) -> Bool:
        return _log_capitals(seen, m) >= bar

    won = _log_capital(seen, against)
    return Sequential(
        mean=seen.mean,
        low=_border(over, seen.mean, 0.0, _GRID),
        high=_border(over, seen.mean, 1.0, _GRID),
        evidence=_exp(won),
        witnesses=seen.witnesses,
        decided=won >= bar,
    )


def difference_of(a: Tally, b: Tally, *, alpha: float = ALPHA) -> Sequential:
    """How much larger b's mean is than a's, and the evidence that they are not the same.

    Capital is won in both arms at once: the product of the two is a martingale for the true pair of means in
    whatever order witnesses come to the arms. A difference is ruled out when every pair with it is.

    Args:
        a: what the witnesses of one arm brought.
        b: what those of the other brought.
        alpha: how often one may be wrong.

    Raises:
        InputError: `alpha` is not between 0 and 1.
    """
    bar = _bar(alpha)
    witnesses = a.witnesses + b.witnesses
    if not a.witnesses or not b.witnesses:
        return Sequential(mean=math.nan, low=-1.0, high=1.0, evidence=1.0, witnesses=witnesses, decided=False)
    mean, won = b.mean - a.mean, _least_capital(a, b, 0.0)

    def over(differences: Float64) -> Bool:
        return np.array([_least_capital(a, b, one) >= bar for one in differences])

    return Sequential(
        mean=mean,
        low=_border(over, mean, -1.0, 1),
        high=_border(over, mean, 1.0, 1),
        evidence=_exp(won),
        witnesses=witnesses,
        decided=won >= bar,
    )


def evidence_against(seen: Tally, against: float = 0.5) -> float:
    """The capital won against a supposed mean: reaching 1 / alpha rules it out. Cheaper than `mean_of`."""
    _between("against", against)
    return _exp(_log_capital(seen, against))


def _log_capital(seen: Tally, m: float) -> float:
    """The logarithm of what the mixture of all bets has made of 1, if the mean is supposed to be m."""
    return float(_log_capitals(seen, np.array([m]))[0])


def _log_capitals(seen: Tally, m: Float64) -> Float64:
    """The same for several supposed means: shape (means,)."""
    m = np.clip(m, _EDGE, 1 - _EDGE)[:, None]
    gains = np.stack([seen.values / m - 1, (1 - seen.values) / (1 - m) - 1], axis=1)
    won = np.log1p(_SHARES[:, None] * gains[:, :, None, :]) @ seen.counts + _LOG_WEIGHTS
    most = won.max(axis=(1, 2), keepdims=True)
    return np.asarray(most[:, 0, 0] + np.log(np.exp(won - most).sum(axis=(1, 2))), dtype=np.float64)


def _least_capital(a: Tally, b: Tally, difference: float) -> float:
    """The least capital over all pairs of means with this difference: convex, so a grid closes in on it."""
    left, right = max(0.0, -difference), min(1.0, 1.0 - difference)
    least = math.inf
    for _ in range(_NARROWINGS):
        grid = np.linspace(left, right, _GRID)
        capitals = _log_capitals(a, grid) + _log_capitals(b, grid + difference)
        best = int(capitals.argmin())
        least = min(least, float(capitals[best]))
        left, right = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, _GRID - 1)])
    return least


def _border(over: Callable[[Float64], Bool], inside: float, end: float, points: int) -> float:
    """Where what is ruled out begins, between a value that is not and the end of the range.

    Args:
        over: whether each of some values is ruled out: once one is, all towards the end are.
        inside: a value that is not.
        end: the end of the range.
        points: how many values are asked about at a time.
    """
    outside = end
    if not over(np.array([end]))[0]:
        return end
    while abs(outside - inside) > _CLOSE:
        grid = np.linspace(inside, outside, points + 2)
        first = 1 + int(np.argmax(np.append(over(grid[1:-1]), True)))
        inside, outside = float(grid[first - 1]), float(grid[first])
    return outside


def _bar(alpha: float) -> float:
    _between("alpha", alpha)
    return -math.log(alpha)


def _between(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} lies between 0 and 1, found {value}.")


def _exp(log: float) -> float:
    """As far as floats go: evidence beyond them is as good as endless."""
    return math.exp(min(log, 700.0))
