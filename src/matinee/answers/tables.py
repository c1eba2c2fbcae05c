"""The tables of a bundle: items, viewers, histories, friends and noes, as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matinee.core.errors import BundleError
from matinee.core.types import Histories, Int64, Ragged
from matinee.data.vocabulary import Vocabulary

# Rows written at a time: what a row group takes in memory stays far below the log.
_ROWS = 1 << 22

_TYPES = {
    "item": np.int32,
    "time": np.int64,
    "kind": np.int8,
    "value": np.float32,
    "weight": np.float32,
    "target": np.bool_,
    "friend": np.int32,
}
_EVENT = {
    "items": "item",
    "times": "time",
    "kinds": "kind",
    "values": "value",
    "weights": "weight",
    "targets": "target",
}


def write_ids(path: Path, ids: Vocabulary, table: pa.Table | None) -> None:
    """Write ids in the order of their codes, with what is known of each."""
    known = table if table is not None else pa.table({})
    rest = [name for name in known.column_names if name != "id"]
    columns = {"id": ids.arrow, **{name: known.column(name) for name in rest}}
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_ids(path: Path) -> tuple[Vocabulary, pa.Table]:
    """The ids that `write_ids` wrote, and the table they stand in.

    Raises:
        BundleError: the file is no Parquet file with distinct ids.
    """
    table = _read(path)
    if "id" not in table.column_names:
        raise BundleError(f"{path}: expected a column id.")
    ids = Vocabulary(table.column("id").combine_chunks())
    if ids.arrow.null_count or not ids.lookup.distinct:
        raise BundleError(f"{path}: ids are missing or there twice.")
    return ids, table


def write_histories(path: Path, histories: Histories) -> None:
    """Write one row an event, viewer by viewer and oldest first, in bounded memory."""
    arrays = {word: getattr(histories, name) for name, word in _EVENT.items()}
    _write(path, histories.offsets, {name: one for name, one in arrays.items() if one is not None})


def read_histories(path: Path, viewers: int, n_items: int) -> Histories:
    """The histories of all viewers.

    Raises:
        BundleError: the file is not what `write_histories` writes for so many viewers and items.
    """
    offsets, columns = _columns(path, viewers)
    _within(path, "item", columns, n_items)
    arrays: dict[str, Any] = {name: columns.get(word) for name, word in _EVENT.items()}
    return Histories(offsets=offsets, **arrays)


def write_ragged(path: Path, ragged: Ragged, name: str) -> None:
    """Write lists of codes, one row an entry; `name` is the column of codes."""
    columns = {name: ragged.values, "weight": ragged.weights}
    _write(path, ragged.offsets, {key: one for key, one in columns.items() if one is not None})


def read_ragged(path: Path, name: str, viewers: int, limit: int) -> Ragged:
    """The lists that `write_ragged` wrote: codes from 0 to below `limit`.

    Raises:
        BundleError: the file is not what `write_ragged` writes.
    """
    offsets, columns = _columns(path, viewers)
    _within(path, name, columns, limit)
    return Ragged(values=columns[name], offsets=offsets, weights=columns.get("weight"))


def _write(path: Path, offsets: Int64, columns: dict[str, NDArray[Any]]) -> None:
    total = int(offsets[-1])
    kinds = {"viewer": np.int32, **{name: _TYPES[name] for name in columns}}
    schema = pa.schema([(name, pa.from_numpy_dtype(np.dtype(kind))) for name, kind in kinds.items()])
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
        for start in range(0, total, _ROWS):
            part = slice(start, min(start + _ROWS, total))
            viewer = np.searchsorted(offsets, np.arange(part.start, part.stop), side="right") - 1
            arrays = [viewer, *(columns[name][part] for name in columns)]
            cast = [pa.array(np.asarray(a, dtype=k)) for a, k in zip(arrays, kinds.values(), strict=True)]
            writer.write_table(pa.Table.from_arrays(cast, schema=schema))


def _columns(path: Path, viewers: int) -> tuple[Int64, dict[str, NDArray[Any]]]:
    """Offsets and columns of a table whose rows run viewer by viewer, read a row group at a time."""
    try:
        file = pq.ParquetFile(path)
        total = file.metadata.num_rows
        names = [name for name in file.schema_arrow.names if name != "viewer"]
        columns = {name: np.empty(total, dtype=_TYPES[name]) for name in names}
        counts = np.zeros(viewers, dtype=np.int64)
        done, last = 0, 0
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            viewer = _numbers(table.column("viewer")).astype(np.int64)
            if len(viewer) and (viewer[0] < last or viewer[-1] >= viewers or (np.diff(viewer) < 0).any()):
                raise BundleError(f"{path}: its rows do not run viewer by viewer from 0 to {viewers - 1}.")
            last = int(viewer[-1]) if len(viewer) else last
            counts += np.bincount(viewer, minlength=viewers)
            for name in names:
                columns[name][done : done + len(viewer)] = _numbers(table.column(name))
            done += len(viewer)
    except (pa.ArrowException, KeyError, ValueError, TypeError, OSError) as error:
        raise BundleError(f"{path}: expected a Parquet table of a bundle: {error}.") from error
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), columns


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column as an array; pyarrow's own way loads pandas where that is installed."""
    array = column.combine_chunks()
    if array.null_count or not pa.types.is_primitive(array.type) or pa.types.is_boolean(array.type):
        return np.asarray(array)
    return np.from_dlpack(array)


def _within(path: Path, name: str, columns: dict[str, NDArray[Any]], limit: int) -> None:
    codes = columns.get(name)
    if codes is None:
        raise BundleError(f"{path}: expected a column {name}.")
    if len(codes) and (codes.min() < 0 or codes.max() >= limit):
        raise BundleError(f"{path}: column {name} points outside the {limit:,} that there are.")


def _read(path: Path) -> pa.Table:
    try:
        # Not read_table: it loads what reads whole folders, and pandas with it where that is installed.
        with pq.ParquetFile(path) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise BundleError(f"{path}: expected a Parquet file: {error}.") from error
