"""Who writes a study down: each event goes to the log and into the fold, in that order."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError, SettingsError
from matinee.tune.budget import Budget
from matinee.tune.events import FORMAT, NAME, Event, Log
from matinee.tune.objective import kept_at
from matinee.tune.study import Study
from matinee.tune.worker import CHECKPOINTS, RESULT, read_result

# At least so often something is written, so that a crash leaves no more than this untold.
BEAT_S = 1.0


class Recorder:
    """Writes events, and keeps the study that they tell of.

    Args:
        log: where they are written; None: nowhere, for simulations.
        clock: seconds that never go back.
        now: seconds since 1970.

    Attributes:
        study: what the events so far tell of.
    """

    def __init__(
        self,
        log: Log | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.study = Study()
        self._log, self._clock, self._now = log, clock, now
        self._last: Event | None = None
        for event in log.events if log is not None else ():
            self.study.apply(event)
            self._last = event
        self._begin = clock() - self.study.clock

    @property
    def active_s(self) -> float:
        """Seconds that coordinators have been active, up to now."""
        return self._clock() - self._begin

    def note(self, kind: str, trial: int | None = None, **about: Any) -> None:
        """Write one event down."""
        event = Event(kind=kind, at=self._now(), clock=self.active_s, trial=trial, about=about)
        if self._log is not None:
            self._log.add(event)
        self.study.apply(event)
        self._last = event

    def beat(self) -> None:
        """Write that somebody is there, if nothing else was written of late."""
        if self._last is None or self.active_s - self._last.clock >= BEAT_S:
            self.note("heartbeat")

    def close(self) -> None:
        """Let others write."""
        if self._log is not None:
            self._log.close()

    def begin(self, budget: Budget, price_per_s: float, about: dict[str, Any], folder: Path) -> None:
        """Begin a session: the study's first, or a later one, which settles what a crash left open.

        Args:
            budget: what may be spent in all, earlier sessions included.
            price_per_s: dollars of a worker's second, at most.
            about: what must be the same in every session: space, seed, steps.
            folder: the study's.

        Raises:
            SettingsError: the study in the folder is another one.
        """
        money: dict[str, Any] = {
            "budget_dollars": budget.dollars,
            "budget_s": budget.seconds,
            "price_per_s": price_per_s,
        }
        if self._last is None:
            self.note("study", format=FORMAT, name=folder.name, **about, **money)
            return
        for name, value in about.items():
            # As JSON, in which tuples are lists.
            if json.dumps(self.study.about.get(name)) != json.dumps(value):
                raise SettingsError(
                    f"{folder} holds a study with another {name}: go on with the same, "
                    "or name another folder for a new study."
                )
        if self.study.state == "running":
            # Nobody closed it: its coordinator was killed, and was at work until after its last word.
            self._begin -= BEAT_S
            self._settle(folder, self._last)
        self.note("resumed", **money)

    def _settle(self, folder: Path, last: Event) -> None:
        """Bill what ran when the coordinator was killed, until it can have ended at the latest."""
        study = self.study
        clock, price = last.clock + BEAT_S, study.price_per_s
        for number in list(study.running):
            trial, attempt = study.trial(number), study.attempt(number)
            more_s = clock - attempt.told
            limit = trial.limit_dollars - trial.dollars + attempt.dollars
            seconds = attempt.seconds + more_s
            dollars = max(attempt.dollars, min(limit, attempt.dollars + more_s * price))
            result = read_result(trial_folder(folder, number), attempt.number)
            cost = {"seconds": seconds, "dollars": dollars}
            if result is not None:
                self.note("finished", number, value=result["value"], **cost)
                clear_trial(folder, number)
                continue
            kept = attempt.kept_dollars
            written = kept_at(trial_folder(folder, number) / CHECKPOINTS)
            if written is not None and written >= last.at - (last.clock - attempt.began):
                kept = max(kept, dollars - max(0.0, last.at + BEAT_S - written) * price)
            self.note("preempted", number, kept_dollars=kept, reason="Its coordinator ended.", **cost)


def open_recorder(folder: Path, *, resume: bool) -> Recorder:
    """The recorder of a folder: of a new study, or of one that goes on.

    Raises:
        InputError: the folder has a study already, or another coordinator is at work.
    """
    path = folder / NAME
    if not resume and path.exists() and path.stat().st_size:
        raise InputError(f"{folder} holds a study already: go on with it (resume), or name another folder.")
    log = Log(folder)
    try:
        return Recorder(log)
    except BaseException:
        log.close()
        raise


def trial_folder(folder: Path, number: int) -> Path:
    """Where a trial keeps its checkpoints and its words."""
    return folder / "trials" / str(number)


def clear_trial(folder: Path, number: int) -> None:
    """Drop the checkpoints of a trial that is over; what it said stays."""
    place = trial_folder(folder, number)
    shutil.rmtree(place / CHECKPOINTS, ignore_errors=True)
    with suppress(OSError):
        (place / RESULT).unlink(missing_ok=True)
        place.rmdir()
