"""How far a budget goes: LCBench, ours beside others, on a simulated clock with preemptions.

    python benchmarks/tuning.py --dir runs
    python benchmarks/tuning.py --dir runs --odd --tasks 3 --seeds 2 --searchers matinee,tpe

17 tasks of `lcbench.py` (those at even places of its encoding.json; `--odd` takes the others, on which
settings were chosen) and 10 seeds; 8 workers that ask whenever one is free; a machine is taken away after
exponentially distributed seconds, in the mean one whole run; the budget is the dollars of 25 mean whole runs
(`simulated_workers.py`). What a study has found is the value of its best whole run, whatever the searcher
says of it; regret is 0 at the best of 20,000 random runs and 1 at their median or where no run is whole yet.

Bar: the dollars, as a share of the budget, at which the median over seeds reaches the median that the best
of the others has when all is spent; its median over tasks at most 70 %, and on more tasks below 100 % than
a fair coin would give at p < .01. Each study is written to `--dir` when it ends and is not run again;
`--again matinee` forgets one searcher's. Results go to results/tuning_lcbench.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from lcbench import SPACE, Scale, Task, task_names
from matinee.core.types import Float64
from simulated_workers import Conditions, Outcome, simulate
from stamp import RESULTS, one_thread, stamp, write_result
from tuning_peers import OURS, SEARCHERS, missing

RUNS, WORKERS, PRICE = 25, 8, 1.0
SHARES = (0.25, 0.5, 1.0)
BAR, STRETCH, SURE = 0.7, 0.5, 0.01
Records = dict[tuple[str, int, str], dict[str, Any]]


def study(task: Task, scale: Scale, name: str, seed: int) -> dict[str, Any]:
    """One searcher's study of one task: plain JSON values."""
    begin = process_time()
    conditions = Conditions(
        budget_dollars=RUNS * scale.run_s * PRICE / 3600,
        run_s=scale.run_s,
        workers=WORKERS,
        price_per_hour=PRICE,
        lifetime_s=scale.run_s,
        seed=seed,
    )
    outcome = simulate(SEARCHERS[name](SPACE, seed), task.curve, conditions)
    assert outcome.most_committed_dollars <= conditions.budget_dollars, "the budget is exceeded"
    return {
        "task": task.name,
        "seed": seed,
        "searcher": name,
        "cpu_s": round(process_time() - begin, 2),
        **_told(outcome, scale, conditions.budget_dollars),
    }


def _told(outcome: Outcome, scale: Scale, budget: float) -> dict[str, Any]:
    return {
        "found": [[one.dollars / budget, scale.regret(one.value)] for one in outcome.found],
        "spent": outcome.spent_dollars / budget,
        "committed": outcome.most_committed_dollars / budget,
        "lost": sum(trial.lost_dollars for trial in outcome.trials) / budget,
        "runs_long": outcome.seconds / scale.run_s,
        "trials": dict(Counter(trial.state for trial in outcome.trials)),
    }


def studies(folder: Path, tasks: Sequence[str], seeds: int, searchers: Sequence[str]) -> Records:
    """Every study, from where it was written or run now."""
    folder.mkdir(parents=True, exist_ok=True)
    found: Records = {}
    for name in tasks:
        paths = {
            (seed, searcher): folder / f"{name}-{seed}-{searcher}.json"
            for seed, searcher in product(range(seeds), searchers)
        }
        task = Task(name)
        scale = None if all(path.is_file() for path in paths.values()) else task.scale()
        for (seed, searcher), path in paths.items():
            if not path.is_file():
                assert scale is not None
                path.write_text(json.dumps(study(task, scale, searcher, seed)), encoding="utf-8")
            found[name, seed, searcher] = json.loads(path.read_text(encoding="utf-8"))
        print("\n".join(_task_lines(found, name, seeds, searchers)), flush=True)
    return found


def regrets(record: dict[str, Any], shares: Float64) -> Float64:
    """What a study had found when these shares of the budget were spent."""
    best = np.ones(len(shares))
    for share, regret in record["found"]:
        best = np.where(shares >= share, np.minimum(best, regret), best)
    return best


def middle(records: Sequence[dict[str, Any]]) -> tuple[Float64, Float64]:
    """Shares of the budget at which something was found, and the median regret of the studies there."""
    places = {share for record in records for share, _ in record["found"]}
    shares = np.array(sorted(places | {0.0, *SHARES}))
    return shares, np.median([regrets(record, shares) for record in records], axis=0)


def reached(records: Sequence[dict[str, Any]], regret: float) -> float | None:
    """The share of the budget at which the median of the studies is at least that good; None: never."""
    shares, medians = middle(records)
    there = np.flatnonzero(medians <= regret)
    return float(shares[there[0]]) if len(there) else None


def task_row(records: Records, task: str, seeds: int, searchers: Sequence[str]) -> dict[str, Any]:
    """What each searcher had at 25, 50 and 100 %, and when ours had what the best other has at the end."""
    of = {name: [records[task, seed, name] for seed in range(seeds)] for name in searchers}
    at = {name: [regrets(one, np.array(SHARES)) for one in found] for name, found in of.items()}
    row: dict[str, Any] = {
        "task": task,
        "median": {name: np.median(found, axis=0).tolist() for name, found in at.items()},
        "mean": {name: np.mean(found, axis=0).tolist() for name, found in at.items()},
    }
    others = [name for name in searchers if name != OURS]
    if OURS in of and others:
        row["best"] = min(others, key=lambda name: float(row["median"][name][-1]))
        row["share"] = reached(of[OURS], row["median"][row["best"]][-1])
        row["own_share"] = reached(of[row["best"]], row["median"][row["best"]][-1])
    return row


def verdict(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The bar over all tasks; a task on which ours never gets there counts as more than the budget."""
    from scipy.stats import binomtest

    shares = [float("inf") if row["share"] is None else row["share"] for row in rows]
    below = {str(bar): sum(share < bar for share in shares) for bar in (1.0, BAR, STRETCH)}
    p = float(binomtest(below["1.0"], len(shares), alternative="greater").pvalue)
    share = float(np.median(shares))
    return {
        "tasks": len(shares),
        "share": share if np.isfinite(share) else None,
        "below": below,
        "p": p,
        "reached": bool(share <= BAR and p < SURE),
        "stretch": bool(share <= STRETCH and p < SURE),
    }


def totals(records: Records, name: str) -> dict[str, Any]:
    """What one searcher's studies were like."""
    found = [record for key, record in records.items() if key[2] == name]
    states = sum((Counter(record["trials"]) for record in found), Counter[str]())
    return {
        "studies": len(found),
        "cpu_s": sum(record["cpu_s"] for record in found) / len(found),
        "spent": float(np.mean([record["spent"] for record in found])),
        "lost": float(np.mean([record["lost"] for record in found])),
        "runs_long": float(np.mean([record["runs_long"] for record in found])),
        "most_committed": max(record["committed"] for record in found),
        "trials": {state: number / len(found) for state, number in states.items()},
    }


def _task_lines(records: Records, task: str, seeds: int, searchers: Sequence[str]) -> Iterator[str]:
    row = task_row(records, task, seeds, searchers)
    words = ""
    if "share" in row:
        share = "never" if row["share"] is None else f"{row['share']:.0%}"
        words = f": what {row['best']} has at the end, {OURS} has at {share}"
    yield f"{task}{words}"
    for name in searchers:
        medians = "  ".join(f"{regret:7.3f}" for regret in row["median"][name])
        means = "  ".join(f"{regret:7.3f}" for regret in row["mean"][name])
        cpu_s = np.mean([records[task, seed, name]["cpu_s"] for seed in range(seeds)])
        yield f"   {name:14s} median {medians}   mean {means}   {cpu_s:.1f} CPU-s"


def result_of(records: Records, asked: argparse.Namespace, tasks: Sequence[str]) -> dict[str, Any]:
    rows = [task_row(records, task, asked.seeds, asked.searchers) for task in tasks]
    return {
        **stamp(),
        "places": "odd" if asked.odd else "even",
        "seeds": asked.seeds,
        "budget_runs": RUNS,
        "workers": WORKERS,
        "bar": BAR,
        "stretch": STRETCH,
        "skipped": asked.skipped,
        "rows": rows,
        "totals": {name: totals(records, name) for name in asked.searchers},
        "verdict": verdict(rows) if all("share" in row for row in rows) else None,
    }


def say(result: dict[str, Any]) -> None:
    for name, found in result["totals"].items():
        states = ", ".join(f"{number:.0f} {state}" for state, number in sorted(found["trials"].items()))
        means = "  ".join(
            f"{np.mean([row['mean'][name][place] for row in result['rows']]):.3f}"
            for place in range(len(SHARES))
        )
        print(f"{name:14s} mean regret {means}; spent {found['spent']:.1%}; {states}")
    if result["verdict"]:
        found = result["verdict"]
        share = "more than all" if found["share"] is None else f"{found['share']:.0%}"
        words = "reached" if found["reached"] else "MISSED"
        below = f"{found['below']['1.0']} of {found['tasks']} tasks below 100 %"
        print(f"median share {share}; {below}, p {found['p']:.4f}: {words}")


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dir", type=Path, required=True, help="where each study is kept")
    parser.add_argument(
        "--tasks", default="17", help="how many, spread evenly; or names, with commas between"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--searchers", default=",".join(SEARCHERS), help="with commas between")
    parser.add_argument("--odd", action="store_true", help="the tasks that are not the benchmark's")
    parser.add_argument("--again", default="", help="searchers whose studies are run again")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(words)
    wanted = [name for name in asked.searchers.split(",") if name]
    if unknown := set(wanted) - set(SEARCHERS):
        parser.error(f"no searcher {', '.join(sorted(unknown))}: there are {', '.join(SEARCHERS)}")
    asked.skipped = [words for name in wanted if (words := missing(name))]
    asked.searchers = [name for name in wanted if not missing(name)]
    return asked


def chosen_tasks(words: str, *, odd: bool) -> list[str]:
    names = task_names(1 if odd else 0)
    if not words.isdigit() or words in names:
        return words.split(",")
    return [names[place] for place in np.linspace(0, len(names) - 1, int(words)).round().astype(int)]


def main(words: Sequence[str] | None = None) -> int:
    asked = arguments(words)
    one_thread()
    tasks = chosen_tasks(asked.tasks, odd=asked.odd)
    for name in filter(None, asked.again.split(",")):
        for path in asked.dir.glob(f"*-{name}.json"):
            path.unlink()
    print("\n".join(asked.skipped), flush=True)
    records = studies(asked.dir, tasks, asked.seeds, asked.searchers)
    result = result_of(records, asked, tasks)
    say(result)
    whole = not asked.odd and len(tasks) == len(task_names(0))
    write_result(
        "tuning_lcbench" if whole else "tuning_lcbench_slice", result, asked.out if whole else asked.dir
    )
    return 0 if result["verdict"] is None or result["verdict"]["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
