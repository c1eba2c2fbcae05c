"""A study as its log tells it: trials, ledger and best, folded from events one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError
from matinee.core.space import Choice, Space, Span
from matinee.tune.budget import Budget
from matinee.tune.events import FORMAT, Event, is_active, read_events
from matinee.tune.ledger import Attempt, Ledger
from matinee.tune.trial import Point, Trial


class Study:
    """What is known of a study; only `apply` changes it, and an event's work does not grow with the study.

    Attributes:
        ledger: dollars.
        name: what it is called.
        about: what its first event says: space, seed, steps and the like.
        clock: seconds that coordinators have been active, all of them together.
        price_per_s: dollars of a worker's second, at most.
        state: "running" until a coordinator closed it; then "done", or "stopped" where it may go on.
        reason: why it was closed, in a sentence.
        chosen: the number of the trial that the search called the best when the study was closed.
        waiting: numbers of the trials that wait for a worker or were taken from one, oldest first.
        running: numbers of the trials that run.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.name = ""
        self.about: Mapping[str, Any] = {}
        self.clock = 0.0
        self.price_per_s = 0.0
        self.state, self.reason = "running", ""
        self.chosen: int | None = None
        # Dictionaries for their order.
        self.waiting: dict[int, None] = {}
        self.running: dict[int, None] = {}
        self._trials: list[Trial] = []
        self._folded: tuple[Trial, ...] | None = ()
        self._deaths: dict[int, int] = {}
        self._greatest: int | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, by number."""
        if self._folded is None:
            self._folded = tuple(self._trials)
        return self._folded

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def best(self) -> Trial | None:
        """The trial that the search chose at the end; until then the one of the greatest value."""
        number = self.chosen or self._greatest
        return self._trials[number - 1] if number else None

    def trial(self, number: int) -> Trial:
        """One trial."""
        return self._trials[number - 1]

    def attempt(self, number: int) -> Attempt:
        """The latest attempt of a trial."""
        return self.ledger.attempts[number][-1]

    def deaths(self, number: int) -> int:
        """How often in a row a trial's process died without having kept anything."""
        return self._deaths.get(number, 0)

    def apply(self, event: Event) -> None:
        """Fold one more event.

        Raises:
            InputError: this version does not know the event, or it cannot follow those before it.
        """
        fold = _FOLDS.get(event.kind)
        if fold is None:
            raise InputError(f"The study has an event {event.kind!r}: a newer version of matinee wrote it.")
        try:
            fold(self, event)
        except (KeyError, IndexError) as error:
            raise InputError(f"The study's event {event.kind!r} does not fit those before it.") from error
        self.clock = max(self.clock, event.clock)

    def put(self, trial: Trial) -> None:
        """Take a new or changed trial in."""
        number = trial.number
        before = self._trials[number - 1] if number <= len(self._trials) else None
        if before is None:
            self._trials.append(trial)
        else:
            self._trials[number - 1] = trial
        self._folded = None
        self.ledger.change(before, trial)
        for states, members in ((("waiting", "preempted"), self.waiting), (("running",), self.running)):
            if trial.state in states:
                members[number] = None
            else:
                members.pop(number, None)

    def end(self, event: Event, **changes: Any) -> None:
        """Fold the end of an attempt, with what it came to."""
        trial = self._running(event)
        attempt = self.attempt(trial.number)
        if event.about.get("kept_dollars") is not None:
            attempt.kept_dollars = event.about["kept_dollars"]
        trial = self.cost(trial, event)
        attempt.ended = event.kind
        if event.kind == "preempted":
            lost = trial.lost_dollars + attempt.unkept_dollars
            self.put(replace(trial, state="preempted", lost_dollars=lost, **changes))
            died = bool(event.about.get("died")) and not attempt.kept_dollars
            self._deaths[trial.number] = self.deaths(trial.number) + 1 if died else 0
            return
        self.put(replace(trial, **changes))
        value = changes.get("value")
        if value is not None and (
            self._greatest is None or value > (self.trial(self._greatest).value or 0.0)
        ):
            self._greatest = trial.number

    def cost(self, trial: Trial, event: Event) -> Trial:
        """A running trial with what its attempt has cost by an event."""
        attempt = self.attempt(trial.number)
        seconds, dollars = event.about["seconds"], event.about["dollars"]
        more = {
            "seconds": trial.seconds + seconds - attempt.seconds,
            "dollars": trial.dollars + dollars - attempt.dollars,
        }
        attempt.seconds, attempt.dollars, attempt.told = seconds, dollars, event.clock
        return replace(trial, **more)

    def _running(self, event: Event) -> Trial:
        trial = self._trials[(event.trial or 0) - 1]
        if trial.state != "running" or trial.number != event.trial:
            raise InputError(
                f"The study's event {event.kind!r} is about trial {event.trial}, which is {trial.state}."
            )
        return trial


def open_study(folder: str | Path) -> Study:
    """A study from its folder, also while a coordinator works on it.

    Raises:
        InputError: there is none, or its log is damaged.
    """
    return fold_events(read_events(Path(folder)))


def fold_events(events: Iterable[Event]) -> Study:
    """The study that some events tell of."""
    study = Study()
    for event in events:
        study.apply(event)
    return study


def status(folder: str | Path) -> dict[str, Any]:
    """What `matinee status --json` says of a study: plain JSON values.

    Raises:
        InputError: there is no study, or its log is damaged.
    """
    folder = Path(folder)
    return study_facts(open_study(folder), name=str(folder), active=is_active(folder))


def study_facts(study: Study, *, name: str, active: bool) -> dict[str, Any]:
    """A study as plain JSON values.

    Args:
        study: the study.
        name: what it is called there.
        active: whether a coordinator works on it; without one, what was not closed was killed.
    """
    ledger, best = study.ledger, study.best
    state = "running" if active else "stopped" if study.state == "running" else study.state
    return {
        "study": name,
        "state": state,
        "reason": study.reason if not active else "",
        "budget_dollars": ledger.budget.dollars,
        "budget_s": ledger.budget.seconds,
        "spent_dollars": ledger.spent_dollars,
        "spent_s": study.clock,
        "reserved_dollars": ledger.reserved_dollars,
        "lost_dollars": ledger.lost_dollars,
        "asking_dollars": ledger.asking_dollars,
        "trials": [_trial_facts(trial) for trial in study.trials],
        "best": best and {"id": best.number, "value": best.value, "settings": dict(best.settings)},
    }


def space_facts(space: Space) -> dict[str, Any]:
    """A search space as plain JSON values: what the first event of a log says of it."""
    found: dict[str, Any] = {}
    for name, values in space.items():
        when = getattr(values, "when", None)
        facts: dict[str, Any] = {"values": values.values} if isinstance(values, Choice) else {}
        if isinstance(values, Span):
            facts = {"low": values.low, "high": values.high, "log": values.log, "whole": values.whole}
        found[name] = facts if when is None else {**facts, "when": when}
    return found


def _trial_facts(trial: Trial) -> dict[str, Any]:
    """A trial as interfaces have it; one that waits for its first worker stands with the preempted ones."""
    return {
        "id": trial.number,
        "region": trial.region,
        "state": "preempted" if trial.state == "waiting" else trial.state,
        "settings": dict(trial.settings),
        "value": trial.value,
        "steps": trial.curve[-1].step if trial.curve else 0,
        "dollars": trial.dollars,
        "lost_dollars": trial.lost_dollars,
        "attempts": trial.attempts,
        "seconds": trial.seconds,
        "why": trial.why,
        "repeats": trial.repeats,
        "reason": trial.reason,
        "curve": [[point.step, point.value, point.dollars] for point in trial.curve],
    }


def _begun(study: Study, event: Event) -> None:
    about = event.about
    if about.get("format") != FORMAT:
        raise InputError(
            f"The study's log is of format {about.get('format')!r}, this version reads {FORMAT}: "
            "use the version of matinee that wrote it."
        )
    study.name, study.about = about["name"], about
    _session(study, event)


def _session(study: Study, event: Event) -> None:
    about = event.about
    study.ledger.budget = Budget(dollars=about["budget_dollars"], seconds=about["budget_s"])
    study.price_per_s = about["price_per_s"]
    study.state, study.reason, study.chosen = "running", "", None


def _created(study: Study, event: Event) -> None:
    about = event.about
    if event.trial != len(study) + 1:
        raise InputError(f"The study's trial {event.trial} follows trial {len(study)}.")
    study.ledger.asking_dollars += about["dollars"]
    study.ledger.attempts[event.trial] = []
    names = ("seed", "why", "repeats", "steps", "region")
    settings = {name: tuples(value) for name, value in about["settings"].items()}
    study.put(Trial(number=event.trial, settings=settings, **{name: about[name] for name in names}))


def _leased(study: Study, event: Event) -> None:
    trial = study.trial(event.trial or 0)
    attempts = study.ledger.attempts[trial.number]
    if trial.state not in ("waiting", "preempted", "stopped"):
        raise InputError(f"The study leases trial {trial.number}, which is {trial.state}.")
    # What a stopped trial had not kept has to be done again only if it goes on.
    lost = attempts[-1].unkept_dollars if trial.state == "stopped" else 0.0
    study.ledger.asking_dollars += event.about.get("asking_dollars", 0.0)
    attempts.append(Attempt(number=len(attempts) + 1, began=event.clock, told=event.clock))
    study.put(
        replace(
            trial,
            state="running",
            attempts=len(attempts),
            limit_dollars=event.about["limit_dollars"],
            lost_dollars=trial.lost_dollars + lost,
            reason=None,
        )
    )


def _extended(study: Study, event: Event) -> None:
    study.put(replace(study.trial(event.trial or 0), limit_dollars=event.about["limit_dollars"]))


def _reported(study: Study, event: Event) -> None:
    trial = study.cost(study.trial(event.trial or 0), event)
    step = event.about["step"]
    curve = trial.curve
    if curve and curve[-1].step >= step:
        # It went on from a checkpoint, and does some steps again.
        curve = tuple(point for point in curve if point.step < step)
    point = Point(step=step, value=event.about["value"], dollars=trial.dollars)
    study.put(replace(trial, curve=(*curve, point)))


def _checkpointed(study: Study, event: Event) -> None:
    attempt = study.attempt(event.trial or 0)
    attempt.kept_dollars = event.about["kept_dollars"]
    study.put(study.cost(study.trial(event.trial or 0), event))


def _told(study: Study, event: Event) -> None:
    trial = study.trial(event.trial or 0)
    study.put(replace(trial, facts={**trial.facts, **event.about["facts"]}))


def _preempted(study: Study, event: Event) -> None:
    study.end(event, reason=event.about.get("reason"))


def _stopped(study: Study, event: Event) -> None:
    study.end(event, state="stopped", reason=event.about["reason"])


def _finished(study: Study, event: Event) -> None:
    study.end(event, state="done", value=event.about["value"], reason=None)


def _failed(study: Study, event: Event) -> None:
    study.end(event, state="failed", reason=event.about["reason"])


def _heartbeat(_study: Study, _event: Event) -> None:
    """Its clock is all it says."""


def _closed(study: Study, event: Event) -> None:
    study.state, study.reason = event.about["state"], event.about["reason"]
    study.chosen = event.about["best"]


_FOLDS: dict[str, Callable[[Study, Event], None]] = {
    "study": _begun,
    "resumed": _session,
    "created": _created,
    "leased": _leased,
    "extended": _extended,
    "reported": _reported,
    "checkpointed": _checkpointed,
    "told": _told,
    "preempted": _preempted,
    "stopped": _stopped,
    "finished": _finished,
    "failed": _failed,
    "heartbeat": _heartbeat,
    "closed": _closed,
}


def tuples(value: Any) -> Any:
    """A value from JSON as a setting has it: lists are tuples."""
    return tuple(tuples(one) for one in value) if isinstance(value, list) else value
