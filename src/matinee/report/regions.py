"""The regions of a scoreboard: each one's own models against the shared ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matinee.report.numbers import p_words
from matinee.report.table import first_metrics, interval_words, plain_table

if TYPE_CHECKING:
    from rich.table import Table

HEAD = ("recommender", "shared", "its own", "own less shared", "Holm's p", "answers")


def region_rows(board: Mapping[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Of each region its name and size, and a row of cells a recommender, as `HEAD` names them.

    Args:
        board: the JSON of `compare`.
    """
    metric = first_metrics(board)[0]
    return [
        (
            f"{region['region']}, {region['viewers']:,}",
            [_cells(one, metric) for one in region["recommenders"]],
        )
        for region in board.get("regions", ())
    ]


def regions_table(board: Mapping[str, Any]) -> Table | None:
    """The regions as a rich table; None where the comparison was not by region."""
    rows = region_rows(board)
    if not rows:
        return None
    from rich.text import Text

    metric = first_metrics(board)[0]
    table = plain_table(
        f"{board['by']}, viewers", [HEAD[0], *(f"{name}, {metric}" for name in HEAD[1:3]), *HEAD[3:]]
    )
    for name, ones in rows:
        for number, cells in enumerate(ones or [["–"] * len(HEAD)]):
            table.add_row(Text("" if number else name), *(Text(cell) for cell in cells))
    return table


def region_verdicts(board: Mapping[str, Any]) -> list[str]:
    """A sentence for each region, and one about viewers of whom nobody knows where they are."""
    words = [str(region["verdict"]) for region in board.get("regions", ())]
    if board.get("unknown_viewers"):
        words.append(f"{board['unknown_viewers']:,} viewers of no known {board['by']} have the shared model.")
    return words


def _cells(one: Mapping[str, Any], metric: str) -> list[str]:
    difference = one["difference"]
    means = [
        interval_words(one.get(whose, {"metrics": {}})["metrics"].get(metric)) for whose in ("shared", "own")
    ]
    if difference is None:
        return [one["name"], *means, "–", "–", one["answers"]]
    gap = f"{difference['mean']:+.3f} [{difference['low']:+.3f} {difference['high']:+.3f}]"
    return [one["name"], *means, gap, p_words(difference["p_holm"]), one["answers"]]
