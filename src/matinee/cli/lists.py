"""How a ranked list is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    from rich.table import Table


def table_of(items: Sequence[Mapping[str, Any]]) -> Table:
    """A table of ranked items: rank, item, title, score, and why, each where there is any.

    Args:
        items: dictionaries with `item`, `title`, `score` and perhaps `reasons`.
    """
    from rich.table import Table
    from rich.text import Text

    titled = any(one["title"] is not None for one in items)
    reasoned = any(one.get("reasons") for one in items)
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("item", overflow="fold")
    if titled:
        table.add_column("title", overflow="fold")
    table.add_column("score", justify="right")
    if reasoned:
        table.add_column("why", overflow="fold")
    for rank, one in enumerate(items, 1):
        cells = [str(rank), one["item"]]
        cells += [one["title"] or ""] if titled else []
        cells += [f"{one['score']:.4g}"]
        cells += ["; ".join(one["reasons"])] if reasoned else []
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def one_line(words: str) -> str:
    """Words with line breaks and other control characters written out, so that they cannot break a table."""
    return "".join(repr(one)[1:-1] if category(one) in ("Cc", "Zl", "Zp") else one for one in words)
