"""What a store promises, measured: durable events, visibility, reading, kills, cut logs, a full disk.

    python benchmarks/serve_store.py                             # all; half an hour
    python benchmarks/serve_store.py --only throughput --folder /mnt/disk
    python benchmarks/serve_store.py --only kills --rounds 100

Durable events are counted beside what the disk does: a block appended and synchronised, again and again, just
before and just after. CPU-seconds are this process's own; PostgreSQL runs here, on the same cores, from
Debian's package, with its defaults. Whatever is measured again replaces what the result said of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matinee.serve.open_store import check_store, open_store
from matinee.serve.records import Event
from matinee.serve.refusals import StoreFull
from matinee.serve.store import Store
from matinee.testing.cuts import cut_logs, log_to_cut
from matinee.testing.kills import kill_while_adding, losses
from matinee.testing.postgres_server import postgres_server
from stamp import RESULTS, stamp, write_result

NAME = "serve-store"
EVENTS_BAR, FSYNC_BAR = 3000, 15
CALLERS = 64
LAST_BYTES = 65_536


def fsyncs_per_s(folder: Path, seconds: float = 2.0) -> float:
    """Blocks of 4 KB that are appended and synchronised one after the other."""
    path = folder / "fsync"
    done, begun = 0, time.perf_counter()
    with path.open("wb", buffering=0) as file:
        while time.perf_counter() - begun < seconds:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            done += 1
    path.unlink()
    return done / seconds


def run(url: str, story: Callable[[Store], Awaitable[Any]]) -> Any:
    """A story with an open store."""

    async def whole() -> Any:
        store = await open_store(url)
        try:
            return await story(store)
        finally:
            await store.close()

    return asyncio.run(whole())


async def add_for(store: Store, seconds: float) -> tuple[int, list[float]]:
    """One event a call, from 64 callers: how many, and how long each call waited."""
    waits: list[float] = []
    end = time.perf_counter() + seconds
    rng = random.Random(0)

    async def caller(number: int) -> None:
        sent = 0
        while (now := time.perf_counter()) < end:
            user, item = f"viewer-{rng.randrange(20_000)}", f"film-{int(rng.random() ** 3 * 4000)}"
            known = f"{number}-{sent}"
            await store.add([Event(user=user, item=item, kind="view", time_ms=sent, event_id=known)])
            waits.append(time.perf_counter() - now)
            sent += 1

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    return len(waits), waits


def throughput(url: str, folder: Path, seconds: float = 6.0) -> dict[str, Any]:
    before = fsyncs_per_s(folder)
    cpu = time.process_time()
    count, waits = run(url, lambda store: add_for(store, seconds))
    cpu = time.process_time() - cpu
    fsyncs = (before + fsyncs_per_s(folder)) / 2
    bar = min(EVENTS_BAR, FSYNC_BAR * fsyncs)
    return {
        "events_per_s": round(count / seconds),
        "fsyncs_per_s": round(fsyncs),
        "times_fsync": round(count / seconds / fsyncs, 1),
        "cpu_us_per_event": round(cpu / count * 1e6, 1),
        "wait_ms": _spread([wait * 1e3 for wait in waits]),
        "bar_events_per_s": round(bar),
        "bar_met": count / seconds >= bar,
    }


_WATCHER = """
import asyncio, sys, time
from matinee.serve.open_store import open_store
async def story():
    store = await open_store(sys.argv[1])
    print("ready", flush=True)
    for line in sys.stdin:
        item, told = line.split()
        found = await store.history("watched", 1)
        now = time.monotonic_ns()
        print(int(bool(found) and found[0].item == item), (now - int(told)) / 1e6, flush=True)
    await store.close()
asyncio.run(story())
"""


def visibility(url: str, count: int = 500) -> dict[str, Any]:
    """One process adds, tells a second one when it is acknowledged, and that one looks once."""

    async def story(store: Store) -> list[tuple[bool, float]]:
        seen = []
        for n in range(count):
            noise = [
                store.add([Event(user=f"u{k}", item=f"{n}", kind="view", time_ms=n)]) for k in range(n % 16)
            ]
            mine = store.add([Event(user="watched", item=f"{n}", kind="view", time_ms=n)])
            await asyncio.gather(mine, *noise)
            writing.write(f"{n} {time.monotonic_ns()}\n")
            writing.flush()
            there, lag_ms = reading.readline().split()
            seen.append((there == "1", float(lag_ms)))
        return seen

    run(url, lambda store: store.history("watched", 1))
    watcher = subprocess.Popen(
        [sys.executable, "-c", _WATCHER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watcher.stdin is not None
    assert watcher.stdout is not None
    writing, reading = watcher.stdin, watcher.stdout
    assert reading.readline() == "ready\n"
    seen = run(url, story)
    watcher.communicate()
    return {
        "acknowledged": count,
        "not_seen": sum(not there for there, _ in seen),
        "lag_ms": _spread([lag for _, lag in seen]),
    }


def reading(url: str, events: int) -> dict[str, Any]:
    """A history of 50, and what is popular, in a store of so many events."""

    async def story(store: Store) -> dict[str, Any]:
        rng = random.Random(0)
        made = time.process_time()
        for start in range(0, events, 2000):
            batch = [_made_up(rng, start + n, events) for n in range(min(2000, events - start))]
            await store.add(batch)
        made = time.process_time() - made
        users = [f"viewer-{n:07d}" for n in range(events // 100)]
        times = []
        for _ in range(40):
            some = [rng.choice(users) for _ in range(50)]
            cpu = time.process_time()
            for user in some:
                await store.history(user, 50)
            times.append((time.process_time() - cpu) / len(some) * 1e6)
        popular = {}
        for share in (1.0, 0.1, 0.01):
            cpu, wall = time.process_time(), time.perf_counter()
            await store.popular(int(events * (1 - share)), 100)
            popular[f"{share:.0%} of the log"] = {
                "cpu_s": round(time.process_time() - cpu, 3),
                "wall_s": round(time.perf_counter() - wall, 3),
            }
        return {
            "events": events,
            "cpu_us_per_event_of_batches": round(made / events * 1e6, 1),
            "history_of_50_us": {"least": round(min(times), 1), "median": round(statistics.median(times), 1)},
            "popular": popular,
        }

    found: dict[str, Any] = run(url, story)
    return found


def _made_up(rng: random.Random, number: int, events: int) -> Event:
    user = f"viewer-{int(rng.random() * events / 100):07d}"
    return Event(user=user, item=f"film-{int(rng.random() ** 3 * 20_000):05d}", kind="view", time_ms=number)


def kills(url: str, rounds: int) -> dict[str, Any]:
    """Two processes add until they are killed, again and again in the same store."""
    rng = random.Random(0)
    done = [kill_while_adding(url, f"{number}", rng) for number in range(rounds)]
    found = run(url, lambda store: losses(store, done))
    return {
        "rounds": rounds,
        "acknowledged_events": sum(sum(one.acknowledged.values()) for one in done),
        "lost": found.lost,
        "torn": found.torn,
    }


def cut(folder: Path, part: tuple[int, int]) -> dict[str, Any]:
    """The write-ahead log cut at every byte of its end."""
    crashed = log_to_cut(folder)
    of, parts = part
    lengths = range(of, LAST_BYTES, parts)
    cuts = cut_logs(crashed, folder / "cut", lengths)
    return {
        "cuts": len(lengths),
        "opened": cuts.opened,
        "unsound": cuts.unsound,
        "events_left": {"least": min(cuts.kept), "most": max(cuts.kept)},
    }


def full_disk(folder: Path) -> dict[str, Any]:
    """A file system of 8 MB, filled by 64 callers; three times more when it is full."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], check=True)
    url = f"sqlite:///{disk}/store.db"
    kept: list[str] = []
    refused = 0

    async def story(store: Store) -> bool:
        nonlocal refused
        full = 0
        while full < 4:
            names = [f"{len(kept)}.{n}" for n in range(CALLERS)]
            calls = [
                store.add([Event(user="u", item=name, kind="view", time_ms=1, properties="x" * 200)])
                for name in names
            ]
            found = await asyncio.gather(*calls, return_exceptions=True)
            kept.extend(name for name, one in zip(names, found, strict=True) if one == 1)
            refusals = [one for one in found if one != 1]
            assert all(isinstance(one, StoreFull) for one in refusals), refusals
            refused += len(refusals)
            full += bool(refusals)
        return [seen.item for seen in await store.history("u", 10**7)] == kept

    try:
        read_on = run(url, story)
        subprocess.run(["mount", "-o", "remount,size=32m", str(disk)], check=True)
        after = run(url, lambda store: store.history("u", 10**7))
        sound = asyncio.run(check_store(url)) == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    lost = len(set(kept) - {seen.item for seen in after})
    return {"acknowledged": len(kept), "refused": refused, "lost": lost, "read_on": read_on, "sound": sound}


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        name: round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("most", 1.0))
    }


@contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="matinee-store-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def measured(section: str, options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """One section, on both stores where it concerns both, with the name of each result."""
    if section == "cut":
        yield f"cut {options.part}/{options.parts}", cut(folder, (options.part - 1, options.parts))
        return
    if section == "full_disk":
        yield section, full_disk(folder)
        return
    works: dict[str, Callable[[str], dict[str, Any]]] = {
        "throughput": lambda url: throughput(url, folder),
        "visibility": visibility,
        "reading": lambda url: reading(url, options.events),
        "kills": lambda url: kills(url, options.rounds),
    }
    if options.store in ("sqlite", "both"):
        yield f"{section} sqlite", works[section](f"sqlite:///{folder}/store.db")
    if options.store in ("postgres", "both"):
        with postgres_server(durable=True) as server:
            yield f"{section} postgres", works[section](server.address)


def main() -> None:
    sections = ("throughput", "visibility", "reading", "kills", "cut", "full_disk")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sections, action="append")
    parser.add_argument("--store", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--folder", type=Path, help="where the stores are made; the disk is what is measured")
    parser.add_argument("--events", type=int, default=1_000_000, help="of the store that is read")
    parser.add_argument("--rounds", type=int, default=100, help="of kills")
    parser.add_argument("--part", type=int, default=1, help="of the cuts, from 1")
    parser.add_argument("--parts", type=int, default=1, help="in which the cuts are done")
    options = parser.parse_args()
    path = RESULTS / f"{NAME}.json"
    for section in options.only or sections:
        with place(options.folder) as folder:
            for name, found in measured(section, options, folder):
                # Read anew each time: another run may have measured something else meanwhile.
                result = json.loads(path.read_text()) if path.exists() else {}
                write_result(NAME, {**result, name: {**found, **stamp()}})
                print(name, json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()
