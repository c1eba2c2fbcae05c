"""What to try next, when to stop a trial, and which one was best: pure functions of the trials of a study.

A `Search` keeps points and fitted models of the trials it has seen; that never changes an answer, so that a
study which is replayed from its log suggests what it suggested before. The steps: settings that were given,
first settings (`start.py`), then the model (`known.py`, `surrogate.py`) and the choice (`decide.py`); in
noisy studies the last tenth of the budget runs the best three again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from matinee.core.seeds import generator
from matinee.core.space import Space
from matinee.core.types import Float64
from matinee.tune.acquisition import log_ei
from matinee.tune.chance import Chance
from matinee.tune.cost import NINE_IN_TEN, Cost, fit_cost, whole_dollars
from matinee.tune.curves import HOPELESS, Whole, chance_to_beat, foretell
from matinee.tune.decide import Chosen, Moment, best_rate, choose
from matinee.tune.known import Known, look
from matinee.tune.options import Options
from matinee.tune.space import Cube
from matinee.tune.start import is_starting, next_first, offered
from matinee.tune.surrogate import Hyper, Surrogate, fit_hyper
from matinee.tune.trial import Suggestion, Trial, Why
from matinee.tune.warp import Warp

_REPEAT_SHARE = 0.1
# With fewer known prices, a price is a guess.
_COSTS = 3
# A stopped trial that goes on must promise clearly more than one that is stopped.
_CLEARLY = 3.0
# The kernel's numbers are fitted on so many values at most; beyond so many they are kept for a while.
_FITTED, _PRICED, _EVERY = 90, 40, 40
_OLD_MODELS = 8
# Once so many trials are done, a trial is stopped too where its rest promises so many times less for its
# dollars than a new one; it may go on later.
_SETTLED, _FAR_LESS = 8, 8.0


class Search:
    """The search of one study.

    Args:
        space: what may be tried.
        options: how the search goes.
    """

    def __init__(self, space: Space, options: Options | None = None) -> None:
        self.options = options if options is not None else Options()
        self.cube = Cube.of(space)
        self._points: dict[int, tuple[Mapping[str, Any], Float64]] = {}
        self._hypers: dict[bytes, Hyper] = {}
        self._rates: dict[bytes, tuple[Warp, float]] = {}

    def suggest(
        self, trials: Sequence[Trial], left_dollars: float, *, seed: int, number: int
    ) -> Suggestion | None:
        """What to run next.

        Args:
            trials: of the study, in the order of their numbers.
            left_dollars: what is neither spent nor reserved.
            seed: of the study.
            number: of the trial to come; with the seed it names the randomness.

        Returns:
            None: nothing fits what is left, or nothing is worth its price.
        """
        if not left_dollars > 0 or (self.cube.n == 0 and any(trial.over for trial in trials)):
            return None
        cost, total = self._cost(trials), _total(trials, left_dollars)
        given = self._next_given(trials)
        if given is not None:
            found = self._suggestion(self._place(given), cost, left_dollars, "given", given)
            if found is not None:
                return found
        if is_starting(trials, self.cube.n, self.options.start, total):
            return self._first(trials, cost, left_dollars, seed)
        known = look(trials, self._point, self.options.most_points, self.cube.n)
        if known is None or self.cube.n == 0:
            return None
        moment = self._moment(known, cost)
        if self.options.noisy and left_dollars <= _REPEAT_SHARE * total:
            return self._again(trials, known, moment, left_dollars)
        return self._chosen(trials, known, moment, left_dollars, generator(seed, "suggest", number))

    def keep_on(self, trials: Sequence[Trial], number: int) -> bool:
        """Whether a running trial goes on after what it has just reported.

        It is stopped where its end has little chance of beating the best, and where the rest of it promises
        far less for its dollars than a new trial would.
        """
        whole = [trial for trial in trials if trial.state == "done" and trial.value is not None]
        trial = next((trial for trial in reversed(trials) if trial.number == number), None)
        if not self.options.early or trial is None or trial.repeats is not None or len(whole) < 3:
            return True
        foretold = foretell(trial, Whole(whole[-200:]))
        if foretold is None:
            return True
        best = max(float(other.value) for other in whole if other.value is not None)
        if chance_to_beat(foretold, best) < HOPELESS:
            return False
        rest = self._rest_dollars(trial)
        if not self.options.by_cost or len(whole) < _SETTLED or not rest > 0:
            return True
        warp, rate = self._rate(trials)
        mean, mark = warp(np.array([foretold[0], best]))
        promise = log_ei(mean, np.array(max(warp.width(*foretold), 1e-12)), mark)
        return float(promise) - math.log(rest) >= rate - math.log(_FAR_LESS)

    def best_of(self, trials: Sequence[Trial]) -> int | None:
        """The number of the best done trial; None: none is done.

        In noisy studies by posterior mean, all runs of the same settings joined; the number is that of
        the first of them.
        """
        done = [trial for trial in trials if trial.state == "done" and trial.value is not None]
        if not done:
            return None
        if not self.options.noisy or len(done) < 3:
            return max(done, key=lambda trial: (float(trial.value or 0.0), -trial.number)).number
        known = look(trials, self._point, self.options.most_points, self.cube.n)
        return self._ranked(known)[0].number if known is not None else None

    def _chosen(
        self,
        trials: Sequence[Trial],
        known: Known,
        moment: Moment,
        left_dollars: float,
        random: np.random.Generator,
    ) -> Suggestion | None:
        """A new point, or a stopped trial that goes on; None: nothing fits, or nothing is worth its price."""
        chosen = choose(moment, left_dollars, random, by_cost=self.options.by_cost)
        resumed = self._resumed(trials, known, moment, chosen, left_dollars)
        if resumed is not None:
            return resumed
        if chosen is None or self._not_worth(chosen, known, moment):
            return None
        return self._suggestion(chosen.point, moment.cost, left_dollars, "model", None)

    def _first(
        self, trials: Sequence[Trial], cost: Cost | None, left_dollars: float, seed: int
    ) -> Suggestion | None:
        points = offered(self.cube, seed, len(trials))
        tried = np.array([self._point(trial) for trial in trials]).reshape(len(trials), self.cube.n)
        logs = None
        if cost is not None and len(cost.points) >= 2:
            means, sds = cost.predict(self._features(points))
            fits = means + NINE_IN_TEN * sds <= math.log(left_dollars)
            if len(cost.points) >= _COSTS and fits.any():
                points, means = points[fits], means[fits]
            logs = means if self.options.by_cost else None
        at = next_first(points, tried, logs) if logs is not None else len(trials) % len(points)
        order = [at] if logs is None else [at, *np.argsort(logs, kind="stable").tolist()]
        asked = (self._suggestion(points[row], cost, left_dollars, "start", None) for row in order)
        return next((found for found in asked if found is not None), None)

    def _again(
        self, trials: Sequence[Trial], known: Known, moment: Moment, left_dollars: float
    ) -> Suggestion | None:
        """One of the best three with another seed: the one that was run least often."""
        runs = [trial.repeats or trial.number for trial in trials if trial.state != "failed"]
        best = sorted(self._ranked(known)[:3], key=lambda trial: runs.count(trial.number))
        for trial in best:
            found = self._suggestion(self._point(trial), moment.cost, left_dollars, "repeat", trial.settings)
            if found is not None:
                return Suggestion(
                    settings=found.settings,
                    why="repeat",
                    repeats=trial.number,
                    dollars=found.dollars,
                    most_dollars=found.most_dollars,
                )
        return None

    def _ranked(self, known: Known) -> list[Trial]:
        """Done trials, one of each setting, best posterior mean first."""
        model = self._surrogate(known)
        means = model.hyper.weights @ model.predict(known.observed.points[: len(known.done)])[0]
        first = {trial.number: trial for trial in known.done}
        ranked: dict[int, Trial] = {}
        for row in np.argsort(-means, kind="stable"):
            trial = known.done[row]
            origin = first.get(trial.repeats, trial) if trial.repeats is not None else trial
            ranked.setdefault(origin.number, origin)
        return list(ranked.values())

    def _resumed(
        self,
        trials: Sequence[Trial],
        known: Known,
        moment: Moment,
        chosen: Chosen | None,
        left_dollars: float,
    ) -> Suggestion | None:
        """The stopped trial whose rest promises more for its dollars than any new one."""
        stopped = [trial for trial in trials if trial.state == "stopped" and trial.number in known.foretold]
        rest = [self._rest_dollars(trial) for trial in stopped]
        rows = [
            row
            for row, trial in enumerate(stopped)
            if 0 < rest[row] <= left_dollars
            if chance_to_beat(known.foretold[trial.number], known.best) >= _CLEARLY * HOPELESS
        ]
        if not rows:
            return None
        promise = moment.worth().at(np.array([self._point(stopped[row]) for row in rows]))
        rates = promise - np.log([rest[row] for row in rows])
        at = int(np.argmax(rates))
        if chosen is not None and rates[at] <= chosen.log_rate:
            return None
        trial, dollars = stopped[rows[at]], rest[rows[at]]
        return Suggestion(
            settings=trial.settings,
            why=trial.why,
            repeats=trial.repeats,
            dollars=dollars,
            most_dollars=min(1.2 * dollars, left_dollars),
            resumes=trial.number,
        )

    def _rest_dollars(self, trial: Trial) -> float:
        whole = whole_dollars(trial)
        return 0.0 if whole is None else max(whole[0] - (trial.dollars - trial.lost_dollars), 1e-12)

    def _not_worth(self, chosen: Chosen, known: Known, moment: Moment) -> bool:
        asked = self.options.gain_per_dollar
        if asked is None or moment.cost is None:
            return False
        slope = moment.model.hyper.warp.slope(known.best)
        return math.exp(chosen.log_rate) / slope < asked

    def _suggestion(
        self,
        point: Float64,
        cost: Cost | None,
        left_dollars: float,
        why: Why,
        settings: Mapping[str, Any] | None,
    ) -> Suggestion | None:
        """A suggestion with its price; None: it does not fit what is left."""
        dollars, most = left_dollars / max(self.options.workers, 2), left_dollars
        if cost is not None:
            logs, sds = cost.predict(self._features(point[None]))
            dollars = math.exp(min(float(logs[0]), 700.0))
            most = math.exp(min(float(logs[0] + NINE_IN_TEN * sds[0]), 700.0))
            # After one or two runs any price is a guess: only what has next to no chance to fit is left.
            guess = math.exp(min(float(logs[0] - NINE_IN_TEN * sds[0]), 700.0))
            if (most if len(cost.points) >= _COSTS else guess) > left_dollars:
                return None
        chosen = self.cube.decode(point) if settings is None else settings
        dollars, most = min(dollars, left_dollars), min(most, left_dollars)
        return Suggestion(settings=chosen, why=why, dollars=dollars, most_dollars=most)

    def _next_given(self, trials: Sequence[Trial]) -> Mapping[str, Any] | None:
        count = sum(trial.why == "given" for trial in trials)
        return self.options.given[count] if count < len(self.options.given) else None

    def _moment(self, known: Known, cost: Cost | None) -> Moment:
        model = self._surrogate(known)
        n = len(known.done)
        values = known.observed.values[:n]
        seen, _ = model.predict(np.concatenate([known.observed.points[:n], known.observed.pending]))
        # Without noise the best value stands; with it, what the best is believed to be.
        marks = np.full(len(seen), float(model.hyper.warp(np.array([known.best]))[0]))
        if self.options.noisy:
            marks = seen[:, :n].max(1)
        if len(known.observed.pending):
            marks = np.maximum(marks, seen[:, n:].max(1))
        return Moment(
            cube=self.cube,
            model=model,
            marks=marks,
            taken=np.concatenate([known.observed.points, known.ended, known.observed.pending]),
            pending=known.observed.pending,
            tops=known.observed.points[np.argsort(-values, kind="stable")[:3]],
            chance=Chance(known.ended, known.failed) if known.failed.any() else None,
            cost=cost,
            features=self._features,
            simple=self.options.facts is None,
        )

    def _rate(self, trials: Sequence[Trial]) -> tuple[Warp, float]:
        """The highest log EI per dollar of a new trial, for all that has ended."""
        over = [trial for trial in trials if trial.over]
        told = [(trial.number, trial.dollars, trial.value or 0.0) for trial in over]
        key = hashlib.blake2b(np.array(told).tobytes()).digest()
        if key not in self._rates:
            self._rates.clear()
            known = look(over, self._point, self.options.most_points, self.cube.n)
            if known is None:
                raise ValueError("No trial is done: there is nothing that a rate could be measured by.")
            moment = self._moment(known, self._cost(over))
            self._rates[key] = (moment.model.hyper.warp, best_rate(moment, generator(0, "rate", len(over))))
        return self._rates[key]

    def _surrogate(self, known: Known) -> Surrogate:
        rows = len(known.observed.points) + len(known.observed.pending)
        return Surrogate(known.observed, self._hyper(known, 12 if rows <= 120 else 4))

    def _hyper(self, known: Known, members: int) -> Hyper:
        """The ensemble for these values, or for the first of them where only a few are newer."""
        told = known.settled
        rows = len(told.values)
        if rows > _EVERY:
            rows = _EVERY + (rows - _EVERY) // _gap(rows) * _gap(rows)
        asked = np.arange(rows)
        if rows > _FITTED:
            best = np.argsort(-told.values[:rows], kind="stable")[: _FITTED // 3]
            spread = np.linspace(0, rows - 1, 2 * _FITTED // 3).astype(np.int64)
            asked = np.unique(np.concatenate([best, spread]))
        told = replace(told, points=told.points[asked], values=told.values[asked], doubts=told.doubts[asked])
        words = (told.points, told.values, told.doubts, np.array([members]))
        key = hashlib.blake2b(b"".join(word.tobytes() for word in words)).digest()
        if key not in self._hypers:
            while len(self._hypers) >= _OLD_MODELS:
                del self._hypers[next(iter(self._hypers))]
            self._hypers[key] = fit_hyper(told, noisy=self.options.noisy, members=members)
        return self._hypers[key]

    def _cost(self, trials: Sequence[Trial]) -> Cost | None:
        told = [
            (trial, paid) for trial in trials[-4 * _PRICED :] if (paid := whole_dollars(trial)) is not None
        ]
        told = told[-_PRICED:]
        if not told or (self.cube.n == 0 and not self.options.facts):
            return None
        points = np.array([self._point(trial) for trial, _ in told])
        return fit_cost(self._features(points), [paid for _, paid in told], self.cube.n)

    def _features(self, points: Float64) -> Float64:
        if self.options.facts is None:
            return points
        facts = [self.options.facts(self.cube.decode(point)) for point in points]
        logs = [[math.log(max(float(row[name]), 1e-300)) for name in sorted(row)] for row in facts]
        return np.concatenate([points, np.array(logs)], axis=1)

    def _point(self, trial: Trial) -> Float64:
        kept = self._points.get(trial.number)
        if kept is None or kept[0] is not trial.settings:
            if kept is not None and kept[0] == trial.settings:
                return kept[1]
            kept = (trial.settings, self._place(trial.settings))
            self._points[trial.number] = kept
        return kept[1]

    def _place(self, settings: Mapping[str, Any]) -> Float64:
        point: Float64 = self.cube.snap(self.cube.encode(settings)[None])[0]
        return point


def suggest(
    space: Space,
    trials: Sequence[Trial],
    left_dollars: float,
    *,
    seed: int,
    number: int,
    options: Options | None = None,
) -> Suggestion | None:
    """`Search.suggest` of a search that is used once."""
    return Search(space, options).suggest(trials, left_dollars, seed=seed, number=number)


def keep_on(space: Space, trials: Sequence[Trial], number: int, *, options: Options | None = None) -> bool:
    """`Search.keep_on` of a search that is used once."""
    return Search(space, options).keep_on(trials, number)


def best_of(space: Space, trials: Sequence[Trial], *, options: Options | None = None) -> int | None:
    """`Search.best_of` of a search that is used once."""
    return Search(space, options).best_of(trials)


def _total(trials: Sequence[Trial], left_dollars: float) -> float:
    """The budget as it was: what is left, what is spent, and what is reserved."""
    reserved = sum(
        max(trial.limit_dollars - trial.dollars, 0.0)
        for trial in trials
        if trial.state in ("running", "waiting")
    )
    return left_dollars + reserved + sum(trial.dollars for trial in trials)


def _gap(rows: int) -> int:
    """After how many new values the kernel's numbers are fitted again: a twentieth of them."""
    return max(rows // 20, 1)
