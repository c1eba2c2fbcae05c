"""Every format, found by content: the file's name never says what it is."""

import bz2
import gzip
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from matinee.core.errors import DataError, InputError, SettingsError
from matinee.data.formats import find_layout
from matinee.data.log import InteractionLog
from matinee.data.read import read_log
from matinee.data.sources import OWN_TABLE
from matinee.recipes.nightly import SCHEMA

MS = 978300760_000


def events(log: InteractionLog) -> list[tuple]:
    """(viewer, item, time, value, kind) of every event, by viewer and then as the history has them."""
    histories = log.histories
    found = []
    for place, viewer in enumerate(histories.rows().tolist()):
        found.append(
            (
                log.viewers.id(viewer),
                log.items.id(histories.items[place]),
                None if histories.times is None else int(histories.times[place]),
                None if histories.values is None else float(histories.values[place]),
                log.kinds[0 if histories.kinds is None else histories.kinds[place]] if log.kinds else None,
            )
        )
    return found


def written(tmp_path, content, name="a-log"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


TWO = [("1", "1193", MS, 5.0, None), ("2", "661", MS + 1000, 3.5, None)]

RATED = {
    "u.data": "1\t1193\t5\t978300760\n2\t661\t3.5\t978300761\n",
    "ratings.dat": "1::1193::5::978300760\n2::661::3.5::978300761\n",
    "ratings.csv": "userId,movieId,rating,timestamp\n1,1193,5,978300760\n2,661,3.5,978300761\n",
    "trailing": "userId,movieId,rating,timestamp,,,,\n1,1193,5,978300760,,,,\n2,661,3.5,978300761,,,,\n",
    "trailing in the rows": "userId,movieId,rating,timestamp\n1,1193,5,978300760,\n2,661,3.5,978300761,\n",
    "RecBole": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "1\t1193\t5\t978300760\n2\t661\t3.5\t978300761.0\n",
    "RecTools": "user_id,item_id,weight,datetime\n"
    "1,1193,5,2000-12-31 22:12:40\n2,661,3.5,2000-12-31 22:12:41\n",
    "LensKit": "user,item,rating,timestamp\n1,1193,5,978300760\n2,661,3.5,978300761\n",
    "CRLF": "user,item,rating,timestamp\r\n1,1193,5,978300760\r\n2,661,3.5,978300761\r\n",
    "BOM": "\ufeffuser,item,rating,timestamp\n1,1193,5,978300760\n2,661,3.5,978300761\n",
    "semicolons": "user;item;rating;timestamp\n1;1193;5;978300760\n2;661;3.5;978300761\n",
    "bars": "1|1193|5|978300760\n2|661|3.5|978300761\n",
    "blanks": "1 1193 5 978300760\n2 661 3.5 978300761\n",
    "runs of blanks and tabs": "1   1193 \t 5  978300760\n2 661\t\t3.5 978300761\n",
    "blank lines": "\n\nuser,item,rating,timestamp\n1,1193,5,978300760\n\n2,661,3.5,978300761\n\n",
    "no last line end": "1\t1193\t5\t978300760\n2\t661\t3.5\t978300761",
    "quotes": '"user","item","rating","timestamp"\n"1","1193","5","978300760"\n"2","661","3.5","978300761"\n',
    "other columns": "born,timestamp,rating,item,user\nx,978300760,5,1193,1\ny,978300761,3.5,661,2\n",
    "JSON": '{"user":"1","item":"1193","rating":5,"timestamp":978300760}\n'
    '{"item":"661","user":"2","timestamp":978300761,"rating":3.5,"more":{"a":[1]}}\n',
    "JSON with numbers for ids": '{"user":1,"item":1193,"rating":5,"timestamp":978300760}\n'
    '{"item":661,"user":2,"timestamp":978300761,"rating":3.5}\n',
}


@pytest.mark.parametrize("content", RATED.values(), ids=RATED)
def test_text(tmp_path, content):
    assert events(read_log(written(tmp_path, content))) == TWO


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lambda b: pa.compress(b, "zstd", asbytes=True)]
)
@pytest.mark.parametrize("name", ["ratings.csv", "ratings.dat", "runs of blanks and tabs", "JSON"])
def test_compressed_text(tmp_path, pack, name):
    assert events(read_log(written(tmp_path, pack(RATED[name].encode())))) == TWO


def test_utf16(tmp_path):
    assert events(read_log(written(tmp_path, RATED["ratings.csv"].encode("utf-16")))) == TWO


def test_amazon_personalize(tmp_path):
    content = (
        "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\nu,i,978300760,watch,\nu,j,978300761,click,0.5\n"
    )
    found = events(read_log(written(tmp_path, content)))
    assert [one[4] for one in found] == ["watch", "click"]
    assert found[0][3] != found[0][3]
    assert found[1][:4] == ("u", "j", MS + 1000, 0.5)


def test_an_empty_column_of_values_is_none(tmp_path):
    content = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\nu,i,978300760,watch,\nu,j,978300761,watch,\n"
    log = read_log(written(tmp_path, content))
    assert log.histories.values is None
    assert log.histories.kinds is None
    assert log.kinds == ("watch",)


def test_an_event_without_a_kind_is_of_the_unknown_kind(tmp_path):
    log = read_log(written(tmp_path, "user,item,event\nu,i,view\nu,j,\n"))
    assert log.kinds == ("view", "unknown")


def test_gorse(tmp_path):
    content = (
        '{"FeedbackType":"star","UserId":"1","ItemId":"a:b","Timestamp":"2000-12-31T22:12:40Z","Comment":""}\n'
        '{"FeedbackType":"read","UserId":"1","ItemId":"c","Timestamp":"2000-12-31T23:12:41+01:00","Comment":""}\n'
    )
    assert events(read_log(written(tmp_path, content))) == [
        ("1", "a:b", MS, None, "star"),
        ("1", "c", MS + 1000, None, "read"),
    ]


def test_lastfm(tmp_path):
    log = read_log(written(tmp_path, "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11690\n"))
    assert log.order == "none"
    assert events(log) == [("2", "51", None, 13883.0, None), ("2", "52", None, 11690.0, None)]


def test_positions_order_a_log_without_times(tmp_path):
    log = read_log(written(tmp_path, "user_id,item_id,order\n1,c,2\n1,a,0\n2,z,5\n1,b,1\n"))
    assert log.order == "order"
    assert log.histories.times is None
    assert [one[1] for one in events(log)] == ["a", "b", "c", "z"]


def test_a_headerless_pair_has_no_order(tmp_path):
    log = read_log(written(tmp_path, "0 0\n0 1\n1 0\n"))
    assert log.order == "none"
    assert len(log) == 3


@pytest.mark.parametrize("form", ["parquet", "parquet.gz", "arrow"])
def test_parquet_and_arrow(tmp_path, form):
    table = pa.table(
        {"user": [1, 2], "item": ["1193", "661"], "rating": [5, 3.5], "timestamp": [MS, MS + 1000]}
    )
    path = tmp_path / "a-log"
    if form == "arrow":
        feather.write_feather(table, path)
    else:
        pq.write_table(table, path)
    if form == "parquet.gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert events(read_log(path)) == TWO


def test_columns_by_name(tmp_path):
    path = written(tmp_path, "buyer,what,when,stars\nann,x,978300760,4\n")
    log = read_log(path, user="buyer", item="what", time="when", value="stars")
    assert events(log) == [("ann", "x", MS, 4.0, None)]


def test_columns_by_position(tmp_path):
    path = written(tmp_path, "978300760 view x ann\n978300761 buy y ann\n")
    log = read_log(path, user=3, item=2, time=0, kind=1)
    assert events(log) == [("ann", "x", MS, None, "view"), ("ann", "y", MS + 1000, None, "buy")]


def test_an_empty_name_takes_a_role_away(tmp_path):
    log = read_log(written(tmp_path, RATED["ratings.csv"]), time="")
    assert log.order == "none"


def test_headers_that_nobody_knows_are_recognised_and_refused(tmp_path):
    with pytest.raises(DataError, match=r"'buyer', 'what', 'when'.*--columns user=NAME"):
        read_log(written(tmp_path, "buyer,what,when\nann,x,978300760\nbob,y,978300761\n"))


def test_an_unknown_column_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(DataError, match=r"no column 'buyr'.*'buyer', 'item'"):
        read_log(written(tmp_path, "buyer,item,rating\nann,x,1\n"), user="buyr")


def test_an_unknown_role_names_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match="did you mean 'user'"):
        read_log(written(tmp_path, RATED["LensKit"]), users="user")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"user,item,timestamp\n", "there is no event in it"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x89PNG\x00\x00\x01", "neither text nor Parquet"),
        (b'[{"user": 1, "item": 2}]', "one object a line"),
        (b"word\nanother\n", "delimiter"),
        (b"PAR1 and no more", "damaged"),
        (b"\x1f\x8b\x08 and no more", "cannot be read to its end"),
    ],
)
def test_what_is_no_log_is_refused_in_a_sentence(tmp_path, content, words):
    with pytest.raises(DataError, match=words):
        read_log(written(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_log(tmp_path / "absent")


def test_one_event(tmp_path):
    log = read_log(written(tmp_path, "ann,alien\n"))
    assert events(log) == [("ann", "alien", None, None, None)]
    assert log.report is not None
    assert log.report.rows == 1


def test_latin_1_where_it_is_no_utf_8(tmp_path):
    rows = "".join(f"u{n},film {n}\n" for n in range(50_000)) + "zoë,Les Misérables\n"
    log = read_log(written(tmp_path, ("user,item\n" + rows).encode("latin-1")))
    assert events(log)[-1][:2] == ("zoë", "Les Misérables")
    assert log.report is not None
    assert log.report.files[0].encoding == "latin-1"


def test_several_files_are_one_log(tmp_path):
    first = written(tmp_path, "user,item,timestamp\na,x,978300761\n", "1")
    second = written(tmp_path, '{"user":"a","item":"y","timestamp":978300760}\n', "2")
    log = read_log([first, second])
    assert [one[1] for one in events(log)] == ["y", "x"]
    assert log.report is not None
    assert [one.rows for one in log.report.files] == [1, 1]


def test_files_with_different_columns_are_refused(tmp_path):
    first = written(tmp_path, "user,item,timestamp\na,x,978300761\n", "1")
    second = written(tmp_path, "user,item\na,y\n", "2")
    with pytest.raises(DataError, match="while"):
        read_log([first, second])


def test_a_folder_gives_the_files_that_are_most_of_all_a_log(tmp_path):
    written(tmp_path, RATED["ratings.csv"], "b")
    written(tmp_path, "userId,movieId,tag,timestamp\n1,1193,fun,978300760\n", "tags")
    written(tmp_path, "movieId,title\n1193,One\n", "movies")
    written(tmp_path, "read me, please", "README")
    written(tmp_path, "userId,movieId,rating,timestamp\n3,5,1,978300760\n", "a")
    log = read_log(tmp_path)
    assert [one[:2] for one in events(log)] == [("3", "5"), ("1", "1193"), ("2", "661")]
    assert "read: a, b; left out: README, movies, tags" in log.notes[0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"user": "user", "item": "user"}, "'user' is asked for as user and as item"),
        ({"user": "user", "item": 0}, "'user' is asked for as user and as item"),
        ({"time": 2, "order": 2}, "'timestamp' is asked for as time and as order"),
    ],
)
def test_a_column_is_one_thing_only(tmp_path, asked, words):
    path = written(tmp_path, "user,item,timestamp\na,x,978300760\n")
    with pytest.raises((DataError, SettingsError), match=words):
        read_log(path, **asked)


def test_columns_of_one_name_are_told_apart_by_position(tmp_path):
    path = written(tmp_path, "user,item,user,note,note\na,x,b,1,2\n")
    with pytest.raises(DataError, match=r"2 columns have the name 'user'.* --columns user=N"):
        read_log(path)
    assert events(read_log(path, user=2))[0][:2] == ("b", "x")
    table = pa.table([["a"], ["x"], ["b"]], names=["user", "item", "user"])
    pq.write_table(table, tmp_path / "parquet")
    for source in (table, tmp_path / "parquet"):
        for asked in ({}, {"user": 2}):
            with pytest.raises(DataError, match=r"2 columns have the name 'user'.* Rename one"):
                read_log(source, **asked)


def test_a_guess_in_a_folder_is_borne_out_or_refused(tmp_path):
    written(tmp_path, "Debian GNU/Linux 12 \\n \\l\n", "issue")
    written(tmp_path, "127.0.0.1 localhost\n", "hosts")
    with pytest.raises(DataError, match=r"hosts, issue might be.* that is a guess. Name the file itself"):
        read_log(tmp_path)
    told = read_log(tmp_path / "hosts", user=0, item=1)
    assert len(told) == 1
    written(tmp_path, RATED["u.data"], "u.data")
    assert "read: u.data; left out: hosts, issue" in read_log(tmp_path).notes[0]


def test_files_without_a_header_that_agree_are_a_log(tmp_path):
    written(tmp_path, "ann,alien\n", "1")
    written(tmp_path, "bob,brazil\n", "2")
    assert len(read_log(tmp_path)) == 2


def test_a_table_of_recommendations_in_a_folder_is_no_log(tmp_path):
    assert set(SCHEMA.names) == OWN_TABLE
    shown = pa.table({name: ["1"] for name in SCHEMA.names})
    pq.write_table(shown, tmp_path / "recs.parquet")
    with pytest.raises(DataError, match="no file in this folder is a log"):
        read_log(tmp_path)
    written(tmp_path, "user,item\n1,x\n2,y\n", "log")
    assert len(read_log(tmp_path)) == 2


@pytest.mark.parametrize("source", ["", [""], ["log", ""]])
def test_an_empty_name_is_not_the_folder_one_is_in(tmp_path, monkeypatch, source):
    monkeypatch.chdir(written(tmp_path, RATED["ratings.csv"], "log").parent)
    with pytest.raises(InputError, match='"" is no name'):
        read_log(source)


def test_a_pipe_is_to_be_saved_first(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(DataError, match=r"pipe or a device.*Save it to a file first"):
            read_log(source)


def test_a_folder_without_a_log_is_refused(tmp_path):
    written(tmp_path, "movieId,title\n1193,One\n", "movies")
    with pytest.raises(DataError, match="no file in this folder is a log"):
        read_log(tmp_path)


@pytest.mark.parametrize("factor", [1, 1000])
def test_a_time_in_second_place_is_not_the_item(tmp_path, factor):
    rows = [f"kunde-{n:04}\t{(1_704_069_667 + 60 * n) * factor}\t{n % 7:05}" for n in range(30)]
    (tmp_path / "log").write_text("\n".join(rows))
    assert find_layout(tmp_path / "log", {}).columns == {"user": 0, "item": 2, "time": 1}


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ("a\t1704069667\t5", {"user": 0, "item": 1, "value": 2}),
        ("a\t1704069667\t4.5", {"user": 0, "item": 1, "value": 2}),
        ("a\t1704069667\t5\t1404069667", {"user": 0, "item": 1, "value": 2, "time": 3}),
        ("a\t2147483647\t00146", {"user": 0, "item": 1, "value": 2}),
        ("a\t1704069667", {"user": 0, "item": 1}),
    ],
)
def test_ids_of_ten_digits_stay_the_item_where_nothing_else_can_be(tmp_path, row, columns):
    (tmp_path / "log").write_text("\n".join([row] * 3))
    assert find_layout(tmp_path / "log", {}).columns == columns
