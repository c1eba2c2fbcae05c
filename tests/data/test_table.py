import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from matinee.core.errors import DataError
from matinee.data.table import SideTable, as_strings, read_table

WORDS = {"id"}
TITLES = ["Les Misérables", "a, b", "x"]


def read(folder: Path, content: str | bytes, **options: bool) -> SideTable:
    path = folder / "table"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, WORDS, **options)


@pytest.mark.parametrize("delimiter", ["::", "\t", ";", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(tmp_path: Path, delimiter: str, ends: str) -> None:
    lines = [
        delimiter.join(("id", "title", "n")),
        *(delimiter.join((str(i), t, "5")) for i, t in enumerate(TITLES)),
    ]
    table = read(tmp_path, ends.join(lines) + ends)
    assert table.columns.to_pydict() == {"id": ["0", "1", "2"], "title": TITLES, "n": ["5"] * 3}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    table = read(tmp_path, "id,title\n1,Les Misérables\n".encode(encoding))
    assert table.columns.to_pydict() == {"id": ["1"], "title": ["Les Misérables"]}


def test_blanks_of_any_number_separate(tmp_path: Path) -> None:
    table = read(tmp_path, "1  2\t3\n 4 5 6 \n")
    assert table.columns.to_pydict() == {
        "column_0": ["1", "4"],
        "column_1": ["2", "5"],
        "column_2": ["3", "6"],
    }
    assert not table.named


def test_quotes_hold_commas_quotes_and_lines_together(tmp_path: Path) -> None:
    table = read(tmp_path, 'id,title\n1,"a, ""b""\nc"\n2,d\n')
    assert table.strings("title").to_pylist() == ['a, "b"\nc', "d"]


def test_quotes_between_tabs_hold_only_where_all_do(tmp_path: Path) -> None:
    held = read(tmp_path, 'id\ttitle\n1\t"say ""hi"""\n2\tx\n')
    assert held.strings("title").to_pylist() == ['say "hi"', "x"]
    loose = read(tmp_path, 'id\ttitle\n1\t"Weird Al" Yankovic\n2\t"Heroes\n3\t"all"\n')
    assert loose.strings("title").to_pylist() == ['"Weird Al" Yankovic', '"Heroes', '"all"']


@pytest.mark.parametrize("torn", ['"7,x\n', '7,"x\n'], ids=["first column", "last column"])
@pytest.mark.parametrize("skip_bad", [False, True])
def test_an_open_quote_is_refused_with_what_it_swallows(tmp_path: Path, torn: str, skip_bad: bool) -> None:
    rows = "".join(f"{n},b\n" for n in range(790))
    with pytest.raises(DataError, match=r"row 3: a double quote opens .* swallows 79\d more lines"):
        read(tmp_path, "id,title\n1,a\n" + torn + rows, skip_bad=skip_bad)


def test_a_pipe_is_to_be_saved_first(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"a pipe or a device\. Save it to a file first"):
        read_table(tmp_path / "pipe", WORDS)


def test_columns_without_name_and_content_are_no_columns(tmp_path: Path) -> None:
    table = read(tmp_path, "id,title,,,\n1,a,,x,\n")
    assert table.columns.to_pydict() == {"id": ["1"], "title": ["a"], "column_3": ["x"]}


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    assert read(tmp_path, "id,tag,tag\n1,a,b\n").columns.column_names == ["id", "tag", "tag_2"]


@pytest.mark.parametrize(
    ("text", "named"),
    [("id,title\n1,a\n", True), ("1,a\n2,b\n", False), ("number,title\n1,a\n", True), ("a,b\nc,d\n", False)],
)
def test_headers(tmp_path: Path, text: str, named: bool) -> None:
    table = read(tmp_path, text)
    assert table.named is named
    assert len(table) == (1 if named else 2)
    assert table.error("wrong", 0, "title", "x").row == (2 if named else 1)


def test_json_of_mixed_types_becomes_text(tmp_path: Path) -> None:
    rows = [{"id": 1, "extra": {"a": 1}}, {"id": 2, "extra": "b"}, {"id": 3}]
    table = read(tmp_path, "\n".join(map(json.dumps, rows)))
    assert table.columns.column("extra").to_pylist() == ['{"a": 1}', "b", None]


def test_a_json_map_of_ids_to_titles(tmp_path: Path) -> None:
    table = read(tmp_path, json.dumps({"a": "One", "b": ["x"]}))
    assert table.strings("id").to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read to its end"),
        (b'{"id": 1}\n{"id": \n', "row 2: expected a JSON object"),
        (b'[{"id": 1}, 2]', "row 2: expected a list of objects"),
        (b"id,title\n1,a\n2\n", r"row 3: expected 2 fields, found 1 \(found '2'\)"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, content)


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file, found a folder"):
        read_table(tmp_path, WORDS)


@pytest.mark.parametrize(
    ("column", "strings"),
    [
        (pa.array([7.0, None]), ["7", None]),
        (pa.array([7.5, 8.0]), ["7.5", "8"]),
        (pa.array(["007", "é"]).dictionary_encode(), ["007", "é"]),
        (pa.chunked_array([[1], [2]]), ["1", "2"]),
        (pa.array([10**15, 2], pa.int64()), ["1000000000000000", "2"]),
    ],
)
def test_ids_of_any_type_become_strings(column: pa.Array, strings: list[str | None]) -> None:
    assert as_strings(column).to_pylist() == strings
