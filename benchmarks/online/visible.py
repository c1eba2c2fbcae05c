"""How soon an acknowledged event counts, in the process that took it and in every other one."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from online.clients import Client, Tally, request_of
from online.server import Server, serving

WORKERS = 2
# Connections of each process, and how many are opened at most to get them: the system deals them out.
_EACH = 2
_MOST = 400
_AMONG = 10


def seen_at_once(bundle: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Whether an acknowledged event is in the next answer, whichever process gives it, and how soon.

    Each round posts the first event of a newcomer to one process and, once it is acknowledged, asks one
    process for that newcomer's answer among ten items, the one watched included. The event counts if the
    answer is a personal one and leaves that item out. All pairs of processes take turns; which one has a
    connection is read from the kernel's tables, not from what the server says. The lag is from the
    acknowledgement to the last byte of the answer, so it holds a whole request; beside it stands what the
    same request takes a moment later, when the event is no news.
    """
    with serving(folder, bundle, workers=WORKERS) as server:
        return asyncio.run(_story(server, rounds))


async def _story(server: Server, rounds: int) -> dict[str, Any]:
    by_worker = await _connections(server)
    items = await _items(server)
    pids = sorted(by_worker)
    pairs = [(here, there) for here in pids for there in pids]
    lag, again = Tally(), Tally()
    asked: Counter[str] = Counter()
    missed = 0
    # Whatever is loaded or compiled once is not what is measured.
    for number in range(-len(pairs) * 5, rounds):
        here, there = pairs[number % len(pairs)]
        turn = number // len(pairs) % _EACH
        user, item = f"lag-{number}", items[number % len(items)]
        event = {"events": [{"user": user, "item": item, "kind": "view"}]}
        only = [items[(number + step) % len(items)] for step in range(_AMONG)]
        ask = request_of("POST", "/v1/recommend", {"user": user, "k": _AMONG, "only": only})
        poster = by_worker[here][turn]
        asker = by_worker[there][(turn + (here == there)) % _EACH]
        await poster.json("POST", "/v1/events", event)
        took_s, answer = await _timed(asker, ask)
        again_s, _ = await _timed(asker, ask)
        if number < 0:
            continue
        lag.seconds.append(took_s)
        again.seconds.append(again_s)
        asked["the same process" if here == there else "another process"] += 1
        asked[f"process {pids.index(there) + 1}"] += 1
        missed += _lacks(answer, item)
    for client in (one for some in by_worker.values() for one in some):
        await client.close()
    return {"answers": rounds, "missed": missed, "asked": dict(asked)} | _told(lag, again)


def _told(lag: Tally, again: Tally) -> dict[str, float]:
    shares = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    found = {f"lag_{name}_ms": round(1000 * lag.at(share), 3) for name, share in shares}
    return found | {f"again_{name}_ms": round(1000 * again.at(share), 3) for name, share in shares}


async def _timed(client: Client, request: bytes) -> tuple[float, bytes]:
    """One request: seconds from before it is written until its answer was read, and the answer."""
    began = time.perf_counter()
    status, body = await client.ask(request)
    took_s = time.perf_counter() - began
    if status != 200:
        raise RuntimeError(f"{status} {body[:200]!r}")
    return took_s, body


def _lacks(answer: bytes, item: str) -> bool:
    """Whether an answer was given without knowledge of an event."""
    told = json.loads(answer)
    return told["source"].startswith("fallback") or item in [one["item"] for one in told["items"]]


async def _connections(server: Server) -> dict[int, list[Client]]:
    """Some connections of each process."""
    found: dict[int, list[Client]] = {pid: [] for pid in server.workers()}
    rest: list[Client] = []
    for _ in range(_MOST):
        client = Client(server.place)
        await client.json("GET", "/livez")
        mine = found[server.worker_of(client.port)]
        (mine if len(mine) < _EACH else rest).append(client)
        if all(len(some) == _EACH for some in found.values()):
            break
    for client in rest:
        await client.close()
    if len(found) != WORKERS or not all(len(some) == _EACH for some in found.values()):
        raise RuntimeError(
            f"of {_MOST} connections some process has none: {[len(one) for one in found.values()]}"
        )
    return found


async def _items(server: Server) -> Sequence[str]:
    client = Client(server.place)
    answer = await client.json("GET", "/v1/popular?k=500")
    await client.close()
    return [str(one["item"]) for one in answer["items"]]
