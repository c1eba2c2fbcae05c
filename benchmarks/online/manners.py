"""What becomes of requests when bundles change, servers end or are killed, and clients are slow."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from matinee.serve.open_store import open_store
from online.clients import Client, Tally, beside_load, request_of
from online.server import Server, serving

CLIENTS = 8
# Times that slow clients come and go.
_TURNS = 3


def asks(number: int) -> Iterator[bytes]:
    """Personal answers for many viewers, without end."""
    ready = [request_of("POST", "/v1/recommend", {"user": f"someone-{one}", "k": 10}) for one in range(500)]
    return itertools.islice(itertools.cycle(ready), 61 * number, None)


def activations(bundles: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Bundles are changed while clients keep asking."""
    seconds: list[float] = []

    async def story(server: Server) -> None:
        client = Client(server.place)
        names = sorted(one["name"] for one in server.told["bundles"])
        await asyncio.sleep(0.5)
        for number in range(rounds):
            began = time.perf_counter()
            await client.json("POST", f"/v1/bundles/{names[number % len(names)]}/activate", {})
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(0.1)
        await client.close()

    with serving(folder, bundles, workers=2) as server:
        tally = beside_load(server.place, asks, lambda: story(server), clients=CLIENTS)
    return _told(tally) | {"activations": rounds, "slowest_activation_s": round(max(seconds), 3)}


def sigterms(bundles: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Servers are asked to end while clients keep asking.

    Half of their successors begin after that, half before (--reuse-port).
    """
    took: list[float] = []
    with serving(folder, bundles, workers=2) as first:
        port = first.place[1]
        first.end()

    def change() -> None:
        for number in range(rounds // 2):
            with serving(folder, bundles, workers=1 + number % 2, port=port) as server:
                time.sleep(0.4)
                took.append(server.end())

    def take_over() -> None:
        with ExitStack() as all_of_them:
            old = None
            for _ in range(rounds - rounds // 2):
                fresh = serving(folder, bundles, port=port, more=["--reuse-port"])
                new = all_of_them.enter_context(fresh)
                if old is not None:
                    took.append(old.end())
                old = new
            if old is not None:
                took.append(old.end())

    async def story() -> None:
        await asyncio.to_thread(change)
        await asyncio.to_thread(take_over)

    tally = beside_load(("127.0.0.1", port), asks, story, clients=CLIENTS)
    return _told(tally) | {"sigterms": len(took), "slowest_end_s": round(max(took), 2)}


def kills(bundles: Path, folder: Path, rounds: int, seed: int) -> dict[str, Any]:
    """Kill every process (-9) while clients post events: what was acknowledged must be there."""
    rng = random.Random(seed)
    lost = acknowledged = 0
    for number in range(rounds):
        with serving(folder, bundles, workers=2) as server:
            known = asyncio.run(_post_until_killed(server, number, rng.uniform(0.05, 0.4)))
            store = server.store
        acknowledged += len(known)
        lost += asyncio.run(_missing(store, number, known))
    return {"rounds": rounds, "acknowledged": acknowledged, "lost": lost}


async def _post_until_killed(server: Server, number: int, after_s: float) -> list[str]:
    known: list[str] = []

    async def post(client_number: int) -> None:
        client = Client(server.place)
        with suppress(OSError, asyncio.IncompleteReadError):
            for count in itertools.count():
                name = f"{number}-{client_number}-{count}"
                event = {"user": f"killed-{number}", "item": name, "kind": "view", "event_id": name}
                status, _ = await client.ask(request_of("POST", "/v1/events", {"events": [event]}))
                if status == 200:
                    known.append(name)
        await client.close()

    posting = [asyncio.create_task(post(one)) for one in range(CLIENTS)]
    await asyncio.sleep(after_s)
    server.kill_everything()
    await asyncio.gather(*posting)
    return known


async def _missing(url: str, number: int, known: list[str]) -> int:
    store = await open_store(url)
    try:
        there = {one.item for one in await store.history(f"killed-{number}", 10**6)}
    finally:
        await store.close()
    return len(set(known) - there)


def slow_clients(bundles: Path, folder: Path, slow: int, seconds: float) -> dict[str, Any]:
    """Others' latency without slow clients and beside them, and how long the last slow one stayed.

    The slow ones are a process of their own, so that what is measured is the server and not its clients. With
    and without take turns, for a machine does not stay as quick as it was; the processor time of the process
    that answers says what a slow client costs, however busy the machine is.
    """

    async def wait() -> None:
        await asyncio.sleep(seconds)

    async def story(server: Server) -> None:
        command = [sys.executable, "-m", "online.slowly", server.place[0], str(server.place[1]), str(slow)]
        here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=here)
        told, _ = await process.communicate()
        stayed.extend(json.loads(told))

    stayed: list[float] = []
    without, beside = Tally(), Tally()
    cpu_s = {"without": 0.0, "beside": 0.0}
    with serving(folder, bundles, workers=1) as server:
        beside_load(server.place, asks, wait, clients=4, pause_s=0.01)
        for _ in range(_TURNS):
            for name, tally, work in (
                ("without", without, wait),
                ("beside", beside, lambda: story(server)),
            ):
                before = server.cpu_s()
                tally.add(beside_load(server.place, asks, work, clients=4, pause_s=0.01))
                cpu_s[name] += server.cpu_s() - before
    ask_s = cpu_s["without"] / len(without.seconds)
    return {
        "slow": slow,
        "longest_s": round(max(stayed), 2),
        "failed": len(without.failed) + len(beside.failed),
        "without_p50_ms": round(1000 * without.at(0.5), 3),
        "beside_p50_ms": round(1000 * beside.at(0.5), 3),
        "without_p99_ms": round(1000 * without.at(0.99), 3),
        "beside_p99_ms": round(1000 * beside.at(0.99), 3),
        "times": round(beside.at(0.99) / without.at(0.99), 2),
        "cpu_ms_of_an_answer": round(1000 * ask_s, 3),
        "cpu_ms_of_a_slow_client": round(
            1000 * (cpu_s["beside"] - ask_s * len(beside.seconds)) / len(stayed), 3
        ),
    }


def soak(bundles: Path, folder: Path, seconds: float, per_s: float) -> dict[str, Any]:
    """Answers and events at a steady rate: how much memory grows after the first tenth of it."""
    memory: list[tuple[float, float]] = []

    def mixed(number: int) -> Iterator[bytes]:
        answers = asks(number)
        for count in itertools.count():
            yield next(answers)
            event = {"user": f"soak-{count % 300}", "item": f"i{count % 100}", "kind": "view"}
            yield request_of("POST", "/v1/events", {"events": [event]})

    async def story(server: Server) -> None:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            await asyncio.sleep(min(5.0, seconds / 20))
            memory.append((time.monotonic() - began, server.resident_mb()))

    with serving(folder, bundles, workers=2) as server:
        pause_s = CLIENTS / per_s
        tally = beside_load(server.place, mixed, lambda: story(server), clients=CLIENTS, pause_s=pause_s)
    warm = next(megabytes for at, megabytes in memory if at >= seconds / 10)
    return _told(tally) | {
        "seconds": seconds,
        "per_s": round(len(tally.seconds) / seconds, 1),
        "warm_mb": round(warm, 1),
        "end_mb": round(memory[-1][1], 1),
        "grew": round(memory[-1][1] / warm - 1, 4),
    }


def _told(tally: Tally) -> dict[str, Any]:
    return {
        "answered": len(tally.seconds),
        "failed": len(tally.failed),
        "first_failures": tally.failed[:3],
        "p50_ms": round(1000 * tally.at(0.5), 3),
        "p99_ms": round(1000 * tally.at(0.99), 3),
    }
