"""Viewers: what is known of them beside their events, one row a viewer of the log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.core.errors import DataError
from matinee.core.words import counted
from matinee.data.aliases import rename
from matinee.data.cells import natural
from matinee.data.columns import ALIASES
from matinee.data.table import SideTable, as_strings, read_table
from matinee.data.vocabulary import Vocabulary

ID_WORDS = (*(word for word in ALIASES["user"] if word.endswith("id")), "id", *ALIASES["user"])
REGION_WORDS = ("region", "country", "market")


def read_viewers(
    path: Path, viewers: Vocabulary, aliases: Mapping[str, str], *, skip_bad: bool = False
) -> tuple[pa.Table, tuple[str, ...]]:
    """Read a file of viewers: an id (the first column of a file without a header), `region` and free columns.

    Args:
        path: the file, of any format that a log may have.
        viewers: the viewers of the log; rows of others are left out and counted.
        aliases: old id -> new id of viewers who merged; the new id's own row goes before an old one's.
        skip_bad: leave malformed rows out and count them.

    Returns:
        One row a viewer in the order of the codes, null where nothing is known; and what was found, in words.

    Raises:
        DataError: the file is unusable or has no column of ids.
    """
    table = read_table(path, set(ID_WORDS), skip_bad=skip_bad)
    names = table.columns.column_names
    id_column = table.column_of(ID_WORDS) if table.named else names[0]
    if id_column is None:
        found = ", ".join(names)
        raise DataError(f"expected a column of viewer ids such as user_id, found {found}", file=path, row=1)
    ids = table.strings(id_column)
    codes = viewers.codes(rename(ids, aliases))
    own = np.asarray(pc.fill_null(pc.invert(pc.is_in(ids, value_set=_old(aliases))), True))
    row_of, again = _row_of(codes, own, len(viewers))
    columns = {name: _take(table, name, row_of) for name in names if name != id_column}
    region = table.column_of(REGION_WORDS)
    if region is not None and region != id_column:
        columns["region"] = as_strings(columns.pop(region))
    known = int((row_of >= 0).sum())
    notes = [f"{path.name}: {known:,} of the log's {len(viewers):,} viewers have a row"]
    if (strangers := int((codes < 0).sum())) > 0:
        notes.append(
            f"{path.name}: {counted(strangers, 'row is', 'rows are')} of viewers who are not in the log"
        )
    if again:
        rows = counted(again, "row is", "rows are")
        notes.append(f"{path.name}: {rows} of a viewer who has one already; the first one counts")
    return pa.table({"id": viewers.arrow, **columns}), (*table.notes, *notes)


def _old(aliases: Mapping[str, str]) -> pa.Array:
    return pa.array(list(aliases), pa.large_string())


def _row_of(codes: Any, own: Any, size: int) -> tuple[Any, int]:
    """The file's row for each viewer code, -1 for none, and how many rows came too late."""
    rows = np.flatnonzero(codes >= 0)
    # Rows under the id of today go first, then the order of the file.
    order = rows[np.lexsort((rows, ~own[rows]))]
    row_of = np.full(size, -1, dtype=np.int64)
    row_of[codes[order[::-1]]] = order[::-1]
    return row_of, len(rows) - int((row_of >= 0).sum())


def _take(table: SideTable, name: str, row_of: Any) -> Any:
    column = natural(table.columns.column(name))
    return column.take(pa.array(row_of, mask=row_of < 0))
