"""The process that binds the socket, starts the workers, and sees that there are always as many as agreed.

Workers share one socket and its queue, so that one of them may come, go or die while the others answer
whoever waits. This process loads nothing and answers nobody: there is little in it that could break.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError, MatineeError
from matinee.serve.bind import Listening, listen
from matinee.serve.metrics import FOLDER_VARIABLE, forget_process
from matinee.serve.request_log import RequestLog, ToFile, ToStream
from matinee.serve.work import Work
from matinee.serve.worker import END, LEAVE, OPEN

# Seconds before a worker that died is replaced, growing up to the most while it keeps dying young.
_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_YOUNG_S = 60.0

# Beyond its own time-outs, a worker that was asked to go is given this long.
_GRACE_S = 5.0

Say = Callable[[str], None]


class WorkerFailed(MatineeError):
    """A worker said why it cannot begin, or died before it could say anything."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.exit_status = status


@dataclass(eq=False)
class Worker:
    """One process that answers.

    Attributes:
        process: the process.
        loaded: what it serves, once everything is loaded.
        began: the loop's time.
    """

    process: asyncio.subprocess.Process
    loaded: asyncio.Future[dict[str, Any]]
    began: float

    def order(self, word: str) -> None:
        """Tell it what to do."""
        with suppress(OSError, RuntimeError):
            assert self.process.stdin is not None  # noqa: S101 - it was started with a pipe
            self.process.stdin.write(f"{word}\n".encode())


@dataclass(kw_only=True)
class Supervisor:
    """Starts workers and keeps them going.

    Attributes:
        work: what each is to do.
        listening: the bound socket.
        workers: how many there are.
        say: told what happens before anybody is let in; what happens later is a line of the log.
    """

    work: Work
    listening: Listening
    workers: int
    say: Say
    _places: dict[int, Worker] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: bool = False
    _ending: bool = False
    _folder: str = ""
    _log: RequestLog = field(init=False)

    async def run(self, ready: Callable[[dict[str, Any], list[int]], None]) -> None:
        """Serve until a signal says otherwise.

        Args:
            ready: called once every worker answers, with what is served and the workers' process ids.

        Raises:
            MatineeError: a worker cannot begin.
        """
        work = self.work
        with tempfile.TemporaryDirectory(prefix="matinee-serve-") as self._folder:
            self._log = RequestLog(work.log, ToFile(Path(work.log_file)) if work.log_file else ToStream())
            self._follow_signals()
            try:
                facts = await self._begin()
                ready(facts, [one.process.pid for one in self._places.values()])
                await self._ended.wait()
            except WorkerFailed:
                # Told to end before anybody was let in, the workers were stopped at what they were loading.
                if not self._ending:
                    raise
            finally:
                for task in self._tasks:
                    task.cancel()
                await self._kill_all()
                self._log.close()

    async def _begin(self) -> dict[str, Any]:
        """Load everything in every worker, then let clients in."""
        for place in range(self.workers):
            self._places[place] = await self._start(place)
            if self._ending:
                self._end()
        facts = await asyncio.gather(*(one.loaded for one in self._places.values()))
        listen(self.listening)
        self._begun = True
        for place, one in self._places.items():
            one.order(OPEN)
            self._go_on(self._watch(place, one))
        return facts[0]

    async def _start(self, place: int) -> Worker:
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "matinee.serve.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[self.work.descriptor],
            env={**os.environ, **single, FOLDER_VARIABLE: self._folder},
        )
        loop = asyncio.get_running_loop()
        worker = Worker(process, loop.create_future(), loop.time())
        # Nobody may be waiting any more when it fails.
        worker.loaded.add_done_callback(lambda done: done.cancelled() or done.exception())
        assert process.stdin is not None  # noqa: S101 - it was started with a pipe
        process.stdin.write(self.work.line(first=place == 0))
        self._go_on(self._hear(worker))
        return worker

    async def _hear(self, worker: Worker) -> None:
        """Take what a worker tells."""
        assert worker.process.stdout is not None  # noqa: S101 - it was started with a pipe
        async for line in worker.process.stdout:
            with suppress(ValueError):
                told = json.loads(line)
                if "say" in told:
                    self.say(told["say"])
                elif "loaded" in told and not worker.loaded.done():
                    worker.loaded.set_result(told["loaded"])
                elif "failed" in told and not worker.loaded.done():
                    worker.loaded.set_exception(WorkerFailed(told["failed"], told["status"]))
        if not worker.loaded.done():
            status = await worker.process.wait()
            worker.loaded.set_exception(WorkerFailed(f"A worker {_how(status)} before it was ready.", 1))

    async def _watch(self, place: int, worker: Worker) -> None:
        """See a worker end; if nobody asked it to, put another one in its place."""
        status = await worker.process.wait()
        forget_process(Path(self._folder), worker.process.pid)
        if self._ending:
            if all(one.process.returncode is not None for one in self._places.values()):
                self._ended.set()
            return
        if self._places[place] is not worker:
            return
        lived_s = asyncio.get_running_loop().time() - worker.began
        pause_s = _PAUSE_S
        old = worker.process.pid
        words = f"Worker {old} {_how(status)} after {lived_s:.0f} s; another one is started."
        while True:
            self._log.say(words, level="error", worker=old)
            await asyncio.sleep(pause_s if lived_s < _YOUNG_S else 0.0)
            try:
                await self._replace(place)
            except MatineeError as error:
                pause_s, lived_s = min(2 * pause_s, _LONGEST_PAUSE_S), 0.0
                words = f"The new worker cannot begin: {error} It is tried again in {pause_s:.0f} s."
                continue
            new = self._places[place].process.pid
            if new != old:
                self._log.say(f"Worker {new} answers in place of {old}.", level="info", worker=new)
            return

    async def _replace(self, place: int) -> None:
        """Put a new worker in a place; whoever was there is left to whoever calls."""
        fresh = await self._start(place)
        try:
            await fresh.loaded
        except BaseException:
            with suppress(ProcessLookupError):
                fresh.process.kill()
            raise
        if self._ending:
            fresh.process.kill()
            return
        self._places[place] = fresh
        fresh.order(OPEN)
        self._go_on(self._watch(place, fresh))

    async def _replace_all(self) -> None:
        """Replace workers one after the other: the next only when the one before has gone in peace."""
        for place, old in list(self._places.items()):
            try:
                await self._replace(place)
            except MatineeError as error:
                self._log.say(f"The workers stay as they are: {error}", level="error")
                return
            old.order(LEAVE)
            await self._patient(old.process.wait(), old)
        self._log.say("Every worker has been replaced.", level="info")

    def _end(self) -> None:
        """Ask every worker to end; asked again, or while they still load, make them."""
        again = self._ending
        self._ending = True
        if self._begun and not again:
            self._go_on(self._see_out())
            return
        for one in self._places.values():
            with suppress(ProcessLookupError):
                one.process.kill()

    async def _see_out(self) -> None:
        for one in self._places.values():
            one.order(END)
        # Theirs is the same socket: it is closed when the last of them has let go of it.
        self.listening.socket.close()
        await asyncio.gather(*(self._patient(one.process.wait(), one) for one in self._places.values()))
        self._ended.set()

    async def _patient(self, leaving: Awaitable[Any], worker: Worker) -> None:
        limits = self.work.limits
        try:
            await asyncio.wait_for(leaving, self.work.notice_s + limits.drain_s + _GRACE_S)
        except TimeoutError:
            pid = worker.process.pid
            self._log.say(f"Worker {pid} does not end: it is stopped.", level="error", worker=pid)
            with suppress(ProcessLookupError):
                worker.process.kill()

    async def _kill_all(self) -> None:
        for one in self._places.values():
            if one.process.returncode is None:
                with suppress(ProcessLookupError):
                    one.process.kill()
                await one.process.wait()

    def _follow_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(asked, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._renew)

    def _renew(self) -> None:
        if not self._ending and not any(one.get_name() == "renew" for one in self._tasks):
            self._go_on(self._replace_all(), "renew")

    def _go_on(self, story: Any, name: str | None = None) -> None:
        task = asyncio.get_running_loop().create_task(story, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def serve_until_told(supervisor: Supervisor, ready: Callable[[dict[str, Any], list[int]], None]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP replaces the workers.

    Args:
        supervisor: what is to be served.
        ready: called once every worker answers, with what is served and the workers' process ids.

    Raises:
        InputError: there is to be no worker at all.
        MatineeError: a worker cannot begin.
    """
    if supervisor.workers < 1:
        raise InputError(f"--workers is {supervisor.workers}: expected 1 or more.")
    asyncio.run(supervisor.run(ready))


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
