"""How near our recommenders come to the best possible, on made-up viewers whose chances are known.

    python benchmarks/simulated.py --tries 4

The log is that of `matinee simulate --viewers 5000 --items 1000 --events 200000 --seed 1`, at predictability
.3, .5 and .7. Bars: the best recommender reaches 80 % of the best-possible recall@10, popularity stays under
half of it. Settings are chosen on validation. Tables, shares and bars go to results/simulated.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matinee.recipes.compare import compare
from matinee.simulate import SimulationOptions, simulate_log_with_truth

RESULTS = Path(__file__).parent / "results"
DIALS = (0.3, 0.5, 0.7)
PROTOCOLS = {
    "leave-one-out": {"protocol": "leave-one-out"},
    "time-split-next": {"protocol": "time-split", "targets": "next"},
    "time-split-successive": {"protocol": "time-split", "targets": "successive"},
}
BEST_SHARE, POPULARITY_SHARE = 0.8, 0.5


def judge(dial: float, protocol: str, tries: int) -> dict[str, Any]:
    """One table: every recommender's recall@10, and its share of the best possible."""
    options = SimulationOptions(viewers=5_000, items=1_000, events=200_000, predictability=dial, seed=1)
    log, truth = simulate_log_with_truth(options)
    best = truth["best_possible"][protocol]["recall@10"]
    board = compare(log, tries=tries, **PROTOCOLS[protocol]).to_json()  # type: ignore[arg-type]
    rows = [
        {
            "name": row["name"],
            "settings": row["settings"],
            "recall@10": row["metrics"]["recall@10"],
            "share": row["metrics"]["recall@10"]["mean"] / best,
            "fit_cpu_s": row["fit_cpu_s"],
        }
        for row in board["recommenders"]
        if row.get("metrics")
    ]
    shares = {row["name"]: row["share"] for row in rows}
    return {
        "predictability": dial,
        "protocol": protocol,
        "best_possible_recall@10": best,
        "targets": truth["best_possible"][protocol]["targets"],
        "recommenders": rows,
        "best": max(shares, key=lambda name: shares[name]),
        "reached": max(shares.values()) >= BEST_SHARE and shares["popularity"] < POPULARITY_SHARE,
    }


def say(table: dict[str, Any]) -> None:
    print(
        f"predictability {table['predictability']}, {table['protocol']}: best possible recall@10 "
        f"{table['best_possible_recall@10']:.3f}; bar {'reached' if table['reached'] else 'MISSED'}"
    )
    for row in sorted(table["recommenders"], key=lambda row: -row["share"]):
        print(f"  {row['name']:14s} {row['recall@10']['mean']:.3f}  {row['share']:4.0%} of the best possible")


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def machine() -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout
    return {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("matinee", "numpy", "scipy", "pyarrow")},
        "commit": commit.strip(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tries", type=int, default=1, help="settings tried for each recommender on validation"
    )
    parser.add_argument("--protocols", default=",".join(PROTOCOLS), help="which, with commas between")
    asked = parser.parse_args()
    tables = []
    for protocol in asked.protocols.split(","):
        for dial in DIALS:
            tables.append(judge(dial, protocol, asked.tries))
            say(tables[-1])
    RESULTS.mkdir(exist_ok=True)
    result = {"command": " ".join(sys.argv), **machine(), "tries": asked.tries, "tables": tables}
    (RESULTS / "simulated.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if all(table["reached"] for table in tables) else 1


if __name__ == "__main__":
    sys.exit(main())
