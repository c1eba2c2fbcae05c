"""What is left of a study whose processes were killed: nothing finished lost, nothing run or billed twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matinee.core.space import Choice, Space, Span
from matinee.tune.events import is_active, read_events
from matinee.tune.random_search import RandomSearch
from matinee.tune.run import tune
from matinee.tune.study import open_study
from matinee.tune.trial import Suggestion, Trial

STEPS, PAUSE_S, WORKERS = 10, 0.1, 2
BUDGET_DOLLARS = 100_000.0
SPACE: Space = {"x": Span(low=0.0, high=1.0), "pause_s": Choice((PAUSE_S,)), "steps": Choice((STEPS,))}


@dataclass(frozen=True, kw_only=True)
class Kills:
    """What became of a study that was killed again and again.

    Attributes:
        kills: how often something was killed.
        coordinators: how often that was the coordinator, and all workers with it.
        workers: how many trials ran side by side.
        trials: how many there were.
        lost: trials that were not finished in the end, or whose value is wrong.
        twice: trials that were finished more than once, or run again after their end.
        steps_again: steps that were reported more than once.
        attempts: how often trials were begun.
        spent_dollars: what the ledger says; a second of a worker is half a dollar.
        lost_dollars: the part of it that was paid twice.
        budget_dollars: what might be spent.
        same_trials: whether settings and values are those of a study that nobody touched.
    """

    kills: int
    coordinators: int
    workers: int = WORKERS
    trials: int
    lost: int
    twice: int
    steps_again: int
    attempts: int
    spent_dollars: float
    lost_dollars: float
    budget_dollars: float = BUDGET_DOLLARS
    same_trials: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Fixed:
    """Random settings for so many trials, whatever happened before: what a study comes to is known.

    Args:
        trials: how many.
    """

    def __init__(self, trials: int) -> None:
        self._trials, self._random = trials, RandomSearch(SPACE)

    def suggest(
        self, trials: Sequence[Trial], left_dollars: float, *, seed: int, number: int
    ) -> Suggestion | None:
        """Random settings, until there are enough."""
        del trials
        if number > self._trials:
            return None
        drawn = self._random.suggest((), left_dollars, seed=seed, number=number)
        assert drawn is not None
        return Suggestion(settings=drawn.settings, why="start", dollars=10.0, most_dollars=500.0)

    def keep_on(self, trials: Sequence[Trial], number: int) -> bool:
        """Always."""
        return self._random.keep_on(trials, number)

    def best_of(self, trials: Sequence[Trial]) -> int | None:
        """The one of the greatest value."""
        return self._random.best_of(trials)


def run_study(folder: Path, trials: int) -> None:
    """One session of the study."""
    tune(
        "matinee.testing.objectives:parabola",
        SPACE,
        budget=BUDGET_DOLLARS,
        price_per_hour=3600.0,
        folder=folder,
        workers=WORKERS,
        steps=STEPS,
        resume=True,
        search=Fixed(trials),
    )


def kill_study(folder: Path, *, kills: int, trials: int, seed: int = 0) -> Kills:
    """Run a study to its end, and kill workers and coordinators at random moments of it.

    Args:
        folder: an empty one.
        kills: how often; fewer where the study ends before.
        trials: how many trials the study has.
        seed: of the moments.
    """
    rng = random.Random(seed)
    killed: list[str] = []
    study = folder / "study"
    process = _start(study, trials)
    try:
        while process.poll() is None:
            time.sleep(rng.uniform(0.2, 2.0))
            if len(killed) < kills and is_active(study):
                # The first one is the coordinator: a quick study may not live to see many more.
                killed.append(_kill_one(process, rng, others=bool(killed)))
                if killed[-1] == "coordinator":
                    process = _start(study, trials)
    finally:
        process.kill()
        process.wait()
    return _found(study, killed, trials)


def _start(study: Path, trials: int) -> subprocess.Popen[bytes]:
    """A coordinator, in a process of its own."""
    code = (
        f"from pathlib import Path; from matinee.testing.study_kills import run_study; "
        f"run_study(Path({str(study)!r}), {trials})"
    )
    # Workers whose coordinator dies while they start say so at length.
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-c", code], stdin=quiet, stdout=quiet, stderr=quiet)


def _kill_one(process: subprocess.Popen[bytes], rng: random.Random, *, others: bool) -> str:
    """Kill the coordinator, or where others may be a worker instead; which it was."""
    workers = _workers(process.pid) if others else []
    if workers and rng.random() < 2 / 3:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(workers), signal.SIGKILL)
        return "worker"
    process.kill()
    process.wait()
    return "coordinator"


def _workers(coordinator: int) -> list[int]:
    """The processes of workers, which lead groups of their own."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{coordinator}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return [one for one in found if _leads(one)]


def _leads(process: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getpgid(process) == process
    return False


def _found(folder: Path, killed: Sequence[str], trials: int) -> Kills:
    study = open_study(folder)
    finished: Counter[int] = Counter()
    reported: Counter[tuple[int, float]] = Counter()
    for event in read_events(folder):
        if event.kind == "finished":
            finished[event.trial or 0] += 1
        if event.kind == "reported":
            reported[event.trial or 0, event.about["step"]] += 1
    done = {trial.number: trial for trial in study.trials if trial.state == "done"}
    expected = {number: _expected(number) for number in range(1, trials + 1)}
    right = [number for number, x in expected.items() if number in done and done[number].settings["x"] == x]
    values = [number for number in right if done[number].value == -((expected[number] - 0.3) ** 2)]
    return Kills(
        kills=len(killed),
        coordinators=killed.count("coordinator"),
        trials=trials,
        lost=trials - len(values),
        twice=sum(count > 1 for count in finished.values()),
        steps_again=sum(count - 1 for count in reported.values()),
        attempts=sum(trial.attempts for trial in study.trials),
        spent_dollars=study.ledger.spent_dollars,
        lost_dollars=study.ledger.lost_dollars,
        same_trials=len(values) == trials == len(study),
    )


def _expected(number: int) -> float:
    """The setting of a trial of an untouched study."""
    drawn = RandomSearch(SPACE).suggest((), BUDGET_DOLLARS, seed=0, number=number)
    assert drawn is not None
    return float(drawn.settings["x"])
