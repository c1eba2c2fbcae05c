"""Items: ids, titles, genres, availability and free columns, one row an item of the catalogue.

Items that nobody watched join the catalogue behind those of the log: a content model can speak of them, and
everything else leaves them at the end of its list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.core.errors import DataError
from matinee.core.words import counted
from matinee.data.cells import flags, moments, natural, numbers, word_lists
from matinee.data.columns import ALIASES, plain_name
from matinee.data.table import SideTable, read_table
from matinee.data.vocabulary import Vocabulary

# An `id` goes before the name of a thing: of `id` and `artist`, the artist is a title.
ID_WORDS = (*(word for word in ALIASES["item"] if word.endswith("id")), "id", *ALIASES["item"])
# Words that no title and no genre is: a first line with one of them is a header.
HEADER_WORDS = frozenset({word for word in ID_WORDS if word.endswith("id")} | {"item", "asin", "sku", "isbn"})
TITLE_WORDS = (
    "title",
    "movietitle",
    "itemtitle",
    "producttitle",
    "name",
    "itemname",
    "productname",
    "comment",
)
GENRE_WORDS = ("genres", "genre", "categories", "category", "class", "attributes", "tags", "labels")
MOMENTS = {"available_from": ("availablefrom",), "available_until": ("availableuntil",)}
FLAGS = {"in_stock": ("instock",), "hidden": ("hidden", "ishidden")}
REGIONS = ("regions", "region", "countries", "country")
_ML_100K = ("id", "title", "release_date", "video_release_date", "url")


def read_items(
    path: Path, items: Vocabulary, *, skip_bad: bool = False
) -> tuple[Vocabulary, pa.Table, tuple[str, ...]]:
    """Read a file of items.

    Columns are found by their names: an id, and where there are any a title, genres (or categories, tags),
    `available_from`, `available_until`, `regions`, `in_stock`, `hidden`; others are kept as they are.
    Without a header the columns are id, title, genres (MovieLens), or those of `u.item`, whose 0/1 columns
    are named by the `u.genre` beside it.

    Args:
        path: the file, of any format that a log may have.
        items: the items of the log; their codes stay.
        skip_bad: leave malformed rows out and count them.

    Returns:
        The whole catalogue: the log's items, then those that the file alone knows, in its order; one row an
        item in the order of the codes, `id` and `title` always there (an item without a title is called by
        its id); and what was found, in words.

    Raises:
        DataError: the file is unusable, has no column of ids, or a cell is not what its column says.
    """
    table = read_table(path, HEADER_WORDS, skip_bad=skip_bad)
    if not table.named:
        table = _named_by_position(table)
    id_column = table.column_of(ID_WORDS)
    if id_column is None:
        raise DataError(
            f"expected a column of item ids such as item_id, found {', '.join(table.columns.column_names)}",
            file=path,
            row=1,
        )
    ids, rows, notes = distinct_ids(table, id_column)
    new = ids.filter(pc.invert(pc.is_in(ids, value_set=items.arrow)))
    catalogue = Vocabulary(pa.concat_arrays([items.arrow, new]))
    columns = _typed(table, id_column)
    taken = {
        name: _take(column, rows, catalogue.codes(ids), len(catalogue)) for name, column in columns.items()
    }
    title = taken.pop("title", None)
    unknown = int(pc.sum(pc.invert(pc.is_in(items.arrow, value_set=ids))).as_py() or 0)
    notes = (*notes, _taken(table, id_column), *_found(path, len(ids), len(new), unknown))
    titles = catalogue.arrow if title is None else pc.coalesce(_blank(title), catalogue.arrow)
    return catalogue, pa.table({"id": catalogue.arrow, "title": titles, **taken}), notes


def plain_items(items: Vocabulary) -> pa.Table:
    """The table of items of which nothing is known: each is called by its id."""
    return pa.table({"id": items.arrow, "title": items.arrow})


def distinct_ids(table: SideTable, column: str) -> tuple[pa.Array, Any, tuple[str, ...]]:
    """The distinct ids of a table, the row each stands in first, and a note of rows that come later.

    Raises:
        DataError: an id is empty.
    """
    ids = table.strings(column)
    empty = pc.fill_null(pc.equal(ids, ""), True)
    if pc.any(empty).as_py():
        row = int(pc.index(empty, True).as_py())
        raise table.error("expected an id", row, column, ids[row].as_py() or "")
    encoded = ids.dictionary_encode()
    rows = np.unique(np.asarray(encoded.indices), return_index=True)[1]
    again = len(ids) - len(rows)
    repeated = counted(again, "row has", "rows have")
    note = f"{table.path.name}: {repeated} an id that an earlier row has; the first one counts"
    return ids.take(pa.array(rows)), rows, (*table.notes, note) if again else table.notes


def _named_by_position(table: SideTable) -> SideTable:
    """Names for the columns of a file without a header."""
    names = list(table.columns.column_names)
    flagged = _genres_beside(table)
    if flagged:
        names = [*_ML_100K[: len(names) - len(flagged)], *flagged]
        columns = table.columns.rename_columns(names)
        lists = _lists_of_flags(SideTable(path=table.path, columns=columns), flagged)
        columns = columns.drop_columns(list(flagged)).append_column("genres", lists)
        return SideTable(path=table.path, columns=columns, notes=table.notes)
    known = ("id", "title", "genres") if len(names) < 4 else ("id", "title")
    names[: len(known)] = known[: len(names)]
    return SideTable(path=table.path, columns=table.columns.rename_columns(names), notes=table.notes)


def _genres_beside(table: SideTable) -> tuple[str, ...]:
    """Names of the 0/1 columns that end each row of MovieLens' `u.item`, from the `u.genre` beside it."""
    beside = table.path.with_name("u.genre")
    width = table.columns.num_columns
    if not beside.is_file() or width <= len(_ML_100K):
        return ()
    lines = beside.read_text(encoding="latin-1").splitlines()
    names = tuple(line.split("|")[0].strip() for line in lines if "|" in line)
    return names if width == len(_ML_100K) + len(names) else ()


def _lists_of_flags(table: SideTable, names: tuple[str, ...]) -> pa.Array:
    chosen = []
    for name in names:
        marked = numbers(table.columns.column(name))
        bad = np.flatnonzero((marked != 0) & (marked != 1))
        if len(bad):
            row = int(bad[0])
            raise table.error("expected 0 or 1", row, name, table.columns.column(name)[row].as_py())
        chosen.append(marked == 1)
    rows = np.stack(chosen, axis=1)
    return pa.array([[names[i] for i in np.flatnonzero(row)] for row in rows], pa.list_(pa.large_string()))


def _typed(table: SideTable, id_column: str) -> dict[str, Any]:
    """Every column but the id under the name that matinee knows it by, in its type."""
    columns: dict[str, Any] = {}
    roles = _roles(table, id_column)
    for name in table.columns.column_names:
        if name == id_column:
            continue
        role = roles.get(name)
        if role == "title":
            columns["title"] = table.strings(name)
        elif role in ("genres", "regions"):
            spaced = table.kinds.get(name, "").endswith("_seq")
            columns[role] = word_lists(table.columns.column(name), separator=" " if spaced else None)
        elif role in MOMENTS:
            columns[role] = moments(table, name)
        elif role in FLAGS:
            columns[role] = flags(table, name)
        else:
            columns[_free_name(name, columns, roles)] = natural(table.columns.column(name))
    return columns


def _roles(table: SideTable, id_column: str) -> dict[str, str]:
    """Column -> role, for the columns that have one."""
    words = {"title": TITLE_WORDS, "genres": GENRE_WORDS, "regions": REGIONS, **MOMENTS, **FLAGS}
    found = {role: table.column_of(names) for role, names in words.items()}
    return {name: role for role, name in found.items() if name is not None and name != id_column}


def _free_name(name: str, columns: dict[str, Any], roles: dict[str, str]) -> str:
    """A free column's name, changed where matinee means something else by it."""
    taken = {"id", "title", *columns, *roles.values()}
    return f"{name}_in_file" if name in taken or plain_name(name) == "id" else name


def _take(column: Any, rows: Any, codes: Any, size: int) -> Any:
    """A column of a file in the order of the codes, null where an item has no row."""
    row_of = np.full(size, -1, dtype=np.int64)
    row_of[codes] = rows
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.take(pa.array(row_of, mask=row_of < 0))


def _blank(title: Any) -> Any:
    text = title.cast(pa.large_string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), None, text)


def _taken(table: SideTable, id_column: str) -> str:
    """What the columns were taken for, in words."""
    roles = {"id": id_column, **{role: name for name, role in _roles(table, id_column).items()}}
    words = ", ".join(f"{role} is column {name!r}" for role, name in roles.items())
    return f"{table.path.name}: {words}"


def _found(path: Path, rows: int, new: int, unknown: int) -> list[str]:
    notes = [f"{path.name}: {counted(rows, 'item')}, {new:,} of them in no event"]
    if unknown:
        nameless = counted(unknown, "item of the log has", "items of the log have")
        notes.append(f"{path.name}: {nameless} no row: the id is its title")
    return notes
