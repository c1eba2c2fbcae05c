"""Clients that keep their connection, leave when they are told to, and count what broke."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What clients saw.

    Attributes:
        seconds: of each request that was answered.
        failed: what broke.
    """

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """What other clients saw, too."""
        self.seconds += other.seconds
        self.failed += other.failed

    def at(self, share: float) -> float:
        """A quantile of the seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def request_of(method: str, path: str, value: object = None) -> bytes:
    """A request as it goes out."""
    body = b"" if value is None else json.dumps(value).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body


class Client:
    """One connection, opened again where the server has said that it will close it."""

    def __init__(self, place: tuple[str, int]) -> None:
        self._place = place
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def port(self) -> int:
        """The port at this end of the connection, once something was asked."""
        if self._streams is None:
            raise RuntimeError("Nothing was asked yet, or the server has closed the connection.")
        return int(self._streams[1].get_extra_info("sockname")[1])

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """One request and its answer.

        Raises:
            ConnectionRefusedError: nobody listens; the request was not sent.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
        except BaseException:
            await self.close()
            raise
        if b"connection: close" in head:
            await self.close()
        return int(head.split(b" ", 2)[1]), body

    async def json(self, method: str, path: str, value: object = None) -> Any:
        """An answer as JSON; anything but 200 is an error."""
        status, body = await self.ask(request_of(method, path, value))
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {body[:200]!r}")
        return json.loads(body)

    async def close(self) -> None:
        """Let go."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def keep_asking(
    place: tuple[str, int], requests: Iterator[bytes], tally: Tally, stop: asyncio.Event, pause_s: float = 0.0
) -> None:
    """Ask one request after the other until told to stop; a server that is not there is waited for."""
    client = Client(place)
    while not stop.is_set():
        began = time.perf_counter()
        try:
            status, body = await client.ask(next(requests))
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
            continue
        except (OSError, asyncio.IncompleteReadError) as error:
            tally.failed.append(repr(error))
            continue
        tally.seconds.append(time.perf_counter() - began)
        if status != 200:
            tally.failed.append(f"{status} {body[:100]!r}")
        if pause_s:
            await asyncio.sleep(pause_s)
    await client.close()


def beside_load(
    place: tuple[str, int],
    requests: Callable[[int], Iterator[bytes]],
    story: Callable[[], Awaitable[None]],
    *,
    clients: int = 8,
    pause_s: float = 0.0,
) -> Tally:
    """Run a story while clients keep asking."""
    tally = Tally()

    async def both() -> None:
        stop = asyncio.Event()
        asking = [
            asyncio.create_task(keep_asking(place, requests(number), tally, stop, pause_s))
            for number in range(clients)
        ]
        try:
            await story()
        finally:
            stop.set()
            await asyncio.gather(*asking)

    asyncio.run(both())
    return tally
