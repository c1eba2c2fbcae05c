"""Which point comes next, once there is a model: what it promises against what it costs.

Without regard to cost the choice is the highest log EI. With it, the choice is the highest Gittins index at
a rate at which the best point is worth one and a half times its price: near to EI per dollar, but a dear
point that promises much is not passed over for ever (Xie et al. 2024: EI per cost can do arbitrarily badly).
Costs count only where they are foretold to differ, and a share of the money always goes to the points of
plain EI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from matinee.core.types import Bool, Float64
from matinee.tune.acquisition import Worth, averaged, highest_index, log_ei
from matinee.tune.chance import Chance
from matinee.tune.cost import NINE_IN_TEN, Cost
from matinee.tune.propose import Places, apart, candidates, climb
from matinee.tune.surrogate import Surrogate

# Log costs that differ by less (standard deviation over the space) are all the same.
_SPREAD = 0.25
# A point must be worth so many times its price at the rate that is asked.
_TIMES = 1.5
# The search is finer while the model looks at so few points: its slopes are cheap then.
_FEW = 130
# Two workers this near to each other (the largest difference of a column) would learn the same thing.
_APART = 0.01
# This share of the money goes to the points of plain EI.
PLAIN = 0.15


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What is known when a point is chosen.

    Attributes:
        cube: the space.
        model: of values.
        marks: float64, shape (members,): what is to be beaten, in warped units.
        taken: float64, shape (k, columns): points that were tried, or are being tried.
        pending: float64, shape (p, columns): those of them that have not ended.
        tops: float64, shape (t, columns): the best points so far.
        chance: that a trial does not fail; None: none has failed.
        cost: of dollars; None: nothing is known of them.
        features: from points (m, columns) to what the cost model reads.
        simple: whether the features are the columns alone.
    """

    cube: Places
    model: Surrogate
    marks: Float64
    taken: Float64
    pending: Float64
    tops: Float64
    chance: Chance | None
    cost: Cost | None
    features: Callable[[Float64], Float64]
    simple: bool

    def worth(self, marks: Float64 | None = None, price: Cost | None = None) -> Worth:
        """Log EI over marks; None: over what is to be beaten."""
        return Worth(self.model, self.marks if marks is None else marks, self.chance, price)

    def log_dollars(self, points: Float64) -> tuple[Float64, Float64]:
        """Mean and standard deviation of log dollars of some points; zeros where nothing is known."""
        if self.cost is None:
            return np.zeros(len(points)), np.zeros(len(points))
        return self.cost.predict(self.features(points))

    def lengths(self) -> Float64:
        """How far a change of each column matters: float64, shape (columns,)."""
        logs = np.log(self.model.lengths)
        lengths: Float64 = np.exp(self.model.hyper.weights @ logs)
        return lengths


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A point and what it promises.

    Attributes:
        point: float64, shape (columns,).
        log_ei: its log EI over what is to be beaten, in warped units.
        log_rate: the highest log EI per dollar of any point that was looked at.
    """

    point: Float64
    log_ei: float
    log_rate: float


def choose(
    moment: Moment, left_dollars: float, random: np.random.Generator, *, by_cost: bool
) -> Chosen | None:
    """The next point; None: no point fits what is left.

    Args:
        moment: what is known.
        left_dollars: what the point may cost, with nine chances in ten.
        random: the stream to draw from.
        by_cost: whether costs count beyond that.
    """
    points = _looked_at(moment, left_dollars, random)
    if not len(points):
        return None
    logs, _ = moment.log_dollars(points)
    means, sds = moment.model.predict(points)
    weights = moment.model.hyper.weights
    sure = moment.chance.at(points) if moment.chance is not None else np.zeros(len(points))
    promise = averaged(log_ei(means, sds, moment.marks[:, None]), weights) + sure
    rate = float((promise - logs).max())
    far, _ = moment.log_dollars(moment.cube.draw(64, random))
    worth, scores = moment.worth(), promise
    if by_cost and float(np.std(far)) >= _SPREAD:
        row, index = highest_index(means, sds, weights, rate - np.log(_TIMES) + logs - sure)
        plain, cheap = np.exp(logs[[int(np.argmax(promise)), row]])
        if random.random() >= PLAIN * cheap / (PLAIN * cheap + (1 - PLAIN) * plain):
            mark = np.maximum(moment.marks, index)
            worth = moment.worth(mark, moment.cost if moment.simple else None)
            scores = averaged(log_ei(means, sds, mark[:, None]), weights) + sure - logs
    return _best(moment, worth, points, scores, rate, left_dollars)


def best_rate(moment: Moment, random: np.random.Generator) -> float:
    """The highest log EI per dollar of some candidates."""
    points = candidates(moment.cube, moment.tops, moment.lengths(), 128, random)
    return float((moment.worth().at(points) - moment.log_dollars(points)[0]).max())


def _looked_at(moment: Moment, left_dollars: float, random: np.random.Generator) -> Float64:
    """Candidates that fit what is left and that nobody has tried: float64, shape (m, columns)."""
    many = 256 if moment.model.size <= _FEW else 128
    points = candidates(moment.cube, moment.tops, moment.lengths(), many, random)
    points = points[_allowed(moment, points, left_dollars)]
    if moment.cube.free.all() or not len(points):
        return points
    gaps = np.abs(points[:, None] - moment.taken[None]).max(-1).min(1)
    untried: Float64 = points[gaps > 1e-9]
    return untried


def affordable(moment: Moment, points: Float64, left_dollars: float) -> Bool:
    """Which points cost no more than what is left, with nine chances in ten: bool, shape (m,)."""
    if moment.cost is None:
        return np.ones(len(points), dtype=np.bool_)
    logs, sds = moment.log_dollars(points)
    return np.asarray(logs + NINE_IN_TEN * sds <= np.log(max(left_dollars, 1e-300)))


def _allowed(moment: Moment, points: Float64, left_dollars: float) -> Bool:
    """Which points fit what is left and are not where somebody is looking just now: bool, shape (m,)."""
    fits = affordable(moment, points, left_dollars)
    if len(moment.pending):
        fits &= np.abs(points[:, None] - moment.pending[None]).max(-1).min(1) > _APART
    return fits


def _best(
    moment: Moment, worth: Worth, points: Float64, scores: Float64, rate: float, left_dollars: float
) -> Chosen:
    few = moment.model.size <= _FEW
    starts = apart(points, scores, moment.lengths(), 3 if few else 2)
    reached, heights = climb(worth, starts, moment.cube, 25 if few else 10)
    fits = _allowed(moment, reached, left_dollars)
    point = reached[np.argmax(np.where(fits, heights, -np.inf))] if fits.any() else starts[0]
    promise = float(moment.worth().at(point[None])[0])
    logs, _ = moment.log_dollars(point[None])
    return Chosen(point=point, log_ei=promise, log_rate=max(rate, promise - float(logs[0])))
