"""Side tables as they stand in a file: any format that a log may have, small enough to be read whole.

Text columns stay text here: what a column means, and what type that makes it, is the business of items.py,
viewers.py, friends.py and aliases.py.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from matinee.core.errors import DataError
from matinee.core.words import counted
from matinee.data.columns import plain_name
from matinee.data.formats import cut
from matinee.data.streams import compression_of, damaged, open_bytes
from matinee.data.times import is_number

# Tried in this order: the first that cuts nearly every line into the same number of parts, at least two.
DELIMITERS = ("::", "\t", ",", ";", "|", " ")
# Stands for a delimiter of more than one character; no text file has it.
_UNIT_SEPARATOR = "\x1f"
_QUOTED = (",", ";")
_LOOKED_AT = 200


@dataclass(frozen=True, kw_only=True)
class SideTable:
    """A side table as read.

    Attributes:
        path: the file.
        columns: the columns; text files give strings, Parquet and JSON their own types.
        named: whether the file names its columns; else they are `column_0`, `column_1`, ...
        first_row: the row of the file that the first row of `columns` stands in, counted from 1.
        notes: what was left out, in plain words.
        kinds: column -> what a RecBole header says of it (`token`, `token_seq`, `float`, `float_seq`).
    """

    path: Path
    columns: pa.Table
    named: bool = True
    first_row: int = 1
    notes: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.columns.num_rows)

    def strings(self, name: str) -> pa.Array:
        """One column as strings, byte for byte where the file has text."""
        return as_strings(self.columns.column(name))

    def error(self, problem: str, row: int, column: str, value: object, remedy: str = "") -> DataError:
        """The error for one bad value, at its place in the file."""
        return DataError(
            problem, file=self.path, row=self.first_row + row, column=column, value=value, remedy=remedy
        )

    def column_of(self, words: Iterable[str]) -> str | None:
        """The column that one of some plain words names, or None; earlier words go first."""
        plain: dict[str, str] = {}
        for name in self.columns.column_names:
            plain.setdefault(plain_name(name), name)
        return next((plain[word] for word in words if word in plain), None)


def read_table(path: Path, *words: Collection[str], skip_bad: bool = False) -> SideTable:
    """Read a side table: CSV, TSV, `::`, `;`, `|`, blanks, JSON, JSON lines, Parquet, gz or zst of these.

    Args:
        path: the file; found by content, not by name. Text is UTF-8, else Latin-1.
        words: sets of plain words (see `plain_name`), of each of which the header of such a table has one;
            a file whose first line has not, and looks like the rest, has no header.
        skip_bad: leave rows with a wrong number of fields out, and count them in a note.

    Raises:
        DataError: the file is missing, empty, or a row has a wrong number of fields.
    """
    content = _content(path)
    if content[:4] == b"PAR1":
        columns = pq.read_table(pa.BufferReader(content))
        return _not_empty(SideTable(path=path, columns=columns))
    text = _decode(content)
    if not text.strip():
        raise DataError("the file is empty", file=path, remedy="Leave the option out, or give a table.")
    if text.lstrip()[0] in "{[" and (rows := _json_rows(path, text)) is not None:
        return _not_empty(SideTable(path=path, columns=_table_of(rows)))
    return _not_empty(_read_text(path, text, words, skip_bad))


def as_strings(column: Any) -> pa.Array:
    """A column as large strings; whole numbers that an empty cell made floating lose their `.0`."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type) and pc.all(pc.equal(array, pc.floor(array))).as_py():
        array = array.cast(pa.int64())
    return array.cast(pa.large_string())


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise DataError("expected a file, found a folder", file=path, remedy="Name a file in it.")
    if path.exists() and not path.is_file():
        raise DataError(
            "not a plain file but a pipe or a device", file=path, remedy="Save it to a file first."
        )
    try:
        with path.open("rb") as file:
            compression = compression_of(file.read(8))
    except FileNotFoundError as error:
        raise DataError("there is no such file", file=path, remedy="Check the name.") from error
    try:
        with open_bytes(path, compression) as stream:
            return bytes(stream.read())
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise damaged(path, error) from error


def _decode(content: bytes) -> str:
    try:
        utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        return content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _not_empty(table: SideTable) -> SideTable:
    if not len(table):
        raise DataError(
            "the file has no rows", file=table.path, remedy="Leave the option out, or give a table."
        )
    return table


def _read_text(path: Path, text: str, words: Sequence[Collection[str]], skip_bad: bool) -> SideTable:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in text[: 500 * _LOOKED_AT].split("\n") if line.strip()][:_LOOKED_AT]
    delimiter = _delimiter(lines)
    quoted = _is_quoted(text, delimiter)
    first, second = (
        cut(line, delimiter, quoted=quoted) for line in (lines[0], lines[min(1, len(lines) - 1)])
    )
    if delimiter == " ":
        text = re.sub(r"[ \t]+", _UNIT_SEPARATOR, re.sub(r"(?m)^[ \t]+|[ \t]+$", "", text))
    elif len(delimiter) > 1:
        text = text.replace(delimiter, _UNIT_SEPARATOR)
    named = _is_header(first, second, words)
    single = delimiter if delimiter in DELIMITERS[1:-1] else _UNIT_SEPARATOR
    try:
        columns, bad = _parse(text, single, quoted, len(first))
    except pa.ArrowInvalid as error:
        raise DataError(f"the table cannot be read: {error}", file=path) from error
    if quoted:
        _refuse_open_quote(path, text, columns, bad)
    if bad and not skip_bad:
        raise _torn(path, bad[0], len(first))
    names = [name.strip() for name in first] if named else [f"column_{i}" for i in range(len(first))]
    columns = columns.slice(1) if named else columns
    kinds = {name.split(":")[0]: name.split(":")[1] for name in names if re.search(r":(token|float)", name)}
    names = [name.split(":")[0] if kinds else name for name in names]
    kept = [i for i, name in enumerate(names) if name or pc.any(pc.not_equal(columns.column(i), "")).as_py()]
    names = _distinct([names[i] or f"column_{i}" for i in kept])
    notes = (
        (f"{path.name}: {counted(len(bad), 'malformed row')} left out, the first is row {bad[0].number}",)
        if bad
        else ()
    )
    return SideTable(
        path=path,
        columns=columns.select(kept).rename_columns(names),
        named=named,
        first_row=2 if named else 1,
        notes=notes,
        kinds=kinds,
    )


def _torn(path: Path, row: Any, width: int) -> DataError:
    """The refusal of a row that has another number of fields than the first."""
    return DataError(
        f"expected {width} fields, found {row.actual_columns}",
        file=path,
        row=row.number,
        value=row.text[:80].replace(_UNIT_SEPARATOR, " "),
        remedy="Mend the row, or leave such rows out with --skip-bad.",
    )


def _parse(text: str, delimiter: str, quoted: bool, width: int) -> tuple[pa.Table, list[Any]]:
    """The columns as strings, and the rows that have another number of fields."""
    bad: list[Any] = []

    def on_bad(row: Any) -> str:
        # Arrow drops what is raised in here, so that bad rows are kept and told by the caller.
        bad.append(row)
        return "skip"

    names = [str(i) for i in range(width)]
    columns = pa_csv.read_csv(
        io.BytesIO(text.encode("utf-8")),
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=False),
        parse_options=pa_csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if quoted else False,
            newlines_in_values=quoted,
            invalid_row_handler=on_bad,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    return columns, bad


def _refuse_open_quote(path: Path, text: str, columns: pa.Table, bad: Sequence[Any]) -> None:
    """Refuse a table in which a quote that nothing ends made one field of many rows.

    Such a row is short of fields, or, where the quote opens in the last column, ends with the file.
    """
    row, swallowed = 0, 0
    for one in bad:
        if "\n" in one.text.strip():
            row, swallowed = one.number, one.text.strip().count("\n")
            break
    else:
        last = columns.column(columns.num_columns - 1)[-1].as_py() if len(columns) else ""
        if "\n" in last and not text.rstrip().endswith('"'):
            row, swallowed = len(columns) + len(bad), last.strip().count("\n")
    if swallowed:
        raise DataError(
            f"a double quote opens a field and nothing ends it in its row, which so swallows {swallowed:,} "
            "more lines",
            file=path,
            row=row,
            remedy="End the quote, or write it twice inside a field in quotes.",
        )


def _is_quoted(text: str, delimiter: str) -> bool:
    """Whether double quotes hold fields together; between tabs or bars only where every one of them does.

    A title may begin with a quote that no quote ends.
    """
    if delimiter in _QUOTED or delimiter not in ("\t", "|") or '"' not in text:
        return delimiter in _QUOTED
    fields = re.findall(rf'(?m)(?:^|{re.escape(delimiter)})("[^{delimiter}\n]*)', text)
    return bool(fields) and all(re.fullmatch(r'"([^"]|"")*"', field) for field in fields)


def _delimiter(lines: list[str]) -> str:
    """The delimiter that cuts most lines into as many parts; a table of one column has the tab."""
    best, most = "\t", 0.0
    for delimiter in DELIMITERS:
        counts = Counter(len(cut(line, delimiter, quoted=delimiter in _QUOTED)) for line in lines)
        parts, agreeing = counts.most_common(1)[0]
        share = agreeing / len(lines) if parts > 1 else 0.0
        if share > max(most + 0.1, 0.5):
            best, most = delimiter, share
    return best


def _is_header(first: list[str], second: list[str], words: Sequence[Collection[str]]) -> bool:
    """A first line is a header where it has a known word, or words where the next line has numbers."""
    if all(any(plain_name(name) in some for name in first) for some in words):
        return True
    if len(first) != len(second):
        return False
    return any(is_number(b) and not is_number(a) and a for a, b in zip(first, second, strict=True))


def _distinct(names: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct


def _json_rows(path: Path, text: str) -> list[dict[str, Any]] | None:
    """Rows of a JSON list of objects, an object id -> anything, or JSON lines; None where it is no JSON."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return _json_lines(path, text)
    if isinstance(value, dict) and len(value) == 1 and isinstance(only := next(iter(value.values())), list):
        # An export of a service is often an object with one list in it.
        value = only if only and isinstance(only[0], dict) else value
    if isinstance(value, dict):
        mapped = any(isinstance(one, (list, dict)) for one in value.values())
        return [_row_of(key, one) for key, one in value.items()] if mapped else [value]
    rows = [one for one in value if isinstance(one, dict)]
    if len(rows) != len(value):
        bad = next(i for i, one in enumerate(value) if not isinstance(one, dict))
        raise DataError("expected a list of objects", file=path, row=bad + 1, value=value[bad])
    return rows


def _row_of(id_: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"id": id_, **value}
    return {"id": id_, "attributes": value} if isinstance(value, list) else {"id": id_, "title": value}


def _json_lines(path: Path, text: str) -> list[dict[str, Any]] | None:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            if not rows:
                return None
            raise DataError("expected a JSON object", file=path, row=number, value=line[:80])
        rows.append(row)
    return rows


def _table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """A table of JSON objects; a column of mixed types becomes JSON text."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns: dict[str, pa.Array] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[name] = pa.array([None if v is None else _as_text(v) for v in values])
    return pa.table(columns)


def _as_text(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
