"""A place of this machine where trials run one after the other, in a process that is kept warm."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from matinee.tune.executor import Verdict
from matinee.tune.worker import Job, Said, work


@dataclass
class Running:
    """The attempt that a slot is busy with.

    Attributes:
        job: the attempt.
        limit_dollars: what it may cost.
        began: seconds of a clock that never goes back, when it was begun.
        reading: the meter's, when it was begun.
        spoke: when it last said something.
        patience_s: how long it may be silent; None: for ever.
        kept_dollars: what it had cost when it last wrote a checkpoint.
        verdict: why it was asked or made to end.
        told: when its process was told to end (SIGTERM); None: it was not.
        killed: whether its process was killed by us.
        last: what it said at its end, where its process has yet to follow.
    """

    job: Job
    limit_dollars: float
    began: float
    reading: float
    spoke: float
    patience_s: float | None
    kept_dollars: float | None = None
    verdict: Verdict = ""
    told: float | None = None
    killed: bool = False
    last: Said | None = None


@dataclass
class Slot:
    """One worker's place.

    Attributes:
        process: the worker; None before the first trial, and after the end of one.
        pipe: to the worker.
        busy: the attempt that runs there.
        ready: whether the worker ever said that it is.
    """

    process: SpawnProcess | None = None
    pipe: Connection | None = None
    busy: Running | None = None
    ready: bool = False

    def spawn(self, objective: bytes, threads: int) -> None:
        """Start a worker, unless there is one that lives."""
        if self.process is not None and self.process.is_alive():
            return
        self.bury()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.pipe, self.ready = ours, False
        self.process = context.Process(target=work, args=(theirs, os.getpid(), objective, threads))
        # Ctrl-C is the coordinator's affair, also while a worker is on its way and cannot ignore it yet.
        # Python's own helper process lets the signal through again when it starts: it starts before.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def send(self, words: object) -> None:
        """Say something to the worker; one that has just ended will be found dead soon enough."""
        if self.pipe is not None:
            with suppress(OSError):
                self.pipe.send(words)

    def terminate(self) -> None:
        """Ask the process to end."""
        if self.busy is not None and self.busy.told is None:
            self.busy.told = time.monotonic()
        self._signal(signal.SIGTERM, group=False)

    def kill(self) -> None:
        """End the process and whatever it has started."""
        if self.busy is not None:
            self.busy.killed = True
        self._signal(signal.SIGKILL, group=True)

    def bury(self) -> int:
        """Wait for the process's end and clear up after it; the status that it ended with."""
        status = 0
        if self.process is not None:
            # What it has started shares its group, and outlives nobody.
            self._signal(signal.SIGKILL, group=True)
            self.process.join()
            status = self.process.exitcode or 0
            self.process.close()
        if self.pipe is not None:
            self.pipe.close()
        self.process = self.pipe = None
        return status

    def _signal(self, number: signal.Signals, *, group: bool) -> None:
        if self.process is None or self.process.pid is None:
            return
        if group:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
                return
        # It has not made its own group yet, or has ended.
        with suppress(ProcessLookupError):
            if self.process.exitcode is None:
                os.kill(self.process.pid, number)
