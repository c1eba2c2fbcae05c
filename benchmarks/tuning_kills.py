"""A study whose workers and coordinators are killed (kill -9) at random moments.

    python benchmarks/tuning_kills.py
    python benchmarks/tuning_kills.py --kills 20

A study of a fixed number of trials, each of ten steps with a checkpoint after every one, goes on after each
kill: two times in three a worker dies, else the coordinator, and all workers with it. Bars: no finished
evaluation is lost, none runs or is billed twice, a killed trial does no more than one step again, the ledger
stays within the budget, and the trials are those of a study that nobody touches. Results go to
results/tuning_kills.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from matinee.testing.study_kills import Kills, kill_study
from stamp import stamp, write_result


def bars(kills: Kills) -> dict[str, bool]:
    """Which bars are reached."""
    return {
        "none_lost": kills.lost == 0,
        "none_twice": kills.twice == 0,
        "one_step_a_kill": kills.steps_again <= kills.kills * kills.workers,
        "within_budget": kills.spent_dollars <= kills.budget_dollars,
        "same_trials": kills.same_trials,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kills = kill_study(Path(folder), kills=asked.kills, trials=asked.trials, seed=asked.seed)
    reached = bars(kills)
    result: dict[str, Any] = {**stamp(), **kills.to_json(), "reached": reached}
    write_result("tuning_kills", result)
    for name, value in kills.to_json().items():
        print(f"{name}: {value}")
    for name, good in reached.items():
        print(f"{name}: {'reached' if good else 'MISSED'}")
    return 0 if all(reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
