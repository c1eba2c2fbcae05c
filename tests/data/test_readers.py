"""Malformed rows are named or counted; ids come through byte for byte, whatever they came in."""

import csv
import gzip
import io
import json
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matinee.core.errors import DataError, InputError
from matinee.data.options import LogOptions
from matinee.data.read import read_log

HEAD = "user,item,timestamp,rating\n"
GOOD = "a,x,978300760,5\n"


def written(tmp_path, content, name="log"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


BAD = {
    "too few columns": ("b,y\n", None, "b,y"),
    "too many columns": ("b,y,978300760,4,oops\n", None, "b,y,978300760,4,oops"),
    "no viewer": (",y,978300760,4\n", "user", ""),
    "no item": ("b,,978300760,4\n", "item", ""),
    "a blank viewer": ("  ,y,978300760,4\n", "user", "  "),
    "a blank item": ("b,\u3000\t,978300760,4\n", "item", "\u3000\t"),
    "no time": ("b,y,,4\n", "timestamp", ""),
    "zero time": ("b,y,0,4\n", "timestamp", "0"),
    "negative time": ("b,y,-3,4\n", "timestamp", "-3"),
    "a word for a time": ("b,y,today,4\n", "timestamp", "today"),
    "a word for a number": ("b,y,978300760,four\n", "rating", "four"),
    "an infinite number": ("b,y,978300760,inf\n", "rating", "inf"),
}


@pytest.mark.parametrize(("row", "column", "value"), BAD.values(), ids=BAD)
def test_a_malformed_row_is_named(tmp_path, row, column, value):
    path = written(tmp_path, HEAD + GOOD * 2 + "\n" + row + GOOD)
    with pytest.raises(DataError) as caught:
        read_log(path)
    error = caught.value
    assert (error.file, error.row, error.column, error.value) == (path, 5, column, value)
    assert "--skip-bad" in str(error)


@pytest.mark.parametrize(("row", "column", "value"), BAD.values(), ids=BAD)
def test_malformed_rows_are_left_out_and_counted_when_asked(tmp_path, row, column, value):
    path = written(tmp_path, HEAD + GOOD + row + "c,z,978300761,1\n" + row)
    log = read_log(path, LogOptions(skip_bad=True))
    assert log.viewers.ids(range(2)) == ["a", "c"]
    assert log.n_viewers == log.n_items == 2  # an id that only bad rows have is not there
    assert log.report is not None
    assert log.report.bad_rows == 2
    assert log.report.rows == 2
    assert log.notes[0].startswith(f"of {path} left out: 2 malformed rows: row 3")
    assert "row 3" in log.notes[0]


OPEN_QUOTES = {
    "the viewer": '"b,y,978300760,4,fine\n',
    "the item": 'b,"y,978300760,4,fine\n',
    "the rating": 'b,y,978300760,"4,fine\n',
    "the last column": 'b,y,978300760,4,"fine\n',
}


@pytest.mark.parametrize("torn", OPEN_QUOTES.values(), ids=OPEN_QUOTES)
@pytest.mark.parametrize("after", [0, 5, 790, 20_000])
def test_an_open_quote_costs_its_own_row_only(tmp_path, torn, after):
    head = "user,item,timestamp,rating,review\n" + "".join(f"a,i{n},978300760,5,ok\n" for n in range(9))
    rows = "".join(f"c,j{n},978300760,5,ok\n" for n in range(after))
    path = written(tmp_path, head + torn + rows)
    with pytest.raises(DataError, match="row 11: a double quote opens a field"):
        read_log(path, cache=False)
    log = read_log(path, LogOptions(skip_bad=True), cache=False)
    assert log.report is not None
    assert (log.report.rows, log.report.bad_rows) == (9 + after, 1)
    assert len(log) == 9 + after


def test_lines_in_the_last_field_of_the_last_row_are_no_open_quote(tmp_path):
    path = written(tmp_path, 'user,item,review\na,x,"two\nlines"\nb,y,"two\nmore"')
    assert len(read_log(path)) == 2


def test_two_open_quotes_cost_two_rows(tmp_path):
    rows = 'a,x,978300760,5\nb,"y,978300760,5\nc,z,978300760,5\nd,"y,978300760,5\ne,z,978300760,5\n'
    log = read_log(written(tmp_path, HEAD + rows), LogOptions(skip_bad=True))
    assert log.viewers.ids(range(log.n_viewers)) == ["a", "c", "e"]
    assert log.report is not None
    examples = log.report.files[0].bad_examples
    assert [one.partition(":")[0] for one in examples] == ["row 3", "row 5"]


def test_rows_are_counted_as_an_editor_shows_them(tmp_path):
    path = written(tmp_path, 'user,item,timestamp,review\na,x,978300760,"two\nlines"\nb,y,never,"no"\n')
    with pytest.raises(DataError, match="row 4"):
        read_log(path)


def test_a_bad_row_far_behind_is_found(tmp_path):
    rows = "".join(f"u{n % 999},i{n % 777},{978300760 + n},1\n" for n in range(200_000))
    path = written(tmp_path, HEAD + rows + "b,y,978300760,four\n")
    with pytest.raises(DataError, match="row 200002, column 'rating'"):
        read_log(path)
    log = read_log(path, LogOptions(skip_bad=True), cache=False)
    assert len(log) == 200_000
    assert log.n_viewers == 999


def test_a_number_of_another_type_further_down_is_no_error(tmp_path):
    rows = "".join(f"u,i{n},978300760,1\n" for n in range(1000))
    log = read_log(written(tmp_path, HEAD + rows + "u,last,978300760.5,2.5\nu,iso,2000-12-31T22:12:41,\n"))
    assert len(log) == 1002
    assert log.histories.times is not None
    assert log.histories.times[-2:].tolist() == [978300760_500, 978300761_000]


def test_a_file_that_was_cut_off_is_named(tmp_path):
    rows = "".join(f"u{n * 7919 % 9973},i{n * 104729 % 7907},978300760,1\n" for n in range(100_000))
    path = written(tmp_path, gzip.compress((HEAD + rows).encode())[:-1000])
    with pytest.raises(DataError, match="cannot be read to its end"):
        read_log(path)


def test_whole_numbers_for_ids_are_their_digits():
    log = read_log(pa.table({"user": pa.array([7, 5], pa.uint8()), "item": pa.array([2**62, -1])}))
    assert log.viewers.ids([0, 1]) == ["7", "5"]
    assert log.items.ids([0, 1]) == [str(2**62), "-1"]


def test_the_same_table_has_the_same_fingerprint():
    whole = pa.table({"user": ["b", "a", "b"], "item": ["x", "y", "z"]})
    pieces = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert read_log(whole).fingerprint == read_log(pieces).fingerprint
    other = pa.table({"user": ["b", "a", "b"], "item": ["xy", "", "z"]}).slice(0, 1)
    assert read_log(other).fingerprint != read_log(whole.slice(0, 1)).fingerprint


def test_bad_rows_of_json(tmp_path):
    good = '{"user":"a","item":"x"}\n'
    path = written(tmp_path, good + '{"user":"b"}\n' + "{oops\n" + "[]\n" + good)
    with pytest.raises(DataError, match="row 2, column 'item'"):
        read_log(path)
    log = read_log(path, LogOptions(skip_bad=True))
    assert log.report is not None
    assert (log.report.bad_rows, log.report.rows, len(log)) == (3, 2, 1)


@pytest.mark.parametrize("value", [{"id": "b"}, ["b"]])
def test_ids_of_json_are_no_objects(tmp_path, value):
    good = '{"user":"a","item":"x"}\n'
    nested = json.dumps({"user": value, "item": "x"}) + "\n"
    for text, row in ((nested, 1), (good * 300 + nested, 301)):
        path = written(tmp_path, text)
        with pytest.raises(DataError, match=f"row {row}, column 'user'.* where an id was.* Flatten it"):
            read_log(path)
    log = read_log(path, LogOptions(skip_bad=True))
    assert log.report is not None
    assert log.report.bad_rows == 1


def test_bad_rows_of_parquet(tmp_path):
    path = tmp_path / "log"
    pq.write_table(
        pa.table({"user": ["a", None, "c"], "item": ["x", "y", ""], "timestamp": [978300760] * 3}), path
    )
    with pytest.raises(DataError, match="row 2, column 'user'"):
        read_log(path)
    log = read_log(path, LogOptions(skip_bad=True))
    assert (log.n_viewers, log.n_items, len(log)) == (1, 1, 1)


@pytest.mark.parametrize("blank", ["", " ", "\t ", "\u00a0", "\u3000"])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_blank_ids_are_no_ids(blank, kind):
    users = pa.array(["a", " b", "ü", blank, "d"]).cast(kind)
    table = pa.table({"user": users, "item": ["x", "y", "z", "w", "v"]}).slice(1)
    with pytest.raises(DataError, match="row 3, column 'user': the row has no viewer"):
        read_log(table)
    log = read_log(table, LogOptions(skip_bad=True))
    assert log.viewers.ids(range(log.n_viewers)) == [" b", "ü", "d"]


def test_whole_numbers_that_an_empty_cell_made_floating_are_whole_again(tmp_path):
    frame = pd.DataFrame({"user": [1.0, None, 2.0], "item": ["a", "b", "c"]})
    with pytest.raises(DataError, match="row 2, column 'user': the row has no viewer"):
        read_log(frame)
    frame.to_parquet(tmp_path / "log")
    categories = frame.assign(user=frame["user"].astype("category"))
    for source in (frame, tmp_path / "log", pa.Table.from_pandas(frame), categories):
        log = read_log(source, LogOptions(skip_bad=True))
        assert log.viewers.ids([0, 1]) == ["1", "2"]
        assert any("ids in 'user'" in note and "1.0 was read as '1'" in note for note in log.notes)
    assert not any("1.0" in note for note in read_log(pa.table({"user": [1], "item": ["a"]})).notes)


def test_the_note_on_whole_numbers_outlives_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("matinee.data.read._SMALL_BYTES", 0)
    pq.write_table(pa.table({"user": [1.0, 2.0], "item": ["a", "b"]}), tmp_path / "log")
    notes = [read_log(tmp_path / "log").notes for _ in range(2)]
    assert notes[0] == notes[1]
    assert "1.0 was read as '1'" in notes[0][0]


UNUSABLE = {
    "fractions": ({"user": [1.0, 2.5], "item": ["a", "b"]}, r"column 'user': .* not whole \(found 2\.5\)"),
    "too large": ({"user": [2.0**60], "item": ["a"]}, "column 'user': .* not whole"),
    "lists": ({"user": ["a"], "item": [["x"]]}, "column 'item': .* of type list"),
    "truths": ({"user": [True], "item": ["x"]}, "column 'user': .* of type bool"),
    "true times": ({"user": ["a"], "item": ["x"], "time": [True]}, "column 'time': .*bool holds no times"),
    "bytes": ({"user": ["a"], "item": [b"\xff"]}, "column 'item': .*UTF8"),
    "lists of numbers": ({"user": ["a"], "item": ["x"], "rating": [[1]]}, "column 'rating': "),
}


@pytest.mark.parametrize(("table", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_column_that_cannot_be_read_is_named(tmp_path, table, words):
    pq.write_table(pa.table(table), tmp_path / "log")
    for source in (pa.table(table), tmp_path / "log"):
        with pytest.raises(DataError, match=words) as caught:
            read_log(source)
        assert "text or numbers" not in str(caught.value)


def test_a_frame_that_mixes_types_names_its_column():
    with pytest.raises(DataError, match="column 'item': the column mixes types"):
        read_log(pd.DataFrame({"user": ["a", "b"], "item": [1, "x"]}))


def test_times_in_the_future_are_kept_and_noted(tmp_path):
    ahead = int(time.time()) + 400 * 86_400
    log = read_log(written(tmp_path, HEAD + GOOD + f"a,y,{ahead},5\n"))
    assert len(log) == 2
    assert log.report is not None
    assert log.report.future == 1
    assert any("1 event lies in the future" in note for note in log.notes)


def test_mixed_units_are_noted(tmp_path):
    log = read_log(written(tmp_path, HEAD + "a,x,978300760000,5\na,y,978300759,5\n"))
    assert log.items.ids(log.histories.row(0)) == ["y", "x"]
    assert any("several units" in note for note in log.notes)


def test_too_many_kinds_are_no_kinds(tmp_path):
    rows = "".join(f"a,i{n},k{n}\n" for n in range(200))
    with pytest.raises(DataError, match=r"200 values.*--columns kind="):
        read_log(written(tmp_path, "user,item,event\n" + rows))


AWKWARD = [
    "007",
    "7",
    "7.0",
    "1e5",
    "NA",
    "null",
    "nan",
    "a/b",
    'say "x"',
    "a,b",
    " padded ",
    "naïve 日本",
    "'",
    "-1",
    "a\nb",
]


def test_awkward_ids_survive(tmp_path):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["user", "item"])
    writer.writerows((f"u{id_}", id_) for id_ in AWKWARD)
    log = read_log(written(tmp_path, out.getvalue()))
    assert log.items.ids(range(log.n_items)) == AWKWARD
    assert log.viewers.ids(range(log.n_viewers)) == ["u" + id_ for id_ in AWKWARD]


def test_an_id_of_many_lines_hides_no_delimiter(tmp_path):
    log = read_log(written(tmp_path, '"user_id","item_id"\n"a\n\nb\n\nc\nd","i"\n'))
    assert log.viewers.ids(range(log.n_viewers)) == ["a\n\nb\n\nc\nd"]


letters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r")
ids = st.text(letters, min_size=1, max_size=8).filter(lambda text: text.strip())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(ids, ids), min_size=1, max_size=12, unique=True))
def test_ids_round_trip(tmp_path, pairs):
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("user_id", "item_id"), *pairs])
    table = pa.table({"user_id": [one for one, _ in pairs], "item_id": [one for _, one in pairs]})
    pq.write_table(table, tmp_path / "parquet")
    lines = "".join(json.dumps({"user_id": u, "item_id": i}) + "\n" for u, i in pairs)
    for source in (
        written(tmp_path, out.getvalue(), "csv"),
        tmp_path / "parquet",
        written(tmp_path, lines, "json"),
        table,
    ):
        log = read_log(source)
        found = zip(log.viewers.ids(log.histories.rows()), log.items.ids(log.histories.items), strict=True)
        assert sorted(found) == sorted(pairs)


FRAME = {"who": ["b", "a", "b"], "what": ["x", "y", "z"], "when": [978300762, 978300761, 978300760]}


@pytest.mark.parametrize(
    "table",
    [
        pa.table(FRAME),
        pa.RecordBatch.from_pydict(FRAME),
        pa.table(FRAME).to_reader(),
        pd.DataFrame(FRAME),
        pd.DataFrame(FRAME, index=[5, 6, 7]).astype({"who": "category", "what": object}),
        pl.DataFrame(FRAME),
        pl.DataFrame(FRAME).with_columns(pl.col("who").cast(pl.Categorical)),
    ],
    ids=["arrow", "batch", "reader", "pandas", "pandas categories", "polars", "polars categories"],
)
def test_tables(table):
    log = read_log(table, user="who", item="what", time="when")
    assert log.viewers.ids([0, 1]) == ["b", "a"]
    assert log.items.ids(log.histories.items) == ["z", "x", "y"]
    assert log.order == "time"
    assert len(log.fingerprint) == 64


def test_timestamps_of_frames():
    when = pd.to_datetime([978300762, 978300761, 978300760], unit="s")
    log = read_log(pd.DataFrame({**FRAME, "when": when}), user="who", item="what", time="when")
    assert log.histories.times is not None
    assert log.histories.times.tolist() == [978300760_000, 978300762_000, 978300761_000]


def test_categories_that_no_row_has_are_not_in_the_log():
    frame = pd.DataFrame({"user": ["b", "a"], "item": pd.Categorical(["x", "y"], categories=["w", "y", "x"])})
    assert read_log(frame).items.ids([0, 1]) == ["x", "y"]


@pytest.mark.parametrize("source", [7, None, {"user": [1]}, pl.DataFrame(FRAME).lazy(), []])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(InputError):
        read_log(source)


def test_codes_are_numbered_by_first_row_over_many_segments(monkeypatch):
    monkeypatch.setattr("matinee.data.gather._SEGMENT_ROWS", 100)
    monkeypatch.setattr("matinee.data.batches._ROWS", 7)
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 300, 5000), rng.integers(0, 50, 5000)
    log = read_log(pa.table({"user": user, "item": item, "order": np.arange(5000)}))
    by_first_row = list(dict.fromkeys(map(str, user)))
    assert log.viewers.ids(range(log.n_viewers)) == by_first_row
    for viewer in (0, 100, 250):
        expected = [str(i) for u, i in zip(user, item, strict=True) if str(u) == by_first_row[viewer]]
        assert log.items.ids(log.histories.row(viewer)) == expected
