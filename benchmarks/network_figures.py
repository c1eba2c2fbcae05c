"""The figures of networks as lines of Markdown: from the results of network.py, memory_train.py, peers/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peers.table import peers_table

# Settings that tuned.py tries one at a time, before those that helped together.
_STEPS = 3
# Shares of RecTools' CPU-seconds and memory that our network is to take at most.
_COST_BAR, _MEMORY_BAR = 1 / 20, 1.0

TITLES = {
    "ml-1m": "MovieLens-1M, leave-one-out",
    "beauty": "Amazon Beauty, leave-one-out",
    "toys": "Amazon Toys, leave-one-out",
    "ml-1m-timed": "MovieLens-1M with times, time-split, successive",
    "ml-1m-timed-refit": "MovieLens-1M with times, successive, fitted on train and validation",
    "lastfm": "Last.fm, random-holdout 8:1:1 (no order: the network reads sets)",
}


def network_lines(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The section on networks.

    Args:
        found: name of a set -> its result, those that were measured.
    """
    if not found:
        return
    rates = next(iter(found.values()))["matmul_gflops"]
    yield "## The network and the blend\n"
    yield (
        "Default settings for every set; means and 95 % intervals over viewers and seeds; a fit is a process "
        "on one thread, parts and choice of weights included. One thread multiplies "
        f"{rates['float32']:.0f} GFLOP/s in float32 and {rates['bfloat16']:.0f} in bfloat16, for which this "
        "machine has no units.\n"
    )
    for name, title in TITLES.items():
        if name in found:
            yield from _set(title, found[name])


def _set(title: str, result: dict[str, Any]) -> Iterator[str]:
    yield f"### {title}\n"
    yield "| | hit@10 | ndcg@10 | fit CPU-s | peak MB | one answer, ms |"
    yield "|---|---|---|---|---|---|"
    for row in result["figures"]:
        yield (
            f"| {row['recommender']} | {_interval(row['hit@10'])} | {_interval(row['ndcg@10'])} "
            f"| {_list(row['fit_cpu_s'], 0)} | {_list(row['peak_rss_mb'], 0)} "
            f"| {_list(row['answer_ms'], 1)} |"
        )
    yield ""
    if result["bars"]:
        yield "| bar | | figure | |"
        yield "|---|---|---|---|"
        yield from (_bar(bar) for bar in result["bars"])
        yield ""
    yield f"`{result['command']}`\n"


def _bar(bar: dict[str, Any]) -> str:
    state = "reached" if bar["reached"] else "**missed**"
    if "lead" in bar:
        return f"| {bar['what']} | {bar['bar']} | lead {bar['lead']:+.4f}, p {bar['figure']:.4f} | {state} |"
    asked = bar["bar"]
    words = [f"{asked['ndcg@10']:.3f}"] if asked["hit@10"] is None else []
    words += [] if words else [f"{asked['hit@10']:.3f} / {asked['ndcg@10']:.3f}"]
    words += [f"a fit within {asked['fit_cpu_s']:.0f} CPU-s"] if asked["fit_cpu_s"] else []
    words += [f"interval above {asked['low']:.3f}"] if asked["low"] else []
    figure = f"{bar['hit@10']['mean']:.4f} / {bar['ndcg@10']['mean']:.4f}, {max(bar['fit_cpu_s']):.0f} CPU-s"
    return f"| {bar['what']} | {', '.join(words)} | {figure} | {state} |"


def _interval(found: dict[str, float]) -> str:
    return " ".join(
        [
            f"{found['mean']:.4f}".lstrip("0"),
            f"[{found['low']:.4f}".replace("[0", "["),
            f"{found['high']:.4f}]".lstrip("0"),
        ]
    )


def _list(values: list[float], digits: int) -> str:
    return ", ".join(f"{value:,.{digits}f}" for value in values)


def tuned_lines(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The default beside what tuning it to each set came to: name of a set -> its result."""
    if not found:
        return
    single = [one["step"] for one in next(iter(found.values()))["tries"][:_STEPS]]
    yield "### One default for all sets, beside settings tuned to each\n"
    yield (
        f"NDCG@10 of the blend on validation with {len(single)} steps away from its default, one at a time "
        f"({', '.join(single)}), then those together that helped; what ranked validation best was scored "
        "once on the test.\n"
    )
    yield "| set | default, validation | steps, validation | chosen | default, test | chosen, test | |"
    yield "|---|---|---|---|---|---|---|"
    for name, result in found.items():
        tried = "; ".join(f"{one['step']} {_short(one['validation'])}" for one in result["tries"])
        test = result["tuned"]["test"] if result["tuned"] else result["default"]["test"]
        yield (
            f"| {name} | {_short(result['default']['validation'])} | {tried} | {result['chosen']} "
            f"| {_short(result['default']['test'])} | {_short(test)} | {result['ratio']:.1%} |"
        )
    worst = min(result["ratio"] for result in found.values())
    state = "reached" if worst >= 0.95 else "**missed**"
    yield ""
    yield f"Bar: the default at least 95 % of the tuned figure; found {worst:.1%} at worst: {state}. "
    yield f"`{next(iter(found.values()))['command']}`\n"


def _short(value: float) -> str:
    return f"{value:.4f}".lstrip("0")


def memory_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """What training was predicted to take, and took."""
    if found is None:
        return
    yield "## Memory of training, predicted before the first step\n"
    yield "| shape | predicted MiB | measured MiB | off by |"
    yield "|---|---|---|---|"
    for name, row in found["shapes"].items():
        yield f"| {name} | {row['predicted_mib']:.0f} | {row['measured_mib']:.0f} | {row['error']:+.1%} |"
    yield ""
    yield f"Bar: within 15 %. `{found['command']}`\n"


def peers_lines(found: dict[str, Any], ours: dict[str, Any] | None) -> Iterator[str]:
    """Other libraries' networks beside ours."""
    yield "## Other libraries on MovieLens-1M, leave-one-out\n"
    rate = found["machine"]["matmul"]
    yield (
        "Each in an environment of its own at pinned versions, one thread, float32 (products: "
        f"{rate['fp32_gflops']:.0f} GFLOP/s, bfloat16 {rate['bf16_gflops']:.0f}); fitted on all but each "
        "viewer's last two events; judged by our evaluator from ranked lists; settings by validation. "
        "CPU-seconds leave out loading libraries.\n"
    )
    yield from peers_table(found)
    yield ""
    yield f"`{found['command']}`\n"
    if ours is None:
        return
    yield "Whole fits of our network, loading torch included:\n"
    yield "| settings | fit CPU-s | peak MB | ndcg@10 | hit@10 |"
    yield "|---|---|---|---|---|"
    for row in ours["rows"]:
        words = ", ".join(f"{name}={value}" for name, value in row["settings"].items())
        yield (
            f"| {words} | {row['fit_cpu_s']:.1f} | {row['peak_rss_mb']} | {_interval(row['ndcg@10'])} "
            f"| {_interval(row['hit@10'])} |"
        )
    yield ""
    yield f"`{ours['command']}`\n"
    yield "| bar, against RecTools | theirs | ours | |"
    yield "|---|---|---|---|"
    rectools = [run for run in found["runs"] if run["peer"].startswith("rectools")]
    yield from _cost_bars(rectools, ours["rows"])
    yield from _memory_bars(rectools, ours["rows"])
    yield ""


def _cost_bars(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[str]:
    """CPU-seconds to a level of ndcg@10: their fastest run's beside our cheapest whole fit's."""
    for level in ("0.12", "0.16"):
        reached = [run["cpu_s_to_ndcg@10"][level] for run in theirs if run["epochs"]]
        their = min(cost for cost in reached if not isinstance(cost, str))
        our = min(row["fit_cpu_s"] for row in ours if row["ndcg@10"]["mean"] >= float(level))
        state = "reached" if our <= their * _COST_BAR else "**missed**"
        yield (
            f"| network alone to NDCG@10 {level}: 1/20 of the CPU-s of their fastest | {their:.0f} "
            f"| {our:.1f}, 1/{their / our:.1f} | {state} |"
        )


def _memory_bars(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[str]:
    """Peak memory of a fit at the same length: their least beside our most."""
    for length in (50, 200):
        their = min(run["peak_rss_mb"] for run in theirs if run["length"] == length)
        our = max(row["peak_rss_mb"] for row in ours if row["settings"]["longest"] == length)
        state = "reached" if our <= their * _MEMORY_BAR else "**missed**"
        yield f"| peak MB at length {length}, no more than theirs | {their:,} | {our:,} | {state} |"
