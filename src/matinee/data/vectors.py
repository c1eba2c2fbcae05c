"""Vectors: what an item is like, as numbers, from a text or image model; keyed by item id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.core.errors import DataError
from matinee.core.types import Float32
from matinee.data.cells import numbers
from matinee.data.items import HEADER_WORDS, ID_WORDS, distinct_ids
from matinee.data.table import SideTable, read_table
from matinee.data.vocabulary import Vocabulary

VECTOR_WORDS = ("vector", "embedding", "vectors", "embeddings")


def read_vectors(path: Path, items: Vocabulary) -> tuple[Float32, tuple[str, ...]]:
    """Read one vector an item: `id` and `vector` (a list), or an id and a column for each number.

    Args:
        path: the file.
        items: the catalogue; vectors of other items are left out and counted.

    Returns:
        float32, shape (items, width), NaN rows where an item has no vector; and what was found, in words.

    Raises:
        DataError: there is no id or no vector, vectors differ in width, or a number is missing or not finite.
    """
    table = read_table(path, HEADER_WORDS)
    id_column = table.column_of(ID_WORDS) or table.columns.column_names[0]
    ids, rows, notes = distinct_ids(table, id_column)
    name = table.column_of(VECTOR_WORDS)
    read = _wide(table, id_column) if name is None else _lists(table, name)
    codes = items.codes(ids)
    vectors = np.full((len(items), read.shape[1]), np.nan, dtype=np.float32)
    vectors[codes[codes >= 0]] = read[rows[codes >= 0]]
    known, strangers = int((codes >= 0).sum()), int((codes < 0).sum())
    words = [f"{path.name}: vectors of width {read.shape[1]} for {known:,} of {len(items):,} items"]
    if strangers:
        words.append(f"{path.name}: {strangers:,} vectors are of items that are not in the catalogue")
    return vectors, (*notes, *words)


def _lists(table: SideTable, name: str) -> Float32:
    """float32, shape (rows, width): a column of lists of one width."""
    array = table.columns.column(name).combine_chunks()
    kind = array.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise DataError(f"expected lists of numbers, found {kind}", file=table.path, column=name)
    widths = np.asarray(array.value_lengths().fill_null(0), dtype=np.int64)
    other = np.flatnonzero(widths != widths[0])
    if len(other) or not widths[0]:
        row = int(other[0]) if len(other) else 0
        raise table.error(
            f"expected {widths[0] or 'some'} numbers as in the first row", row, name, int(widths[row])
        )
    flat = numbers(array.flatten())
    return _finite(table, name, flat.reshape(len(table), int(widths[0])))


def _wide(table: SideTable, id_column: str) -> Float32:
    """float32, shape (rows, width): every column but the id is a number of the vector."""
    names = [name for name in table.columns.column_names if name != id_column]
    if not names:
        raise DataError("expected a column `vector` beside the id", file=table.path)
    stacked = np.stack([numbers(table.columns.column(name)) for name in names], axis=1)
    return _finite(table, names[0], stacked)


def _finite(table: SideTable, name: str, vectors: Any) -> Float32:
    narrow = vectors.astype(np.float32)
    bad = np.argwhere(~np.isfinite(narrow))
    if len(bad):
        row, place = (int(i) for i in bad[0])
        raise table.error(
            f"expected finite numbers; number {place + 1} of this vector is none",
            row,
            name,
            float(narrow[row, place]),
        )
    return np.asarray(narrow, dtype=np.float32)
