"""How fast a study's coordinator answers a thousand workers: ask and tell, with everything written down.

    python benchmarks/tuning_coordinator.py

`matinee tune`'s own coordinator, log and search over 10,000 trials, with 1,000 workers that are only
pretended: each run reports twice, which takes it no time here, and ends. An ask is what lies between two
workers who are given something to run (the search's thinking, the log on the disk); a tell is what lies
between a worker's word and the next that could be heard. The study's clock is pretended too, so that nothing
waits. `--random-until N` gives the first N trials random settings, to look at a long study in less time.

Bar: both within 50 ms at the 95th percentile, in CPU time of one thread (wall time stands beside it: that of
a machine which others use says little). Results go to results/tuning_coordinator.json.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from matinee.core.seeds import generator
from matinee.core.space import Space, Span, draw
from matinee.tune.budget import Budget
from matinee.tune.coordinator import Coordinator, Terms
from matinee.tune.events import NAME, Log
from matinee.tune.executor import Heard
from matinee.tune.local import Limits
from matinee.tune.options import Options
from matinee.tune.recorder import Recorder
from matinee.tune.search import Search
from matinee.tune.trial import Suggestion, Trial
from matinee.tune.worker import Job
from stamp import RESULTS, one_thread, stamp, write_result

BAR_MS = 50.0
SPACE: Space = {
    "rate": Span(low=1e-4, high=1e-1, log=True),
    "width": Span(low=16, high=512, log=True, whole=True),
    "depth": Span(low=1, high=6, whole=True),
    "dropout": Span(low=0.0, high=0.8),
    "decay": Span(low=1e-6, high=1e-2, log=True),
    "warmup": Span(low=0.0, high=0.5),
}
_REPORTS = 2


def value_of(settings: Mapping[str, Any]) -> float:
    """Best, 0, inside the space."""
    rate, width = math.log10(settings["rate"]) + 2.5, math.log2(settings["width"]) - 7.0
    rest = (settings["dropout"] - 0.3) ** 2 + (settings["warmup"] - 0.1) ** 2
    return float(-(rate**2 + 0.3 * width**2 + 2 * rest + 0.1 * (settings["depth"] - 3) ** 2))


class Watch:
    """CPU and wall milliseconds between two moments, by what lay between them."""

    def __init__(self) -> None:
        self.took: dict[str, list[tuple[float, float]]] = {"ask": [], "tell": []}
        self._begin: tuple[str, float, float] | None = None

    def begin(self, what: str) -> None:
        """The coordinator begins to do something for a worker."""
        self.end()
        self._begin = (what, process_time(), perf_counter())

    def end(self) -> None:
        """It is ready for the next."""
        if self._begin is not None:
            what, cpu, wall = self._begin
            self.took[what].append((1e3 * (process_time() - cpu), 1e3 * (perf_counter() - wall)))
        self._begin = None

    def figures(self, what: str) -> dict[str, float]:
        """Percentiles of what was measured."""
        times = np.array(self.took[what])
        middle, p95, p99 = (float(ms) for ms in np.percentile(times[:, 0], [50, 95, 99]))
        wall = float(np.percentile(times[:, 1], 95))
        return {"n": len(times), "p50_ms": middle, "p95_ms": p95, "p99_ms": p99, "wall_p95_ms": wall}


class Fleet:
    """Workers that are only pretended (`matinee.tune.executor.Executor`); one word is heard at a time."""

    def __init__(self, slots: int, watch: Watch) -> None:
        self.slots, self.price_per_s = slots, 1.0 / 3600
        self.now = 0.0
        self._watch = watch
        self._words: list[tuple[float, int, int]] = []
        self._jobs: dict[int, tuple[Job, float, float]] = {}
        self._stopped: set[int] = set()

    def start(self, job: Job, limit_dollars: float) -> None:  # noqa: ARG002
        """Begin a run of 30 to 3,000 seconds, the wider and deeper the longer."""
        self._watch.end()
        seconds = 10.0 * float(job.settings["depth"]) * (1 + float(job.settings["width"]) / 16)
        self._jobs[job.number] = (job, self.now, seconds)
        for report in range(1, _REPORTS + 2):
            heappush(self._words, (self.now + seconds * report / (_REPORTS + 1), job.number, report))

    def extend(self, number: int, limit_dollars: float) -> None:
        """There is enough for all."""

    def stop(self, number: int, verdict: str) -> None:  # noqa: ARG002
        """Its next word is its last."""
        self._stopped.add(number)

    def kill(self, number: int, verdict: str) -> None:
        """The same."""
        self.stop(number, verdict)

    def hear(self, timeout_s: float) -> list[Heard]:  # noqa: ARG002
        """The next word that any worker says."""
        self._watch.end()
        while self._words:
            at, number, report = heappop(self._words)
            if number not in self._jobs:
                continue
            self.now = at
            self._watch.begin("tell")
            return [self._word(number, report)]
        return []

    def cost(self, number: int) -> tuple[float, float]:
        """Seconds and dollars of a run so far."""
        seconds = self.now - self._jobs[number][1]
        return seconds, seconds * self.price_per_s

    def close(self) -> None:
        """Nothing runs."""

    def _word(self, number: int, report: int) -> Heard:
        job, (seconds, dollars) = self._jobs[number][0], self.cost(number)
        value = value_of(job.settings)
        if number in self._stopped or report > _REPORTS:
            del self._jobs[number]
            if number in self._stopped:
                return Heard(
                    kind="stopped", number=number, seconds=seconds, dollars=dollars, verdict="search"
                )
            return Heard(kind="finished", number=number, seconds=seconds, dollars=dollars, value=value)
        return Heard(
            kind="reported",
            number=number,
            seconds=seconds,
            dollars=dollars,
            step=float(report),
            value=value - 1.0 / report,
        )


class Asked:
    """The search, watched; random settings up to a trial, and none beyond the last."""

    def __init__(self, workers: int, watch: Watch, random_until: int, trials: int) -> None:
        self.search = Search(SPACE, Options(workers=workers))
        self._watch, self._random_until, self._trials = watch, random_until, trials

    def suggest(
        self, trials: Sequence[Trial], left_dollars: float, *, seed: int, number: int
    ) -> Suggestion | None:
        """What to run next."""
        if number > self._trials:
            return None
        if number <= self._random_until:
            settings = draw(SPACE, generator(seed, "random", number))
            return Suggestion(settings=settings, why="start", dollars=0.1, most_dollars=0.5)
        self._watch.begin("ask")
        return self.search.suggest(trials, left_dollars, seed=seed, number=number)

    def keep_on(self, trials: Sequence[Trial], number: int) -> bool:
        """What the search says, once it has the word."""
        return len(trials) <= self._random_until or self.search.keep_on(trials, number)

    def best_of(self, trials: Sequence[Trial]) -> int | None:
        """The best; nobody waits for it."""
        self._watch.end()
        return self.search.best_of(trials)


def run(workers: int, trials: int, random_until: int, folder: Path) -> dict[str, Any]:
    """One study: percentiles, and what it wrote."""
    watch = Watch()
    fleet = Fleet(workers, watch)
    recorder = Recorder(Log(folder), clock=lambda: fleet.now, now=lambda: fleet.now)
    budget = Budget(dollars=10.0 * trials)
    recorder.begin(budget, fleet.price_per_s, {"seed": 0, "steps": _REPORTS + 1.0}, folder)
    terms = Terms(
        budget=budget,
        folder=folder,
        limits=Limits(),
        steps=_REPORTS + 1.0,
        tell=lambda study: None,  # noqa: ARG005
        should_stop=lambda: False,
    )
    begin = process_time()
    Coordinator(terms, recorder, fleet, Asked(workers, watch, random_until, trials)).run()
    recorder.close()
    states = [trial.state for trial in recorder.study.trials]
    return {
        "trials": len(states),
        "states": {state: states.count(state) for state in sorted(set(states))},
        "spent_dollars": recorder.study.ledger.spent_dollars,
        "best": recorder.study.best.value if recorder.study.best else None,
        "log_mb": (folder / NAME).stat().st_size / 1e6,
        "cpu_s": process_time() - begin,
        "ask": watch.figures("ask"),
        "tell": watch.figures("tell"),
    }


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--random-until", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(words)
    one_thread()
    with tempfile.TemporaryDirectory(prefix="matinee-coordinator-") as place:
        found = run(asked.workers, asked.trials, asked.random_until, Path(place))
    reached = max(found["ask"]["p95_ms"], found["tell"]["p95_ms"]) <= BAR_MS
    result = {**stamp(), "bar_ms": BAR_MS, "workers": asked.workers, **found, "reached": reached}
    write_result("tuning_coordinator", {**result, "random_until": asked.random_until}, asked.out)
    for what in ("ask", "tell"):
        print(what, {name: round(value, 2) for name, value in found[what].items()})
    print(f"{found['trials']} trials {found['states']}, {found['cpu_s']:.0f} CPU-s, {BAR_MS:g} ms: {reached}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
