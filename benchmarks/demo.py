"""What the demo costs, and whether a second run with the same seed says the same.

    python benchmarks/demo.py

Bars: at most 60 CPU-seconds, those of every process counted; the JSON of both runs equal, costs apart.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from stamp import one_thread, stamp, write_result

MOST_CPU_S = 60
COSTS = {"cpu_s", "fit_cpu_s", "search_cpu_s", "fit_wall_s", "fit_dollars", "answer_ms", "peak_rss_mb"}


def run(folder: Path) -> tuple[Any, float]:
    """The JSON of one run, costs left out, and its CPU-seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "matinee", "demo", "--dir", "demo", "--json", "demo.json"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return without_costs(json.loads((folder / "demo.json").read_text())), spent


def without_costs(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_costs(one) for key, one in value.items() if key not in COSTS}
    return [without_costs(one) for one in value] if isinstance(value, list) else value


def main() -> int:
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        (first, first_s), (second, second_s) = run(Path(folder)), run(Path(folder))
    board = first["compare"]
    result = {
        **stamp(),
        "cpu_s": [round(first_s, 1), round(second_s, 1)],
        "most_cpu_s": MOST_CPU_S,
        "same": first == second,
        "verdict": board["verdict"],
        "recall@10": {row["name"]: row["metrics"]["recall@10"] for row in board["recommenders"]},
        "reached": max(first_s, second_s) <= MOST_CPU_S and first == second,
    }
    write_result("demo", result)
    print(f"{first_s:.1f} and {second_s:.1f} CPU-s; the same: {first == second}")
    return 0 if result["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
