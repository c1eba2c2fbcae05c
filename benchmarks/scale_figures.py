"""The section of docs/figures.md on a large service, from results/scale.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_PARTS = {
    "network": "the network",
    "transitions": "transitions",
    "ials": "ials",
    "weights": "choosing the weights",
    "bundle": "writing the bundle",
}


def scale_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """The section's lines; none where nothing was measured."""
    if found is None:
        return
    asked = found["asked"]
    yield "## A large service\n"
    yield (
        f"A made-up log of {asked['viewers']:,} viewers, {asked['items']:,} items, {asked['events']:,} "
        "events: the default recommender fitted and everybody's top 10 written, each command in a process of "
        f"its own. "
        f"{_cut_short(found)}`{found['command']}`\n"
    )
    yield "| | CPU-s | peak memory, GB |"
    yield "|---|---|---|"
    for name in ("simulate", "check", "fit"):
        yield f"| `matinee {name}` | {found[name]['cpu_s']:,.0f} | {_gb(found[name]['peak_bytes'])} |"
    for name, words in _PARTS.items():
        if name in found["fit"]["phases"]:
            phase = found["fit"]["phases"][name]
            yield f"| of it {words} | {phase['cpu_s']:,.0f} | {_gb(phase['peak_bytes'])} |"
    written = found["recommend"]
    yield (
        f"| `matinee recommend` of {written['lists']:,} viewers | {written['cpu_s']:,.0f} "
        f"| {_gb(written['peak_bytes'])} |"
    )
    yield ""
    bar = "reached" if found["passed"] else "**missed**"
    yield (
        f"Memory: at most {_gb(found['peak_bytes'])} GB in any process, bar "
        f"{_gb(found['memory_bar_bytes'])}: {bar}. "
        f"Lists: {written['viewers_per_cpu_s']:,.0f} viewers a CPU-second. "
        "The bundle takes "
        f"{_gb(found['fit']['bundle_bytes'])} GB.\n"
    )
    yield "| forecast of `check` | foretold, GB | seen, GB | foretold / seen |"
    yield "|---|---|---|---|"
    for name, one in found["forecast"].items():
        yield f"| {name} | {_gb(one['memory_bytes'])} | {_gb(one['seen_bytes'])} | {one['ratio']:.2f} |"
    yield ""
    yield f"The last event of {found['quality']['asked']:,} viewers, cut off before the fit:\n"
    yield "| | recall@10 | ndcg@10 |"
    yield "|---|---|---|"
    for name, row in found["quality"].items():
        if isinstance(row, dict):
            yield f"| {name} | {_interval(row['recall@10'])} | {_interval(row['ndcg@10'])} |"
    yield ""


def _cut_short(found: dict[str, Any]) -> str:
    """What was not measured in full, and what it would come to."""
    words = []
    if found["asked"]["passes"]:
        words.append(
            f"The network made {found['passes_made']} passes; with all of its default ones it would have "
            f"taken {found['network_cpu_s_were_all_passes_made']:,.0f} CPU-s (extrapolated)."
        )
    if found["asked"]["lists"]:
        words.append(
            f"Lists were written for {found['recommend']['lists']:,} viewers; all would take "
            f"{found['recommend']['all_cpu_s']:,.0f} CPU-s (extrapolated)."
        )
    return " ".join([*words, ""])


def _gb(bytes_: float) -> str:
    return f"{bytes_ / 1e9:.2f}"


def _interval(one: dict[str, float]) -> str:
    return f"{one['mean']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
