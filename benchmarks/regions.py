r"""Each region's own model or the shared one, as validation chooses, against the better of both on the test.

    python benchmarks/regions.py
    python benchmarks/regions.py --recommender sequential --seeds 0 --differences 0.5 \
        --name regions-sequential

Made-up worlds of four regions (46, 28, 17 and 10 viewers of a hundred) and a fifth of which only 150 viewers
say where they are. Regions differ in what is popular and liked, and by a dial also in what follows on from
what: at 0 in nothing more, at 1 everywhere. `compare --by region` fits the shared model and each region's own
on the same time-split, chooses on validation and scores the test once. A bar a region and difference, over
all seeds: what validation chose reaches 98 % of the better one's ndcg@10 on the test, the better one picked
with hindsight in each world. The fifth must share, for it is too small. Results go to results/regions.json.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa

import matinee
from matinee.core.settings import parse_pairs
from matinee.data.log import InteractionLog
from matinee.simulate import SimulationOptions
from matinee.simulate.tables import simulate_log
from stamp import one_thread, stamp, write_result

METRIC, ROOM, SMALL = "ndcg@10", 0.02, 150


def world(options: SimulationOptions) -> InteractionLog:
    """The log; of the last region all but a few viewers do not say where they are."""
    log = simulate_log(options)
    table = log.viewer_table
    assert table is not None
    names = np.array(table.column("region").to_pylist(), dtype=object)
    last = np.flatnonzero(names == f"region-{options.regions}")
    names[last[SMALL:]] = None
    column = pa.array(names.tolist(), pa.string())
    return replace(log, viewer_table=table.set_column(1, "region", column))


def of_region(region: dict[str, Any]) -> dict[str, Any]:
    """What a world says of one region."""
    one = region["recommenders"][0]
    means = {whose: one[whose]["metrics"][METRIC]["mean"] for whose in ("own", "shared") if whose in one}
    return {
        "region": region["region"],
        "viewers": region["viewers"],
        "asked_viewers": one["asked_viewers"],
        "why": region["why"],
        "answers": one["answers"],
        "validation": one["validation"],
        "test": means,
        "difference": one["difference"],
        "own_cpu_s": one["fit_cpu_s"],
    }


def run(asked: argparse.Namespace, difference: float, seed: int) -> dict[str, Any]:
    options = SimulationOptions(
        viewers=asked.viewers,
        items=asked.items,
        events=asked.events,
        regions=5,
        region_difference=difference,
        seed=seed,
    )
    settings = {asked.recommender: parse_pairs(asked.set)}
    begin = perf_counter()
    board = matinee.compare(
        world(options), [asked.recommender], targets=asked.targets, by="region", settings=settings
    ).to_json()
    return {
        "difference": difference,
        "seed": seed,
        "options": options.to_json(),
        "shared_cpu_s": board["recommenders"][0]["fit_cpu_s"],
        "wall_s": perf_counter() - begin,
        "unknown_viewers": board["unknown_viewers"],
        "regions": [of_region(region) for region in board["regions"]],
    }


def bars_of(worlds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A bar for each difference and region, over all seeds."""
    keys = dict.fromkeys((one["difference"], row["region"]) for one in worlds for row in one["regions"])
    bars = []
    for difference, region in keys:
        rows = [
            row
            for one in worlds
            if one["difference"] == difference
            for row in one["regions"]
            if row["region"] == region
        ]
        if any(row["why"] for row in rows):
            what: dict[str, Any] = {
                "what": f"difference {difference:g}: {region} is too small",
                "bar": "shares, and says so",
            }
            bars.append({**what, "figure": None, "reached": all(row["answers"] == "shared" for row in rows)})
            continue
        chosen = [row["test"][row["answers"]] for row in rows]
        better = [max(row["test"].values()) for row in rows]
        share = sum(chosen) / sum(better)
        bars.append(
            {
                "what": f"difference {difference:g}: {region}, what validation chose against the better one",
                "bar": 1.0 - ROOM,
                "figure": share,
                "reached": share >= 1.0 - ROOM,
                "worlds_below": sum(a < (1.0 - ROOM) * b for a, b in zip(chosen, better, strict=True)),
                "worlds": len(rows),
            }
        )
    return bars


def say(one: dict[str, Any]) -> None:
    print(f"difference {one['difference']:g}, seed {one['seed']}: {one['wall_s']:.0f} s", flush=True)
    for row in one["regions"]:
        test = ", ".join(f"{whose} {mean:.4f}" for whose, mean in row["test"].items())
        told = ", ".join(f"{whose} {mean:.4f}" for whose, mean in row["validation"].items())
        print(f"  {row['region']} ({row['viewers']:,}): test {test}; validation {told}: {row['answers']}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--differences", default="0,0.25,0.5,1", help="worlds, with commas between")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of worlds, with commas between")
    parser.add_argument("--viewers", type=int, default=6_000)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--events", type=int, default=180_000)
    parser.add_argument("--recommender", default="transitions")
    parser.add_argument("--set", action="append", default=[], help="a setting of it: key=value")
    parser.add_argument("--targets", default="successive", help="next or successive, as for compare")
    parser.add_argument("--name", default="regions", help="of the result")
    asked = parser.parse_args()
    one_thread()
    worlds = []
    for difference in asked.differences.split(","):
        for seed in asked.seeds.split(","):
            worlds.append(run(asked, float(difference), int(seed)))
            say(worlds[-1])
    bars = bars_of(worlds)
    for bar in bars:
        figure = "" if bar["figure"] is None else f" {bar['figure']:.3f}, {bar['worlds_below']} worlds below"
        print(f"{'reached' if bar['reached'] else 'MISSED'}: {bar['what']}{figure}")
    about = {
        "recommender": asked.recommender,
        "settings": parse_pairs(asked.set),
        "metric": METRIC,
        "targets": asked.targets,
    }
    write_result(asked.name, {**stamp(), **about, "worlds": worlds, "bars": bars})
    return 0 if all(bar["reached"] for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
