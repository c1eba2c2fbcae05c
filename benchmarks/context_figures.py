"""The section of docs/figures.md on what the network reads beside items, from results/context.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def context_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """The section's lines; none where nothing was measured."""
    if found is None:
        return
    yield "## Beside items: kinds, values, pauses, regions, noes\n"
    yield (
        "`sequential` (width 32, 5 passes) with each switch alone, fitted on what came before the validation "
        "stretch of a time-split and asked for each later event of it: ndcg@10 with 95 % intervals, p of a "
        "paired sign-flip test over viewers. `tried`, `turned`, `world` and `shop` are made up. "
        "`python benchmarks/context.py --set width=32 --set passes=5`\n"
    )
    yield "| log | switch | ndcg@10 | difference | p | fit CPU-s |"
    yield "|---|---|---|---|---|---|"
    for table in found["tables"]:
        for row in table.get("rows", []):
            yield f"| {table['log']} | {row['switch']} | {_cells(row)} |"
    yield ""
    firsts = [table for table in found["tables"] if "first" in table]
    if firsts:
        yield "ndcg@10 of the first event of viewers left out of a fit, of whom the region alone is known:\n"
        yield "| log | viewers | what is popular | `regions` | p |"
        yield "|---|---|---|---|---|"
        for table in firsts:
            first = table["first"]
            yield (
                f"| {table['log']} | {first['viewers']} | {_number(first['popular'])} "
                f"| {_number(first['regions'])} | {first['p']:.3f} |"
            )
        yield ""
    helping = [f"`{switch}`" for switch, helps in found["helps"].items() if helps]
    others = [f"`{switch}`" for switch, helps in found["helps"].items() if not helps]
    yield (
        f"Better on two logs at p < .05, and below on none: {', '.join(helping) or 'none'}. "
        f"Not so: {', '.join(others) or 'none'}.\n"
    )


def _cells(row: dict[str, Any]) -> str:
    mean = row["ndcg@10"]
    shown = f"{_number(mean['mean'])} [{_number(mean['low'])} {_number(mean['high'])}]"
    if "p" not in row:
        return f"{shown} | | | {row['cpu_s']:.0f}"
    return f"{shown} | {row['difference']:+.4f} | {row['p']:.3f} | {row['cpu_s']:.0f}"


def _number(value: float) -> str:
    return f"{value:.4f}".lstrip("0")
