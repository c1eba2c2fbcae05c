"""How near predicted ratings are: MovieLens-100K's u1, and what each part of the model is worth.

    python benchmarks/ratings.py

The logs lie in $MATINEE_DATA or ../shared/data. Defaults were chosen on a random 15 % of u1.base, the
recommender on validation carved from it; u1.test is scored once a row. Everything goes to
results/ratings.json.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.recipes.compare import compare
from place import data_folder
from stamp import one_thread, stamp, write_result

OPTIONS = LogOptions(target="rating", skip_bad=True)
BAR, STRETCH = 0.905, 0.889
# What `rating` loses when one of its parts is left out.
WITHOUT: dict[str, dict[str, Any]] = {
    "sittings": {"pause_minutes": 0.0},
    "implicit feedback": {"axes": 0},
    "both": {"pause_minutes": 0.0, "axes": 0},
}


def given(folder: Path) -> dict[str, Any]:
    log, test = (str(folder / "ml-100k" / name) for name in ("u1.base", "u1.test"))
    told = read_log(log, OPTIONS)
    asked = read_log(test, OPTIONS)
    board = compare(told, test=asked).to_json()
    parts = {}
    for name, settings in WITHOUT.items():
        print("without", name, file=sys.stderr)
        one = compare(told, ["rating"], test=asked, settings={"rating": settings}).to_json()
        parts[name] = {"settings": settings, **one["recommenders"][0]}
    rows = {row["name"]: row["metrics"]["rmse"]["mean"] for row in board["recommenders"]}
    simple = min(value for name, value in rows.items() if name != "rating")
    bars = [
        {"what": "RMSE of rating", "bar": BAR, "figure": rows["rating"], "reached": rows["rating"] <= BAR},
        {"what": "the same, stretch", "bar": STRETCH, "figure": rows["rating"]},
        {"what": "below every simple row", "bar": simple, "figure": rows["rating"]},
    ]
    for bar in bars:
        bar["reached"] = bar["figure"] <= bar["bar"]
    return {"board": board, "without": parts, "bars": bars}


def main() -> None:
    one_thread()
    folder = data_folder()
    result = stamp()
    result |= given(folder)
    write_result("ratings", result)


if __name__ == "__main__":
    main()
