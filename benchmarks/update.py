"""What it costs to take one event in a hundred into a fitted `transitions`, beside a whole fit: MovieLens-1M.

    python benchmarks/update.py

The log lies in $MATINEE_DATA or ../shared/data. The old log lacks the last hundredth of each viewer's events,
at least one. Each way is timed three times, the least counts: another program only adds to it. Scores are
compared over all viewers, as a share of the greatest score. The figures go to results/update.json.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from matinee.answers.model import Model
from matinee.data.read import read_log
from matinee.recipes.spent import cpu_s
from matinee.recipes.update import update
from matinee.recommenders import make_recommender
from place import data_folder
from stamp import one_thread, stamp, write_result

SHARE = 0.01
RUNS = 3
_BLOCK = 500


def least(work: Callable[[], Model]) -> tuple[Model, float]:
    """What some work makes, and the least CPU-seconds of a few runs."""
    spent = []
    for _ in range(RUNS):
        begin = cpu_s()
        made = work()
        spent.append(cpu_s() - begin)
    return made, min(spent)


def greatest_difference(one: Model, other: Model) -> float:
    """Over all viewers and items, as a share of the greatest score."""
    gap = highest = 0.0
    for start in range(0, one.log.n_viewers, _BLOCK):
        askers = one.askers_of(np.arange(start, min(start + _BLOCK, one.log.n_viewers)))
        scores = one.scores(askers)
        gap = max(gap, float(np.abs(scores - other.scores(askers)).max()))
        highest = max(highest, float(np.abs(scores).max()))
    return gap / highest


def main() -> None:
    one_thread()
    log = read_log(str(data_folder() / "ml-1m" / "interactions.csv.gz"))
    lengths = log.histories.lengths
    left = lengths - np.maximum(np.round(SHARE * lengths).astype(np.int64), 1)
    place = np.arange(len(log)) - np.repeat(log.histories.offsets[:-1], lengths)
    old = log.keep(place < np.repeat(left, lengths))
    recommender = make_recommender("transitions")
    fitted = recommender.fit(old)
    grown, update_cpu_s = least(lambda: update(fitted, log))
    whole, fit_cpu_s = least(lambda: recommender.fit(log))
    if "update" in grown.facts:
        raise SystemExit(f"This was no update: {grown.facts['update']}.")
    result = {
        "log": "ml-1m",
        "events": len(log),
        "new_events": len(log) - len(old),
        "update_cpu_s": round(update_cpu_s, 3),
        "fit_cpu_s": round(fit_cpu_s, 3),
        "share": round(update_cpu_s / fit_cpu_s, 3),
        "greatest_score_difference": greatest_difference(whole, grown),
    }
    print(result)
    write_result("update", {**stamp(), **result})


if __name__ == "__main__":
    main()
