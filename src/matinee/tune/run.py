"""`tune`: search any f(settings) for its best value, and never spend more than the budget."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matinee.core.errors import SettingsError, Stopped
from matinee.core.space import Space
from matinee.core.stopping import stop_on_signals
from matinee.core.words import counted
from matinee.tune.budget import Budget, read_budget
from matinee.tune.coordinator import Coordinator, Searches, Terms
from matinee.tune.ledger import Ledger
from matinee.tune.local import Limits, LocalExecutor
from matinee.tune.meter import Meter, meter_here
from matinee.tune.objective import BuiltBy, Objective
from matinee.tune.options import Options
from matinee.tune.recorder import Recorder, open_recorder
from matinee.tune.search import Search
from matinee.tune.shown import Shown
from matinee.tune.study import Study, space_facts, study_facts
from matinee.tune.trial import Trial

# Of a small budget, ends and starts may take no more than these shares.
_GRACE, _REAP, _START = 0.05, 0.05, 0.1
_START_S = 5.0
# Choosing the best takes time too, once all trials have ended.
_CLOSING, _CLOSING_S = 0.1, 2.0
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a study came to.

    Attributes:
        best: the trial to take the settings of; None: none was finished.
        trials: all trials, by number.
        ledger: what was spent, lost and reserved.
        seconds: wall seconds that were spent, over all sessions.
        state: "done" or "stopped".
        reason: why it ended, in a sentence.
        folder: where it is kept; None: nowhere.
        facts: the same as plain JSON values.
    """

    best: Trial | None
    trials: tuple[Trial, ...]
    ledger: Ledger
    seconds: float
    state: str
    reason: str
    folder: Path | None
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, as `matinee status --json` writes them."""
        return self.facts


def _untold(study: Study) -> None:
    del study


def _never() -> bool:
    return False


def tune(  # noqa: PLR0913 (a public door: each is a choice of its own)
    objective: Objective | str | BuiltBy,
    space: Space,
    *,
    budget: str | float | Budget | Sequence[str | float],
    folder: str | Path | None = None,
    workers: int = 1,
    steps: float | None = None,
    seed: int = 0,
    resume: bool = False,
    search: Searches | None = None,
    region: str | None = None,
    price_per_hour: float | None = None,
    limits: Limits | None = None,
    tell: Callable[[Study], None] = _untold,
    should_stop: Callable[[], bool] = _never,
) -> StudyResult:
    """Search for the settings of the greatest value, within a budget.

    Args:
        objective: `objective(settings, report) -> value`, larger is better: a function at the top of a
            module, its name as "module:name", or what builds it (`BuiltBy`). Trials run in processes of
            their own.
        space: what each setting may be.
        budget: such as "5usd", "30min", or several: whichever ends first.
        folder: where the study is kept, so that it can go on after a stop; None: nowhere.
        workers: how many trials run side by side; they divide the machine's cores, memory and price.
        steps: how many steps a whole trial reports; None: nobody knows.
        seed: of all randomness.
        resume: go on with the study of the folder, or begin it where there is none. The budget is that of the
            whole study; what it has spent counts.
        search: who suggests what to run; None: `matinee.tune.search.Search` as it is by default.
        region: whose study it is, for its records.
        price_per_hour: dollars of an hour of this machine; None: its electricity, as measured or set.
        limits: what a trial may take of memory, silence and threads.
        tell: called with the study about once a second, and whenever a trial ends.
        should_stop: asked often; once it says yes, the study stops as on Ctrl-C.

    Raises:
        SettingsError: budget, space, objective or price cannot be used, or the folder holds another study.
        InputError: the folder holds a study and `resume` is not set, or another coordinator is at work there.
        Stopped: it was stopped by Ctrl-C, SIGTERM or `should_stop`; the message says how to go on.
    """
    allowed = read_budget(budget)
    _check(space, workers, steps)
    with _kept(folder) as place, _metered(workers, price_per_hour) as meter, stop_on_signals() as asked:
        recorder = open_recorder(place, resume=resume)
        try:
            about = {"space": space_facts(space), "seed": seed, "steps": steps, "region": region}
            recorder.begin(allowed, meter.most, about, place)
            shown = Shown(place, tell)
            terms = Terms(
                budget=allowed,
                folder=place,
                limits=_scaled(limits or Limits(), allowed, meter.most, workers),
                closing_s=0.0 if allowed.seconds is None else min(_CLOSING_S, _CLOSING * allowed.seconds),
                start_s=min(_START_S, _START * _all_seconds(allowed, meter.most, workers)),
                seed=seed,
                steps=steps,
                region=region,
                tell=shown,
                should_stop=lambda: asked() or should_stop(),
            )
            search = search or Search(space, Options(workers=workers))
            _run(terms, recorder, _Parts(objective, meter, workers, search))
        finally:
            recorder.close()
        shown.write(recorder.study, active=False)
        return _result(recorder.study, place, kept=folder is not None)


@dataclass(frozen=True)
class _Parts:
    objective: Objective | str | BuiltBy
    meter: Meter
    workers: int
    search: Searches


def _run(terms: Terms, recorder: Recorder, parts: _Parts) -> None:
    """One session of a study."""
    seconds = terms.budget.seconds
    ends_at = None
    if seconds is not None:
        ends_at = time.monotonic() + seconds - terms.closing_s - recorder.active_s
    executor = LocalExecutor(parts.objective, parts.meter, parts.workers, terms.limits, ends_at)
    try:
        Coordinator(terms, recorder, executor, parts.search).run()
    finally:
        executor.close()


def _result(study: Study, place: Path, *, kept: bool) -> StudyResult:
    """The result of a session.

    Raises:
        Stopped: it did not come to its end.
    """
    if study.state == "stopped":
        done = sum(trial.state == "done" for trial in study.trials)
        best = f", the best value is {study.best.value:.6g}" if study.best else ""
        how = (
            f"go on with resume (--resume) from {place}" if kept else "nothing was kept, for want of a folder"
        )
        raise Stopped(f"The study was stopped: {counted(done, 'trial is', 'trials are')} done{best}; {how}.")
    return StudyResult(
        best=study.best,
        trials=study.trials,
        ledger=study.ledger,
        seconds=study.clock,
        state=study.state,
        reason=study.reason,
        folder=place if kept else None,
        facts=study_facts(study, name=str(place) if kept else "", active=False),
    )


@contextmanager
def _kept(folder: str | Path | None) -> Iterator[Path]:
    """The study's folder; one that nobody named is gone afterwards."""
    place = tempfile.TemporaryDirectory(prefix="matinee-study-") if folder is None else nullcontext(folder)
    with place as path:
        yield Path(path)


@contextmanager
def _metered(workers: int, price_per_hour: float | None) -> Iterator[Meter]:
    """What a worker's time costs, while it lasts.

    Raises:
        SettingsError: it costs nothing.
    """
    meter = meter_here(workers, price_per_hour)
    try:
        if not meter.most > 0:
            raise SettingsError(
                "A second of this machine costs nothing, so no budget would ever end: set MATINEE_WATTS and "
                "MATINEE_PRICE_PER_KWH, or the price of an hour, above 0."
            )
        yield meter
    finally:
        meter.close()


def _check(space: Space, workers: int, steps: float | None) -> None:
    """Refuse what cannot be searched.

    Raises:
        SettingsError: there are no settings, workers or steps, or a value is no plain one.
    """
    if steps is not None and not 0 < steps < float("inf"):
        raise SettingsError(f"Expected more than 0 steps, and a finite number of them; found {steps}.")
    if workers < 1:
        raise SettingsError(f"Expected 1 worker or more, found {workers}.")
    if not space:
        raise SettingsError("The space has no settings: name at least one, with a Choice or a Span.")
    for name, values in space.items():
        for value in getattr(values, "values", ()):
            if not _is_plain(value):
                raise SettingsError(
                    f"Setting {name!r} has the value {value!r}: expected texts, numbers, true, false, none, "
                    "or tuples of them, since a log keeps them as JSON."
                )


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(one) for one in value)
    return isinstance(value, _PLAIN)


def _all_seconds(budget: Budget, price_per_s: float, workers: int) -> float:
    """Wall seconds that a budget can last at most."""
    by_money = float("inf") if budget.dollars is None else budget.dollars / price_per_s / workers
    return min(by_money, float("inf") if budget.seconds is None else budget.seconds)


def _scaled(limits: Limits, budget: Budget, price_per_s: float, workers: int) -> Limits:
    """Limits whose reserves fit a small budget."""
    whole_s = _all_seconds(budget, price_per_s, workers)
    grace_s, reap_s = min(limits.grace_s, _GRACE * whole_s), min(limits.reap_s, _REAP * whole_s)
    return replace(limits, grace_s=grace_s, reap_s=reap_s)
