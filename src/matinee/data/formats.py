"""What a file is, found by its content: compression, form, delimiter, header, columns.

A file's name says nothing here. The first bytes tell Parquet, Arrow and compressed files; of text the first
lines are cut by each delimiter in turn, and the one that cuts them most evenly is taken.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from matinee.core.errors import DataError
from matinee.data.columns import bare_name, choose_columns, guess_columns, has_types, refuse_namesakes
from matinee.data.streams import compression_of, open_bytes, read_start
from matinee.data.times import is_number, is_time, is_unix_time, looks_like_moment

SAMPLE_BYTES = 1 << 18
_SAMPLE_LINES = 200
BLANKS = " "
_DELIMITERS = ("\t", "::", ",", ";", "|", BLANKS)
_NAMES = {"\t": "TSV", "::": "'::' separated", ",": "CSV", ";": "';' separated", "|": "'|' separated"}
_QUOTING = ("\t", ",", ";", "|")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a file is to be read.

    Attributes:
        file: the file.
        form: "text", "json", "parquet" or "arrow".
        described: the format in words.
        names: its columns; in a text file without a header their positions from 0.
        columns: role -> position in `names`.
        compression: as Arrow names it, or None.
        encoding: "utf-8", "utf-16", or "latin-1" where the file turned out to be no UTF-8.
        delimiter: of a text file; a blank stands for any run of blanks and tabs.
        quoted: whether fields may stand in double quotes.
        multiline: whether fields in quotes are likely, and so line ends in them.
        header_lines: lines before the first event.
        types: role -> "int64", "float64" or "string": what the sample's fields can be read as.
        named: whether the file itself names its columns.
    """

    file: Path
    form: str
    described: str
    names: tuple[str, ...]
    columns: Mapping[str, int]
    compression: str | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    quoted: bool = False
    multiline: bool = False
    header_lines: int = 0
    types: Mapping[str, str] | None = None
    named: bool = True

    def column(self, role: str) -> str:
        """The name of the column that has a role, as the file writes it."""
        return self.names[self.columns[role]]


def find_layout(path: Path, asked: Mapping[str, str]) -> Layout | None:
    """What a file is, or None where it has no byte of content.

    Args:
        path: the file.
        asked: role -> column, as in `LogOptions.columns`.

    Raises:
        DataError: the file is no log; the message says what was found and what to do.
    """
    try:
        with path.open("rb") as file:
            compression = compression_of(file.read(8))
    except OSError as error:
        raise DataError(
            f"the file cannot be opened: {error.strerror}", file=path, remedy="Check its rights."
        ) from error
    head = read_start(path, compression, SAMPLE_BYTES)
    if not head.strip(b"\xef\xbb\xbf\r\n\t "):
        return None
    if head.startswith((b"PAR1", b"ARROW1")):
        return _tabular(path, compression, "parquet" if head.startswith(b"PAR1") else "arrow", asked)
    if head.startswith(b"PK\x03\x04"):
        raise DataError("the file is a zip archive", file=path, remedy="Unzip it and name the log inside.")
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    if encoding == "utf-8" and b"\x00" in head:
        raise DataError(
            "the file is neither text nor Parquet", file=path, remedy="Give a CSV, JSON or Parquet log."
        )
    lines = _sample(head, encoding)
    if lines[0].lstrip().startswith("{"):
        return _json(path, compression, encoding, lines, asked)
    if lines[0].lstrip().startswith("["):
        raise DataError(
            "the file is one JSON array", file=path, remedy="Write one object a line (JSON lines)."
        )
    return _text(path, compression, encoding, lines, asked)


def _sample(head: bytes, encoding: str) -> list[str]:
    """The first lines, without one that was cut off; blank ones before the first are kept as line ends."""
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    whole = lines[:-1] if len(head) == SAMPLE_BYTES and len(lines) > 1 else lines
    first = next(place for place, line in enumerate(whole) if line.strip())
    return (
        whole[first : first + _SAMPLE_LINES]
        if first == 0
        else ["\n" * first + whole[first], *whole[first + 1 :]]
    )


def _tabular(path: Path, compression: str | None, form: str, asked: Mapping[str, str]) -> Layout:
    with open_bytes(path, compression) as stream:
        source = stream if compression is None else pa.BufferReader(stream.read())
        try:
            schema = pq.read_schema(source) if form == "parquet" else pa.ipc.open_file(source).schema
        except (pa.ArrowInvalid, OSError) as error:
            words = str(error).splitlines()[0].rstrip(".")
            raise DataError(
                f"the {form} file is damaged: {words}", file=path, remedy="Write it again."
            ) from error
    described = "Parquet" if form == "parquet" else "Arrow"
    return table_layout(schema.names, asked, path, described=described, form=form, compression=compression)


def table_layout(names: Sequence[str], asked: Mapping[str, str], path: Path, **facts: Any) -> Layout:
    """The layout of what has named and typed columns already."""
    columns = choose_columns(names, asked, guess_columns(names), path)
    refuse_namesakes(columns, names, path, "Rename one of them.")
    return Layout(file=path, names=tuple(names), columns=columns, **facts)


def _json(
    path: Path, compression: str | None, encoding: str, lines: Sequence[str], asked: Mapping[str, str]
) -> Layout:
    rows = []
    for line in lines:
        try:
            row = json.loads(line) if line.strip() else {}
        except json.JSONDecodeError:
            continue  # the reader names the line
        rows.append(row if isinstance(row, dict) else {})
    names = list(dict.fromkeys(name for row in rows for name in row))
    layout = table_layout(
        names, asked, path, form="json", described="JSON lines", compression=compression, encoding=encoding
    )
    types = {role: _json_type([row.get(layout.column(role)) for row in rows]) for role in layout.columns}
    return Layout(**{**layout.__dict__, "types": types})


def _json_type(values: Sequence[Any]) -> str:
    given = [value for value in values if value is not None]
    if any(isinstance(value, (str, bool)) for value in given):
        return "string"
    return "float64" if any(isinstance(value, float) for value in given) else "int64"


def _text(
    path: Path, compression: str | None, encoding: str, lines: Sequence[str], asked: Mapping[str, str]
) -> Layout:
    blank = lines[0].count("\n")
    lines = [lines[0].lstrip("\n"), *lines[1:]]
    delimiter = _find_delimiter(lines)
    if delimiter is None:
        raise DataError(
            "no delimiter cuts its lines into columns", file=path, value=lines[0][:60],
            remedy="Each row needs a viewer and an item, between commas, tabs, '::', ';', '|' or blanks.",
        )  # fmt: skip
    typed = has_types(cut(lines[0], delimiter, quoted=False))
    quoted = delimiter in _QUOTING and not typed
    rows = [cut(line, delimiter, quoted=quoted) for line in lines if line.strip()]
    header = _has_header(rows, asked)
    width = len(rows[0]) if header else Counter(map(len, rows)).most_common(1)[0][0]
    names = rows[0] if header else [str(place) for place in range(width)]
    body = [row for row in rows[1 if header else 0 :] if len(row) >= width]
    guessed = guess_columns(names) if header else _guess_by_content(body, width, path, asked)
    columns = choose_columns(names, asked, guessed, path)
    words = "RecBole atomic file" if typed else _NAMES.get(delimiter, "blank separated")
    return Layout(
        file=path,
        form="text",
        described=f"{words} {'with' if header else 'without'} a header",
        names=tuple(bare_name(name) for name in names),
        columns=columns,
        compression=compression,
        encoding=encoding,
        delimiter=delimiter,
        quoted=quoted,
        multiline=quoted and any('"' in line for line in lines),
        header_lines=blank + int(header),
        types={role: _text_type([row[place] for row in body]) for role, place in columns.items()},
        named=header,
    )


def cut(line: str, delimiter: str, *, quoted: bool) -> list[str]:
    """The fields of one line."""
    if delimiter == BLANKS:
        return line.split()
    return next(csv.reader([line], delimiter=delimiter), []) if quoted else line.split(delimiter)


def _find_delimiter(lines: Sequence[str]) -> str | None:
    """The delimiter that cuts the largest share of lines into the same number of fields, at least two."""
    best, best_share = None, 0.0
    given = [line for line in lines if line.strip()]
    for delimiter in _DELIMITERS:
        widths = Counter(len(cut(line, delimiter, quoted=delimiter in _QUOTING)) for line in given)
        width, number = widths.most_common(1)[0]
        if width >= 2 and number / len(given) > best_share:
            best, best_share = delimiter, number / len(given)
    return best if best is not None else _header_delimiter(given[0])


def _header_delimiter(header: str) -> str | None:
    """The delimiter that makes known names of a first line, where ids of many lines hide it."""
    for delimiter in _QUOTING:
        if {"user", "item"} <= set(guess_columns(cut(header, delimiter, quoted=True))):
            return delimiter
    return None


def _has_header(rows: Sequence[Sequence[str]], asked: Mapping[str, str]) -> bool:
    """Whether the first row names the columns: by known or asked-for names, or by words above numbers."""
    first = rows[0]
    guessed = guess_columns(first)
    if "user" in guessed and "item" in guessed:
        return True
    named = {name for name in asked.values() if name != "" and not name.isdecimal()}
    if named & {bare_name(name) for name in first}:
        return True
    below = [row for row in rows[1:] if len(row) == len(first)]
    return any(
        field.strip() != "" and not _is_data(field) and all(_is_data(row[place]) for row in below)
        for place, field in enumerate(first)
        if below
    )


def _is_data(field: str) -> bool:
    return is_number(field) or is_time(field)


def _guess_by_content(
    rows: Sequence[Sequence[str]], width: int, path: Path, asked: Mapping[str, str]
) -> dict[str, int]:
    """Role -> position in a file without a header: viewer, item, then what the other columns look like."""
    found = {"user": 0, "item": 1}
    if (item := _item_behind_time(rows, width, asked)) is not None:
        found |= {"item": item, "time": 1}
    for place in range(width):
        if place == found["item"] != 1:
            continue
        column = [row[place] for row in rows if row[place].strip()]
        if not column:
            continue
        if place < 2 and not {"user", "item"} <= set(asked):
            if all(is_time(field) and not is_number(field) for field in column):
                raise DataError(
                    "the file has no header, and a time where the viewer or the item was expected",
                    file=path, column=str(place), value=column[0],
                    remedy="Name the columns by position: --columns user=N,item=N,time=N.",
                )  # fmt: skip
        elif all(looks_like_moment(field) for field in column):
            found.setdefault("time", place)
        elif place >= 2 and all(is_number(field) for field in column):
            found.setdefault("value", place)
        elif place >= 2 and width <= 5 and len(set(column)) <= 20:
            found.setdefault("kind", place)
    return found


def _item_behind_time(rows: Sequence[Sequence[str]], width: int, asked: Mapping[str, str]) -> int | None:
    """The item's place where the second column can only be the time: viewer, time, item; else None.

    Ids of ten digits exist: where another column looks like a time, or none could be the item, the second
    column keeps its usual meaning.
    """
    columns = [[row[place].strip() for row in rows if row[place].strip()] for place in range(width)]
    if "item" in asked or not columns[1] or not all(is_unix_time(field) for field in columns[1]):
        return None
    others = [place for place in range(2, width) if columns[place] and str(place) not in asked.values()]
    if any(all(looks_like_moment(field) for field in columns[place]) for place in others):
        return None
    able = [place for place in others if _can_be_items(columns[place])]
    return max(able, key=lambda place: len(set(columns[place])), default=None)


def _can_be_items(column: Sequence[str]) -> bool:
    """Whether a column without a name can be the items: whole ids or words, and no ratings or kinds."""
    varied = len(set(column)) > 20
    if not all(is_number(field) for field in column):
        return varied or 2 * len(set(column)) >= len(column)
    if not all(field.isdecimal() for field in column):
        return False
    return varied or any((len(field) > 1 and field[0] == "0") or int(field) > 100 for field in column)


def _text_type(fields: Sequence[str]) -> str:
    given = [field for field in fields if field.strip()]
    if given and all(field.strip().lstrip("-").isdecimal() for field in given):
        return "int64"
    return "float64" if given and all(is_number(field) for field in given) else "string"
