"""What is lost when weights are stored small: bf16, and the largest weights of each item alone.

    python benchmarks/compact.py --sets ml-1m,beauty

The logs lie in $MATINEE_DATA or ../shared/data. Each recommender is fitted on the training part of
leave-one-out; the same fit answers validation with its weights as fitted, in bf16 (as a bundle keeps them),
and with so many of the largest weights of each row. Results go to results/compact.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matinee.answers.compact import compact
from matinee.answers.model import Model
from matinee.answers.scorers import make_scorer
from matinee.core.promise import Part
from matinee.data.options import LogOptions
from matinee.data.queries import Queries
from matinee.data.read import read_log
from matinee.data.split import split_log
from matinee.evaluate.judge import judge
from matinee.recipes.spent import cpu_s
from matinee.recommenders import make_recommender
from place import data_folder
from stamp import RESULTS, stamp, write_result

SETS = {"ml-1m": "ml-1m/interactions.csv.gz", "beauty": "amazon-beauty/interactions.csv.gz"}
RECOMMENDERS = ("transitions", "ease")
KEEP = (400, 200, 100, 50)
MOST_LOSS = 0.01


def measure(model: Model, queries: Queries) -> list[dict[str, Any]]:
    """One row for each way to store a fit: bytes, NDCG@10 on validation, and the share of it that is lost."""
    part = model.parts[model.name]
    ways: list[tuple[str, Part]] = [("float32", part), ("bf16", compact(part))]
    ways += [(f"largest {keep} of a row, bf16", compact(part, keep=keep)) for keep in KEEP]
    rows: list[dict[str, Any]] = []
    for way, stored in ways:
        scorer = make_scorer(stored, model.context)
        ndcg = judge(scorer.score, queries, at=(10,)).mean("ndcg@10")
        rows.append(
            {
                "stored": way,
                "bytes": sum(tensor.nbytes for tensor in stored.tensors.values()),
                "ndcg@10": ndcg,
                "loss": 1.0 - ndcg / (rows[0]["ndcg@10"] if rows else ndcg),
            }
        )
    return rows


def run(name: str) -> list[dict[str, Any]]:
    """One set: each recommender, stored in each way."""
    split = split_log(read_log(str(data_folder() / SETS[name]), LogOptions()), "leave-one-out")
    found = []
    for recommender in RECOMMENDERS:
        begin = cpu_s()
        model = make_recommender(recommender).fit(split.train)
        fitted = cpu_s() - begin
        sums = sum(array.nbytes for array in model.parts[recommender].sums.values())
        rows = measure(model, split.validation)
        found.append(
            {"set": name, "recommender": recommender, "fit_cpu_s": fitted, "sums_bytes": sums, "ways": rows}
        )
        show(found[-1])
    return found


def show(found: Mapping[str, Any]) -> None:
    """Print one recommender's rows."""
    kept = f", sums {found['sums_bytes'] / 1e6:.0f} MB" if found["sums_bytes"] else ""
    print(f"{found['set']}, {found['recommender']} ({found['fit_cpu_s']:.1f} CPU-s{kept})")
    for row in found["ways"]:
        megabytes = f"{row['bytes'] / 1e6:7.1f} MB"
        print(
            f"  {row['stored']:<28}{megabytes}  {row['ndcg@10']:.4f}  loss {100 * row['loss']:.2f} %",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    names = asked.sets.split(",")
    for name in names:
        if name not in SETS:
            sys.exit(f"Unknown set {name!r}: known are {', '.join(SETS)}.")
    found = [row for name in names for row in run(name)]
    lost = max(way["loss"] for row in found for way in row["ways"] if way["stored"] == "bf16")
    result = {
        **stamp(),
        "metric": "NDCG@10 on validation, leave-one-out",
        "bar": {
            "what": "loss of what a bundle keeps",
            "most": MOST_LOSS,
            "figure": lost,
            "reached": lost < MOST_LOSS,
        },
        "found": found,
    }
    write_result("compact", result, asked.out)
    print(f"{'reached' if lost < MOST_LOSS else 'MISSED'}: bf16 loses at most {100 * lost:.2f} %")


if __name__ == "__main__":
    main()
