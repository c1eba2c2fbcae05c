"""What the cells of a side table mean: numbers, moments, yes or no, lists of words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.core.errors import DataError
from matinee.core.types import Float64
from matinee.data.table import SideTable, as_strings
from matinee.data.times import to_ms

YES = ("true", "t", "yes", "y", "1")
NO = ("false", "f", "no", "n", "0")
_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_WHOLE = r"^(0|-?[1-9]\d{0,17})$"


def numbers(column: Any) -> Float64:
    """One column as numbers: float64, NaN where a cell is empty or is no number."""
    array = _flat(column)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return np.asarray(pc.fill_null(array.cast(pa.float64(), safe=False), float("nan")))
    text = pc.utf8_trim_whitespace(as_strings(array))
    matched = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
    return np.asarray(pc.fill_null(matched.cast(pa.float64()), float("nan")))


def moments(table: SideTable, name: str) -> pa.Array:
    """One column as moments: int64 milliseconds since 1970, UTC, of any unit; null where a cell is empty.

    Raises:
        DataError: a cell is no time after 1970-01-01.
    """
    array = _flat(table.columns.column(name))
    if _is_text(array):
        array = _blank_to_null(array)
    try:
        times = to_ms(array)
    except pa.ArrowInvalid as error:
        raise DataError(f"expected times: {error}", file=table.path, column=name) from error
    empty = np.asarray(pc.is_null(array, nan_is_null=True))
    bad = np.zeros(len(array), dtype=bool) if times.bad is None else times.bad & ~empty
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        remedy = "Give seconds since 1970, or 2026-01-31T18:00Z."
        raise table.error("expected a time after 1970-01-01", row, name, array[row].as_py(), remedy)
    return pa.array(times.ms, mask=empty)


def flags(table: SideTable, name: str) -> pa.Array:
    """One column as yes or no: bool, null where a cell is empty.

    Raises:
        DataError: a cell is neither.
    """
    array = _flat(table.columns.column(name))
    if pa.types.is_boolean(array.type):
        return array
    text = _blank_to_null(pc.utf8_lower(pc.utf8_trim_whitespace(as_strings(array))))
    yes, no = (pc.is_in(text, value_set=pa.array(words, pa.large_string())) for words in (YES, NO))
    bad = pc.and_(pc.is_valid(text), pc.invert(pc.or_(yes, no)))
    if pc.any(bad).as_py():
        row = int(pc.index(bad, True).as_py())
        raise table.error("expected true or false", row, name, text[row].as_py())
    return pc.if_else(pc.is_valid(text), yes, None)


def word_lists(column: Any, *, separator: str | None = None) -> pa.Array:
    """One column as lists of words: lists as they are, text cut at `|`, or else at commas.

    Args:
        column: lists, or text.
        separator: where text is cut; None: at `|` if any cell has one, else at commas.

    Returns:
        Lists of large strings; an empty list where nothing is said. `(no genres listed)` says nothing.
    """
    array = _flat(column)
    kind = pa.list_(pa.large_string())
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return pa.array([[str(word) for word in row or ()] for row in array.to_pylist()], kind)
    cells = [cell or "" for cell in as_strings(array).to_pylist()]
    separator = separator or ("|" if any("|" in cell for cell in cells) else ",")
    lists = []
    for cell in cells:
        words = [] if cell == "(no genres listed)" else cell.split(separator)
        lists.append([word.strip() for word in words if word.strip()])
    return pa.array(lists, kind)


def natural(column: Any) -> Any:
    """A free column in the type that its text shows: whole numbers, numbers, or the text itself.

    Only where every cell that is not empty says so, and `007` stays text: nothing that a file says is lost.
    """
    array = _flat(column)
    if not _is_text(array):
        return array
    text = _blank_to_null(array)
    if text.null_count == len(text):
        return text
    for pattern, kind in ((_WHOLE, pa.int64()), (r"^-?(0|[1-9]\d*)(\.\d+)?$", pa.float64())):
        if pc.all(pc.match_substring_regex(text, pattern)).as_py():
            return text.cast(kind)
    return text


def _flat(column: Any) -> Any:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _is_text(array: Any) -> bool:
    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def _blank_to_null(text: Any) -> Any:
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), None, text)
