"""A study on a clock that is only pretended: workers, preemptions, bills, a budget that is never exceeded.

Whoever searches is asked by each free worker what to run, and after each step whether to keep on; the same
clock, bills and rules for all. A worker's machine is taken away after exponentially distributed seconds of
running; the run goes on at once on another, from its last checkpoint (one per step), and what was done since
is paid and lost. Machine-seconds cost dollars. While a run is under way it holds a reservation: what its
searcher says that it costs at most, and where that is used up or nobody said, one lease after another; no
lease is given that spent and reserved dollars together would not allow, and a run without one is stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lcbench import Curve
from matinee.core.seeds import generator
from matinee.tune.trial import Point, Suggestion, Trial

# A share of the budget that nobody gets, so that sums which round up stay within it; nor does a run start
# on so little, or a moment count that is so short a share of a run.
_DUST = 1e-9
LEASES_A_RUN = 50

Runs = Callable[[Mapping[str, Any]], Curve]


class Searcher(Protocol):
    """Who decides what is run."""

    def ask(self, trials: Sequence[Trial], left_dollars: float, /) -> Suggestion | None:
        """What to run next; None: nothing for now, ask again when a run has ended."""

    def keep_on(self, trials: Sequence[Trial], number: int, /) -> bool:
        """Whether the trial of this number, which has just reported a step, goes on."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where a study runs.

    Attributes:
        budget_dollars: what may be spent.
        run_s: the mean seconds of a whole run; leases are a fraction of it.
        workers: how many machines run at once.
        price_per_hour: dollars of an hour of one machine.
        lifetime_s: mean seconds until a running machine is taken away; None: never.
        seed: of these moments.
    """

    budget_dollars: float
    run_s: float
    workers: int = 8
    price_per_hour: float = 1.0
    lifetime_s: float | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Found:
    """A better whole run than all before it: the dollars spent by then, the clock's seconds, its value."""

    dollars: float
    seconds: float
    value: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a study: its trials, its best whole runs in order, and the totals."""

    trials: list[Trial]
    found: list[Found]
    spent_dollars: float
    most_committed_dollars: float
    seconds: float


@dataclass
class _Worker:
    """A machine's slot: the trial that runs there, where it is, and what is reserved for it."""

    name: int
    life_s: float = float("inf")
    lives: int = 0
    number: int | None = None
    curve: Curve | None = None
    reserved: float = 0.0
    billed: float = 0.0
    billed_s: float = 0.0
    step: int = 0
    step_s: float = 0.0


@dataclass
class _Clock:
    """The study's state between two events."""

    conditions: Conditions
    workers: list[_Worker]
    trials: list[Trial] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    now: float = 0.0
    spent: float = 0.0
    most_committed: float = 0.0

    @property
    def price(self) -> float:
        return self.conditions.price_per_hour / 3600.0

    @property
    def free(self) -> float:
        """Dollars that are neither spent nor reserved."""
        return self.conditions.budget_dollars * (1 - _DUST) - self.committed

    @property
    def committed(self) -> float:
        """Dollars that are spent or reserved."""
        return self.spent + sum(worker.reserved for worker in self.workers)

    def change(self, number: int, **changes: Any) -> Trial:
        trial = dataclasses.replace(self.trials[number - 1], **changes)
        self.trials[number - 1] = trial
        return trial

    def pass_time(self, seconds: float) -> None:
        """Let every running machine run for so long, and bill it."""
        self.now += seconds
        for worker in self.workers:
            if worker.number is not None:
                dollars = min(seconds * self.price, worker.reserved)
                worker.step_s += seconds
                worker.life_s -= seconds
                worker.reserved -= dollars
                worker.billed += dollars
                worker.billed_s += seconds
                self.spent += dollars
        self.most_committed = max(self.most_committed, self.committed)
        assert self.most_committed <= self.conditions.budget_dollars, "more is reserved than there is"

    def bill(self, worker: _Worker) -> Trial:
        """Write on the trial what its machine has cost; returns the trial."""
        assert worker.number is not None
        trial = self.trials[worker.number - 1]
        dollars, seconds = trial.dollars + worker.billed, trial.seconds + worker.billed_s
        worker.billed = worker.billed_s = 0.0
        limit = dollars + worker.reserved
        return self.change(worker.number, dollars=dollars, seconds=seconds, limit_dollars=limit)


def simulate(searcher: Searcher, runs: Runs, conditions: Conditions) -> Outcome:
    """Run one study until its budget is spent or nobody wants to run anything more."""
    clock = _Clock(conditions, [_Worker(name) for name in range(conditions.workers)])
    for worker in clock.workers:
        _new_machine(clock, worker)
    ask = True
    while True:
        if ask:
            _ask_for_free_workers(clock, searcher, runs)
        busy = [worker for worker in clock.workers if worker.number is not None]
        if not busy:
            break
        waits = [_seconds_until_event(clock, worker) for worker in busy]
        wait = min(waits)
        clock.pass_time(wait)
        ask = _handle(clock, busy[waits.index(wait)], searcher)
    return Outcome(
        trials=clock.trials,
        found=clock.found,
        spent_dollars=clock.spent,
        most_committed_dollars=clock.most_committed,
        seconds=clock.now,
    )


def _seconds_until_event(clock: _Clock, worker: _Worker) -> float:
    """Until its step ends, its machine is taken away, or its reservation is used up."""
    reserved_s = worker.reserved / clock.price
    return max(0.0, min(_step_left(worker), worker.life_s, reserved_s))


def _step_left(worker: _Worker) -> float:
    assert worker.curve is not None
    begin = float(worker.curve.seconds[worker.step - 1]) if worker.step else 0.0
    return float(worker.curve.seconds[worker.step]) - begin - worker.step_s


def _handle(clock: _Clock, worker: _Worker, searcher: Searcher) -> bool:
    """What happens to a worker now; returns whether a worker is free after it."""
    tiny = clock.conditions.run_s * _DUST
    if _step_left(worker) <= tiny:
        return _end_step(clock, worker, searcher)
    if worker.life_s <= tiny:
        _take_away(clock, worker)
        return False
    lease = clock.conditions.run_s * clock.price / LEASES_A_RUN
    granted = min(lease, clock.free)
    if granted > clock.conditions.budget_dollars * _DUST:
        worker.reserved += granted
        return False
    # What this run would have needed is not there; it could go on if others left something.
    assert worker.number is not None
    state = "stopped" if clock.trials[worker.number - 1].curve else "failed"
    _leave(clock, worker, state=state, reason="the budget is spent")
    return True


def _end_step(clock: _Clock, worker: _Worker, searcher: Searcher) -> bool:
    assert worker.number is not None
    assert worker.curve is not None
    worker.step, worker.step_s = worker.step + 1, 0.0
    value = float(worker.curve.values[worker.step - 1])
    trial = clock.bill(worker)
    point = Point(step=worker.step, value=value, dollars=trial.dollars)
    clock.change(worker.number, curve=(*trial.curve, point))
    if worker.step == len(worker.curve.values):
        _leave(clock, worker, state="done", value=value)
        if not clock.found or value > clock.found[-1].value:
            clock.found.append(Found(dollars=clock.spent, seconds=clock.now, value=value))
        return True
    if searcher.keep_on(clock.trials, worker.number):
        return False
    _leave(clock, worker, state="stopped", reason="it was not worth going on")
    return True


def _take_away(clock: _Clock, worker: _Worker) -> None:
    """The machine is gone; another takes over from the last checkpoint."""
    assert worker.number is not None
    trial = clock.trials[worker.number - 1]
    lost = worker.step_s * clock.price
    clock.change(worker.number, attempts=trial.attempts + 1, lost_dollars=trial.lost_dollars + lost)
    worker.step_s = 0.0
    _new_machine(clock, worker)


def _new_machine(clock: _Clock, worker: _Worker) -> None:
    lifetime, seed = clock.conditions.lifetime_s, clock.conditions.seed
    if lifetime is not None:
        random = generator(seed, "lifetime", worker.name, worker.lives)
        worker.life_s = float(random.exponential(lifetime))
    worker.lives += 1


def _leave(clock: _Clock, worker: _Worker, **changes: Any) -> None:
    trial = clock.bill(worker)
    # A step that was begun and whose end nobody will see is paid for nothing.
    lost = trial.lost_dollars + worker.step_s * clock.price
    clock.change(trial.number, lost_dollars=lost, limit_dollars=trial.dollars, **changes)
    worker.number, worker.curve, worker.reserved = None, None, 0.0
    worker.step, worker.step_s = 0, 0.0


def _ask_for_free_workers(clock: _Clock, searcher: Searcher, runs: Runs) -> None:
    dust = clock.conditions.budget_dollars * _DUST
    for worker in clock.workers:
        if worker.number is not None or clock.free <= dust:
            continue
        for other in clock.workers:
            if other.number is not None:
                clock.bill(other)
        wanted = searcher.ask(clock.trials, clock.free)
        if wanted is None:
            return
        _start(clock, worker, wanted, runs)


def _start(clock: _Clock, worker: _Worker, wanted: Suggestion, runs: Runs) -> None:
    if wanted.resumes is None:
        number = len(clock.trials) + 1
        settings, why, repeats = wanted.settings, wanted.why, wanted.repeats
        curve = runs(settings)
        steps = float(len(curve.values))
        clock.trials.append(
            Trial(number=number, settings=settings, seed=number, why=why, repeats=repeats, steps=steps)
        )
    else:
        number = wanted.resumes
        assert clock.trials[number - 1].state == "stopped", f"trial {number} cannot go on"
        curve = runs(clock.trials[number - 1].settings)
    trial = clock.trials[number - 1]
    worker.number, worker.curve, worker.step = number, curve, len(trial.curve)
    worker.reserved = min(wanted.most_dollars, clock.free)
    clock.change(
        number,
        state="running",
        reason=None,
        attempts=trial.attempts + 1,
        limit_dollars=trial.dollars + worker.reserved,
    )
