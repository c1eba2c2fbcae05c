"""Batches of rows out of any file: fast through pyarrow, or carefully, with every row's number.

The fast way stops at whatever it cannot read; who called it then takes the careful way, which reads the same
rows and names the bad ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from matinee.core.types import Int64
from matinee.data.formats import BLANKS, Layout
from matinee.data.quotes import OPEN_QUOTE, quoted_rows
from matinee.data.streams import open_bytes, open_text
from matinee.data.values import CODED, EMPTY_VALUES

# Larger blocks fall out of the processor's cache; of smaller ones each costs its own handling.
_CSV_BLOCK = 1 << 20
_JSON_BLOCK = 1 << 23
_ROWS = 1 << 18
_CAREFUL_ROWS = 1 << 16
_IDS = ("user", "item", "kind")


@dataclass(frozen=True, kw_only=True)
class TornRow:
    """A row that does not even have columns: its number, its first bytes, what is wrong.

    Where one column's cell is to blame, `column` names it, and `remedy` says what to do about it.
    """

    row: int
    found: str
    problem: str
    column: str | None = None
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some rows of a file.

    Attributes:
        arrays: role -> Arrow array, as read.
        rows: int64, shape (rows,): the row's number in the file; None where they are not known.
        torn: rows between them that have no columns.
    """

    arrays: Mapping[str, pa.Array]
    rows: Int64 | None = None
    torn: Sequence[TornRow] = field(default=())


def fast_batches(layout: Layout) -> Iterator[Batch]:
    """Batches through pyarrow.

    Raises:
        pa.ArrowInvalid: something in the file is not as its first rows promised.
    """
    if layout.form == "text":
        return _csv_batches(layout)
    if layout.form == "json":
        return _json_batches(layout)
    return _file_batches(layout)


def table_batches(source: Any, layout: Layout) -> Iterator[Batch]:
    """Batches of an Arrow table or stream; rows count from 1."""
    names = {role: layout.column(role) for role in layout.columns}
    reader = source.to_reader(max_chunksize=_ROWS) if isinstance(source, pa.Table) else source
    return _numbered(reader, names)


def _numbered(batches: Iterable[Any], names: Mapping[str, str]) -> Iterator[Batch]:
    start = 1
    for batch in batches:
        if batch.num_rows:
            rows = np.arange(start, start + batch.num_rows)
            yield Batch(arrays={role: batch.column(name) for role, name in names.items()}, rows=rows)
        start += batch.num_rows


def _file_batches(layout: Layout) -> Iterator[Batch]:
    names = {role: layout.column(role) for role in layout.columns}
    with open_bytes(layout.file, layout.compression) as stream:
        source = stream if layout.compression is None else pa.BufferReader(stream.read())
        if layout.form == "arrow":
            opened = pa.ipc.open_file(source)
            places = range(opened.num_record_batches)
            yield from _numbered((opened.get_batch(place) for place in places), names)
            return
        schema = pq.read_schema(source)
        metadata = pq.read_metadata(source)
        texts = [names[role] for role in _IDS if role in names and _is_text(schema.field(names[role]).type)]
        opened = pq.ParquetFile(
            source, read_dictionary=[name for name in texts if _has_dictionary(metadata, name)]
        )
        yield from _numbered(
            opened.iter_batches(batch_size=_ROWS, columns=list(names.values()), use_threads=False), names
        )


def _has_dictionary(metadata: Any, name: str) -> bool:
    """Whether a Parquet column of strings is stored as codes, so that its dictionaries come for nothing.

    A plain string takes at least the four bytes of its length; where the writer gave up its dictionary,
    building one batch by batch would cost more than building one of many batches at once.
    """
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    sizes = [(one.total_uncompressed_size, one.num_values) for one in columns if one.path_in_schema == name]
    return bool(sum(size for size, _ in sizes) < 4 * sum(values for _, values in sizes))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _csv_batches(layout: Layout) -> Iterator[Batch]:
    step = len(layout.delimiter) if layout.delimiter == "::" else 1
    places = {role: str(place * step) for role, place in layout.columns.items()}
    types = {places[role]: _csv_type(role, layout) for role in places}
    # Between the two colons of '::' there is nothing; where there is something, the careful way cuts the
    # rows.
    gaps = [str(place) for place in range(len(layout.names) * step - step + 1) if place % step]
    # Arrow is silent where a quote opens in the last column and nothing ends it.
    last = str(len(layout.names) - 1)
    types |= {last: types.get(last, pa.string())} if layout.multiline else {}
    with open_bytes(layout.file, layout.compression) as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                block_size=_CSV_BLOCK,
                skip_rows=layout.header_lines,
                column_names=[str(place) for place in range(len(layout.names) * step - step + 1)],
                encoding={"utf-8": "utf8"}.get(layout.encoding, layout.encoding),
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=layout.delimiter[0],
                quote_char='"' if layout.quoted else False,
                newlines_in_values=layout.multiline,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=types | dict.fromkeys(gaps, pa.null()),
                include_columns=[*types, *gaps],
                null_values=list(EMPTY_VALUES),
                strings_can_be_null=False,
            ),
        )
        end = None
        for batch in reader:
            if not batch.num_rows:
                continue
            arrays = {role: batch.column(name) for role, name in places.items()}
            if layout.multiline:
                end = batch.column(last)[-1].as_py()
                if any(_holds_line_end(array) for array in arrays.values()):
                    raise pa.ArrowInvalid(OPEN_QUOTE)
            yield Batch(arrays=arrays)
        if isinstance(end, str) and "\n" in end:
            raise pa.ArrowInvalid(OPEN_QUOTE)


def _holds_line_end(array: pa.Array) -> bool:
    """Whether an id spans lines: two open quotes may have made it, which the careful way tells."""
    bytes_ = array.buffers()[2] if pa.types.is_string(array.type) else None
    return bytes_ is not None and b"\n" in bytes_.to_pybytes()


def _csv_type(role: str, layout: Layout) -> Any:
    kind = (layout.types or {}).get(role, "string")
    if role == "kind":  # few names, many rows
        return CODED
    if role in _IDS:  # many ids: a dictionary for each block would be hashed once more for all of them
        return pa.string()
    if role == "value" and kind != "string":
        return pa.float32()
    return {"int64": pa.int64(), "float64": pa.float64()}.get(kind, pa.string())


def _json_batches(layout: Layout) -> Iterator[Batch]:
    types = layout.types or {}
    known = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string()}
    schema = pa.schema([(layout.column(role), known[types[role]]) for role in layout.columns])
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    with open_bytes(layout.file, layout.compression) as stream:
        rest = b""
        while block := stream.read(_JSON_BLOCK):
            lines, newline, rest = (rest + bytes(block)).rpartition(b"\n")
            yield from _json_block(lines + newline, options, layout)
        yield from _json_block(rest, options, layout)


def _json_block(lines: bytes, options: Any, layout: Layout) -> Iterator[Batch]:
    lines = lines.removeprefix(b"\xef\xbb\xbf")
    if not lines.strip():
        return
    lines.decode(layout.encoding)  # Arrow's JSON reader takes any bytes for text
    table = pa_json.read_json(
        pa.BufferReader(lines),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=options,
    )
    for batch in table.to_batches():
        yield Batch(arrays={role: batch.column(layout.column(role)) for role in layout.columns})


def careful_batches(layout: Layout) -> Iterator[Batch]:
    """The same rows as strings, each with its number as an editor shows it."""
    with open_text(layout.file, layout.compression, layout.encoding) as text:
        rows = _json_rows(text, layout) if layout.form == "json" else _text_rows(text, layout)
        columns: dict[str, list[str | None]] = {role: [] for role in layout.columns}
        numbers: list[int] = []
        torn: list[TornRow] = []
        for number, found in rows:
            if isinstance(found, TornRow):
                torn.append(found)
            else:
                numbers.append(number)
                for role, one in zip(columns, found, strict=True):
                    columns[role].append(one)
            if len(numbers) + len(torn) >= _CAREFUL_ROWS:
                yield _batch_of(columns, numbers, torn)
                columns, numbers, torn = {role: [] for role in columns}, [], []
        if numbers or torn:
            yield _batch_of(columns, numbers, torn)


def _batch_of(columns: Mapping[str, list[str | None]], numbers: list[int], torn: list[TornRow]) -> Batch:
    arrays = {role: pa.array(fields, pa.string()) for role, fields in columns.items()}
    return Batch(arrays=arrays, rows=np.array(numbers, dtype=np.int64), torn=tuple(torn))


def _text_rows(text: Iterable[str], layout: Layout) -> Iterator[tuple[int, Any]]:
    """Row number, and the fields of the roles or a torn row."""
    width, places = len(layout.names), list(layout.columns.values())
    for number, end, fields in _cut_rows(text, layout):
        if end <= layout.header_lines or not fields or fields == [""]:
            continue
        if isinstance(fields, str):
            yield number, TornRow(row=number, found="", problem=fields)
        elif len(fields) < width or any(fields[width:]):
            problem = f"{len(fields)} columns where {width} were expected"
            yield number, TornRow(row=number, found=layout.delimiter.join(fields)[:80], problem=problem)
        else:
            yield number, [fields[place] for place in places]


def _cut_rows(text: Iterable[str], layout: Layout) -> Iterator[tuple[int, int, Any]]:
    """First line, last line, fields (or what is wrong with them) of each row."""
    if not layout.quoted:
        for number, line in enumerate(text, 1):
            bare = line.rstrip("\r\n")
            yield number, number, bare.split() if layout.delimiter == BLANKS else bare.split(layout.delimiter)
        return
    yield from quoted_rows(text, layout.delimiter, len(layout.names))


def _json_rows(text: Iterable[str], layout: Layout) -> Iterator[tuple[int, Any]]:
    names = [layout.column(role) for role in layout.columns]
    ids = [layout.column(role) for role in layout.columns if role in _IDS]
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_int=str, parse_float=str)
        except json.JSONDecodeError as error:
            yield number, TornRow(row=number, found=line.strip()[:80], problem=f"not JSON: {error.msg}")
            continue
        if not isinstance(row, dict):
            yield number, TornRow(row=number, found=line.strip()[:80], problem="not a JSON object")
            continue
        nested = next((name for name in ids if isinstance(row.get(name), (dict, list))), None)
        if nested is not None:
            yield number, _nested_id(number, nested, row[nested])
            continue
        yield number, [_plain(row.get(name)) for name in names]


def _nested_id(number: int, column: str, value: Any) -> TornRow:
    """The row whose id is a JSON object or list: its text would be an id that nobody can name again."""
    return TornRow(
        row=number,
        found=json.dumps(value, ensure_ascii=False)[:80],
        problem=f"a JSON {'object' if isinstance(value, dict) else 'list'} where an id was expected",
        column=column,
        remedy="Flatten it: an id is one string or number.",
    )


def _plain(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
