"""From a log to recommendations in Python: read, compare, fit, ask.

    python examples/quickstart.py ml-latest-small/ratings.csv ml-latest-small/movies.csv

Without files it makes a small service up.
"""

import sys
import tempfile
from pathlib import Path

import matinee
from matinee.data.options import LogOptions
from matinee.simulate import SimulationOptions, simulate_log


def main() -> None:
    if len(sys.argv) > 1:
        log = matinee.read_log(sys.argv[1], LogOptions(items=sys.argv[2] if len(sys.argv) > 2 else None))
    else:
        log = simulate_log(SimulationOptions(viewers=4_000, items=400, events=100_000))
    print(f"{len(log.viewers):,} viewers, {len(log.items):,} items, {len(log):,} events")

    # Each row is fitted in a process of its own; nobody has seen what the test asks for.
    board = matinee.compare(log, ["popularity", "item_knn", "transitions"])
    print(board.verdict)

    model = matinee.fit(log, "transitions")
    viewer = log.viewers.id(0)
    answer = model.recommend([viewer], k=5).to_arrow()
    for row in answer.to_pylist():
        print(viewer, row["rank"], row["item"], round(row["score"], 3), row["source"])

    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        model.save(bundle)
        # A bundle is all that answering needs: no log, no settings.
        again = matinee.load(bundle).recommend([viewer], k=5).to_arrow()
        same = len(set(again["item"].to_pylist()) & set(answer["item"].to_pylist()))
        megabytes = sum(file.stat().st_size for file in bundle.rglob("*")) / 1e6
        print(f"The bundle, {megabytes:.1f} MB with weights of 16 bits, names {same} of the same 5 items.")


if __name__ == "__main__":
    main()
