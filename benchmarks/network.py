"""How well the network and the blend rank, with their defaults: each figure beside its bar.

    python benchmarks/network.py --sets ml-1m --seeds 0,1,2

Every fit runs in a process of its own, on one thread, on what the protocol leaves for training; the test is
scored once a seed. Means and intervals are over viewers and seeds. The machine's rate of float32 and bfloat16
products is stated beside the CPU-seconds. Results go to results/network-SET.json. `--tries N` searches N
settings of each on validation first and writes results/network-SET-tuned.json; `--rows blend` measures those
recommenders only.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.statistics import bootstrap_means, interval_of
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.evaluate.scoreboard import Scoreboard
from matinee.recipes.compare import compare
from place import data_folder
from stamp import RESULTS, one_thread, stamp, write_result

LEVEL = 0.01


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What one recommender is to reach.

    Attributes:
        name: the recommender.
        hit: hit@10; None where nothing is asked.
        ndcg: ndcg@10.
        most_fit_cpu_s: CPU-seconds of a fit, at most.
        low: what the lower end of ndcg@10's interval is to be above.
    """

    name: str
    hit: float | None
    ndcg: float
    most_fit_cpu_s: float | None = None
    low: float | None = None


@dataclass(frozen=True, kw_only=True)
class Set:
    """A set of data, how it is judged, and its bars."""

    log: str
    rows: tuple[str, ...]
    bars: tuple[Bar, ...]
    more: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    beats: tuple[str, ...] = ()


LAST = {"protocol": "leave-one-out"}
SETS = {
    "ml-1m": Set(
        log="ml-1m/interactions.csv.gz",
        rows=("transitions", "sequential", "blend"),
        more=LAST,
        bars=(
            Bar(name="blend", hit=0.326, ndcg=0.192, most_fit_cpu_s=300.0, low=0.186),
            Bar(name="sequential", hit=0.312, ndcg=0.182),
        ),
    ),
    "beauty": Set(
        log="amazon-beauty/interactions.csv.gz",
        rows=("transitions", "sequential", "blend"),
        more=LAST,
        bars=(Bar(name="blend", hit=0.096, ndcg=0.058),),
    ),
    "toys": Set(
        log="amazon-toys/interactions.csv.gz",
        rows=("transitions", "sequential", "blend"),
        more=LAST,
        bars=(Bar(name="blend", hit=0.102, ndcg=0.066),),
    ),
    "ml-1m-timed": Set(
        log="ml-1m/interactions_timed.csv.gz",
        rows=("recent", "item_knn", "ease", "transitions", "sequential", "blend"),
        more={"protocol": "time-split", "targets": "successive"},
        bars=(Bar(name="blend", hit=None, ndcg=0.120),),
        beats=("transitions", "recent", "item_knn", "ease"),
    ),
    "lastfm": Set(
        log="lastfm/user_artists.dat",
        rows=("ials", "ease", "transitions", "sequential", "blend"),
        more={"protocol": "random-holdout"},
        options={"columns": {"user": "userID", "item": "artistID", "value": "weight"}},
        bars=(),
    ),
}


def run(name: str, seeds: Sequence[int], tries: int, refit: bool, rows: Sequence[str]) -> dict[str, Any]:
    """One set: a table for each seed, and each bar with what was found over all of them."""
    chosen = SETS[name]
    rows = rows or chosen.rows
    log = read_log(str(data_folder() / chosen.log), LogOptions(**chosen.options))
    boards = [
        compare(
            log,
            rows,
            tries=tries,
            refit=refit,
            seed=seed,
            on_progress=_tell,
            **chosen.more,
        )
        for seed in seeds
    ]
    bars = [measure(boards, bar) for bar in chosen.bars if bar.name in rows]
    bars += [beaten(board, other) for board in boards for other in chosen.beats if other in rows]
    facts = stamp()
    return {
        "set": name,
        "bars": bars,
        "figures": [figures_of(boards, row) for row in rows],
        "matmul_gflops": matmul_rates(),
        "boards": [board.to_json() for board in boards],
        **facts,
        "versions": {**facts["versions"], "torch": version("torch")},
    }


def _tell(doing: str, share: float) -> None:
    """A line where a recommender, or a pass of one, begins."""
    del share
    name = doing.split(",", maxsplit=1)[0]
    if name != _told[-1]:
        _told.append(name)
        print("  ", doing, flush=True)


_told = [""]


def figures_of(boards: Sequence[Scoreboard], name: str) -> dict[str, Any]:
    """Means with intervals over viewers and seeds, and what a fit took."""
    rows = [row for board in boards for row in board.to_json()["recommenders"] if row["name"] == name]
    found: dict[str, Any] = {"recommender": name}
    metrics = ("hit@10", "ndcg@10", "recall@10")
    evidence = [board.evidence[name] for board in boards]
    columns = [evidence[0].names.index(metric) for metric in metrics]
    sums, counts = np.stack([one.sums[:, columns] for one in evidence]), evidence[0].counts
    drawn = bootstrap_means(sums, counts)
    for place, metric in enumerate(metrics):
        mean = float(sums[:, :, place].sum() / (counts.sum() * len(evidence)))
        interval = interval_of(mean, drawn[:, place])
        found[metric] = {"mean": mean, "low": interval.low, "high": interval.high}
    for cost in ("fit_cpu_s", "peak_rss_mb", "answer_ms"):
        found[cost] = [round(row[cost], 2) for row in rows]
    return found


def measure(boards: Sequence[Scoreboard], bar: Bar) -> dict[str, Any]:
    """What was found for one bar."""
    found = figures_of(boards, bar.name)
    checks = [found["ndcg@10"]["mean"] >= bar.ndcg]
    if bar.hit is not None:
        checks.append(found["hit@10"]["mean"] >= bar.hit)
    if bar.most_fit_cpu_s is not None:
        checks.append(max(found["fit_cpu_s"]) <= bar.most_fit_cpu_s)
    if bar.low is not None:
        checks.append(found["ndcg@10"]["low"] > bar.low)
    return {
        "what": f"{bar.name}, hit@10 / ndcg@10",
        "bar": {"hit@10": bar.hit, "ndcg@10": bar.ndcg, "fit_cpu_s": bar.most_fit_cpu_s, "low": bar.low},
        **found,
        "reached": all(checks),
    }


def beaten(board: Scoreboard, other: str) -> dict[str, Any]:
    """Whether the blend beats another recommender beyond chance."""
    pairs = [pair for pair in board.facts["pairs"] if pair["metric"] == "ndcg@10"]
    pair = next(one for one in pairs if {one["a"], one["b"]} == {"blend", other})
    lead = pair["mean"] if pair["a"] == "blend" else -pair["mean"]
    p = pair["p"] if pair["p_holm"] is None else pair["p_holm"]
    return {
        "what": f"blend beats {other} in ndcg@10",
        "bar": f"p_holm < {LEVEL}",
        "lead": lead,
        "figure": p,
        "reached": lead > 0 and p < LEVEL,
    }


def matmul_rates() -> dict[str, float]:
    """Rates of one thread's products of 512 x 64 with 64 x 3,424, as the loss makes them: GFLOP/s."""
    import torch

    torch.set_num_threads(1)
    rates = {}
    for kind in (torch.float32, torch.bfloat16):
        left, right = torch.randn(512, 64).to(kind), torch.randn(64, 3424).to(kind)
        out = torch.empty(512, 3424, dtype=kind)
        torch.mm(left, right, out=out)
        best = min(_spent(lambda: torch.mm(left, right, out=out)) for _ in range(30))  # noqa: B023
        rates[str(kind).removeprefix("torch.")] = round(2 * out.numel() * 64 / best / 1e9, 1)
    return rates


def _spent(work: Any) -> float:
    begin = _cpu()
    for _ in range(10):
        work()
    return max(_cpu() - begin, 1e-6) / 10


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def show(result: dict[str, Any]) -> None:
    """Print what was found."""
    for row in result["figures"]:
        print(
            f"  {row['recommender']:<12} hit {row['hit@10']['mean']:.4f}  ndcg {row['ndcg@10']['mean']:.4f} "
            f"[{row['ndcg@10']['low']:.4f} {row['ndcg@10']['high']:.4f}]  fit {row['fit_cpu_s']} CPU-s "
            f"{row['peak_rss_mb']} MB"
        )
    for bar in result["bars"]:
        print(f"  {'reached' if bar['reached'] else 'MISSED '}  {bar['what']}: bar {bar['bar']}")
    print(f"  products: {result['matmul_gflops']} GFLOP/s")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--tries", type=int, default=1)
    parser.add_argument("--rows", default="", help="recommenders, separated by commas; none: all of a set")
    parser.add_argument("--refit", action="store_true", help="fit again on training and validation")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    for name in asked.sets.split(","):
        if name not in SETS:
            sys.exit(f"Unknown set {name!r}: known are {', '.join(SETS)}.")
    one_thread()
    rows = tuple(row for row in asked.rows.split(",") if row)
    for name in asked.sets.split(","):
        print(name, flush=True)
        seeds = [int(seed) for seed in asked.seeds.split(",")]
        result = run(name, seeds, asked.tries, asked.refit, rows)
        tag = ("-tuned" if asked.tries > 1 else "") + ("-refit" if asked.refit else "")
        write_result(f"network-{name}{tag}", result, asked.out)
        show(result)


if __name__ == "__main__":
    main()
