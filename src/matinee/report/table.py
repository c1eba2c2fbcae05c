"""The scoreboard on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matinee.report.numbers import dollars, figure, megabytes, milliseconds, percent, seconds

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = ("ndcg", "recall", "mrr")
VALUES = ("rmse", "mae")

_WIDE = 140
_COSTS = ("fit", "search", "memory", "an answer", "electricity")


def scoreboard_table(board: Mapping[str, Any], width: int = _WIDE) -> Table:
    """The scoreboard as a rich table: metrics with 95 % intervals, then costs; the chosen one has a star.

    Args:
        board: the JSON of `compare`.
        width: letters in a line; where they are too few for all columns, the most important are shown.
    """
    from rich.text import Text

    narrow = width < _WIDE
    metrics = _metrics(board, narrow=narrow)
    costs = [0, 2, 3] if narrow else range(len(_COSTS))
    table = plain_table("recommender", [*metrics, *(_COSTS[place] for place in costs)])
    for row in board["recommenders"]:
        chosen = row["name"] == board["chosen_on_validation"]
        # One alone was chosen by nobody.
        star = " *" if chosen and len(board["recommenders"]) > 1 else ""
        title = Text(row["name"] + star, style="bold" if chosen else "")
        if row.get("error"):
            table.add_row(title, Text("failed", style="red"))
            continue
        cells = [Text(interval_words(row["metrics"].get(metric))) for metric in metrics]
        words = cost_words(row)
        table.add_row(title, *cells, *(Text(words[place]) for place in costs))
    return table


def first_metrics(board: Mapping[str, Any]) -> list[str]:
    """The metrics that are shown first, in every table: of values, or at the first length of the list."""
    return list(VALUES) if board.get("target") == "rating" else [f"{kind}@{board['at'][0]}" for kind in SHOWN]


def _metrics(board: Mapping[str, Any], *, narrow: bool) -> list[str]:
    first = first_metrics(board)
    if narrow or not board["at"]:
        return first[:2]
    return [*first, *(f"recall@{other}" for other in board["at"][1:]), f"coverage@{board['at'][0]}"]


def interval_words(interval: Mapping[str, float | None] | None) -> str:
    """A mean with its interval: `.171 [.165 .177]`."""
    if not interval or interval["mean"] is None:
        return "–"
    if interval["low"] == interval["high"]:
        return figure(interval["mean"])
    return f"{figure(interval['mean'])} [{figure(interval['low'])} {figure(interval['high'])}]"


def cost_words(row: Mapping[str, Any]) -> list[str]:
    """CPU of the fit, CPU of the search, peak memory, time of an answer, electricity."""
    return [
        seconds(row["fit_cpu_s"]),
        seconds(row["search_cpu_s"]) if row["search_cpu_s"] else "–",
        megabytes(row["peak_rss_mb"]),
        milliseconds(row["answer_ms"]),
        dollars(row["fit_dollars"]),
    ]


def scoreboard_words(board: Mapping[str, Any]) -> list[str]:
    """What stands around the table: what was compared and how, then notes; the verdict is not among them."""
    words = [
        f"{board['viewers']:,} viewers, {board['items']:,} items, {board['events']:,} events.",
        board["why"][:1].upper() + board["why"][1:],
        f"Judged on {board['targets']:,} targets of {board['asked_viewers']:,} viewers; 95 % intervals over "
        f"viewers; {'* chosen on validation; ' if len(board['recommenders']) > 1 else ''}CPU-seconds; "
        "electricity by the clock.",
    ]
    if board["left_out"]:
        words.append(f"{board['left_out']:,} targets were in the viewer's history already and are left out.")
    newcomers = board["newcomers"]
    if newcomers["queries"]:
        words.append(
            f"{newcomers['viewers']:,} viewers had no past at the split: a table of their own below, "
            f"{newcomers['targets']:,} targets."
        )
    if board["tied_times"]:
        words.append(
            f"{percent(board['tied_times'])} of events share their time with another of their viewer."
        )
    if board["tied_answers"]:
        words.append(
            f"{percent(board['tied_answers'])} of answers hold ties, counted as their expected value."
        )
    words += [f"{row['name']}: {row['error']}" for row in board["recommenders"] if row.get("error")]
    # Several rows may say the same of a log.
    words += dict.fromkeys(row["note"] for row in board["recommenders"] if row.get("note"))
    return words + list(board.get("notes", ()))


def newcomers_table(board: Mapping[str, Any]) -> Table | None:
    """The table of viewers without a past; None where there are none."""
    rows = [row for row in board["recommenders"] if row.get("newcomers")]
    if not rows:
        return None
    metrics = first_metrics(board)
    table = plain_table("newcomers", metrics)
    for row in rows:
        table.add_row(row["name"], *(interval_words(row["newcomers"].get(metric)) for metric in metrics))
    return table


def plain_table(first: str, others: Sequence[str]) -> Table:
    """An empty table without lines: a first column of names, and others whose cells stand to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
