"""Where an import goes: a folder with log.parquet, items.parquet and viewers.parquet, for `matinee fit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matinee.core.errors import DataError, InputError
from matinee.data.streams import compression_of, damaged, open_bytes
from matinee.simulate.files import whole_files

_SCHEMA = pa.schema(
    [
        ("viewer", pa.string()),
        ("item", pa.string()),
        ("time", pa.int64()),
        ("kind", pa.string()),
        ("value", pa.float64()),
    ]
)
_OPTIONAL = ("kind", "value")
_BLOCK = 1 << 20


@dataclass
class Imported:
    """What came in.

    Attributes:
        folder: where it is.
        events, items, viewers: how many.
        kinds: how many events of each kind.
        notes: what was left out, and why.
    """

    folder: str
    events: int = 0
    items: int = 0
    viewers: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


class LogFolder:
    """A log that grows event by event, and its two side tables.

    Args:
        folder: where the files are written.
        told: what is told of them.
    """

    def __init__(self, folder: Path, told: Imported) -> None:
        self._folder, self.told = folder, told
        self._writer: pq.ParquetWriter | None = None
        self._given: Counter[str] = Counter()

    def add_events(self, columns: Mapping[str, Any]) -> None:
        """Append events: `viewer`, `item`, `time` (milliseconds) and, where known, `kind` and `value`."""
        rows = len(columns["viewer"])
        table = pa.table(
            [
                pa.chunked_array([pa.array(columns[one.name], one.type)])
                if one.name in columns
                else pa.nulls(rows, one.type)
                for one in _SCHEMA
            ],
            schema=_SCHEMA,
        )
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._folder / "log.parquet", _SCHEMA, compression="zstd")
        self._writer.write_table(table)
        self.told.events += rows
        for name in _OPTIONAL:
            self._given[name] += rows - table.column(name).null_count
        for one in pc.value_counts(table.column("kind").combine_chunks()).to_pylist():
            if one["values"] is not None:
                self.told.kinds[one["values"]] += one["counts"]

    def put_items(self, columns: Mapping[str, Any]) -> None:
        """Write the items: `id` and whatever is known of them."""
        self.told.items = self._put("items", columns)

    def put_viewers(self, columns: Mapping[str, Any]) -> None:
        """Write the viewers: `id` and whatever is known of them."""
        self.told.viewers = self._put("viewers", columns)

    def close(self) -> None:
        """Finish the log; a column that nobody filled is left out."""
        if self._writer is None:
            raise InputError("There is no event in it: nothing to recommend from. Give the interactions too.")
        self._writer.close()
        empty = [name for name in _OPTIONAL if not self._given[name]]
        if empty:
            _without(self._folder / "log.parquet", empty)

    def _put(self, name: str, columns: Mapping[str, Any]) -> int:
        table = pa.table(dict(columns))
        first = pa.array([True] * table.num_rows) if not table.num_rows else _first(table.column("id"))
        table = table.filter(first)
        pq.write_table(table, self._folder / f"{name}.parquet", compression="zstd")
        return int(table.num_rows)


@contextmanager
def log_folder(folder: Path) -> Iterator[LogFolder]:
    """A folder that gets its files when all of them are whole, and none before.

    Raises:
        InputError: it cannot be written, or no event came.
    """
    with whole_files(folder) as fresh:
        files = LogFolder(fresh, Imported(folder=str(folder)))
        yield files
        files.close()


@contextmanager
def bytes_of(path: Path) -> Iterator[BufferedReader]:
    """The bytes of a file, uncompressed.

    Raises:
        DataError: it cannot be read, or not to its end.
    """
    try:
        with path.open("rb") as file:
            compression = compression_of(file.read(8))
        with BufferedReader(open_bytes(path, compression), _BLOCK) as stream:
            yield stream
    except PermissionError as error:
        raise DataError("the file cannot be opened", file=path, remedy="Check its rights.") from error
    except OSError as error:
        raise damaged(path, error) from error


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of JSON values as columns: numbers, truths, texts, lists of texts; anything else as text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _column(values: list[Any]) -> pa.Array:
    given = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in given):
        return pa.array(values, pa.bool_())
    if all(isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 for value in given):
        return pa.array(values, pa.int64())
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in given):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if all(isinstance(value, list) for value in given):
        texts = [None if value is None else [str(one) for one in value] for value in values]
        return pa.array(texts, pa.list_(pa.string()))
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _first(ids: Any) -> pa.Array:
    """Which rows are the last of their id: what was written last of a thing holds."""
    seen: set[str] = set()
    last = []
    for one in reversed(ids.to_pylist()):
        last.append(one not in seen)
        seen.add(one)
    return pa.array(last[::-1])


def _without(path: Path, names: Sequence[str]) -> None:
    """Write a file anew without some columns, in bounded memory."""
    schema = pa.schema([one for one in _SCHEMA if one.name not in names])
    fresh = path.with_suffix(".fresh")
    with pq.ParquetFile(path) as file, pq.ParquetWriter(fresh, schema, compression="zstd") as writer:
        for batch in file.iter_batches(columns=schema.names):
            writer.write_batch(batch)
    fresh.replace(path)
