"""What a request costs, and how many events are kept in a second."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from online.clients import Client, beside_load, request_of
from online.server import Server, serving

HISTORY = 50
_SEEN = 400

# wrk asks by a list of bodies in a file, one a line, each thread from a place of its own.
_SCRIPT = """
local bodies = {}
for line in io.lines("BODIES") do bodies[#bodies + 1] = line end
local at = math.random(#bodies)
request = function()
  at = at % #bodies + 1
  return wrk.format("POST", "PATH", {["content-type"] = "application/json"}, bodies[at])
end
"""


def costs(bundle: Path, folder: Path, seconds: float, connections: int) -> dict[str, Any]:
    """CPU-seconds of a personal answer at a history of 50, without reasons and with them."""
    with serving(folder, bundle) as server:
        items = asyncio.run(_items(server))
        users = asyncio.run(_watch_much(server, items))
        found: dict[str, Any] = {"items": server.told["bundles"][0]["items"], "history": HISTORY}
        for name, more in (("plain", {}), ("with_reasons", {"reasons": True})):
            bodies = [{"user": user, "k": 10, **more} for user in users]
            found[name] = pressed(server, "/v1/recommend", bodies, folder, seconds, connections)
        found["resident_mb"] = round(server.resident_mb(), 1)
    return found


def pressed(
    server: Server,
    path: str,
    bodies: Sequence[object],
    folder: Path,
    seconds: float,
    connections: int,
) -> dict[str, Any]:
    """Ask for some seconds: CPU a request of the processes that answer, requests a second, latency."""
    before, began = server.cpu_s(), time.monotonic()
    if shutil.which("wrk"):
        told = _wrk(server, path, bodies, folder, seconds, connections)
    else:
        told = _own(server, path, bodies, seconds, connections)
    wall = time.monotonic() - began
    cpu = server.cpu_s() - before
    return {
        "cpu_ms": round(1000 * cpu / max(told["requests"], 1), 4),
        "yardstick_us": yardstick_us(),
        "per_s": round(told["requests"] / wall, 1),
        "failed": told["failed"],
        "p50_ms": told["p50_ms"],
        "p99_ms": told["p99_ms"],
        "client": told["client"],
    }


def durable_events(bundle: Path, folder: Path, seconds: float) -> dict[str, Any]:
    """Single-event posts a second from 64 connections, beside what the disk's own fsync allows."""
    with serving(folder, bundle, workers=2) as server:
        items = asyncio.run(_items(server))
        bodies = [
            {
                "events": [
                    {"user": f"post-{number % 1000}", "item": items[number % len(items)], "kind": "view"}
                ]
            }
            for number in range(5000)
        ]
        found = pressed(server, "/v1/events", bodies, folder, seconds, 64)
    found["fsync_per_s"] = round(fsyncs_per_s(folder), 1)
    found["times_fsync"] = round(found["per_s"] / found["fsync_per_s"], 2)
    return found


def yardstick_us() -> float:
    """CPU of a product of 50 x 64 and 64 x 336 numbers: where it takes longer, so does everything else.

    Taken when the load is over.
    """
    left, right = np.ones((50, 64), np.float32), np.ones((64, 336), np.float32)
    best = float("inf")
    for _ in range(40):
        began = time.process_time()
        for _ in range(25):
            left @ right
        best = min(best, (time.process_time() - began) / 25)
    return round(1e6 * best, 1)


def fsyncs_per_s(folder: Path, seconds: float = 2.0) -> float:
    """How often the disk takes 4 KB for good, one after the other."""
    count, last = 0, time.monotonic() + seconds
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        while time.monotonic() < last:
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
    return count / seconds


def _wrk(
    server: Server, path: str, bodies: Sequence[object], folder: Path, seconds: float, connections: int
) -> dict[str, Any]:
    lines = folder / "bodies.txt"
    lines.write_text("".join(json.dumps(one) + "\n" for one in bodies))
    script = folder / "ask.lua"
    script.write_text(_SCRIPT.replace("BODIES", str(lines)).replace("PATH", path))
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--latency",
        "-s",
        str(script),
    ]
    words = subprocess.run([*command, server.address], check=True, capture_output=True, text=True).stdout
    requests = re.search(r"(\d+) requests in", words)
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", words)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", words)
    failed = sum(map(int, errors.groups())) if errors else 0
    return {
        "client": "wrk",
        "requests": int(requests[1]) if requests else 0,
        "failed": failed + (int(refused[1]) if refused else 0),
        "p50_ms": _ms(words, "50%"),
        "p99_ms": _ms(words, "99%"),
    }


def _ms(words: str, share: str) -> float:
    found = re.search(rf"{share}\s+([\d.]+)(us|ms|s)\b", words)
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    return round(float(found[1]) * scale[found[2]], 3) if found else float("nan")


def _own(
    server: Server, path: str, bodies: Sequence[object], seconds: float, connections: int
) -> dict[str, Any]:
    ready = [request_of("POST", path, one) for one in bodies]

    async def story() -> None:
        await asyncio.sleep(seconds)

    def requests(number: int) -> Iterator[bytes]:
        return itertools.islice(itertools.cycle(ready), 97 * number, None)

    tally = beside_load(server.place, requests, story, clients=connections)
    return {
        "client": "own",
        "requests": len(tally.seconds),
        "failed": len(tally.failed),
        "p50_ms": round(1000 * tally.at(0.5), 3),
        "p99_ms": round(1000 * tally.at(0.99), 3),
    }


async def _items(server: Server) -> list[str]:
    client = Client(server.place)
    answer = await client.json("GET", "/v1/popular?k=500")
    await client.close()
    return [str(one["item"]) for one in answer["items"]]


async def _watch_much(server: Server, items: Sequence[str]) -> list[str]:
    """Viewers who have each watched 50 items."""
    client, users = Client(server.place), []
    for number in range(_SEEN):
        user = f"much-{number}"
        chosen = [items[(7 * number + 3 * place) % len(items)] for place in range(HISTORY)]
        await client.json(
            "POST",
            "/v1/events",
            {"events": [{"user": user, "item": item, "kind": "view"} for item in chosen]},
        )
        users.append(user)
    await client.close()
    return users
