"""Connections come in here, uvicorn's protocol answers them, and at the end nobody is cut off.

Not uvicorn's own server: that one resets clients at its end, and leaves slow ones in.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from matinee.serve.bind import Listening, refuse_new, somebody_waits
from matinee.serve.connection import Connection, parting_words
from matinee.serve.health import Health
from matinee.serve.service import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# How often connections are looked at; a time-out comes so much late at most.
_LOOK_S = 0.4

# Connections looked at at one go: about a tenth of a millisecond.
_LOOKS_AT_ONCE = 32

# Connections taken at one go: other processes that listen here get their share.
_AT_ONCE = 4

# Where no descriptor is left, this long nobody is let in.
_FULL_S = 0.5

# While more than this share of the connections is open, idle ones are let go as soon as slow ones.
_CROWDED = 0.125

# A queue that was empty for so long, with nobody let in at its far end, stays empty.
_QUIET_S = 0.1

# A client that has asked nothing for so long, while we take our leave, is told to go.
_PATIENCE_S = 2.0

# How long closing what was dropped may take.
_CLOSING_S = 0.5


class Door:
    """What lets connections in, watches them, and sees them out.

    Args:
        app: what answers.
        listening: where clients come in.
        limits: how many, and how slow they may be.
        health: told when the leave begins.
    """

    def __init__(self, app: ASGIApp, listening: Listening, limits: Limits, health: Health) -> None:
        import uvicorn
        from uvicorn.server import ServerState

        self._listening, self._limits, self._health = listening, limits, health
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=86_400,  # the watch below does it
        )
        self._config.load()
        self._state = ServerState()
        # In the order in which they came: among those idle for equally long, the first to come goes.
        self._connections: dict[Connection, None] = {}
        self._welcomes: set[asyncio.Task[Any]] = set()
        self._open = False
        self._watch: asyncio.Task[None] | None = None
        self._leaving_since: float | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def open(self) -> None:
        """Let connections in."""
        self._tell_date()
        self._watch = asyncio.get_running_loop().create_task(self._look_around())
        self._let_in()

    async def leave(self) -> None:
        """Finish what is open; others go on listening at the same socket, or it is theirs to close."""
        self._health.leaving = True
        self._let_nobody_in()
        await self._see_out()

    async def end(self, notice_s: float = 0.0) -> None:
        """Finish what is open and what stands in the queue, and close the socket.

        Args:
            notice_s: how long new connections are still taken while /readyz says no, so that whoever sends
                clients here learns of it.
        """
        loop = asyncio.get_running_loop()
        self._health.leaving = True
        if not self._listening.lent and self._listening.socket.fileno() >= 0:
            await asyncio.sleep(notice_s)
            self._let_in()
            refuse_new(self._listening)
            quiet_from = loop.time()
            while loop.time() - quiet_from < _QUIET_S:
                await asyncio.sleep(_QUIET_S / 20)
                if somebody_waits(self._listening):
                    quiet_from = loop.time()
        self._let_nobody_in()
        self._listening.socket.close()
        await self._see_out()

    def _let_in(self) -> None:
        if not self._open and self._listening.socket.fileno() >= 0:
            self._open = True
            asyncio.get_running_loop().add_reader(self._listening.socket.fileno(), self._take)

    def _let_nobody_in(self) -> None:
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._listening.socket.fileno())

    def _take(self) -> None:
        """Take a few of those who wait."""
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = self._listening.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No descriptor or no memory is left: those who wait keep waiting.
                self._let_nobody_in()
                loop.call_later(_FULL_S, self._let_in_again)
                return
            accepted.setblocking(False)
            if len(self._connections) >= self._limits.connections:
                self._make_room(accepted)
                continue
            welcome = loop.create_task(self._welcome(accepted, self._connection(accepted)))
            self._welcomes.add(welcome)
            welcome.add_done_callback(self._welcomes.discard)

    def _let_in_again(self) -> None:
        if not self._health.leaving:
            self._let_in()

    def _connection(self, accepted: socket.socket) -> Connection:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        loop = asyncio.get_running_loop()
        inner = HttpToolsProtocol(config=self._config, server_state=self._state, app_state={}, _loop=loop)
        made = Connection(inner, accepted, self._connections, loop.time())
        self._connections[made] = None
        return made

    async def _welcome(self, accepted: socket.socket, connection: Connection) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted)
        except OSError:
            # It left before it was greeted.
            self._connections.pop(connection, None)
            accepted.close()

    def _make_room(self, accepted: socket.socket) -> None:
        """Nobody else fits in: say so, and let the one go who has been idle for longest."""
        with suppress(OSError):
            accepted.send(parting_words(503))
        accepted.close()
        idle = [(since, one) for one in self._connections if (since := one.idle_since()) is not None]
        if idle:
            min(idle, key=lambda pair: pair[0])[1].part(asyncio.get_running_loop().time())

    async def _look_around(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            self._tell_date()
            crowded = len(self._connections) > _CROWDED * self._limits.connections
            idle_s = min(self._limits.idle_s, self._limits.header_s if crowded else self._limits.idle_s)
            now = loop.time()
            if self._leaving_since is not None and now - self._leaving_since >= _PATIENCE_S:
                idle_s = min(idle_s, _PATIENCE_S)
            await self._look_at_all(now, idle_s)

    async def _look_at_all(self, now: float, idle_s: float) -> None:
        """Look at some, let others have their turn, and so on: thousands at one go would hold up answers."""
        everybody = list(self._connections)
        for start in range(0, len(everybody), _LOOKS_AT_ONCE):
            for one in everybody[start : start + _LOOKS_AT_ONCE]:
                if one in self._connections:
                    one.look(now, self._limits, idle_s)
            await asyncio.sleep(0)

    def _tell_date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]

    async def _see_out(self) -> None:
        """Wait until everybody has left, as long as the limits allow; then put out who is still there."""
        loop = asyncio.get_running_loop()
        self._leaving_since = loop.time()
        last = self._leaving_since + self._limits.drain_s
        while self._connections and loop.time() < last:
            await asyncio.sleep(0.02)
        for one in list(self._connections):
            one.drop()
        # What is dropped is closed in the loop's next round or two.
        while self._connections and loop.time() < last + _CLOSING_S:
            await asyncio.sleep(0)
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=1.0)
        if self._watch is not None:
            self._watch.cancel()
