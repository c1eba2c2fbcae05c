"""What the network gains from what a log says beside which items were watched, each switch alone.

    python benchmarks/context.py
    python benchmarks/context.py --logs tried-1,tried-2

Switches: `kinds`, `values`, `gaps` and `times`, `regions`, `noes`. Each network is fitted on what came before
the validation stretch of a time-split and asked for each later event of that stretch (the test is never
looked at): ndcg@10 with and without the switch, p of a paired sign-flip test over viewers, CPU-seconds of the
fit. A switch is on by default where it is better on two logs at p < .05, and on none below. `first` asks
for the first events of viewers who were left out of a fit with regions, of whom nothing else is known.

Logs: made-up worlds of four regions (`world`); the same with as many events that say nothing, which their
kind (sampled, not watched) and their value (1 or 2 of 5) tell apart (`tried`); the same with dated noes, of
popular items that are in no scene that the viewer likes (`turned`); a made-up shop whose kinds and noes say
nothing of what is wanted next (`shop`); MovieLens-100K; 500 viewers of MovieLens-1M with times. The real logs
lie in $MATINEE_DATA or ../shared/data; results go to results/context.json, log by log.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np

from matinee.core.settings import parse_pairs
from matinee.core.statistics import bootstrap_means, interval_of, sign_flip_p
from matinee.core.types import Histories, Int64, Ragged
from matinee.data.log import InteractionLog
from matinee.data.options import LogOptions
from matinee.data.queries import first_seen, next_event_queries
from matinee.data.read import read_log
from matinee.data.split import split_log
from matinee.evaluate.judge import Judgement, judge
from matinee.recommenders import make_recommender
from matinee.simulate import SimulationOptions
from matinee.simulate.shop import simulate_shop
from matinee.simulate.tables import World, log_with_truth
from place import data_folder
from stamp import RESULTS, one_thread, stamp, write_result

METRIC, SURE = "ndcg@10", 0.05
SLICE = 500
# Of a made-up viewer, so many noes for each event.
NOES = 0.3
# Share of viewers who are left out to be newcomers.
NEWCOMERS = 0.2

Settings = dict[str, Any]


def world_of(seed: int) -> World:
    """A made-up world of four regions, a fifth of whose events are what is popular in the region."""
    options = SimulationOptions(
        viewers=1_200, items=400, events=30_000, predictability=0.5, regions=4, seed=seed
    )
    return World(options, judged=False)


def world_log(seed: int) -> InteractionLog:
    """Its log."""
    return log_with_truth(world_of(seed))[0]


def tried_log(seed: int) -> InteractionLog:
    """A world's log with as many events that say nothing: items drawn by popularity, between the others."""
    log = world_log(seed)
    random = np.random.default_rng(seed)
    histories, n = log.histories, len(log)
    popularity = np.bincount(histories.items, minlength=log.n_items) ** 0.5
    drawn = random.choice(log.n_items, n, p=popularity / popularity.sum()).astype(np.int32)
    times = np.asarray(histories.times)
    viewers = np.tile(histories.rows(), 2)
    when = np.concatenate([times, times + random.integers(-3_600_000, 3_600_000, n)])
    order = np.lexsort((when, viewers))
    tried = np.repeat([False, True], n)[order]
    values = np.where(tried, random.integers(1, 3, 2 * n), random.integers(4, 6, 2 * n))
    told = Histories(
        items=np.concatenate([histories.items, drawn])[order],
        offsets=2 * histories.offsets,
        times=when[order],
        kinds=tried.astype(np.int8),
        values=values.astype(np.float32),
        targets=~tried,
    )
    return replace(log, histories=told, kinds=("watch", "sample"))


def turned_log(seed: int) -> InteractionLog:
    """A world's log whose viewers say no, now and then, to popular items of no scene that they like."""
    world = world_of(seed)
    log = log_with_truth(world)[0]
    random = np.random.default_rng(seed)
    scenes = np.concatenate([block.viewers.scenes for block in world.blocks()]).reshape(log.n_viewers, -1)
    member = np.zeros((int(scenes.max()) + 1, log.n_items), dtype=bool)
    for scene in range(len(member)):
        weights = world.catalogue.scene_weights[scene]
        member[scene, world.catalogue.scene_items[scene][weights > 0]] = True
    popularity = np.bincount(log.histories.items, minlength=log.n_items) + 1.0
    times, offsets = np.asarray(log.histories.times), log.histories.offsets
    rows: list[Int64] = []
    dates: list[Int64] = []
    for viewer in range(log.n_viewers):
        strange = ~member[scenes[viewer]].any(axis=0)
        strange[log.histories.row(viewer)] = False
        n = min(int(np.ceil(NOES * (offsets[viewer + 1] - offsets[viewer]))), int(strange.sum()))
        chances = popularity * strange
        rows.append(np.sort(random.choice(log.n_items, n, replace=False, p=chances / chances.sum())))
        dates.append(random.choice(times[offsets[viewer] : offsets[viewer + 1]], n) + 1)
    negatives = Ragged(
        values=np.concatenate(rows).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
    )
    return replace(log, negatives=negatives, negative_times=np.concatenate(dates))


def shop_log(seed: int) -> InteractionLog:
    """A made-up shop: purchases are to be predicted from views and purchases; returns and dislikes say no."""
    options = SimulationOptions(viewers=600, items=300, events=12_000, seed=seed)
    with TemporaryDirectory() as folder:
        simulate_shop(options, Path(folder))
        told = LogOptions(
            target="purchase",
            negative=("return", "dislike"),
            aliases=f"{folder}/aliases.csv",
            session_gap="30min",
        )
        return read_log(f"{folder}/log.csv", told)


def real_log(path: str, viewers: int | None = None) -> InteractionLog:
    """A log of ratings with times; of a larger one, some viewers alone."""
    log = read_log(str(data_folder() / path))
    if viewers is None:
        return log
    some = np.random.default_rng(0).permutation(log.n_viewers)[:viewers]
    return log.keep(np.isin(log.histories.rows(), some))


REGIONS: dict[str, Settings] = {"regions": {"regions": True}}
ORDERED: dict[str, Settings] = {"gaps": {"gaps": True}, "times": {"times": True}}
LOGS: dict[str, tuple[Callable[[], InteractionLog], dict[str, Settings]]] = {
    "world-1": (partial(world_log, 1), {**REGIONS, **ORDERED}),
    "world-2": (partial(world_log, 2), REGIONS),
    "world-3": (partial(world_log, 3), REGIONS),
    **{
        f"tried-{seed}": (partial(tried_log, seed), {"kinds": {"kinds": True}, "values": {"values": True}})
        for seed in (1, 2)
    },
    **{f"turned-{seed}": (partial(turned_log, seed), {"noes": {"noes": 0.3}}) for seed in (1, 2)},
    "shop-1": (partial(shop_log, 1), {"kinds": {"kinds": True}, "noes": {"noes": 0.3}}),
    "ml-100k": (partial(real_log, "ml-100k/u.data"), {"values": {"values": True}, **ORDERED}),
    "ml-1m": (
        partial(real_log, "ml-1m/interactions_timed.csv.gz", SLICE),
        {"values": {"values": True}, **ORDERED},
    ),
}

FIRST = {f"first-{seed}": seed for seed in (1, 2)}


def fitted(log: InteractionLog, settings: Mapping[str, Any], seed: int) -> tuple[Judgement, Settings]:
    """How a network does on validation, and what it cost."""
    split = split_log(log, "time-split", targets="successive")
    begin = process_time()
    model = make_recommender("sequential", dict(settings)).fit(split.train, seed=seed)
    cpu_s = process_time() - begin
    judgement = judge(model.scores, split.validation, at=(10,))
    passes = model.parts["sequential"].settings["passes_made"]
    return judgement, {"cpu_s": cpu_s, "passes": passes}


def first_of(seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The first events of viewers of whom the region alone is known, by region and by popularity.

    A fifth of the viewers of a small world are left out of the fit, and asked for theirs.
    """
    options = SimulationOptions(
        viewers=800, items=200, events=10_000, predictability=0.3, regions=4, seed=seed
    )
    log = log_with_truth(World(options, judged=False))[0]
    histories = log.histories
    left = np.random.default_rng(seed).random(len(histories)) < NEWCOMERS
    begin = process_time()
    switched = {**settings, "regions": True}
    model = make_recommender("sequential", switched).fit(log.keep(~left[histories.rows()]), seed=seed)
    cpu_s = process_time() - begin
    events = histories.offsets[:-1][left & (histories.lengths > 0)]
    about = {"n_items": log.n_items, "repeats": False, "negatives": None}
    queries = next_event_queries(histories, events, events, first_seen(histories, log.n_items, left), about)
    popularity = model.context.popularity
    found, popular = (
        judge(scores, queries, at=(10,)).metrics[METRIC]
        for scores in (model.scores, lambda askers: np.tile(popularity, (len(askers), 1)))
    )
    p = sign_flip_p((found - popular)[:, None].astype(np.float64))[0]
    means = {"regions": float(found.mean()), "popular": float(popular.mean()), "p": float(p)}
    print(f"first-{seed}: first events of {len(queries)} viewers: {means}", flush=True)
    return {"viewers": len(queries), **means, "cpu_s": cpu_s}


def sums_of(judgement: Judgement) -> Any:
    evidence = judgement.evidence()
    return evidence.sums[:, [evidence.names.index(METRIC)]], evidence.counts


def table_of(name: str, log: InteractionLog, switches: Mapping[str, Settings], asked: Any) -> dict[str, Any]:
    """One log: plain, then each switch alone."""
    base = parse_pairs(asked.set)
    rows: list[dict[str, Any]] = []
    plain = None
    for switch, settings in {"plain": {"kinds": False}, **switches}.items():
        judgement, cost = fitted(log, {**base, **settings}, asked.seed)
        sums, counts = sums_of(judgement)
        mean = judgement.mean(METRIC)
        interval = interval_of(mean, bootstrap_means(sums, counts)[:, 0]).to_json()
        row = {"switch": switch, "settings": settings, METRIC: interval, **cost}
        if plain is None:
            plain = sums, mean
        else:
            row["difference"] = mean - plain[1]
            row["p"] = float(sign_flip_p(sums - plain[0])[0])
        rows.append(row)
        print(
            f"{name:10s} {switch:8s} {METRIC} {mean:.4f}  {row.get('difference', 0.0):+.4f} "
            f"p {row.get('p', 1.0):.3f}  {cost['cpu_s']:.0f} CPU-s",
            flush=True,
        )
    about: dict[str, Any] = {
        "events": len(log),
        "viewers": len(sums),
        "targets": len(judgement.metrics[METRIC]),
    }
    return {"log": name, **about, "rows": rows}


def helps(tables: list[dict[str, Any]]) -> dict[str, bool]:
    """Which switches are better on two logs for sure, and below on none."""
    found: dict[str, list[tuple[float, float]]] = {}
    for table in tables:
        for row in table.get("rows", [])[1:]:
            found.setdefault(row["switch"], []).append((row["difference"], row["p"]))
    return {
        switch: min(by for by, _ in each) >= 0.0 and sum(by > 0.0 and p < SURE for by, p in each) >= 2
        for switch, each in found.items()
    }


def kept(table: dict[str, Any]) -> None:
    """Put a log's table among those of the others."""
    place = RESULTS / "context.json"
    before = json.loads(place.read_text(encoding="utf-8"))["tables"] if place.exists() else []
    known = {one["log"]: one for one in [*before, table]}
    tables = [known[one] for one in (*LOGS, *FIRST) if one in known]
    write_result("context", {**stamp(), "helps": helps(tables), "tables": tables})


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--logs", default=",".join([*LOGS, *FIRST]), help="which, with commas between")
    parser.add_argument("--set", action="append", default=[], help="a setting of the network: key=value")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    one_thread()
    for name in asked.logs.split(","):
        if name in FIRST:
            table = {"log": name, "first": first_of(FIRST[name], parse_pairs(asked.set))}
        else:
            make, switches = LOGS[name]
            table = table_of(name, make(), switches, asked)
        kept({**stamp(), "settings": asked.set, **table})
    return 0


if __name__ == "__main__":
    sys.exit(main())
