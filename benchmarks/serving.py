"""The server under load: what an answer costs, what is durable, and that nobody is cut off.

    python benchmarks/serving.py                      every part, with bundles made here
    python benchmarks/serving.py --parts load slow    some parts; the other parts' results stay

CPU-seconds of the processes that answer are counted, not wall time: the machine may be busy. Results go to
results/serving.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from online import load, manners, visible
from stamp import RESULTS, one_thread, stamp, write_result

ITEMS = 3_700
# CPU-milliseconds of a personal answer at 3,700 items, from the issue that asked for it.
BARS_MS = {"sequential": 0.7, "blend": 1.2}


def main() -> None:
    given = _options()
    one_thread()
    with tempfile.TemporaryDirectory(prefix="matinee-serving-") as name:
        folder = Path(name)
        found = {}
        for part in given.parts:
            print(f"{part} ...", file=sys.stderr, flush=True)
            place = folder / part
            place.mkdir()
            found[part] = PARTS[part](given, place) | {"measured": stamp()}
            print(json.dumps(found[part] | {"measured": ""}, indent=1), flush=True)
    before = RESULTS / "serving.json"
    kept = json.loads(before.read_text(encoding="utf-8"))["parts"] if before.exists() else {}
    write_result("serving", {**stamp(), "parts": {**kept, **found}})


def _load(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for recommender, bar_ms in BARS_MS.items():
        place = folder / recommender
        place.mkdir()
        bundle = Path(given.bundles) / recommender if given.bundles else _fitted(place, recommender)
        found[recommender] = load.costs(bundle, place, given.seconds, given.connections)
        found[recommender]["bar_ms"] = bar_ms
    return found


def _events(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return load.durable_events(_small(folder), folder, given.seconds)


def _lag(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return visible.seen_at_once(_small(folder), folder, given.rounds)


def _activation(_given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return manners.activations(_small(folder), folder, 20)


def _sigterm(_given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return manners.sigterms(_small(folder), folder, 20)


def _kills(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return manners.kills(_small(folder), folder, given.kills, given.seed)


def _slow(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return manners.slow_clients(_small(folder), folder, given.slow, given.seconds)


def _soak(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return manners.soak(_small(folder), folder, given.soak_seconds, given.soak_per_second)


PARTS: Mapping[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
    "load": _load,
    "events": _events,
    "lag": _lag,
    "activation": _activation,
    "sigterm": _sigterm,
    "kills": _kills,
    "slow": _slow,
    "soak": _soak,
}


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    options.add_argument("--seconds", type=float, default=10.0, help="of load, for each figure")
    options.add_argument("--connections", type=int, default=8)
    options.add_argument("--rounds", type=int, default=500, help="events whose lag is measured")
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--slow", type=int, default=500)
    options.add_argument("--soak-seconds", type=float, default=600.0)
    options.add_argument(
        "--soak-per-second", type=float, default=300.0, help="about half of what one core can"
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument(
        "--bundles", help="a folder with the bundles sequential and blend; default: fitted here"
    )
    return options.parse_args()


def _fitted(folder: Path, recommender: str) -> Path:
    """A bundle of 3,700 items; one pass over the events: what an answer costs does not depend on more."""
    _matinee("simulate", str(folder / "log"), "--viewers", "1000", "--items", str(ITEMS), "--events", "60000")
    passes = "passes=1" if recommender == "sequential" else "sequential.passes=1"
    log, items = str(folder / "log" / "log.parquet"), str(folder / "log" / "items.parquet")
    _matinee(
        "fit", log, "--items", items, "--recommender", recommender, "--set", passes, "-o", str(folder / "b")
    )
    return folder / "b"


def _small(folder: Path) -> Path:
    """A folder with two bundles of a small service, fitted in a moment."""
    _matinee("simulate", str(folder / "log"), "--viewers", "300", "--items", "600", "--events", "8000")
    for name in ("popularity", "transitions"):
        log, items = str(folder / "log" / "log.parquet"), str(folder / "log" / "items.parquet")
        bundle = str(folder / "bundles" / name)
        _matinee("fit", log, "--items", items, "--recommender", name, "-o", bundle)
    return folder / "bundles"


def _matinee(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "matinee", *arguments, "--quiet"], check=True)


if __name__ == "__main__":
    main()
