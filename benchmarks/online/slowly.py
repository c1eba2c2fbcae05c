"""Clients that are slow on purpose, until they are dropped: a program of its own.

    python -m online.slowly HOST PORT CLIENTS

A third sends a header byte by byte, a third a body, and a third never reads an answer. The seconds that each
stayed are printed as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress

from online.clients import request_of

Slowly = Callable[[asyncio.StreamWriter], Coroutine[None, None, None]]

_BYTE_S = 0.5
_NEXT_S = 0.005


async def all_of_them(place: tuple[str, int], slow: int) -> list[float]:
    """Let them all come, one after the other, and wait for the last to be dropped."""
    kinds: list[Slowly] = [_header, _body, _never_reads]
    staying = []
    for number in range(slow):
        staying.append(asyncio.create_task(_stay(kinds[number % 3], place)))
        await asyncio.sleep(_NEXT_S)
    return list(await asyncio.gather(*staying))


async def _stay(kind: Slowly, place: tuple[str, int]) -> float:
    own = socket.socket()
    if kind is _never_reads:
        # Little fits into this machine's own buffer: the rest waits at the server.
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    own.setblocking(False)
    await asyncio.get_running_loop().sock_connect(own, place)
    reader, writer = await asyncio.open_connection(sock=own, limit=1024)
    began = time.monotonic()
    task = asyncio.create_task(kind(writer))
    with suppress(OSError):
        if kind is _never_reads:
            await task
        else:
            await reader.read()
    stayed = time.monotonic() - began
    task.cancel()
    writer.close()
    with suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()
    return stayed


async def _header(writer: asyncio.StreamWriter) -> None:
    await _byte_by_byte(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-many: " + b"y" * 1000, writer)


async def _body(writer: asyncio.StreamWriter) -> None:
    writer.write(request_of("POST", "/v1/recommend", {"user": "x" * 1000}).partition(b"{")[0])
    await _byte_by_byte(b"{" + b" " * 999, writer)


async def _byte_by_byte(data: bytes, writer: asyncio.StreamWriter) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(_BYTE_S)


async def _never_reads(writer: asyncio.StreamWriter) -> None:
    """Ask for what is long and costs little to make, and read nothing: it is slowness that is measured.

    Blank lines then show whether the connection was dropped.
    """
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request_of("GET", "/openapi.json"))
    while not writer.transport.is_closing():
        await asyncio.sleep(_BYTE_S)
        writer.write(b"\r\n")


if __name__ == "__main__":
    # asyncio says of every connection that the server has closed that it did.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print(json.dumps(asyncio.run(all_of_them((sys.argv[1], int(sys.argv[2])), int(sys.argv[3])))))
