"""The nightly table: top 10 for a million made-up viewers over 20,000 items by `transitions`, within 4 GB.

    python benchmarks/bulk.py
    python benchmarks/bulk.py --viewers 50000 --items 2000 --events 1000000 --output -

The log is simulated and the bundle fitted in a process of its own; then a fresh process loads the bundle
and writes everybody's list, while its anonymous memory is sampled from outside. The weights are learnt from
the first 20,000 viewers, each item on the 100 features that go with it most, which is what `transitions`
does by itself where the dense way does not fit; the bundle holds everybody's history. Beside it stands a
plain matrix product of the same shape (viewers x features times features x items, float32, one thread of
numpy's BLAS), measured on a sample of both sides and extrapolated: what scoring alone would cost without
sparse histories, before any top 10.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import matinee
from anonymous import anonymous_bytes
from matinee.answers.context import context_of
from matinee.recipes.recommend import recommend_all
from matinee.simulate import SimulationOptions, simulate_log
from stamp import one_thread, stamp, write_result

MEMORY_BAR_BYTES = 4 * 10**9
K = 10
LEARNT_VIEWERS, FEATURES = 20_000, 100
SAMPLE_VIEWERS, SAMPLE_ITEMS = 1_024, 1_000


def fit(folder: Path, asked: dict[str, int]) -> dict[str, Any]:
    """Simulate and fit; what the fit was."""
    start = time.process_time()
    log = simulate_log(SimulationOptions(**asked, predictability=0.5, seed=1))
    simulated = time.process_time()
    known = replace(log, histories=log.histories.take(np.arange(min(LEARNT_VIEWERS, log.n_viewers))))
    model = matinee.Transitions(features=FEATURES).fit(known, seed=0)
    fitted = time.process_time()
    replace(model, log=log, context=context_of(log)).save(folder / "bundle")
    return {
        "learnt_from_viewers": len(known.histories),
        "simulate_cpu_s": simulated - start,
        "fit_cpu_s": fitted - simulated,
        "save_cpu_s": time.process_time() - fitted,
        "settings": dict(model.parts["transitions"].settings),
        "tensors": {name: list(array.shape) for name, array in model.parts["transitions"].tensors.items()},
        "bundle_bytes": sum(path.stat().st_size for path in (folder / "bundle").rglob("*") if path.is_file()),
    }


def bulk(folder: Path, _asked: dict[str, int]) -> dict[str, Any]:
    """Load the bundle and write everybody's list."""
    start = time.process_time()
    model = matinee.load(folder / "bundle")
    loaded = time.process_time()
    written = recommend_all(model, str(folder / "recs.parquet"), k=K)
    rows = pq.ParquetFile(folder / "recs.parquet").metadata.num_rows
    return {
        "load_cpu_s": loaded - start,
        "viewers": written.viewers,
        "rows": rows,
        "cpu_s": written.cpu_s,
        "wall_s": written.wall_s,
        "viewers_per_cpu_s": written.viewers / written.cpu_s,
        "table_bytes": (folder / "recs.parquet").stat().st_size,
    }


def plain_product(_folder: Path, asked: dict[str, int]) -> dict[str, Any]:
    """A float32 product of the same shape, on a sample of viewers and items, extrapolated to all of them."""
    features = asked["items"] * len(matinee.Transitions().config.decays)
    random = np.random.default_rng(0)
    left = random.random((SAMPLE_VIEWERS, features), dtype=np.float32)
    right = random.random((features, min(SAMPLE_ITEMS, asked["items"])), dtype=np.float32)
    left[:64] @ right
    start = time.process_time()
    left @ right
    measured = time.process_time() - start
    whole = measured * asked["viewers"] / SAMPLE_VIEWERS * asked["items"] / right.shape[1]
    return {
        "sample": [SAMPLE_VIEWERS, features, right.shape[1]],
        "sample_cpu_s": measured,
        "gflops": 2.0 * SAMPLE_VIEWERS * features * right.shape[1] / measured / 1e9,
        "extrapolated_cpu_s": whole,
        "extrapolated_viewers_per_cpu_s": asked["viewers"] / whole,
    }


def apart(step: Callable[..., dict[str, Any]], folder: Path, asked: dict[str, int]) -> dict[str, Any]:
    """A step in a fresh process: what it says, and the most anonymous memory it had."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(step, folder, asked, there))
    child.start()
    peak = 0
    while child.is_alive():
        peak = max(peak, anonymous_bytes(child.pid))
        time.sleep(0.01)
    child.join()
    assert child.exitcode == 0, f"{step.__name__} failed with status {child.exitcode}"
    return {**here.recv(), "peak_anonymous_bytes": peak}


def _child(step: Callable[..., dict[str, Any]], folder: Path, asked: dict[str, int], pipe: Any) -> None:
    pipe.send(step(folder, asked))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--dir", type=Path, default=None, help="where the bundle and the table go meanwhile")
    parser.add_argument("--output", default="", help="- prints the result and writes nothing")
    arguments = parser.parse_args()
    one_thread()
    asked = {name: getattr(arguments, name) for name in ("viewers", "items", "events")}
    results: dict[str, Any] = {
        **stamp(),
        "asked": asked,
        "k": K,
        "memory_bar_bytes": MEMORY_BAR_BYTES,
    }
    with tempfile.TemporaryDirectory(dir=arguments.dir) as place:
        for step in (fit, bulk, plain_product):
            results[step.__name__] = apart(step, Path(place), asked)
            print(step.__name__, json.dumps(results[step.__name__]), flush=True)
    results["cpu_s_against_plain_product"] = (
        results["bulk"]["cpu_s"] / results["plain_product"]["extrapolated_cpu_s"]
    )
    results["passed"] = results["bulk"]["peak_anonymous_bytes"] <= MEMORY_BAR_BYTES
    if arguments.output == "-":
        print(json.dumps(results, indent=1))
    else:
        write_result("bulk", results)


if __name__ == "__main__":
    main()
