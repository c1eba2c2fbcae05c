"""One open connection: uvicorn's protocol, and a watch over how long its client takes.

uvicorn has no time-out for a header, a body or an answer that nobody reads, and no limit on a header's size;
at its end it resets clients that keep their connections. All of it is here, beside uvicorn's protocol and not
in it: what a client is doing is read off that protocol's state now and then, so that a quick client costs
nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from matinee.serve.service import Limits

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Bytes of a header, its first line included; more than any browser sends.
HEADER_BYTES = 32 * 2**10

# Requests that a client may send ahead of the answers.
_PIPELINED = 16

# A body that comes, or an answer that is read, more slowly than this is not waited for.
_BYTES_PER_S = 500.0

# Seconds that a client has to read why it is sent away.
_PARTING_S = 1.0

# How uvicorn begins an answer, and up to how many bytes are copied to go out with it.
_HEADER, _JOINED_BYTES = b"HTTP/1.1 ", 2**16

# Where the number of acknowledged bytes lies in Linux's TCP_INFO.
_ACKED_AT, _TCP_INFO_BYTES = 120, 128

_PARTING = {
    408: b"HTTP/1.1 408 Request Timeout",
    431: b"HTTP/1.1 431 Request Header Fields Too Large",
    503: b"HTTP/1.1 503 Service Unavailable",
}


def parting_words(status: int) -> bytes:
    """A whole answer without a body, for a client that is sent away."""
    return _PARTING[status] + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """A client's connection, from its first byte to its last.

    Args:
        inner: uvicorn's protocol, which reads requests and writes answers.
        accepted: the socket.
        connections: all that are open; it takes itself out.
        now: the loop's time.
    """

    def __init__(
        self,
        inner: HttpToolsProtocol,
        accepted: socket.socket,
        connections: dict[Connection, None],
        now: float,
    ) -> None:
        self._inner, self._socket, self._connections = inner, accepted, connections
        self._transport: asyncio.Transport | None = None
        self._received = self._header_bytes = 0
        self._doing: tuple[str, Any] = ("header", None)
        self._since, self._received_then = now, 0
        self._unread_since: float | None = None
        self._acked_then = 0
        self._leaving: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, _Together(cast(asyncio.Transport, transport)))
        self._inner.connection_made(self._transport)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, unless they are too many."""
        if self._leaving is not None:
            return
        self._received += len(data)
        self._inner.data_received(data)
        if self._begun():
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._send_away(431)
        else:
            self._header_bytes = 0
        if len(self._inner.pipeline) > _PIPELINED:
            self._abort()

    def eof_received(self) -> None:
        """The client will send no more."""
        self._inner.eof_received()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._connections.pop(self, None)
        self._inner.connection_lost(exc)

    def idle_since(self) -> float | None:
        """Since when the client has nothing under way, as of the last look; None: it has."""
        return self._since if self._doing[0] == "idle" and self._leaving is None else None

    def look(self, now: float, limits: Limits, idle_s: float) -> None:
        """Send the client away if it takes too long.

        Args:
            now: the loop's time.
            limits: how long is too long.
            idle_s: how long it may have nothing under way.
        """
        if self._leaving is not None:
            if now - self._leaving > _PARTING_S:
                self._abort()
            return
        doing = self._what()
        if doing[0] != self._doing[0] or doing[1] is not self._doing[1]:
            self._doing, self._since, self._received_then = doing, now, self._received
        took = now - self._since
        if self._unread_too_long(now, limits.header_s):
            self._abort()
        elif doing[0] == "header":
            if took >= limits.header_s:
                self._send_away(408)
        elif doing[0] == "body":
            came = self._received - self._received_then
            if took >= limits.body_s or (took >= limits.header_s and came < _BYTES_PER_S * took):
                self._send_away(408)
        elif doing[0] == "idle" and took >= idle_s:
            self.part(now)

    def part(self, now: float) -> None:
        """Say that no more will be answered here, and wait a moment for the client to agree.

        Nothing is under way; a request that crosses this word is seen by its client as never taken, not as
        one that broke.
        """
        if self._transport is None or self._transport.is_closing():
            return
        self._leaving = now
        with suppress(OSError, RuntimeError):
            self._transport.write_eof()

    def drop(self) -> None:
        """End at once, whatever is under way."""
        self._abort()

    def _begun(self) -> bool:
        """Whether a header has begun and is not complete: then uvicorn makes a cycle of it."""
        scope, cycle = self._inner.scope, self._inner.cycle
        return scope is not None and (cycle is None or cycle.scope is not scope)

    def _what(self) -> tuple[str, Any]:
        """What the client is doing, and with which request."""
        cycle = self._inner.cycle
        if cycle is None or self._begun():
            return "header", cycle
        if cycle.more_body:
            return "body", cycle
        return ("idle" if cycle.response_complete else "answer"), cycle

    def _send_away(self, status: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        cycle = self._inner.cycle
        answering = cycle is not None and cycle.response_started and not cycle.response_complete
        # Half an answer cannot become another one; and one that is complete needs no second.
        if not answering and not (self._doing[0] == "body" and cycle is not None and cycle.response_complete):
            self._transport.write(parting_words(status))
        self._leaving = asyncio.get_running_loop().time()
        if cycle is not None and not cycle.response_complete:
            # Whoever waits for the rest of the body learns that it will not come.
            cycle.disconnected = True
            cycle.message_event.set()
        with suppress(OSError, RuntimeError):
            self._transport.write_eof()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _unread_too_long(self, now: float, most_s: float) -> bool:
        """Whether the client has left our bytes unread for so long that it will not read them."""
        if not self._unread_bytes():
            self._unread_since = None
            return False
        acked = _acked(self._socket)
        if self._unread_since is None or acked - self._acked_then >= _BYTES_PER_S * most_s:
            self._unread_since, self._acked_then = now, acked
            return False
        return now - self._unread_since >= most_s

    def _unread_bytes(self) -> int:
        """Bytes that wait here and in the kernel."""
        if self._transport is None or self._transport.is_closing():
            return 0
        waiting = self._transport.get_write_buffer_size()
        if waiting:
            return waiting
        try:
            found = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        except (OSError, ValueError):
            return 0
        return int(struct.unpack("i", found)[0])


class _Together:
    """A transport that sends an answer's header with what comes right after it, in one call of the system.

    uvicorn writes one after the other, and each would go out at once. Everything else is passed on.

    Args:
        transport: where it all goes.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._header = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, or keep a header until the loop's next turn at the latest."""
        if self._header and len(data) <= _JOINED_BYTES:
            data, self._header = self._header + data, b""
        elif data.startswith(_HEADER):
            self._flush()
            self._header = data
            asyncio.get_running_loop().call_soon(self._flush)
            return
        self._flush()
        self._transport.write(data)

    def write_eof(self) -> None:
        """Send what was kept, and say that nothing more comes."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what was kept, and end."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._header:
            header, self._header = self._header, b""
            self._transport.write(header)


def _acked(accepted: socket.socket) -> int:
    """Bytes that the client's machine has acknowledged; 0 where the system does not tell."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return 0
    try:
        told = accepted.getsockopt(socket.IPPROTO_TCP, option, _TCP_INFO_BYTES)
    except (OSError, ValueError):
        return 0
    return int(struct.unpack_from("Q", told, _ACKED_AT)[0]) if len(told) >= _TCP_INFO_BYTES else 0
