"""The loop of a study: ask, lease, watch, take note; the budget is looked at before anything is begun.

Before a trial is begun, what it may cost at most is reserved, and nothing is begun that spent and reserved
dollars leave no room for. A trial that comes near its limit gets more where there is room, up to a point;
elsewhere it is ended before its limit, so what is spent never passes the budget.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

from matinee.core.seeds import generator
from matinee.tune.budget import Budget
from matinee.tune.executor import Executor, Heard
from matinee.tune.local import Limits
from matinee.tune.recorder import Recorder, clear_trial, trial_folder
from matinee.tune.study import Study
from matinee.tune.trial import Suggestion, Trial
from matinee.tune.worker import Job, read_result

_TICK_S = 0.2
_TELL_S = 1.0
# How far a limit may be raised: so many times the first one, or that share of all there is.
_RAISE, _TIMES, _SHARE = 1.5, 4.0, 0.1
# Deaths in a row without anything kept, after which a trial is given up.
_DEATHS = 5
# How long trials have to give way when the study is stopped.
_GIVE_WAY_S = 10.0
_EXTERNAL = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# How a trial that gave way ended, by why it did.
_GAVE_WAY = {
    "time": ("preempted", "The time was up."),
    "interrupt": ("preempted", "The study was stopped."),
    "search": ("stopped", "The search stopped it early."),
    "": ("stopped", "It stopped by itself."),
}


class Searches(Protocol):
    """Who suggests what to run: a pure function of the trials."""

    def suggest(
        self, trials: Sequence[Trial], left_dollars: float, *, seed: int, number: int
    ) -> Suggestion | None:
        """What to run as trial `number`; None: nothing is worth its price."""

    def keep_on(self, trials: Sequence[Trial], number: int) -> bool:
        """Whether a trial that has just reported may go on."""

    def best_of(self, trials: Sequence[Trial]) -> int | None:
        """The number of the best trial."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a coordinator keeps to.

    Attributes:
        budget: what may be spent.
        folder: the study's.
        limits: what a trial may take.
        start_s: how long a worker may take to start.
        closing_s: what is kept back of a budget of time for choosing the best.
        seed: of the study's randomness.
        steps: how many steps a whole trial takes; None: nobody knows.
        region: whose study it is; None: there is one.
        tell: called about once a second, and when a trial ends.
        should_stop: asked often; once it says yes, trials give way and the study stops.
    """

    budget: Budget
    folder: Path
    limits: Limits
    start_s: float = 5.0
    closing_s: float = 0.0
    seed: int = 0
    steps: float | None = None
    region: str | None = None
    tell: Callable[[Study], None]
    should_stop: Callable[[], bool]


class Coordinator:
    """Runs a study to its end.

    Args:
        terms: what it keeps to.
        recorder: where it writes everything down.
        executor: who runs the trials.
        search: who suggests them.
    """

    def __init__(self, terms: Terms, recorder: Recorder, executor: Executor, search: Searches) -> None:
        self._terms, self._recorder, self._executor, self._search = terms, recorder, executor, search
        self._study = recorder.study
        self._first_limits: dict[int, float] = {}
        self._told = float("-inf")
        # A suggestion that there was no room for; it is asked again when something has ended.
        self._full = self._worthless = False
        # Seconds of asking that no event has told of yet.
        self._asked_s = 0.0

    def run(self) -> None:
        """Go on until the budget is spent, nothing is worth its price, or somebody says stop.

        Raises:
            SettingsError: the objective cannot be run at all.
        """
        state, reason = "stopped", "It broke off."
        try:
            while not self._terms.should_stop():
                self._fill()
                if not self._study.running:
                    state, reason = "done", self._why_done()
                    break
                self._listen(_TICK_S)
            else:
                reason = "It was told to stop."
        finally:
            self._end_running(patient=reason != "It broke off.")
            best = self._search.best_of(self._study.trials)
            self._recorder.note("closed", state=state, reason=reason, best=best)
            self._terms.tell(self._study)

    def _fill(self) -> None:
        """Begin trials while there are slots, time and money."""
        while len(self._study.running) < self._executor.slots and not self._full and self._time_left():
            waiting = next(iter(self._study.waiting), None)
            if waiting is not None:
                trial = self._study.trial(waiting)
                # What was lost is none of its doing.
                limit = max(trial.limit_dollars + trial.lost_dollars - trial.dollars, self._floor())
                self._full = not self._lease(waiting, limit, limit / 2)
            elif not self._begin_next():
                return

    def _begin_next(self) -> bool:
        """Ask what is next and begin it; False: there is nothing, or no room for it."""
        number = len(self._study) + 1
        left = self._left()
        if self._worthless or left <= self._floor():
            self._full = True
            return False
        began = monotonic()
        found = self._search.suggest(self._study.trials, left, seed=self._terms.seed, number=number)
        self._asked_s += monotonic() - began
        if found is None:
            self._worthless = self._full = True
            return False
        # While nobody knows what a trial costs, one does not keep the others from beginning.
        share = left / (self._executor.slots - len(self._study.running))
        most = min(found.most_dollars, max(found.dollars, share))
        limit, enough = self._room(max(most, self._floor()), found.dollars)
        if not enough:
            self._full = True
            return False
        asked_s, self._asked_s = self._asked_s, 0.0
        asked = asked_s * self._executor.price_per_s
        if found.resumes is not None:
            return self._lease(found.resumes, limit, found.dollars, asked)
        self._recorder.note(
            "created",
            number,
            settings=dict(found.settings),
            seed=int(generator(self._terms.seed, "trial", number).integers(2**31)),
            why=found.why,
            repeats=found.repeats,
            steps=self._terms.steps,
            region=self._terms.region,
            seconds=asked_s,
            dollars=asked,
        )
        return self._lease(number, limit, found.dollars)

    def _room(self, limit: float, probable: float) -> tuple[float, bool]:
        """What of a limit there is room for, and whether that is enough to begin."""
        left = self._study.ledger.left_dollars
        if limit <= left:
            return limit, True
        # Others still run and may leave something; the last one takes what there is.
        return left, not self._study.running and left >= max(probable, self._floor())

    def _lease(self, number: int, limit: float, probable: float, asked: float = 0.0) -> bool:
        """Reserve what an attempt may cost, and begin it; False: there is no room for it."""
        limit, enough = self._room(limit, probable)
        if not enough:
            return False
        trial = self._study.trial(number)
        self._first_limits[number] = limit
        self._recorder.note(
            "leased",
            number,
            attempt=trial.attempts + 1,
            limit_dollars=trial.dollars + limit,
            asking_dollars=asked,
        )
        job = Job(
            number=number,
            attempt=trial.attempts + 1,
            settings=trial.settings,
            seed=trial.seed,
            repeats=trial.repeats,
            folder=str(trial_folder(self._terms.folder, number).absolute()),
        )
        self._executor.start(job, limit)
        return True

    def _listen(self, timeout_s: float) -> None:
        """Take note of what happened, and see to what goes on."""
        ended = False
        for heard in self._executor.hear(timeout_s):
            ended |= self._take(heard)
        self._recorder.beat()
        for number in self._study.running:
            self._extend(number)
        now = monotonic()
        if ended or now - self._told >= _TELL_S:
            self._told = now
            self._terms.tell(self._study)

    def _take(self, heard: Heard) -> bool:
        """Take note of one thing; whether a trial has ended."""
        number, attempt = heard.number, self._study.attempt(heard.number)
        cost = {"seconds": heard.seconds, "dollars": heard.dollars}
        kept = heard.kept_dollars
        if heard.kind in ("reported", "told", "alive"):
            if kept is not None and kept > attempt.kept_dollars:
                self._recorder.note("checkpointed", number, kept_dollars=kept, **cost)
            if heard.kind == "told":
                self._recorder.note("told", number, facts=dict(heard.facts))
            if heard.kind == "reported":
                self._recorder.note("reported", number, step=heard.step, value=heard.value, **cost)
                if not self._search.keep_on(self._study.trials, number):
                    self._executor.stop(number, "search")
            return False
        ended, more = self._ending(heard)
        if kept is not None:
            more["kept_dollars"] = kept
        self._recorder.note(ended, number, **cost, **more)
        if ended in ("finished", "failed"):
            clear_trial(self._terms.folder, number)
        self._full = self._worthless = False
        return True

    def _ending(self, heard: Heard) -> tuple[str, dict[str, object]]:
        """The event that says how a trial ended, and what it says beside the cost."""
        trial = self._study.trial(heard.number)
        if heard.kind == "died":
            result = read_result(trial_folder(self._terms.folder, heard.number), trial.attempts)
            if result is not None:
                return "finished", {"value": result["value"]}
        if heard.kind == "finished":
            return "finished", {"value": heard.value}
        if heard.verdict == "limit":
            words = f"It reached its limit of ${trial.limit_dollars:.6f}."
            return ("stopped" if trial.curve else "failed"), {"reason": words}
        if heard.kind == "failed" or heard.verdict in ("silent", "memory"):
            return "failed", {"reason": heard.words}
        if heard.kind == "died" and not heard.verdict:
            return self._death(heard)
        kind, words = _GAVE_WAY[heard.verdict]
        return kind, {"reason": words}

    def _death(self, heard: Heard) -> tuple[str, dict[str, object]]:
        """A process that ended of itself: somebody outside killed it, or it broke down."""
        outside = heard.signal in _EXTERNAL
        in_vain = 0 if heard.kept_dollars else self._study.deaths(heard.number) + 1
        if outside and in_vain < _DEATHS:
            return "preempted", {"reason": heard.words, "died": True}
        words = heard.words if not outside else f"{heard.words} That was the {_DEATHS}th time in vain."
        return "failed", {"reason": words}

    def _extend(self, number: int) -> None:
        """Raise the limit of a trial that comes near it, where there is room."""
        trial, attempt = self._study.trial(number), self._study.attempt(number)
        before = trial.dollars - attempt.dollars
        limit = trial.limit_dollars - before
        price, limits = self._executor.price_per_s, self._terms.limits
        near = (limits.grace_s + limits.reap_s + 4 * _TICK_S) * price
        if limit - self._executor.cost(number)[1] > near:
            return
        first = self._first_limits[number]
        most = max(_TIMES * first, _SHARE * (self._terms.budget.dollars or 0.0))
        raised = min(limit * _RAISE + near, most, limit + self._study.ledger.left_dollars)
        # A little more is not worth an event.
        if raised > limit + near / 2:
            self._recorder.note("extended", number, limit_dollars=before + raised)
            self._executor.extend(number, raised)

    def _end_running(self, *, patient: bool) -> None:
        """Have everything end that still runs, with a checkpoint where there is time for one."""
        study, executor = self._study, self._executor
        for number in study.running:
            executor.stop(number, "interrupt")
        until = monotonic() + (_GIVE_WAY_S if patient else 0.0)
        try:
            while study.running and monotonic() < until:
                self._listen(_TICK_S)
        finally:
            for number in list(study.running):
                executor.kill(number, "interrupt")
            while study.running:
                self._listen(_TICK_S)

    def _left(self) -> float:
        """Dollars that a search may think of: what is not promised, and what the time left can cost."""
        left = self._study.ledger.left_dollars
        seconds = self._terms.budget.seconds
        if seconds is not None:
            time_s = max(0.0, seconds - self._recorder.active_s)
            left = min(left, time_s * self._executor.slots * self._executor.price_per_s)
        return left

    def _floor(self) -> float:
        """The least that is reserved: a start, and an end in good order."""
        limits = self._terms.limits
        start_s = self._terms.start_s + limits.grace_s + limits.reap_s
        return start_s * self._executor.price_per_s

    def _time_left(self) -> bool:
        seconds, limits = self._terms.budget.seconds, self._terms.limits
        if seconds is None:
            return True
        ends_s = self._terms.closing_s + 2 * (limits.grace_s + limits.reap_s)
        return seconds - self._recorder.active_s > ends_s

    def _why_done(self) -> str:
        if not self._time_left():
            return "The time is up, but for what a trial may take to end."
        return (
            "Nothing left is worth its price."
            if self._worthless
            else "What is left does not pay another trial."
        )
