"""One personal answer: CPU of the scorers, of the engine around them, and of both with a store in a file.

    OMP_NUM_THREADS=1 python benchmarks/answer_speed.py
    OMP_NUM_THREADS=1 python benchmarks/answer_speed.py --recommenders transitions --output -

Bundles are fitted on a simulated log (one pass for the network: speed does not hang on how well it learnt).
Fifty viewers with fifty events each ask for ten items, one after the other, on one thread. Figures are
microseconds of CPU for an answer: the least of many short stretches, since other work on the machine can
only add to them. The yardstick is one product of 50 x 64 and 64 x 336 numbers: where it
takes longer than on another day, so did everything else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

import matinee
from matinee.answers.model import load
from matinee.serve.asking import Ask
from matinee.serve.records import Event
from matinee.serve.service import Limits, Service
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.start import start_service
from matinee.simulate import SimulationOptions, simulate_log
from stamp import stamp, write_result

HISTORY, ASKERS = 50, 50
STRETCH, STRETCHES, STRETCHES_TOLD = 25, 30, 3
SETTINGS: dict[str, dict[str, Any]] = {
    "transitions": {},
    "sequential": {"passes": 1},
    "blend": {"sequential.passes": 1, "weights": (1.0, 0.5)},
}


def fit(folder: Path, names: list[str], asked: dict[str, int]) -> None:
    """Fit and write the bundles."""
    log = simulate_log(SimulationOptions(**asked, predictability=0.5, seed=1))
    for name in names:
        matinee.fit(log, name, settings=SETTINGS[name], seed=0).save(folder / name)


async def least_us(work: Callable[[int], Awaitable[Any] | Any], stretches: int = STRETCHES) -> float:
    """Microseconds of CPU that a piece of work takes at least."""
    best = float("inf")
    for _ in range(stretches):
        start = time.process_time()
        for n in range(STRETCH):
            found = work(n)
            if isinstance(found, Awaitable):
                await found
        best = min(best, (time.process_time() - start) / STRETCH)
    return round(best * 1e6, 1)


async def measure(folder: Path, store_file: Path) -> dict[str, float]:
    """One bundle's figures."""
    store = open_sqlite(store_file)
    service = await start_service([folder], store, Limits(), histories=False)
    items = load(folder).log.items
    random = np.random.default_rng(0)
    now = service.now_ms()
    for user in range(ASKERS):
        codes = random.integers(0, len(items), HISTORY)
        await store.add(
            [
                Event(user=f"asker {user}", item=item, kind="watch", time_ms=now - 60_000 * (HISTORY - n))
                for n, item in enumerate(items.ids(codes))
            ]
        )
    try:
        return await _figures(service)
    finally:
        await store.close()


async def _figures(service: Service) -> dict[str, float]:
    ready = service.bundles.ready()[0]  # type: ignore[attr-defined] # the shelf's own
    users = [f"asker {n}" for n in range(ASKERS)]
    histories = [await service.store.history(user, 200) for user in users]
    taken = [ready.reading.take(history, ready.live, -1, 200) for history in histories]
    answers = service.answers
    scorer = await least_us(lambda n: ready.scores(taken[n]))
    session = await least_us(lambda n: answers.recommend(Ask(history=histories[n])))
    whole = await least_us(lambda n: answers.recommend(Ask(user=users[n])))
    told = await least_us(lambda n: answers.recommend(Ask(user=users[n], reasons=True)), STRETCHES_TOLD)
    left, right = np.ones((50, 64), np.float32), np.ones((64, 336), np.float32)
    return {
        "yardstick_us": await least_us(lambda _: left @ right),
        "scorer_us": scorer,
        "engine_us": round(session - scorer, 1),
        "history_us": round(whole - session, 1),
        "answer_us": whole,
        "reasons_us": round(told - whole, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--viewers", type=int, default=1_500)
    parser.add_argument("--items", type=int, default=3_700)
    parser.add_argument("--events", type=int, default=90_000)
    parser.add_argument("--recommenders", default=",".join(SETTINGS))
    parser.add_argument("--output", default="answer-speed", help="name of the result; - for the screen alone")
    told = parser.parse_args()
    asked = {"viewers": told.viewers, "items": told.items, "events": told.events}
    names = told.recommenders.split(",")
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        fit(folder, names, asked)
        rows = {name: asyncio.run(measure(folder / name, folder / f"{name}.sqlite")) for name in names}
    result = {**stamp(), **asked, "history": HISTORY, "answers": rows}
    print(json.dumps(rows, indent=1))
    if told.output != "-":
        write_result(told.output, result)


if __name__ == "__main__":
    main()
