"""The section of docs/figures.md on models by region, from results/regions.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def region_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """The section's lines; none where nothing was measured."""
    if found is None:
        return
    yield "## A model for each region\n"
    yield (
        f"Made-up worlds whose regions differ more and more; `{found['recommender']}`, {found['metric']} on "
        "the test. The figure is what validation chose, own or shared, over the better of both, which is "
        f"picked with hindsight in each world; [regions](regions.md) has both. `{found['command']}`\n"
    )
    yield "| bar | | figure | worlds below | |"
    yield "|---|---|---|---|---|"
    for bar in found["bars"]:
        figure = "" if bar["figure"] is None else f"{bar['figure']:.1%}"
        least = bar["bar"] if isinstance(bar["bar"], str) else f"{bar['bar']:.0%}"
        below = f"{bar['worlds_below']} of {bar['worlds']}" if "worlds" in bar else ""
        state = "reached" if bar["reached"] else "**missed**"
        yield f"| {bar['what']} | {least} | {figure} | {below} | {state} |"
    yield ""
