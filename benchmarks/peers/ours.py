"""What our network takes to the levels that others are timed to, on the same log and split.

    python benchmarks/peers/ours.py

Every row is a whole fit of `sequential` in a process of its own, on one thread, loading torch included, whose
passes were planned from the start. Results go to results/peers-ours.json.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from matinee.data.read import read_log
from matinee.recipes.compare import compare
from place import data_folder
from stamp import one_thread, stamp, write_result

ROWS: tuple[dict[str, Any], ...] = (
    {"longest": 50, "passes": 1, "layers": 1, "gated": False},
    {"longest": 50, "passes": 1},
    {"longest": 50, "passes": 2},
    {"longest": 50, "passes": 3},
    {"longest": 200, "passes": 1},
    {"longest": 200, "passes": 2},
)


def main() -> None:
    one_thread()
    log = read_log(str(data_folder() / "ml-1m/interactions.csv.gz"))
    rows = [measure(log, settings) for settings in ROWS]
    facts = stamp()
    facts["command"] = "python benchmarks/peers/ours.py"
    write_result("peers-ours", {"set": "ml-1m", "rows": rows, **facts})


def measure(log: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """One fit: its cost and what it reached."""
    board = compare(log, ["sequential"], settings={"sequential": settings}, protocol="leave-one-out")
    (row,) = board.to_json()["recommenders"]
    found = {
        "settings": settings,
        "fit_cpu_s": round(row["fit_cpu_s"], 1),
        "peak_rss_mb": round(row["peak_rss_mb"]),
        "validation": row["validation"],
        "ndcg@10": row["metrics"]["ndcg@10"],
        "hit@10": row["metrics"]["hit@10"],
    }
    print(found, flush=True)
    return found


if __name__ == "__main__":
    main()
