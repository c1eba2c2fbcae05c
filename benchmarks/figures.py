"""Every measured figure as one page: reads results/*.json and writes docs/figures.md. Measures nothing.

python benchmarks/figures.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import context_figures
import friends_figures
import network_figures
import newcomer_figures
import online_figures
import process_figures
import rating_figures
import refresh_figures
import region_figures
import scale_figures
import serving_figures
import tuning_figures

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "figures.md"
HEAD = """# Figures

Every figure that the documents claim, with its bar and the command that measures it. Written by
`python benchmarks/figures.py` from `benchmarks/results/*.json`, where machine, versions and commit stand
beside each. CPU-seconds are those of one thread. A bar that was missed is told as missed.
"""
SETS = {
    "ml-1m": "MovieLens-1M, leave-one-out",
    "beauty": "Amazon Beauty, leave-one-out",
    "toys": "Amazon Toys, leave-one-out",
    "lastfm": "Last.fm with friends, random-holdout 8:1:1",
    "gowalla": "Gowalla, its given split",
    "ml-1m-timed": "MovieLens-1M with times, time-split, successive",
}


def load(name: str) -> dict[str, Any] | None:
    """One result, or None where it was not measured yet."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


def state(reached: bool) -> str:
    return "reached" if reached else "**missed**"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}".lstrip("0") if abs(value) < 1 else f"{value:,.2f}"


def table(head: str, rows: list[str]) -> Iterator[str]:
    columns = head.count("|") - 1
    yield head
    yield "|" + "---|" * columns
    yield from rows
    yield ""


def accuracy() -> Iterator[str]:
    yield "## Real logs\n"
    yield (
        "Full ranking over the whole catalogue; settings chosen on validation among as many "
        "tries as the command says; "
        "the test scored once a run; 95 % intervals over viewers. MovieLens-1M's test was "
        "looked at while the methods "
        "were explored: its figures are development figures.\n"
    )
    for name, title in SETS.items():
        found = load(f"accuracy-{name}")
        if found is None:
            continue
        yield f"### {title}\n"
        metric = "recall@20" if name == "gowalla" else "recall@10" if name == "lastfm" else "ndcg@10"
        other = "ndcg@20" if name == "gowalla" else "ndcg@10" if name == "lastfm" else "recall@10"
        rows = [
            f"| {row['name']}{chosen(row, found['board'])} "
            f"| {interval(row['metrics'][metric])} | {interval(row['metrics'][other])} "
            f"| {row['fit_cpu_s']:.1f} | {row['search_cpu_s']:.0f} | {row['peak_rss_mb']:,.0f} |"
            for row in found["board"]["recommenders"]
            if row.get("metrics")
        ]
        yield from table(f"| | {metric} | {other} | fit CPU-s | search CPU-s | peak MB |", rows)
        bars = [
            f"| {bar['what']} | {bar['bar']} | {number(bar['figure'])} | {state(bar['reached'])} |"
            for bar in found["bars"]
        ]
        yield from table("| bar | | figure | |", bars)
        yield f"{found['board']['verdict']} († chosen on validation.) `{found['command']}`\n"


def chosen(row: dict[str, Any], board: dict[str, Any]) -> str:
    return " †" if row["name"] == board["chosen_on_validation"] else ""


def interval(found: dict[str, float]) -> str:
    return f"{number(found['mean'])} [{number(found['low'])} {number(found['high'])}]"


def networks() -> Iterator[str]:
    found = {name: load(f"network-{name}") for name in network_figures.TITLES}
    yield from network_figures.network_lines({name: result for name, result in found.items() if result})
    tuned = {name: load(f"tuned-{name}") for name in network_figures.TITLES}
    yield from network_figures.tuned_lines({name: result for name, result in tuned.items() if result})
    yield from network_figures.memory_lines(load("memory_train"))
    peers = load("peers")
    if peers is not None:
        yield from network_figures.peers_lines(peers, load("peers-ours"))


def simulated() -> Iterator[str]:
    found = load("simulated")
    if found is None:
        return
    yield "## Made-up viewers whose chances are known\n"
    yield (
        "Share of the best-possible recall@10 (what an oracle reaches that knows every "
        "chance) that the recommender chosen "
        "on validation and popularity reach; bars: 80 %, and under half. The generating "
        "process was shaped while looking at "
        "seed 1; seed 2 was not looked at before.\n"
    )
    rows = []
    for one in found["tables"]:
        shares = {row["name"]: row["share"] for row in one["recommenders"]}
        rows.append(
            f"| {one['seed']} | {one['protocol']} | {one['predictability']} | "
            f"{one['best_possible_recall@10']:.3f} "
            f"| {one['chosen_on_validation']} {one['chosen_share']:.0%} | {shares['popularity']:.0%} "
            f"| {state(one['reached'])} |"
        )
    yield from table("| seed | protocol | dial | best possible | chosen | popularity | |", rows)
    yield f"`{found['command']}`\n"


def demo() -> Iterator[str]:
    found = load("demo")
    if found is None:
        return
    yield "## Demo\n"
    yield (
        f"{found['cpu_s'][0]} and {found['cpu_s'][1]} CPU-seconds (bar {found['most_cpu_s']}), "
        f"the second run with the same "
        f"seed saying {'the same' if found['same'] else 'something else'}: {state(found['reached'])}. "
        f"`{found['command']}`\n"
    )


def ingest() -> Iterator[str]:
    found = load("ingest")
    if found is None:
        return
    yield "## Ingest\n"
    csv, parquet = found.get("csv"), found.get("parquet")
    if csv:
        yield (
            f"A CSV of {csv['rows']:,} rows with string ids: {csv['matinee']['cpu_s']:.1f} CPU-s, "
            f"pyarrow's own `read_csv` "
            f"with dictionary-encoded ids {csv['pyarrow_read_csv']['cpu_s']:.1f}: "
            f"{csv['ratio']:.2f} times (bar "
            f"{csv['bar']:g}): {state(csv['passed'])}. Anonymous memory at most "
            f"{csv['matinee']['peak_anonymous_bytes'] / 1e9:.2f} GB.\n"
        )
    if parquet:
        rows = [
            f"| {one['events']:,} | {one['cpu_s']:.1f} | {one['cpu_ns_per_row']:,.0f} "
            f"| {one['peak_anonymous_bytes'] / 1e9:.2f} |"
            for one in parquet["runs"]
        ]
        yield from table("| events of Parquet, checked and indexed | CPU-s | ns each | peak GB |", rows)
        memory = parquet["peak_anonymous_bytes"] <= parquet["memory_bar_bytes"]
        spread = parquet["largest_to_smallest_cost"]
        yield (
            f"Bars: {parquet['memory_bar_bytes'] / 1e9:g} GB of memory at 100 million: {state(memory)}; "
            f"cost linear within a factor {parquet['linear_bar']:g}, found {spread:.2f}: "
            f"{state(spread <= parquet['linear_bar'])}.\n"
        )
    yield "`python benchmarks/ingest.py`\n"


def bulk() -> Iterator[str]:
    found = load("bulk")
    if found is None:
        return
    asked, done, plain = found["asked"], found["bulk"], found["plain_product"]
    yield "## Everybody's list\n"
    yield (
        f"Top {found['k']} for {asked['viewers']:,} made-up viewers over {asked['items']:,} "
        f"items by `transitions` (sparse "
        f"weights, learnt from {found['fit']['learnt_from_viewers']:,} of the viewers): "
        f"{done['cpu_s']:.0f} CPU-s, "
        f"{done['viewers_per_cpu_s']:,.0f} viewers a CPU-second, at most "
        f"{done['peak_anonymous_bytes'] / 1e9:.2f} GB of anonymous "
        f"memory (bar {found['memory_bar_bytes'] / 1e9:g}): {state(found['passed'])}. A plain "
        f"float32 product of the same shape, "
        f"extrapolated from a sample of {plain['sample'][0]:,} viewers at "
        f"{plain['gflops']:.0f} GFLOP/s, would take "
        f"{plain['extrapolated_cpu_s']:,.0f} CPU-s before any top {found['k']}. `{found['command']}`\n"
    )


def compact() -> Iterator[str]:
    found = load("compact")
    if found is None:
        return
    yield "## Weights as they are stored\n"
    yield f"{found['metric']}; a bundle keeps bf16, or the largest of a row where that is over its limit.\n"
    rows = [
        f"| {one['set']} | {one['recommender']} | {way['stored']} | {way['bytes'] / 1e6:,.1f} "
        f"| {number(way['ndcg@10'])} | {way['loss']:.2%} |"
        for one in found["found"]
        for way in one["ways"]
    ]
    yield from table("| log | recommender | stored as | MB | ndcg@10 | loss |", rows)
    bar = found["bar"]
    yield f"Bar: {bar['what']} under {bar['most']:.0%}: {state(bar['reached'])}. `{found['command']}`\n"


def serving() -> Iterator[str]:
    names = ("serve-store", "serve_web", "serve_fuzz", "index")
    yield from serving_figures.serving_lines(*(load(name) for name in names))
    online = load("serving")
    if online:
        yield from online_figures.online_lines(online)


def update() -> Iterator[str]:
    found = load("update")
    if found is None:
        return
    yield "## New events in a fitted model\n"
    yield (
        f"`matinee.update` of `transitions` on MovieLens-1M with {found['new_events']:,} new events among "
        f"{found['events']:,}, one for each viewer: {found['update_cpu_s']:.1f} CPU-s, a whole fit "
        f"{found['fit_cpu_s']:.1f}. It is right to {found['greatest_score_difference']:.0e} of the greatest "
        "score, and no cheaper than a fit where, as here, every viewer has a new event and solving for the "
        f"weights costs most. `{found['command'].split(' /')[0]}`\n"
    )


def page() -> str:
    """The whole page."""
    parts = [
        HEAD,
        *accuracy(),
        *networks(),
        *friends_figures.friends_lines(load("friends")),
        *rating_figures.rating_lines(load("ratings")),
        *newcomer_figures.newcomer_lines(load("newcomer")),
        *context_figures.context_lines(load("context")),
        *region_figures.region_lines(load("regions")),
        *scale_figures.scale_lines(load("scale")),
        *simulated(),
        *demo(),
        *ingest(),
        *bulk(),
        *compact(),
        *update(),
        *refresh_figures.refresh_lines(load("refresh")),
        *process_figures.process_lines(load("ddp")),
        *tuning_figures.tuning_lines(load("tuning_lcbench"), load("tuning_coordinator")),
        *serving(),
    ]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
