"""A worker's process: it runs one trial after the other and tells the coordinator what happens.

It ends when its coordinator does: the system kills it (Linux), and its end of the pipe is closed. Ctrl-C is
the coordinator's affair. A result is written to a file before it is told, so that it outlives both.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from matinee.core.errors import MatineeError, Stopped
from matinee.core.stopping import end_with
from matinee.tune.objective import Diverged, Objective, finite, kept_at, load_objective, stopped

CHECKPOINTS, RESULT, WORDS = "checkpoints", "result.json", "words.txt"
# How soon a process that was asked to end between two trials does.
_LOOK_S = 0.5
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker is to do next.

    Attributes:
        number: of the trial.
        attempt: which run of it this is.
        settings: what the objective is called with.
        seed: of the trial's own randomness.
        repeats: the trial whose settings are run again; None: none is.
        folder: the trial's own folder.
        ends_at: the moment of `time.monotonic` at which the system ends the process, should nobody else have.
    """

    number: int
    attempt: int
    settings: Mapping[str, Any]
    seed: int
    repeats: int | None = None
    folder: str
    ends_at: float = float("inf")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the coordinator says of a trial that runs.

    Attributes:
        number: of the trial; one that has just ended is past orders.
        ends_at: how long it may run now, as `Job.ends_at`; None: it is to stop.
    """

    number: int
    ends_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a worker tells.

    Attributes:
        kind: "ready", "unusable", "reported", "alive", "told", "finished", "stopped" or "failed".
        number: of the trial.
        step: of a report.
        value: of a report or a result.
        words: why it failed or is unusable.
        facts: what a trial told of itself.
        kept_s: how many seconds ago the latest checkpoint of this attempt was written; None: there is none.
    """

    kind: str
    number: int = 0
    step: float = 0.0
    value: float = 0.0
    words: str = ""
    facts: Mapping[str, Any] | None = None
    kept_s: float | None = None


class PipeReport:
    """The report of one attempt, told through the worker's pipe.

    Args:
        job: the attempt.
        ear: tells whether it is to stop, and has the pipe.
    """

    def __init__(self, job: Job, ear: Ear) -> None:
        self.number, self.attempt = job.number, job.attempt
        self.seed, self.repeats = job.seed, job.repeats
        self._folder, self._ear = Path(job.folder) / CHECKPOINTS, ear
        # The clock of files is a little behind.
        self._began, self._last = time.time() - 0.02, 0.0

    @property
    def checkpoints(self) -> Path:
        """The trial's folder for checkpoints."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def __call__(self, step: float, value: float) -> None:
        """Report a step."""
        step = finite(step, "the number of steps")
        if step <= self._last:
            raise Diverged(f"It reported step {step:g} after step {self._last:g}; steps only grow")
        self._last = step
        number = finite(value, f"the value at step {step:g}")
        self._ear.say(
            Said(kind="reported", number=self.number, step=step, value=number, kept_s=self.kept_s())
        )
        if self.should_stop():
            raise stopped()

    def should_stop(self) -> bool:
        """Whether somebody asked."""
        return self._ear.ended or self._ear.stop == self.number

    def alive(self) -> None:
        """Say that there is progress."""
        self._ear.say(Said(kind="alive", number=self.number, kept_s=self.kept_s()))

    def tell(self, **facts: Any) -> None:
        """Keep some facts; those that are no JSON are refused here."""
        plain = json.loads(json.dumps(facts, allow_nan=False))
        self._ear.say(Said(kind="told", number=self.number, facts=plain))

    def kept_s(self) -> float | None:
        """How old the checkpoint is that this attempt wrote last."""
        when = kept_at(self._folder)
        return None if when is None or when < self._began else max(0.0, time.time() - when)


class Ear:
    """Listens to the coordinator in a thread of its own, whatever the objective is busy with.

    Attributes:
        jobs: what is to be done.
        stop: the number of the trial that is to stop.
        ended: whether the process was asked to end.
    """

    def __init__(self, pipe: Connection) -> None:
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self.stop, self.ended, self.now = 0, False, 0
        self._pipe = pipe

    def say(self, said: Said) -> None:
        """Send words to the coordinator; without one, there is nobody to work for."""
        try:
            self._pipe.send(said)
        except OSError:
            os._exit(1)

    def listen(self) -> None:
        """Until the pipe is closed; then the process ends, in the middle of whatever it does."""
        while True:
            try:
                heard = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(1)
            if not isinstance(heard, Order):
                self.jobs.put(heard)
            elif heard.ends_at is None:
                self.stop = heard.number
            elif heard.number == self.now:
                _alarm(heard.ends_at)

    def asked_to_end(self, _signal: int, _frame: object) -> None:
        """What SIGTERM does."""
        self.ended = True


def work(pipe: Connection, coordinator: int, objective: bytes, threads: int) -> None:
    """Run the trials that come through a pipe, until it is closed.

    Args:
        pipe: jobs come in, words go out.
        coordinator: the process that started this one.
        objective: the pickled objective.
        threads: how many threads the libraries of linear algebra take.
    """
    ear = Ear(pipe)
    _settle(coordinator, threads, ear)
    try:
        function = load_objective(pickle.loads(objective))  # noqa: S301 (the coordinator's own words)
    except BaseException as error:
        ear.say(Said(kind="unusable", words=_sentence(error)))
        return
    from threadpoolctl import threadpool_limits

    threading.Thread(target=ear.listen, daemon=True).start()
    with threadpool_limits(limits=threads):
        ear.say(Said(kind="ready"))
        while not ear.ended:
            with suppress(Empty):
                ear.say(_run(function, ear.jobs.get(timeout=_LOOK_S), ear))


def _settle(coordinator: int, threads: int, ear: Ear) -> None:
    """Make the process a worker's."""
    with suppress(OSError):
        os.setpgid(0, 0)
    end_with(coordinator)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # It was born with that one held back; what a trial starts is not.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, ear.asked_to_end)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for name in _THREADS:
        held = os.environ.get(name, "")
        os.environ[name] = str(min(threads, int(held)) if held.isdigit() and int(held) else threads)
    # Where memory is short the system ends a worker, not its coordinator.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _run(objective: Objective, job: Job, ear: Ear) -> Said:
    """One attempt, to its end."""
    folder, report = Path(job.folder), PipeReport(job, ear)
    # An earlier attempt of the same trial may have been told to stop.
    ear.now, ear.stop = job.number, 0
    with _words_to(folder / WORDS):
        _alarm(job.ends_at)
        began = time.monotonic()
        try:
            value = finite(objective(dict(job.settings), report), "the result")
        except Stopped:
            return Said(kind="stopped", number=job.number, kept_s=report.kept_s())
        except BaseException as error:
            traceback.print_exc()
            return Said(kind="failed", number=job.number, words=_sentence(error), kept_s=report.kept_s())
        finally:
            ear.now = 0
            signal.setitimer(signal.ITIMER_REAL, 0)
        _write_result(folder, {"attempt": job.attempt, "value": value, "seconds": time.monotonic() - began})
    return Said(kind="finished", number=job.number, value=value)


def _alarm(ends_at: float) -> None:
    """Have the system end this process at that moment, whatever it is busy with."""
    if math.isfinite(ends_at):
        signal.setitimer(signal.ITIMER_REAL, max(0.01, ends_at - time.monotonic()))


def read_result(folder: Path, attempt: int) -> Mapping[str, Any] | None:
    """What an attempt came to that was finished before anybody could take note; None: it was not finished.

    A file that the machine's end left empty or torn says nothing.
    """
    try:
        found: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return {**found, "value": finite(found["value"], RESULT)} if found["attempt"] == attempt else None
    except (OSError, ValueError, KeyError, TypeError, Diverged):
        return None


def _write_result(folder: Path, result: dict[str, Any]) -> None:
    draft = folder / f"{RESULT}.draft"
    draft.write_text(json.dumps(result), encoding="utf-8")
    draft.replace(folder / RESULT)


def _sentence(error: BaseException) -> str:
    """An error in one sentence, with the place in the caller's own code where there is one."""
    if isinstance(error, Diverged):
        return f"{error}."
    if isinstance(error, MatineeError):
        return str(error)
    words = " ".join(str(error).split())[:300]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"It raised {type(error).__name__}{': ' + words if words else ''}{place}."


@contextmanager
def _words_to(path: Path) -> Iterator[None]:
    """While it lasts, what is printed goes to a file, also what libraries in C print."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    before = [os.dup(1), os.dup(2)]
    words = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(words, 1)
    os.dup2(words, 2)
    os.close(words)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        for place, file in enumerate(before, 1):
            os.dup2(file, place)
            os.close(file)
        with suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()
