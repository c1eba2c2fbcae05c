"""What the programs on tuning measured, as lines of the page of figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

OURS = "matinee"


def tuning_lines(lcbench: dict[str, Any] | None, coordinator: dict[str, Any] | None) -> Iterator[str]:
    """How far a budget goes, and how fast a coordinator answers; none where nothing was measured."""
    if lcbench is None and coordinator is None:
        return
    yield "## How far a budget goes\n"
    if lcbench is not None:
        yield from _budget_lines(lcbench)
    if coordinator is not None:
        yield from _coordinator_lines(coordinator)


def _budget_lines(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"LCBench, {len(found['rows'])} tasks, {found['seeds']} seeds, {found['workers']} workers that are "
        f"taken away after one whole run in the mean, a budget of {found['budget_runs']} mean whole runs, "
        "all on a simulated clock. Regret of the best whole run, 0 at the best of 20,000 random runs, 1 at "
        "their median: the mean over tasks and seeds when so much of the budget is spent.\n"
    )
    yield "| | 25 % | 50 % | 100 % | spent | trials | whole runs | CPU-s a study |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, one in found["totals"].items():
        means = [sum(row["mean"][name][at] for row in found["rows"]) / len(found["rows"]) for at in range(3)]
        regrets = " | ".join(f"{regret:.3f}" for regret in means)
        trials = sum(one["trials"].values())
        yield (
            f"| {name} | {regrets} | {one['spent']:.1%} | {trials:.0f} | {one['trials'].get('done', 0):.0f} "
            f"| {one['cpu_s']:.0f} |"
        )
    yield ""
    if found["verdict"] is not None:
        yield from _verdict_lines(found)
    skipped = " ".join(found["skipped"])
    committed = max(one["most_committed"] for one in found["totals"].values())
    yield (
        f"Overspend: none in any of {sum(one['studies'] for one in found['totals'].values()):,} studies "
        f"(spent and reserved together at most {committed:.4%} of the budget). {skipped} "
        f"`{found['command']}`\n"
    )


def _verdict_lines(found: dict[str, Any]) -> Iterator[str]:
    told = found["verdict"]
    yield f"| task | the best other at 100 % | its regret | {OURS}'s at 100 % | the same at |"
    yield "|---|---|---|---|---|"
    for row in found["rows"]:
        share = "never" if row["share"] is None else f"{row['share']:.0%}"
        theirs, ours = row["median"][row["best"]][-1], row["median"][OURS][-1]
        yield f"| {row['task']} | {row['best']} | {theirs:.3f} | {ours:.3f} | {share} |"
    yield ""
    share = "more than all" if told["share"] is None else f"{told['share']:.0%}"
    state = "reached" if told["reached"] else "**missed**"
    stretch = "reached" if told["stretch"] else "missed"
    yield (
        f"Bar: the median over seeds has what the best other's has at 100 % after {found['bar']:.0%} of the "
        f"budget or less, median over tasks; found {share}, below 100 % on {told['below']['1.0']} of "
        f"{told['tasks']} tasks (sign test p = {told['p']:.4f}): {state}. Stretch, {found['stretch']:.0%}: "
        f"{stretch}.\n"
    )


def _coordinator_lines(found: dict[str, Any]) -> Iterator[str]:
    ask, tell = found["ask"], found["tell"]
    state = "reached" if found["reached"] else "**missed**"
    yield (
        f"A coordinator with {found['workers']:,} simulated workers over {found['trials']:,} trials, all "
        f"written to its log ({found['log_mb']:.0f} MB): 95 % of {ask['n']:,} asks within "
        f"{ask['p95_ms']:.0f} ms and of {tell['n']:,} tells within {tell['p95_ms']:.1f} ms of CPU time "
        f"(wall {ask['wall_p95_ms']:.0f} and {tell['wall_p95_ms']:.1f}). Bar: {found['bar_ms']:.0f} ms: "
        f"{state}. `{found['command']}`\n"
    )
