"""Fits side by side: each in a process of its own, as many at once as cores and memory allow."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from matinee.core.errors import Stopped
from matinee.core.memory import available_bytes
from matinee.core.promise import Needs
from matinee.core.run import Run, Step
from matinee.core.stopping import stop_on_signals
from matinee.recipes.isolate import Job, Tried, run_isolated
from matinee.recipes.progress import Progress, step_words

# What a process takes before its fit begins, torch included, and the share of memory that all may take.
_PROCESS_BYTES = 300 * 2**20
_SHARE = 0.9
_LOOK_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Task:
    """One fit among several.

    Attributes:
        name: what people read of it, such as "transitions of region-1".
        folder: where its job and its results go.
        job: what is to be done; it has one try.
        needs: what the fit will take, as predicted.
    """

    name: str
    folder: Path
    job: Job
    needs: Needs


@dataclass(kw_only=True)
class _Hall:
    """What goes on at the moment."""

    tasks: Sequence[Task]
    waiting: list[int]
    running: dict[Future[list[Tried]], int] = field(default_factory=dict)
    done: dict[int, Tried] = field(default_factory=dict)
    steps: dict[int, Step] = field(default_factory=dict)

    @property
    def used_bytes(self) -> int:
        return sum(_bytes_of(self.tasks[number]) for number in self.running.values())

    def share(self) -> float:
        """How much of the work is done."""
        costs = [1.0 + task.needs.cpu_s for task in self.tasks]
        parts = {number: step.share for number, step in self.steps.items()} | dict.fromkeys(self.done, 1.0)
        return sum(costs[number] * part for number, part in parts.items()) / sum(costs)

    def words(self) -> str:
        """What is being done."""
        told = [number for number in self.running.values() if number in self.steps]
        words = f"{len(self.done)} of {len(self.tasks)} fits"
        return f"{words}, {step_words(self.tasks[told[0]].name, self.steps[told[0]], 0.0)}" if told else words


def run_side_by_side(
    handover: Path, tasks: Sequence[Task], run: Run, progress: Progress = lambda _doing, _share: None
) -> list[Tried]:
    """Do every task, the longest first.

    Args:
        handover: the folder that `write_handover` filled.
        tasks: what is to be done; what an earlier run finished in a task's folder is not done again.
        run: as for `run_isolated`, for all of them.
        progress: called with what is being done and the share of the work that is done.

    Returns:
        One result a task, in order; a task that failed has an error.

    Raises:
        Stopped: the run was asked to stop, or a signal came; what is finished and checkpoints are kept.
    """
    if not tasks:
        return []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = min(cores, len(tasks))
    there = available_bytes()
    room = None if there is None else int(_SHARE * there)
    order = sorted(range(len(tasks)), key=lambda number: -tasks[number].needs.cpu_s)
    hall, stop = _Hall(tasks=tasks, waiting=order), threading.Event()

    def do(number: int) -> list[Tried]:
        task = tasks[number]
        own = replace(
            run,
            should_stop=lambda: stop.is_set() or run.should_stop(),
            tell=lambda step: hall.steps.__setitem__(number, step),
        )
        return run_isolated(handover, task.folder, replace(task.job, threads=max(1, cores // most)), own)

    # Without a place for checkpoints, Ctrl-C has nothing to wait for.
    listening = stop_on_signals() if run.checkpoints else nullcontext(run.should_stop)
    with listening as asked, ThreadPoolExecutor(max_workers=most) as pool:
        try:
            while hall.waiting or hall.running:
                for number in _next(hall, most, room):
                    hall.running[pool.submit(do, number)] = number
                finished, _ = wait(hall.running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                for one in finished:
                    (hall.done[hall.running.pop(one)],) = one.result()
                progress(hall.words(), hall.share())
                if asked() or run.should_stop():
                    raise Stopped("The fits were stopped.")
        except BaseException:
            # Leaving the pool waits for the others, who look at this.
            stop.set()
            raise
    return [hall.done[number] for number in range(len(tasks))]


def _next(hall: _Hall, most: int, room: int | None) -> list[int]:
    """Which of the waiting can begin: one at least where nothing runs."""
    begun: list[int] = []
    used = hall.used_bytes
    for number in list(hall.waiting):
        if len(hall.running) + len(begun) >= most:
            break
        bytes_ = _bytes_of(hall.tasks[number])
        if room is None or used + bytes_ <= room or not (hall.running or begun):
            begun.append(number)
            used += bytes_
            hall.waiting.remove(number)
    return begun


def _bytes_of(task: Task) -> int:
    return _PROCESS_BYTES + task.needs.memory_bytes
