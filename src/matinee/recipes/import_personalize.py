"""An export of Amazon Personalize: the CSVs of its data sets, with their schemas or without -> a log.

`create-dataset-export-job` writes part files in folders; each is told by its header: interactions have
USER_ID, ITEM_ID and TIMESTAMP, items ITEM_ID, users USER_ID. A schema (JSON, as `describe-schema` prints it)
says which columns are numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from matinee.core.errors import DataError
from matinee.core.words import counted
from matinee.data.cells import moments, natural
from matinee.data.columns import plain_name
from matinee.data.table import SideTable, read_table
from matinee.data.times import to_ms
from matinee.recipes.import_log import Imported, LogFolder, bytes_of, log_folder

_ID = {"items": "itemid", "users": "userid"}
_NUMBERS = {"int", "long", "float", "double"}
_RENAMED = {
    "name": "title",
    "itemtitle": "title",
    "genre": "genres",
    "category": "genres",
    "categories": "genres",
    "categoryl1": "genres",
    "creationtimestamp": "available_from",
    "availablefrom": "available_from",
    "availableuntil": "available_until",
    "instock": "in_stock",
}


@dataclass
class _Export:
    """The files of an export, by what they hold."""

    interactions: list[Path] = field(default_factory=list)
    items: list[Path] = field(default_factory=list)
    users: list[Path] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def import_personalize(sources: Sequence[Path], folder: Path) -> Imported:
    """Read an export.

    Args:
        sources: its files, or folders that hold them.
        folder: where log.parquet, items.parquet and viewers.parquet are written.

    Raises:
        DataError: there is nothing of an export in it, or a row is unusable.
        InputError: the folder cannot be written.
    """
    export = _sorted(sources)
    with log_folder(folder) as files:
        for path in export.interactions:
            for columns in _events(path):
                files.add_events(columns)
        _put(files, export)
        files.told.notes.extend(export.others)
    return files.told


def _sorted(sources: Sequence[Path]) -> _Export:
    export = _Export()
    for path in _files(sources):
        with bytes_of(path) as stream:
            head = stream.read(65_536)
        first = head.decode("utf-8-sig", errors="replace").lstrip()
        if first.startswith("{"):
            _take_json(path, first, export)
            continue
        names = {plain_name(name.strip().strip('"')) for name in first.split("\n", 1)[0].split(",")}
        if {"userid", "itemid", "timestamp"} <= names:
            export.interactions.append(path)
        elif ("itemid" in names) != ("userid" in names):
            (export.items if "itemid" in names else export.users).append(path)
        elif first:
            export.others.append(f"{path.name}: no data set of Personalize; left out")
    if not export.interactions:
        looked = ", ".join(str(one) for one in sources)
        raise DataError(
            "no file has the columns USER_ID, ITEM_ID and TIMESTAMP",
            file=looked,
            remedy="Name the CSVs of the interactions data set, or the folder that the export job wrote.",
        )
    return export


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            yield from sorted(one for one in source.rglob("*") if one.is_file() and one.name[0] not in "._")
        elif source.exists():
            yield source
        else:
            raise DataError("there is no such file or folder", file=source, remedy="Name what the job wrote.")


def _take_json(path: Path, text: str, export: _Export) -> None:
    """A schema says what columns are; a batch job's answers are no events."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, OSError):
        found = None
    schema = found.get("schema", found) if isinstance(found, dict) else None
    if isinstance(schema, dict) and isinstance(schema.get("schema"), str):
        schema = schema["schema"]
    if isinstance(schema, str):
        schema = json.loads(schema)
    if isinstance(schema, dict) and isinstance(schema.get("fields"), list):
        for one in schema["fields"]:
            export.types[plain_name(str(one.get("name")))] = _type_of(one.get("type"))
    elif '"recommendedItems"' in text or '"recommendedUsers"' in text or '"usersList"' in text:
        export.others.append(f"{path.name}: answers of a batch job, which are no events; left out")
    else:
        export.others.append(f"{path.name}: neither a data set nor a schema; left out")


def _type_of(kind: Any) -> str:
    """An Avro type without null."""
    return next((one for one in kind if one != "null"), "string") if isinstance(kind, list) else str(kind)


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file, block by block."""
    row = 2
    with bytes_of(path) as stream:
        try:
            for batch in pa_csv.open_csv(stream, convert_options=_texts(path)):
                yield _block(path, pa.Table.from_batches([batch]), row)
                row += batch.num_rows
        except pa.ArrowInvalid as error:
            words = str(error).splitlines()[0].rstrip(".")
            raise DataError(f"it cannot be read: {words}", file=path, remedy="Export it again.") from error


def _texts(path: Path) -> pa_csv.ConvertOptions:
    """Every column as text: an id is what stands there, byte for byte."""
    with bytes_of(path) as stream:
        names = pa_csv.open_csv(stream).schema.names
    return pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        strings_can_be_null=False,
        quoted_strings_can_be_null=False,
    )


def _block(path: Path, table: pa.Table, row: int) -> dict[str, Any]:
    by_plain = {plain_name(name): name for name in table.column_names}
    side = SideTable(path=path, columns=table, first_row=row)
    columns: dict[str, Any] = {}
    for role, word in (("viewer", "userid"), ("item", "itemid")):
        ids = side.strings(by_plain[word])
        empty = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(ids), ""), True)))
        if len(empty):
            raise side.error("expected an id", int(empty[0]), by_plain[word], "")
        columns[role] = ids.cast(pa.string())
    columns["time"] = _times(side, by_plain["timestamp"])
    if "eventtype" in by_plain:
        kinds = side.strings(by_plain["eventtype"]).cast(pa.string())
        columns["kind"] = pc.if_else(pc.equal(kinds, ""), None, kinds)
    if "eventvalue" in by_plain:
        columns["value"] = _values(side, by_plain["eventvalue"])
    return columns


def _times(side: SideTable, name: str) -> Any:
    times = to_ms(side.strings(name))
    if times.bad is not None and times.bad.any():
        row = int(np.flatnonzero(times.bad)[0])
        raise side.error("expected a time after 1970-01-01", row, name, side.strings(name)[row].as_py())
    return pa.array(times.ms)


def _values(side: SideTable, name: str) -> Any:
    text = pc.utf8_trim_whitespace(side.strings(name))
    text = pc.if_else(pc.equal(text, ""), None, text)
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid as error:
        good = pc.fill_null(pc.match_substring_regex(text, r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"), True)
        row = int(np.flatnonzero(~np.asarray(good))[0])
        raise side.error("expected a number", row, name, text[row].as_py()) from error


def _put(files: LogFolder, export: _Export) -> None:
    for what, paths in (("items", export.items), ("users", export.users)):
        if not paths:
            continue
        tables = [_side(path, what, export.types) for path in paths]
        names = list(dict.fromkeys(name for table in tables for name in table))
        columns = {
            name: pa.concat_arrays(_alike([_cells(table, name) for table in tables])) for name in names
        }
        (files.put_items if what == "items" else files.put_viewers)(columns)
        again = sum(len(table["id"]) for table in tables) - (
            files.told.items if what == "items" else files.told.viewers
        )
        if again:
            files.told.notes.append(
                f"{what}: {counted(again, 'row was', 'rows were')} there again; the last holds"
            )


def _side(path: Path, what: str, types: Mapping[str, str]) -> dict[str, Any]:
    """One file of items or users as columns, by the names that matinee knows."""
    table = read_table(path, {_ID[what]})
    found: dict[str, Any] = {}
    for name in table.columns.column_names:
        plain = plain_name(name)
        if plain == _ID[what]:
            found["id"] = table.strings(name).cast(pa.string())
            continue
        ours = _RENAMED.get(plain, name.strip().lower())
        ours = name.strip().lower() if ours in found else ours
        found[ours] = _typed(table, name, ours, types.get(plain))
    return found


def _typed(table: SideTable, name: str, ours: str, kind: str | None) -> Any:
    if ours in ("available_from", "available_until"):
        return moments(table, name)
    if ours in ("genres", "regions"):
        text = pc.if_else(pc.equal(table.strings(name), ""), None, table.strings(name)).cast(pa.string())
        return pc.split_pattern(text, "|")
    if kind == "string":
        return table.strings(name).cast(pa.string())
    column = natural(table.columns.column(name))
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.cast(pa.float64()) if kind in _NUMBERS and pa.types.is_integer(array.type) else array


def _cells(table: Mapping[str, Any], name: str) -> Any:
    return table.get(name, pa.nulls(len(table["id"])))


def _alike(parts: Sequence[Any]) -> list[Any]:
    """Arrays of one type: that of those that have any, texts where they differ."""
    kinds = {part.type for part in parts if not pa.types.is_null(part.type)}
    kind = next(iter(kinds)) if len(kinds) == 1 else pa.string()
    return [part.cast(kind) for part in parts]
