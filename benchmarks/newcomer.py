"""Viewers of whom nothing, or only the first one, three or ten events are known: MovieLens-1M with times.

    python benchmarks/newcomer.py
    python benchmarks/newcomer.py --viewers 1500 --set sequential.passes=3

What happened before the 0.7 quantile of all times is learnt from; newcomers are the viewers who came after
it, of whom nothing is learnt. Each is asked for the next event after the first 0, 1, 3 and 10. Rows:
popularity, recent popularity of 7, 30 and 90 days, the blend, and its parts alone. Bar: the blend's ndcg@10
above that of the best recent popularity with p < .01 at 3 and at 10 (paired sign-flip test over viewers). The
log lies in $MATINEE_DATA or ../shared/data; results go to results/newcomer.json.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np

from matinee.answers.model import Model
from matinee.core.settings import parse_pairs
from matinee.core.statistics import bootstrap_means, interval_of, sign_flip_p
from matinee.core.types import Int64
from matinee.data.log import InteractionLog
from matinee.data.queries import Queries, first_seen, next_event_queries
from matinee.data.read import read_log
from matinee.evaluate.judge import Judgement, judge
from matinee.recommenders import make_recommender
from place import data_folder
from stamp import one_thread, stamp, write_result

LOG = "ml-1m/interactions_timed.csv.gz"
QUANTILE, LENGTHS, BARS, SURE = 0.7, (0, 1, 3, 10), (3, 10), 0.01
METRICS = ("ndcg@10", "recall@10")
DAYS = (7.0, 30.0, 90.0)


def divided(log: InteractionLog, viewers: int | None, seed: int) -> tuple[InteractionLog, Int64]:
    """What is learnt from, and who came later; of those learnt from, only some where a number is given."""
    histories = log.histories
    times = np.asarray(histories.times)
    moment = np.quantile(times, QUANTILE)
    late = times[histories.offsets[:-1]] >= moment
    kept = np.ones(len(histories), dtype=bool)
    if viewers is not None:
        some = np.random.default_rng(seed).permutation(np.flatnonzero(~late))[viewers:]
        kept[some] = False
    taught = (times < moment) & kept[histories.rows()]
    newcomers = np.flatnonzero(late & (histories.lengths > max(LENGTHS)))
    return replace(log, histories=histories.keep(taught)), newcomers


def queries_of(log: InteractionLog, newcomers: Int64, n: int) -> Queries:
    """Each newcomer's next event after the first n."""
    histories = log.histories
    events = histories.offsets[newcomers] + n
    first = first_seen(histories, log.n_items, np.isin(np.arange(len(histories)), newcomers))
    about = {"n_items": log.n_items, "repeats": False, "negatives": None}
    return next_event_queries(histories, events, events, first, about)


def models_of(taught: InteractionLog, settings: dict[str, str], seed: int) -> tuple[dict[str, Model], float]:
    models = {"popularity": make_recommender("popularity", {}).fit(taught)}
    for days in DAYS:
        models[f"recent, {days:.0f} days"] = make_recommender("recent", {"days": days}).fit(taught)
    begin = process_time()
    blend = make_recommender("blend", settings).fit(taught, seed=seed)
    cpu_s = process_time() - begin
    for name in ("sequential", "transitions", "ials"):
        models[name] = replace(blend, name=name, parts={name: blend.parts[name]})
    models["blend"] = blend
    return models, cpu_s


def row_of(judgement: Judgement) -> dict[str, Any]:
    evidence = judgement.evidence()
    drawn = bootstrap_means(evidence.sums, evidence.counts)
    columns = {name: evidence.names.index(name) for name in METRICS}
    return {
        name: interval_of(judgement.mean(name), drawn[:, column]).to_json()
        for name, column in columns.items()
    }


def table_of(log: InteractionLog, newcomers: Int64, models: dict[str, Model], n: int) -> dict[str, Any]:
    queries = queries_of(log, newcomers, n)
    found = {name: judge(model.scores, queries, at=(10,)) for name, model in models.items()}
    recents = [name for name in found if name.startswith("recent")]
    rival = max(recents, key=lambda name: found[name].mean(METRICS[0]))
    rows = []
    for name, judgement in found.items():
        differences = judgement.metrics[METRICS[0]] - found[rival].metrics[METRICS[0]]
        better = float(differences.sum()) > 0
        p = float(sign_flip_p(differences[:, None].astype(np.float64))[0]) if better else 1.0
        rows.append({"name": name, **row_of(judgement), "p": p})
    blend = rows[-1]
    reached = bool(blend["p"] < SURE) if n in BARS else None
    return {"events": n, "viewers": len(queries), "rival": rival, "rows": rows, "reached": reached}


def say(table: dict[str, Any]) -> None:
    words = {None: "no bar", True: "bar reached", False: "bar MISSED"}[table["reached"]]
    print(f"first {table['events']} events, {table['viewers']} newcomers, against {table['rival']}: {words}")
    for row in table["rows"]:
        ndcg, recall = row["ndcg@10"], row["recall@10"]["mean"]
        words = f"  {row['name']:16s} ndcg@10 {ndcg['mean']:.4f} [{ndcg['low']:.4f} {ndcg['high']:.4f}]"
        print(f"{words}  recall@10 {recall:.4f}  p {row['p']:.4f}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, help="learn from so many viewers only")
    parser.add_argument("--set", action="append", default=[], help="a setting of the blend: key=value")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    one_thread()
    log = read_log(str(data_folder() / LOG))
    taught, newcomers = divided(log, asked.viewers, asked.seed)
    settings = parse_pairs(asked.set)
    models, cpu_s = models_of(taught, settings, asked.seed)
    tables = [table_of(log, newcomers, models, n) for n in LENGTHS]
    for table in tables:
        say(table)
    print(f"fit of the blend: {cpu_s:.0f} CPU-s on {len(taught):,} events")
    about = {"learnt_from": len(taught), "settings": settings, "seed": asked.seed, "fit_cpu_s": cpu_s}
    about["joined"] = dict(models["blend"].parts["blend"].settings)
    write_result("newcomer", {**stamp(), **about, "tables": tables})
    return 0 if all(table["reached"] is not False for table in tables) else 1


if __name__ == "__main__":
    sys.exit(main())
