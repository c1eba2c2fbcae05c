"""One process that answers: told what to do on standard input, telling how it goes on standard output.

Orders are words, one a line: `open` once everything is loaded, then `leave` (others go on at the same
socket) or `end` (nobody does). When standard input ends, whoever gave orders is gone: that is the end too.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from matinee.core.errors import InputError, MatineeError, MissingExtra
from matinee.serve.bind import inherited
from matinee.serve.work import Work, work_of

if TYPE_CHECKING:
    from matinee.serve.door import Door

OPEN, LEAVE, END = "open", "leave", "end"

_INPUT = 0

Tell = Callable[[dict[str, Any]], None]


def main() -> int:
    """Do the work that the first line of standard input says."""
    told = os.dup(sys.stdout.fileno())
    # Whatever else prints to standard output must not be taken for what is told.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(facts: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):
            os.write(told, json.dumps(facts).encode() + b"\n")

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _many_descriptors()
    try:
        first_line, rest = _first_line()
        return _loop_of_its_own(lambda: _work(work_of(first_line), rest, tell))
    except MatineeError as error:
        tell({"failed": str(error), "status": InputError.exit_status})
        return InputError.exit_status


def _loop_of_its_own(story: Callable[[], Coroutine[Any, Any, None]]) -> int:
    try:
        import uvloop
    except ImportError as error:
        raise MissingExtra("Serving", "serve") from error
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
    return 0


async def _work(work: Work, rest: bytes, tell: Tell) -> None:
    from matinee.serve.desk import open_desk
    from matinee.serve.door import Door

    orders = _orders(rest)
    listening = inherited(work.descriptor, lent=work.lent)
    desk = await open_desk(work, listening, lambda words: tell({"say": words}))
    chores: list[asyncio.Task[None]] = []
    try:
        door = Door(desk.app, listening, work.limits, desk.health)
        # What was loaded stays: looking through it for garbage costs milliseconds that somebody waits for.
        gc.collect()
        gc.freeze()
        tell({"loaded": desk.facts()})
        if await orders.get() == OPEN:
            door.open()
            chores = [asyncio.create_task(one) for one in desk.chores(lambda: door.connections)]
            await _until_left(door, orders, work.notice_s)
    finally:
        for chore in chores:
            chore.cancel()
        await desk.close()


async def _until_left(door: Door, orders: asyncio.Queue[str], notice_s: float) -> None:
    """Answer until somebody says otherwise; whoever only leaves may still be told that it is the end."""
    if await orders.get() == LEAVE:
        leaving = asyncio.create_task(door.leave())
        told = asyncio.create_task(orders.get())
        await asyncio.wait({leaving, told}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            told.cancel()
            return
    await door.end(notice_s)


def _orders(rest: bytes) -> asyncio.Queue[str]:
    """Orders as they come, from standard input and as signals."""
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[str] = asyncio.Queue()
    left = bytearray()

    def take(data: bytes) -> None:
        left.extend(data)
        while b"\n" in left:
            word, _, after = bytes(left).partition(b"\n")
            left[:] = after
            orders.put_nowait(word.decode())

    def read() -> None:
        data = os.read(_INPUT, 4096)
        if data:
            take(data)
        else:
            loop.remove_reader(_INPUT)
            orders.put_nowait(END)

    take(rest)
    loop.add_reader(_INPUT, read)
    loop.add_signal_handler(signal.SIGTERM, orders.put_nowait, LEAVE)
    return orders


def _first_line() -> tuple[bytes, bytes]:
    """The first line of standard input, and what came with it."""
    told = b""
    while b"\n" not in told:
        data = os.read(_INPUT, 65_536)
        if not data:
            raise InputError("This process is started by `matinee serve`, which tells it what to do.")
        told += data
    line, _, rest = told.partition(b"\n")
    return line, rest


def _many_descriptors() -> None:
    """Every connection is one: take as many as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
