"""The section of docs/figures.md on predicted ratings, from results/ratings.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def rating_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """The section's lines; none where nothing was measured."""
    if found is None:
        return
    board = found["board"]
    yield "## Predicted ratings\n"
    yield (
        "`--target rating`: less is better; 95 % intervals over viewers, all targets alike. Defaults were "
        "chosen on a random 15 % of u1.base, the recommender on validation carved from it. u1.test was seen "
        "twice while the program was written, and nothing was chosen by it; it is scored once a row. "
        f"`{found['command']}`\n"
    )
    yield "### MovieLens-100K, u1.base to u1.test\n"
    yield from _table(board)
    yield from _bars(found["bars"])
    yield f"{board['verdict']} († chosen on validation.)\n"
    yield "What `rating` comes to on the same test when a part is left out:\n"
    yield "| without | rmse | mae |"
    yield "|---|---|---|"
    for name, row in found["without"].items():
        yield f"| {name} | {_interval(row['metrics']['rmse'])} | {_interval(row['metrics']['mae'])} |"
    yield ""
    yield (
        "The mood of a sitting is told by the ratings around the one that is asked for, later ones included, "
        "as u1's random split leaves them; published figures without times are to be read beside the row "
        "without sittings.\n"
    )


def _table(board: dict[str, Any]) -> Iterator[str]:
    newcomers = any(row.get("newcomers") for row in board["recommenders"])
    yield f"| | rmse | mae |{' newcomers, rmse |' if newcomers else ''} fit CPU-s | peak MB | an answer, ms |"
    yield "|" + "---|" * (7 if newcomers else 6)
    for row in board["recommenders"]:
        star = " †" if row["name"] == board["chosen_on_validation"] else ""
        theirs = f" {_interval(row['newcomers']['rmse'])} |" if newcomers else ""
        yield (
            f"| {row['name']}{star} | {_interval(row['metrics']['rmse'])} "
            f"| {_interval(row['metrics']['mae'])} |"
            f"{theirs} {row['fit_cpu_s']:.1f} | {row['peak_rss_mb']:,.0f} | {row['answer_ms']:.1f} |"
        )
    yield ""


def _bars(bars: list[dict[str, Any]]) -> Iterator[str]:
    yield "| bar | | figure | |"
    yield "|---|---|---|---|"
    for bar in bars:
        reached = "reached" if bar["reached"] else "**missed**"
        yield f"| {bar['what']} | {_number(bar['bar'])} | {_number(bar['figure'])} | {reached} |"
    yield ""


def _interval(found: dict[str, float]) -> str:
    return f"{_number(found['mean'])} [{_number(found['low'])} {_number(found['high'])}]"


def _number(value: float) -> str:
    return f"{value:.4f}".lstrip("0")
