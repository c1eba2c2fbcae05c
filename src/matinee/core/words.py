"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it counts: `1 row`, `2,000 rows`.

    Args:
        number: how many.
        one: what one of them is called, with its verb where there is one: `row was`.
        many: what several are called; empty: `one` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
