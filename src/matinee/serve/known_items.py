"""What is known of an item: what the store says, else what the bundle's table says."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from matinee.data.columns import plain_name
from matinee.serve.records import ItemRecord
from matinee.serve.service import Catalogue

_NO = ("", "0", "false", "no", "n", "f")
# What other houses call our columns.
_SAME = {
    "genres": ("genre", "category", "categories", "categoryl1"),
    "id": ("itemid",),
    "title": ("name", "itemtitle", "producttitle"),
    "image": ("imageurl", "poster", "posterurl"),
}
# Columns of a bundle's table that a record has a place for.
_PLACED = frozenset(
    {"id", "title", "genres", "available_from", "available_until", "regions", "in_stock", "hidden", "image"}
)


def known_item(catalogue: Catalogue, item: str) -> ItemRecord | None:
    """What is known of an item; None where nobody knows it, or it was deleted.

    A record's word goes before the bundle's; title, categories and attributes where it has any.
    """
    record = catalogue.records.get(item)
    if record is not None and record.deleted:
        return None
    row = int(catalogue.rows([item])[0])
    if record is None or row < 0:
        return record if row < 0 else _record(catalogue.table, row)
    bundle = _record(catalogue.table, row)
    return replace(
        record,
        title=bundle.title if record.title is None else record.title,
        categories=record.categories or bundle.categories,
        attributes={**bundle.attributes, **record.attributes},
    )


def values_of(record: ItemRecord) -> dict[str, Any]:
    """A record's columns under the names that a bundle's table has for them."""
    return {
        **record.attributes,
        "id": record.id,
        "title": record.title,
        "genres": list(record.categories),
        "regions": list(record.regions),
        "available_from": record.available_from,
        "available_until": record.available_until,
        "in_stock": record.in_stock,
        "hidden": record.hidden,
        "image": record.image,
        "creation_timestamp": None if record.added_ms is None else record.added_ms // 1000,
    }


def column_named(names: Iterable[str], plain: str) -> str | None:
    """The column that a name without case and underscores means; None where there is none.

    A column that has the name goes before one of ours that means the same.
    """
    by_name = {plain_name(name): name for name in names}
    for same in (plain, *(ours for ours, words in _SAME.items() if plain in words)):
        if same in by_name:
            return by_name[same]
    return None


class IdsInOrder:
    """The ids of a bundle's items in the order of the alphabet, sorted anew only when they have changed."""

    def __init__(self) -> None:
        self._version: Hashable = None
        self._ids: pa.Array | None = None

    def after(self, catalogue: Catalogue, after: str, most: int) -> list[str]:
        """At most so many ids from the one after `after` on; what the store says is not looked at."""
        if self._ids is None or self._version != catalogue.version:
            column = catalogue.table.column("id").combine_chunks()
            self._ids, self._version = column.take(pc.sort_indices(column)), catalogue.version
        ids = self._ids
        start = bisect_right(range(len(ids)), after.encode(), key=lambda row: ids[row].as_py().encode())
        return list(ids.slice(start, most).to_pylist())


def ids_holding(catalogue: Catalogue, words: str, most: int) -> list[str]:
    """Ids of items whose id or title holds some words, whatever the case; the deleted may be among them."""
    found: list[str] = []
    for record in catalogue.records.values():
        if any(words.casefold() in text.casefold() for text in (record.id, record.title or "")):
            found.append(record.id)
    ids = catalogue.table.column("id")
    mask = pc.match_substring(ids, words, ignore_case=True)
    if "title" in catalogue.table.column_names:
        titles = pc.match_substring(catalogue.table.column("title"), words, ignore_case=True)
        mask = pc.or_kleene(mask, titles)
    from_bundle = ids.filter(mask).slice(0, most + len(found)).to_pylist()
    return list(dict.fromkeys((*found, *from_bundle)))[:most]


def _title(table: pa.Table, row: int) -> str | None:
    title = table.column("title")[row].as_py() if "title" in table.column_names else None
    return None if title is None else str(title)


def _record(table: pa.Table, row: int) -> ItemRecord:
    found = table.slice(row, 1).to_pylist()[0]
    extra = {name: _plain(value) for name, value in found.items() if name not in _PLACED}
    return ItemRecord(
        id=str(found["id"]),
        title=_title(table, row),
        categories=tuple(words_of(found.get("genres"))),
        available_from=_ms(found.get("available_from")),
        available_until=_ms(found.get("available_until")),
        regions=tuple(words_of(found.get("regions"))),
        in_stock=_truth(found.get("in_stock")),
        hidden=bool(_truth(found.get("hidden"))),
        added_ms=_ms(found.get("added_ms", found.get("available_from"))),
        image=None if found.get("image") is None else str(found["image"]),
        attributes={name: value for name, value in extra.items() if value is not None},
    )


def words_of(cell: Any) -> list[str]:
    """The words of a cell: a list, or a text with "|" between them."""
    if cell is None:
        return []
    parts = cell if isinstance(cell, (list, tuple)) else str(cell).split("|")
    return [str(part).strip() for part in parts if part is not None and str(part).strip()]


def _ms(cell: Any) -> int | None:
    if isinstance(cell, datetime):
        return int((cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp() * 1000)
    return int(cell) if isinstance(cell, (int, float)) else None


def _truth(cell: Any) -> bool | None:
    if cell is None:
        return None
    return cell.strip().lower() not in _NO if isinstance(cell, str) else bool(cell)


def _plain(cell: Any) -> Any:
    """A cell as JSON can say it."""
    if isinstance(cell, (datetime, date)):
        return cell.isoformat()
    if isinstance(cell, bytes):
        return None
    return [_plain(one) for one in cell] if isinstance(cell, list) else cell
