"""What a daily refresh of the blend costs and keeps, beside a fit from scratch: MovieLens-1M with times.

    python benchmarks/refresh.py --work /tmp/refresh
    python benchmarks/refresh.py --viewers 500 --set sequential.passes=2

The blend is fitted on what came before the 0.9 quantile of all times. Then come five days of one event in a
hundred, each taken in as `matinee refresh` does it: the bundle in use is loaded, goes on to what came before
the latest events, is judged by these against the bundle in use, goes on to everything, and is written. Only
reading the log is left out. At the end three models are asked for what happens on the sixth day: the bundle
of the first day, the one that was refreshed five times, and a fit from scratch on the same events.

Bars: a refresh takes at most a tenth of the CPU-seconds of the fit from scratch, at an ndcg@10 that is at
most 1 % lower. Fits from scratch are kept in the folder of --work, and found there by the next run. The log
lies in $MATINEE_DATA or ../shared/data; results go to results/refresh.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.answers.manifest import is_bundle
from matinee.answers.model import Model, load
from matinee.core.settings import parse_pairs
from matinee.core.statistics import bootstrap_means, interval_of
from matinee.data.log import InteractionLog
from matinee.data.protocols import PROTOCOLS, DivisionOptions
from matinee.data.queries import Queries
from matinee.data.read import read_log
from matinee.evaluate.judge import judge
from matinee.recipes.refresh_gate import judge_both, latest_split, learnt_until
from matinee.recipes.spent import cpu_s
from matinee.recipes.update import update, why_anew
from matinee.recommenders import make_recommender
from place import data_folder
from stamp import one_thread, stamp, write_result

LOG = "ml-1m/interactions_timed.csv.gz"
FIRST, DAY, DAYS = 0.9, 0.01, 5
COST_BAR, LOSS_BAR = 0.1, 0.01
METRICS = ("ndcg@10", "recall@10")
_FUTURE_MS = 2**60


def some_viewers(log: InteractionLog, viewers: int | None, seed: int) -> InteractionLog:
    if viewers is None:
        return log
    n = len(log.histories)
    kept = np.zeros(n, dtype=bool)
    kept[np.random.default_rng(seed).permutation(n)[:viewers]] = True
    return log.keep(kept[log.histories.rows()])


def before(log: InteractionLog, share: float) -> InteractionLog:
    """What happened before a quantile of all times."""
    times = np.asarray(log.histories.times)
    return log.keep(times < np.sort(times)[int(share * len(times))])


def fitted(log: InteractionLog, share: float, settings: Mapping[str, str], work: Path) -> tuple[Model, float]:
    """The blend from scratch on what happened before, and its CPU-seconds; found where it was kept."""
    folder = work / f"full{share:g}"
    if not is_bundle(folder):
        begin = cpu_s()
        model = make_recommender("blend", settings).fit(before(log, share), seed=0)
        replace(model, facts={"seed": 0, "fit_cpu_s": cpu_s() - begin}).save(folder)
    model = load(folder)
    return model, float(model.facts["fit_cpu_s"])


def refreshed(folder: Path, log: InteractionLog, target: Path) -> dict[str, Any]:
    """One day: from the bundle in use to the next one; what it took, and what the gate saw."""
    clock = [cpu_s()]
    used = load(folder)
    why = why_anew(used, log)
    if why:
        raise SystemExit(f"This would be no refresh: {why}.")
    since = learnt_until(used)
    split = latest_split(log, since, _FUTURE_MS)
    clock.append(cpu_s())
    # Where too few viewers did anything, nothing is judged.
    candidate = used if split is None else update(used, split.train_and_validation)
    clock.append(cpu_s())
    judged = None if split is None else judge_both(split, candidate, used, since)
    clock.append(cpu_s())
    last = update(candidate, log)
    clock.append(cpu_s())
    last.save(target)
    clock.append(cpu_s())
    steps = dict(
        zip(("load", "judged_fit", "gate", "last_fit", "write"), np.diff(clock).tolist(), strict=True)
    )
    return {
        "new_events": len(log) - len(used.log),
        "cpu_s": clock[-1] - clock[0],
        "steps_cpu_s": steps,
        "judged": None if judged is None else judged.to_json(),
        "refused": judged is not None and not judged.passes(0.0),
    }


def next_day(log: InteractionLog, share: float, most: int) -> Queries:
    """What viewers with a past did on the day after a quantile, each event in turn; some where it is much."""
    known = before(log, share + DAY)
    until = len(before(log, share))
    options = DivisionOptions(targets="successive", quantile=(until + 0.5) / len(known))
    division = PROTOCOLS["time-split"](known, options)
    queries = division.test.take(division.past)
    return queries.take(np.sort(np.random.default_rng(0).permutation(len(queries))[:most]))


def compared(models: Mapping[str, Model], queries: Queries) -> list[dict[str, Any]]:
    """The models on the same queries; differences, paired by viewer, from the last of them."""
    found = {name: judge(model.scores, queries, at=(10,)).evidence() for name, model in models.items()}
    *_, last = found.values()
    rows = []
    for name, evidence in found.items():
        row: dict[str, Any] = {"name": name}
        for metric in METRICS:
            mine, theirs = evidence.column(metric), last.column(metric)
            table = np.stack([mine, mine - theirs], axis=1)
            drawn = bootstrap_means(table, evidence.counts)
            means = table.sum(axis=0) / max(int(evidence.counts.sum()), 1)
            row[metric] = interval_of(float(means[0]), drawn[:, 0]).to_json()
            row[f"{metric} less scratch"] = interval_of(float(means[1]), drawn[:, 1]).to_json()
        rows.append(row)
    return rows


def sizes_of(folder: Path) -> dict[str, float]:
    """MB of a bundle, and of the sums in it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sums = sum(path.stat().st_size for path in files if path.name == "sums.safetensors")
    return {"bundle_mb": sum(path.stat().st_size for path in files) / 1e6, "sums_mb": sums / 1e6}


def measured(log: InteractionLog, asked: argparse.Namespace, work: Path) -> dict[str, Any]:
    settings = parse_pairs(asked.set)
    stale, first_cpu_s = fitted(log, FIRST, settings, work)
    days, folder = [], work / f"full{FIRST:g}"
    for number in range(1, DAYS + 1):
        target = work / f"day{number}"
        days.append(refreshed(folder, before(log, round(FIRST + number * DAY, 6)), target))
        folder = target
        print(f"day {number}: {days[-1]['new_events']:,} events, {days[-1]['cpu_s']:.1f} CPU-s", flush=True)
    end = round(FIRST + DAYS * DAY, 6)
    scratch, fit_cpu_s = fitted(log, end, settings, work)
    queries = next_day(log, end, asked.queries)
    models = {"bundle of the first day": stale, f"refreshed {DAYS} times": load(folder), "scratch": scratch}
    rows = compared(models, queries)
    dearest = max(day["cpu_s"] for day in days)
    loss = 1.0 - rows[1][METRICS[0]]["mean"] / rows[-1][METRICS[0]]["mean"]
    return {
        "settings": settings,
        "viewers": asked.viewers,
        "events": len(before(log, FIRST)),
        "first_fit_cpu_s": first_cpu_s,
        "fit_cpu_s": fit_cpu_s,
        "days": days,
        "asked": {"queries": len(queries), "viewers": queries.n_viewers},
        "rows": rows,
        "sizes": sizes_of(folder),
        "cost": {"share": dearest / fit_cpu_s, "bar": COST_BAR, "reached": dearest <= COST_BAR * fit_cpu_s},
        "loss": {"share": loss, "bar": LOSS_BAR, "reached": loss <= LOSS_BAR},
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, help="so many viewers only")
    parser.add_argument("--set", action="append", default=[], help="a setting of the blend: key=value")
    parser.add_argument("--queries", type=int, default=2_000, help="targets of the last day, at most")
    parser.add_argument("--work", type=Path, help="where bundles are kept, and fits found again")
    asked = parser.parse_args()
    one_thread()
    log = some_viewers(read_log(str(data_folder() / LOG)), asked.viewers, 0)
    with tempfile.TemporaryDirectory() as spare:
        result = measured(log, asked, asked.work or Path(spare))
    for row in result["rows"]:
        found, less = row[METRICS[0]], row[f"{METRICS[0]} less scratch"]
        print(f"{row['name']:24s} ndcg@10 {found['mean']:.4f}, less scratch {less['mean']:+.4f}")
    print(f"a fit: {result['fit_cpu_s']:.0f} CPU-s; cost {result['cost']}; loss {result['loss']}")
    write_result("refresh", {**stamp(), **result})
    return 0 if result["cost"]["reached"] and result["loss"]["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
