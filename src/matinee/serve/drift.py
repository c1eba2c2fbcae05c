"""How far what is watched has moved from what was learnt: the Jensen-Shannon divergence of two shares.

Few events differ from any shares by chance alone, so two figures stand beside the divergence: its interval
when viewers are drawn anew, and what chance makes of just as many events of just as many viewers who are
drawn from what was learnt. Drift is what lies beyond that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matinee.core.seeds import generator
from matinee.core.statistics import Interval
from matinee.core.types import Float64, Int32, Int64

_DRAWS = 100
# Below these nothing is said: intervals over fewer viewers do not hold, and where chance alone comes to more
# than half of all that there can be, only another world would stand out.
FEWEST_EVENTS, FEWEST_VIEWERS = 200, 30
_MOST_CHANCE = 0.5


@dataclass(frozen=True, kw_only=True)
class Events:
    """Events of some viewers, as codes.

    Attributes:
        groups: int, shape (events,): what each is an event of: an item, a category.
        offsets: int64, shape (viewers + 1,): where each viewer's begin.
    """

    groups: Int32
    offsets: Int64

    def shares(self, n: int) -> Float64:
        """The share of each of n groups: float64, shape (n,)."""
        return _shares(self.groups, n)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far two shares are from each other.

    Attributes:
        divergence: Jensen-Shannon in bits, from 0 (the same) to 1 (nothing in common), with the interval over
            viewers.
        chance: what so few events would come to if nothing had changed: 95 of 100 times at most this.
        events: how many events were compared.
        viewers: how many viewers they are of.
    """

    divergence: Interval
    chance: float
    events: int
    viewers: int

    @property
    def enough(self) -> bool:
        """Whether so many events of so many viewers say anything."""
        many = self.events >= FEWEST_EVENTS and self.viewers >= FEWEST_VIEWERS
        return many and self.chance <= _MOST_CHANCE

    @property
    def drifted(self) -> bool:
        """Whether more has moved than chance moves; never where too little is known to tell."""
        return self.enough and self.divergence.mean > self.chance


def drift_of(now: Events, learnt: Events, n: int, *, seed: int = 0) -> Drift | None:
    """How far what viewers do now is from what was learnt; None where either holds nothing.

    Args:
        now: what happened since.
        learnt: what the model was fitted on.
        n: how many groups there are.
        seed: seed of the draws.
    """
    if not len(now.groups) or not len(learnt.groups):
        return None
    random = generator(seed, "drift")
    theirs = learnt.shares(n)
    found = divergence(now.shares(n), theirs)
    lengths = np.diff(now.offsets)
    lengths = lengths[lengths > 0]
    drawn, chance = np.empty(_DRAWS), np.empty(_DRAWS)
    for draw in range(_DRAWS):
        again = random.integers(0, len(lengths), len(lengths))
        drawn[draw] = divergence(_drawn_again(now, again, n), theirs)
        chance[draw] = divergence(_stretches(learnt, lengths, n, random), theirs)
    # Drawing again adds as much chance as there was: the draws lie too high by what the first draw did.
    drawn = np.maximum(0.0, drawn - (drawn.mean() - found))
    low, high = np.quantile(drawn, [0.025, 0.975])
    interval = Interval(mean=found, low=min(float(low), found), high=max(float(high), found))
    limit = float(np.quantile(chance, 0.95))
    return Drift(divergence=interval, chance=limit, events=len(now.groups), viewers=len(lengths))


def divergence(a: Float64, b: Float64) -> float:
    """The Jensen-Shannon divergence of two shares, in bits."""
    middle = (a + b) / 2
    return max(0.0, float(_entropy(middle) - (_entropy(a) + _entropy(b)) / 2))


def _entropy(shares: Float64) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())


def _drawn_again(events: Events, viewers: Int64, n: int) -> Float64:
    starts, lengths = events.offsets[:-1], np.diff(events.offsets)
    there = np.flatnonzero(lengths > 0)[viewers]
    return _shares_of(events, starts[there], lengths[there], n)


def _stretches(learnt: Events, lengths: Int64, n: int, random: np.random.Generator) -> Float64:
    """The shares of as many stretches of learnt histories, as long as those that happened now."""
    have = np.diff(learnt.offsets)
    known = np.flatnonzero(have > 0)
    viewers = known[random.integers(0, len(known), len(lengths))]
    taken = np.minimum(lengths, have[viewers])
    begin = learnt.offsets[viewers] + (random.random(len(viewers)) * (have[viewers] - taken + 1)).astype(int)
    return _shares_of(learnt, begin, taken, n)


def _shares_of(events: Events, starts: Int64, lengths: Int64, n: int) -> Float64:
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return _shares(events.groups[places], n)


def _shares(groups: Int32, n: int) -> Float64:
    counts = np.bincount(groups, minlength=n).astype(np.float64)
    return np.asarray(counts / max(counts.sum(), 1.0), dtype=np.float64)
