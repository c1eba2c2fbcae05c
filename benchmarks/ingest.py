"""What reading costs: a large CSV beside pyarrow's own reader; Parquet logs of 1, 10 and 100 million events.

    python benchmarks/ingest.py                        # both; needs 6 GB of memory and 6 GB of disk
    python benchmarks/ingest.py --only csv --rows 1000000

The CSV is read (`read_log`), the Parquet logs are checked (what `matinee check` does). Each runs in a process
of its own that builds the index anew; CPU-seconds are the process's own around the call, imports left out and
one thread for both readers; anonymous memory is sampled from outside every few milliseconds. Logs are in the
order of time, as services write them: neighbours are of different viewers, a hundred events a viewer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

import matinee.data.read
from anonymous import anonymous_bytes
from matinee.data.options import LogOptions
from matinee.recipes.check import check
from stamp import RESULTS, one_thread, stamp, write_result

CSV_BAR = 3.0
MEMORY_BAR_BYTES = 6 * 10**9
LINEAR_BAR = 1.25
EVENTS_A_VIEWER = 100
ITEMS = 20_000
CHUNK = 1_000_000


def chunks(rows: int, seed: int) -> Any:
    """The made-up log, a million rows at a time: skewed viewers and items, times in order, ratings."""
    rng = np.random.default_rng(seed)
    n_viewers = max(rows // EVENTS_A_VIEWER, 1)
    viewers = pa.array([f"viewer-{k:07d}" for k in rng.permutation(n_viewers)])
    items = pa.array([f"film-{k:05d}" for k in rng.permutation(ITEMS)])
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        # The square of a uniform number: a fifth of the viewers have 45 % of the events.
        viewer = (rng.random(size) ** 2 * n_viewers).astype(np.int32)
        item = (rng.random(size) ** 3 * ITEMS).astype(np.int32)
        step = 3.0e8 / rows
        yield pa.table(
            {
                "user_id": viewers.take(pa.array(viewer)),
                "item_id": items.take(pa.array(item)),
                "rating": pa.array(rng.integers(1, 6, size).astype(np.float32)),
                "timestamp": pa.array((1.4e9 + (start + np.arange(size)) * step).astype(np.int64)),
            }
        )


def write_csv(path: Path, rows: int) -> None:
    writer = None
    for table in chunks(rows, seed=0):
        writer = writer or pa_csv.CSVWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def write_parquet(path: Path, rows: int) -> None:
    writer = None
    for table in chunks(rows, seed=0):
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def read_ours(path: str, cache: str) -> dict[str, Any]:
    """`read_log` without a cache to begin with."""
    os.environ["MATINEE_CACHE"] = cache
    _warm(Path(cache))
    start = time.process_time()
    log = matinee.data.read.read_log(path)
    cpu_s = time.process_time() - start
    assert log.report is not None
    assert not log.report.cached
    return {"cpu_s": cpu_s, "events": len(log), "viewers": log.n_viewers, "items": log.n_items}


def check_ours(path: str, cache: str) -> dict[str, Any]:
    """What `matinee check` does: read, index, and look the log over, its protocols tried."""
    os.environ["MATINEE_CACHE"] = cache
    _warm(Path(cache))
    start = time.process_time()
    log = matinee.data.read.read_log(path)
    read_cpu_s = time.process_time() - start
    report = check(log, LogOptions())
    cpu_s = time.process_time() - start
    assert log.report is not None
    assert not log.report.cached
    return {
        "cpu_s": cpu_s,
        "read_cpu_s": read_cpu_s,
        "check_cpu_s": cpu_s - read_cpu_s,
        "events": report.counts.events,
        "viewers": report.counts.viewers,
        "items": report.counts.items,
    }


def _warm(folder: Path) -> None:
    """Check a tiny log, so that nothing is imported while the clock runs."""
    for name, write in (("tiny.csv", write_csv), ("tiny.parquet", write_parquet)):
        write(folder / name, 5_000)
        check(matinee.data.read.read_log(folder / name), LogOptions())


def read_arrow(path: str, _cache: str) -> dict[str, Any]:
    coded = pa.dictionary(pa.int32(), pa.string())
    start = time.process_time()
    options = pa_csv.ConvertOptions(column_types={"user_id": coded, "item_id": coded})
    one_threaded = pa_csv.ReadOptions(use_threads=False)
    table = pa_csv.read_csv(path, read_options=one_threaded, convert_options=options)
    return {"cpu_s": time.process_time() - start, "events": table.num_rows}


def _child(read: Callable[[str, str], dict[str, Any]], path: str, cache: str, pipe: Any) -> None:
    pipe.send(read(path, cache))


def measured(read: Callable[[str, str], dict[str, Any]], path: Path, folder: Path) -> dict[str, Any]:
    """One reading in a fresh process: what it says, and the most anonymous memory it had."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    cache = Path(tempfile.mkdtemp(dir=folder))
    child = context.Process(target=_child, args=(read, str(path), str(cache), there))
    started = time.monotonic()
    child.start()
    peak = 0
    while child.is_alive():
        peak = max(peak, anonymous_bytes(child.pid))
        time.sleep(0.005)
    child.join()
    shutil.rmtree(cache)
    assert child.exitcode == 0, f"the reading failed with status {child.exitcode}"
    return {**here.recv(), "wall_s": time.monotonic() - started, "peak_anonymous_bytes": peak}


def bench_csv(rows: int, folder: Path, repeats: int) -> dict[str, Any]:
    path = folder / "log.csv"
    write_csv(path, rows)
    size = path.stat().st_size
    ours, theirs = [], []
    for _ in range(repeats):  # in turns, so that a busy machine is busy for both
        theirs.append(measured(read_arrow, path, folder))
        ours.append(measured(read_ours, path, folder))
    path.unlink()
    best, their_best = (min(one, key=lambda each: each["cpu_s"]) for one in (ours, theirs))
    ratio = best["cpu_s"] / their_best["cpu_s"]
    return {
        "rows": rows,
        "bytes": size,
        "matinee": best,
        "pyarrow_read_csv": their_best,
        "all_matinee_cpu_s": [one["cpu_s"] for one in ours],
        "all_pyarrow_cpu_s": [one["cpu_s"] for one in theirs],
        "ratio": ratio,
        "bar": CSV_BAR,
        "passed": ratio <= CSV_BAR,
    }


def bench_parquet(sizes: list[int], folder: Path, repeats: int) -> dict[str, Any]:
    runs = []
    for rows in sizes:
        path = folder / f"log-{rows}.parquet"
        write_parquet(path, rows)
        size = path.stat().st_size
        # The largest once: its own length averages the machine's moods.
        tries = [measured(check_ours, path, folder) for _ in range(repeats if rows < 50_000_000 else 1)]
        path.unlink()
        best = min(tries, key=lambda one: one["cpu_s"])
        peak = max(one["peak_anonymous_bytes"] for one in tries)
        per_event = best["cpu_s"] / rows * 1e9
        runs.append(
            {"rows": rows, "bytes": size, **best, "peak_anonymous_bytes": peak, "cpu_ns_per_row": per_event}
        )
        print(json.dumps(runs[-1]), flush=True)
    costs = [run["cpu_ns_per_row"] for run in runs]
    peak = max(run["peak_anonymous_bytes"] for run in runs)
    spread = max(costs) / min(costs)
    return {
        "runs": runs,
        "largest_to_smallest_cost": spread,
        "linear_bar": LINEAR_BAR,
        "peak_anonymous_bytes": peak,
        "memory_bar_bytes": MEMORY_BAR_BYTES,
        "passed": spread <= LINEAR_BAR and peak <= MEMORY_BAR_BYTES,
    }


def measured_on() -> dict[str, Any]:
    """The stamp, and how busy the machine is with other things: they cost both readers cache and memory."""
    return {**stamp(), "load_average": os.getloadavg()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["csv", "parquet"])
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows of the CSV")
    parser.add_argument(
        "--events", type=int, nargs="+", default=[10**6, 10**7, 10**8], help="sizes of the Parquet logs"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where the made-up logs lie meanwhile")
    parser.add_argument("--output", default="", help="- prints the result and writes nothing")
    asked = parser.parse_args()
    one_thread()
    kept = RESULTS / "ingest.json"  # the other half of it, where only one is measured
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    with tempfile.TemporaryDirectory(dir=asked.dir) as name:
        if asked.only != "parquet":
            results["csv"] = {**bench_csv(asked.rows, Path(name), asked.repeats), **measured_on()}
            print(json.dumps(results["csv"], indent=1), flush=True)
        if asked.only != "csv":
            results["parquet"] = {
                **bench_parquet(asked.events, Path(name), asked.repeats),
                **measured_on(),
            }
            print(json.dumps(results["parquet"], indent=1), flush=True)
    if asked.output != "-":
        write_result("ingest", results)


if __name__ == "__main__":
    main()
