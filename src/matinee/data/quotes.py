"""Rows of a text whose fields may stand in double quotes, line by line, so that an open quote costs one row.

A quote that nobody closes makes one field of all that follows: the row that it stands in is then given as
malformed, and reading goes on in the next line.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator

OPEN_QUOTE = "a double quote opens a field and nothing ends it where the row should end"


class _Lines:
    """The lines of a text; some can be given back, to be read once more."""

    def __init__(self, text: Iterable[str]) -> None:
        self._text = iter(text)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0
        self.ended = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        try:
            line = self._again.popleft() if self._again else next(self._text)
        except StopIteration:
            self.ended = True
            raise
        self.number += 1
        self.taken.append(line)
        return line

    def keep_first(self) -> str:
        """Give back what was taken since the last row, but its first line."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        self.ended = False
        return first


def quoted_rows(
    text: Iterable[str], delimiter: str, width: int
) -> Iterator[tuple[int, int, list[str] | str]]:
    """Cut a text into rows.

    Args:
        text: its lines, with their ends.
        delimiter: one character.
        width: how many fields a row has; more are well where they are empty.

    Yields:
        First line and last line of a row, counted from 1, and its fields, or what is wrong with it. A row of
        another width is given with the fields that it has, if it is one line.
    """
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        lines.taken.clear()
        start = lines.number + 1
        fields: list[str] | str
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fields = f"the row cannot be cut into columns: {error}"
        torn = isinstance(fields, str) or len(fields) < width or any(fields[width:])
        if lines.ended or (len(lines.taken) > 1 and (torn or not _is_strict(lines.taken, delimiter))):
            fields = f"{OPEN_QUOTE}: {lines.keep_first().strip()[:80]!r}"
        yield start, lines.number, fields


def _is_strict(lines: list[str], delimiter: str) -> bool:
    """Whether every quote that opens a field also ends it: a stray one often meets another in a later row."""
    try:
        return len(list(csv.reader(lines, delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return False
