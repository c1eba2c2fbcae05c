"""Reading one file or table into the gathering of events, and naming the rows that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.core.errors import DataError
from matinee.core.types import Bool
from matinee.data.batches import Batch, careful_batches, fast_batches, table_batches
from matinee.data.facts import FileReport
from matinee.data.formats import Layout
from matinee.data.gather import Gather
from matinee.data.streams import damaged, encoding_of
from matinee.data.times import is_number
from matinee.data.values import Columns, UnusableColumn, parse_columns, problem_of, whole_ids

_EXAMPLES = 5
# Forms whose columns have types of their own: in text an id is what stands there, byte for byte.
_TYPED = ("parquet", "arrow", "table")
_REMEDY = "Correct the row, or leave such rows out with --skip-bad."
_TIME_REMEDY = (
    "Correct the row, or leave such rows out with --skip-bad; if the column holds positions, no times, say "
    "--columns order=NAME,time=."
)
# What Arrow and Python raise over content that is not as the first rows promised.
_UNREADABLE = (
    *(pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, UnicodeDecodeError),
    UnusableColumn,
)
_COLUMN_REMEDY = {
    "time": "Write times as ISO dates, or as seconds or milliseconds since 1970.",
    "order": "Write positions as whole numbers.",
    "value": "Write values as numbers.",
}


@dataclass
class _Tally:
    """What one file has brought so far."""

    rows: int = 0
    bad_rows: int = 0
    examples: list[str] = field(default_factory=list)
    units: dict[str, int] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)


class _NeedsCare(Exception):
    """The fast way met a row that it cannot number."""


def read_file(layout: Layout, gather: Gather, *, skip_bad: bool) -> FileReport:
    """Read one file.

    Args:
        layout: what the file is.
        gather: where its events go.
        skip_bad: leave malformed rows out and count them.

    Raises:
        DataError: a row is malformed; the message names file, row, column and value.
    """
    try:
        return _read_either_way(layout, gather, skip_bad=skip_bad)
    except OSError as error:
        raise damaged(layout.file, error) from error


def _read_either_way(layout: Layout, gather: Gather, *, skip_bad: bool) -> FileReport:
    mark = gather.mark()
    try:
        return _report(layout, _read(fast_batches(layout), layout, gather, skip_bad=skip_bad))
    except (_NeedsCare, *_UNREADABLE) as error:
        if layout.form in ("parquet", "arrow"):
            raise _unusable(layout, error) from error
        gather.rewind(mark)
    encoding = (
        layout.encoding if layout.encoding == "utf-16" else encoding_of(layout.file, layout.compression)
    )
    if encoding != layout.encoding:
        return _read_either_way(replace(layout, encoding=encoding), gather, skip_bad=skip_bad)
    try:
        return _report(layout, _read(careful_batches(layout), layout, gather, skip_bad=skip_bad))
    except UnusableColumn as error:
        raise _unusable(layout, error) from error


def read_table(source: Any, layout: Layout, gather: Gather, *, skip_bad: bool) -> FileReport:
    """Read an Arrow table or stream; its rows count from 1.

    Raises:
        DataError: a row or a column is unusable.
    """
    try:
        return _report(layout, _read(table_batches(source, layout), layout, gather, skip_bad=skip_bad))
    except _UNREADABLE as error:
        raise _unusable(layout, error) from error


def _unusable(layout: Layout, error: Exception) -> DataError:
    if isinstance(error, UnusableColumn):
        return DataError(
            error.problem,
            file=layout.file,
            column=layout.column(error.role),
            value=error.value,
            remedy=_COLUMN_REMEDY.get(error.role, "Write the ids as strings."),
        )
    words = str(error).splitlines()[0].rstrip(".")
    return DataError(f"it cannot be read: {words}", file=layout.file, remedy="Write it again.")


def _report(layout: Layout, tally: _Tally) -> FileReport:
    return FileReport(
        file=str(layout.file),
        format=layout.described + (f", {layout.compression}" if layout.compression else ""),
        columns={role: layout.column(role) for role in layout.columns},
        rows=tally.rows,
        bad_rows=tally.bad_rows,
        bad_examples=tuple(tally.examples),
        time_units=tally.units,
        encoding=layout.encoding,
        whole=tuple(layout.column(role) for role in sorted(tally.whole)),
    )


def _read(batches: Iterator[Batch], layout: Layout, gather: Gather, *, skip_bad: bool) -> _Tally:
    tally = _Tally()
    for batch in batches:
        arrays, whole = whole_ids(batch.arrays) if layout.form in _TYPED else (batch.arrays, ())
        columns = parse_columns(arrays)
        tally.whole.update(whole)
        if (columns.bad or batch.torn) and batch.rows is None:
            raise _NeedsCare
        if columns.bad or batch.torn:
            bad_rows = _bad_rows(batch, columns, layout)
            if not skip_bad:
                raise next(bad_rows)()
            columns = _without_bad(batch, columns, bad_rows, tally, layout)
        gather.add(columns, in_order=layout.form in ("text", "json"))
        tally.rows += len(columns)
        for unit, number in columns.units.items():
            tally.units[unit] = tally.units.get(unit, 0) + number
    return tally


def _without_bad(
    batch: Batch, columns: Columns, bad_rows: Iterator[Callable[[], DataError]], tally: _Tally, layout: Layout
) -> Columns:
    """The good rows of a batch; the bad ones are counted, the first few kept as examples."""
    bad = _any_bad(columns)
    tally.bad_rows += int(bad.sum()) + len(batch.torn)
    while len(tally.examples) < _EXAMPLES and (error := next(bad_rows, None)) is not None:
        words = str(error()).removesuffix(_REMEDY).removesuffix(_TIME_REMEDY).strip()
        tally.examples.append(words.removeprefix(f"{layout.file}, ").removesuffix("."))
    return columns.keep(~bad)


def _any_bad(columns: Columns) -> Bool:
    return reduce(np.logical_or, columns.bad.values(), np.zeros(len(columns), bool))


def _bad_rows(batch: Batch, columns: Columns, layout: Layout) -> Iterator[Callable[[], DataError]]:
    """The error of each bad row, in the order of the file."""
    rows = batch.rows if batch.rows is not None else np.arange(len(columns))
    places = np.flatnonzero(_any_bad(columns))
    torn = list(batch.torn)
    for place in places.tolist():
        number = int(rows[place])
        while torn and torn[0].row < number:
            yield _torn_error(torn.pop(0), layout)
        role = next(role for role, mask in columns.bad.items() if mask[place])
        yield _field_error(role, batch.arrays[role][place].as_py(), number, layout)
    for one in torn:
        yield _torn_error(one, layout)


def _torn_error(torn: Any, layout: Layout) -> Callable[[], DataError]:
    return lambda: DataError(
        torn.problem,
        file=layout.file,
        row=torn.row,
        column=torn.column,
        value=torn.found or None,
        remedy=torn.remedy or _REMEDY,
    )


def _field_error(role: str, value: Any, row: int, layout: Layout) -> Callable[[], DataError]:
    return lambda: DataError(
        problem_of(role),
        file=layout.file,
        row=row,
        column=layout.column(role),
        value="" if value is None else value,
        remedy=_TIME_REMEDY if role == "time" and is_number(str(value)) else _REMEDY,
    )
