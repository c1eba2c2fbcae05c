"""One network trained by one process and by two: the same losses, and what two of them cost.

    python benchmarks/ddp.py

The network of `sequential` with its default settings, dropout included, on MovieLens-100K, in float32 and in
bfloat16; processes talk over gloo on this one machine, each on one thread. Bar: in float32 the loss of every
pass is that of one process to one part in ten thousand. CPU-seconds are those of whole processes, torch
loaded and the log read; wall seconds are those of the steps alone, without validations, and mean little where
the machine has other work (the load at the start stands beside them). The log lies in $MATINEE_DATA or
../shared/data; results go to results/ddp.json.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from matinee.core.processes import processes_here
from matinee.core.run import Run
from matinee.data.read import read_log
from matinee.recipes.together import leading
from matinee.recommenders.sequential import Sequential
from place import data_folder
from stamp import one_thread, stamp, write_result

LOG = "ml-100k/u.data"
BAR = 1e-4
PRECISIONS = ("float32", "bfloat16")


def fit(asked: argparse.Namespace) -> None:
    """What each process does: the first fits, the others train along."""
    from matinee.recommenders.network_fit import train_along

    processes = processes_here()
    run = Run(precision=asked.precision, device="cpu", processes=processes)
    log = read_log(str(data_folder() / LOG))
    if not processes.first:
        train_along(lambda: log, 0, run)
        return
    settings = {"passes": asked.passes, "patience": 0}
    with leading(processes):
        Sequential(**settings).fit(log, run=replace(run, checkpoints=Path(asked.folder)))


def run_of(n: int, precision: str, passes: int) -> dict[str, Any]:
    """A fit by so many processes: its curve, and what it took."""
    from matinee.train.checkpoint import newest_checkpoint

    with tempfile.TemporaryDirectory() as folder, socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = str(place.getsockname()[1])
        place.close()
        about = {"WORLD_SIZE": str(n), "LOCAL_WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1"}
        words = ["--folder", folder, "--precision", precision, "--passes", str(passes)]
        environment = {**os.environ, **about, "MASTER_PORT": port}
        started = [
            subprocess.Popen(
                [sys.executable, __file__, *words],
                env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            )
            for rank in range(n)
        ]
        cpu_s = [_cpu_s_of(process) for process in started]
        taken, _ = newest_checkpoint(next(Path(folder).iterdir()))
    assert taken is not None
    curve = taken.facts["curve"]
    weights = sum(t.nbytes for name, t in taken.tensors.items() if name.startswith("network/"))
    return {
        "processes": n,
        "precision": precision,
        "losses": [point["loss"] for point in curve],
        "validation": [point["validation"] for point in curve],
        "steps": taken.facts["steps"],
        "steps_wall_s": curve[-1]["wall_s"],
        "steps_cpu_s_of_first": curve[-1]["cpu_s"],
        "cpu_s": cpu_s,
        "moved_bytes_a_step": weights,
    }


def _cpu_s_of(process: subprocess.Popen[bytes]) -> float:
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"A process ended with status {process.returncode}.")
    return used.ru_utime + used.ru_stime


def largest_difference(one: list[float], other: list[float]) -> float:
    """Of two curves, relative to the first."""
    return max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="float32 is always among them")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--precision", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    one_thread()
    if asked.folder:
        fit(asked)
        return 0
    load = os.getloadavg()[0]
    rows, differences = [], {}
    for precision in asked.precisions.split(","):
        pair = [run_of(n, precision, asked.passes) for n in (1, 2)]
        differences[precision] = largest_difference(pair[0]["losses"], pair[1]["losses"])
        rows += pair
        for row in pair:
            losses = " ".join(f"{loss:.5f}" for loss in row["losses"])
            cpu = " + ".join(f"{seconds:.1f}" for seconds in row["cpu_s"])
            print(f"{precision} x {row['processes']}: {losses}; {cpu} CPU-s, {row['steps_wall_s']:.1f} s")
        print(f"{precision}: largest difference {differences[precision]:.1e}")
    reached = differences["float32"] <= BAR
    about = {"passes": asked.passes, "load_at_start": load, "bar": BAR, "reached": reached}
    write_result("ddp", {**stamp(), **about, "differences": differences, "rows": rows})
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
