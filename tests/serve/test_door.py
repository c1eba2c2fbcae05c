"""Slow clients are sent away, quick ones are not, and at the end nobody is cut off. Real sockets."""

import asyncio
import gc
import json
import socket
import time
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from matinee.serve.bind import bind, listen, refuse_new, somebody_waits
from matinee.serve.connection import HEADER_BYTES
from matinee.serve.door import Door
from matinee.serve.health import Health
from matinee.serve.metrics import Metrics
from matinee.serve.observe import Observed, templates_of
from matinee.serve.request_log import RequestLog
from matinee.serve.service import Limits

QUICK = Limits(header_s=0.8, body_s=1.6, idle_s=1.2, drain_s=4.0)


class Kept:
    """Lines, kept."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())}")


async def large(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("x" * 4_000_000)


async def slow(_request: Request) -> PlainTextResponse:
    await asyncio.sleep(0.5)
    return PlainTextResponse("at last")


ROUTES = [
    Route("/echo", echo, methods=["GET", "POST"]),
    Route("/large", large),
    Route("/slow", slow),
]


@asynccontextmanager
async def a_door(limits=QUICK):
    listening = bind("127.0.0.1", 0)
    health, kept = Health(), Kept()
    log = RequestLog("json", kept)
    app = Observed(Starlette(routes=ROUTES), templates_of({"test": ROUTES}), health, Metrics(), log)
    door = Door(app, listening, limits, health)
    listen(listening)
    address = listening.socket.getsockname()
    door.open()
    try:
        yield door, address, kept
    finally:
        await door.end()
        log.close()


async def one_answer(reader) -> tuple[int, bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    return int(head.split()[1]), head.lower(), await reader.readexactly(length)


async def until(so, most_s: float = 20.0) -> None:
    """Wait for a condition: how long it takes is the machine's affair."""
    async with asyncio.timeout(most_s):
        while not so():
            await asyncio.sleep(0.01)


async def until_dropped(reader, most_s: float) -> bytes:
    return await asyncio.wait_for(reader.read(), most_s)


def run(story):
    import uvloop

    async def whole():
        await story()
        # A client's end is closed in the loop's next rounds, and what is left open is this story's affair.
        await asyncio.sleep(0.05)
        gc.collect()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(whole())


def test_keeps_a_connection_for_many_requests_and_logs_each_without_its_query():
    async def story():
        async with a_door() as (_, address, kept):
            reader, writer = await asyncio.open_connection(*address)
            for _ in range(3):
                writer.write(b"POST /echo?user=somebody HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
                status, head, body = await one_answer(reader)
                assert (status, body) == (200, b"3")
                assert b"connection: close" not in head
                assert b"server:" not in head
            writer.close()
            await until(lambda: len(kept.data.splitlines()) == 3)
            lines = kept.data.splitlines()
            assert json.loads(lines[0])["route"] == "/echo"
            assert b"somebody" not in kept.data
            assert b"127.0.0.1" not in kept.data

    run(story)


async def header_byte_by_byte(writer):
    for byte in b"GET /echo HTTP/1.1\r\nhost: x\r\nx-many: " + b"y" * 10_000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def body_byte_by_byte(writer):
    writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n")
    for _ in range(10_000):
        writer.write(b"z")
        await asyncio.sleep(0.05)


async def nothing_at_all(_writer):
    await asyncio.sleep(60)


async def second_header_byte_by_byte(writer):
    writer.write(b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\nG")
    for byte in b"ET /echo HTTP/1.1\r\nhost: x\r\nx-many: " + b"y" * 10_000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "slowly", [header_byte_by_byte, body_byte_by_byte, nothing_at_all, second_header_byte_by_byte]
)
def test_a_client_that_takes_its_time_is_told_and_dropped(slowly):
    async def story():
        async with a_door() as (door, address, _):
            reader, writer = await asyncio.open_connection(*address)
            task = asyncio.create_task(slowly(writer))
            began = time.monotonic()
            told = await until_dropped(reader, 6.0)
            took = time.monotonic() - began
            assert b" 408 " in told
            assert QUICK.header_s <= took < QUICK.body_s + 2.5
            task.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await task
            writer.close()
            await until(lambda: door.connections == 0)

    run(story)


def test_a_client_that_never_reads_is_dropped_and_one_that_reads_slowly_gets_everything():
    async def story():
        async with a_door() as (door, address, _):
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(small, address)
            await loop.sock_sendall(small, b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
            reader, writer = await asyncio.open_connection(*address, limit=2**16)
            writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            got = 0
            while part := await reader.read(100_000):
                got += len(part)
                await asyncio.sleep(0.04)
            assert got > 4_000_000
            await until(lambda: door.connections == 0)
            small.close()
            writer.close()

    run(story)


def test_an_idle_connection_is_ended_without_a_reset():
    async def story():
        async with a_door() as (_, address, _kept):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await one_answer(reader))[0] == 200
            assert await until_dropped(reader, 20.0) == b""
            writer.close()

    run(story)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /echo HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * (HEADER_BYTES + 100) + b"\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nhost: x\r\n" + b"x-many: y\r\n" * 200 + b"\r\n",
        b"GET /echo HTTP/1.1\r\nx-endless: " + b"y" * (HEADER_BYTES + 100),
    ],
)
def test_a_header_that_is_too_large_is_refused(sent):
    async def story():
        async with a_door() as (_, address, _kept):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(sent)
            assert b" 431 " in await asyncio.wait_for(reader.readline(), 20.0)
            writer.close()

    run(story)


def test_a_client_that_asks_far_ahead_of_the_answers_is_dropped():
    async def story():
        async with a_door() as (door, address, _):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n" * 40)
            with suppress(ConnectionResetError):
                assert await until_dropped(reader, 20.0) == b""
            await until(lambda: door.connections == 0)
            writer.close()

    run(story)


def test_whoever_is_one_too_many_is_told_so_and_makes_room():
    async def story():
        async with a_door(Limits(connections=2, drain_s=1.0)) as (door, address, _):
            others = [await asyncio.open_connection(*address) for _ in range(2)]
            for reader, writer in others:
                writer.write(b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n")
                assert (await one_answer(reader))[0] == 200
            await asyncio.sleep(0.9)
            reader, writer = await asyncio.open_connection(*address)
            assert b" 503 " in await asyncio.wait_for(reader.readline(), 20.0)
            assert await until_dropped(others[0][0], 20.0) == b""
            others[0][1].close()
            await until(lambda: door.connections == 1)
            for _, one in [*others, (reader, writer)]:
                one.close()

    run(story)


def test_the_end_comes_after_what_is_under_way_and_tells_clients_to_go():
    async def story():
        async with a_door() as (door, address, _):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            kept_reader, kept_writer = await asyncio.open_connection(*address)
            kept_writer.write(b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"connection: close" not in (await one_answer(kept_reader))[1]
            ending = asyncio.create_task(door.end())
            status, head, body = await one_answer(reader)
            assert (status, body) == (200, b"at last")
            assert b"connection: close" in head
            kept_writer.write(b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n")
            status, head, _ = await one_answer(kept_reader)
            assert status == 200
            assert b"connection: close" in head
            assert await kept_reader.read() == b""
            await asyncio.wait_for(ending, 20.0)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address)
            for one in (writer, kept_writer):
                one.close()

    run(story)


def test_the_end_waits_no_longer_than_agreed():
    async def story():
        async with a_door(Limits(drain_s=0.5)) as (door, address, _):
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /echo HTTP/1.1\r\n")
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await door.end()
            assert time.monotonic() - began < 2.0
            writer.close()

    run(story)


def test_whoever_stands_in_the_queue_is_served_and_nobody_joins_it():
    listening = bind("127.0.0.1", 0)
    listen(listening)
    early = socket.create_connection(listening.socket.getsockname(), timeout=1.0)
    refuse_new(listening)
    late = socket.socket()
    late.settimeout(0.3)
    with pytest.raises(TimeoutError):
        late.connect(listening.socket.getsockname())
    assert somebody_waits(listening)
    early.sendall(b"hello")
    accepted, _ = listening.socket.accept()
    assert accepted.recv(10) == b"hello"
    assert not somebody_waits(listening)
    for one in (early, late, accepted, listening.socket):
        one.close()
