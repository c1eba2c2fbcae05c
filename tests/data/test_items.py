import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matinee.core.errors import DataError
from matinee.data.items import plain_items, read_items
from matinee.data.vocabulary import Vocabulary

DATA = Path(os.environ.get("MATINEE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
JANUARY_MS = 1_767_225_600_000  # 2026-01-01


def read(
    folder: Path, text: str, *known: str
) -> tuple[Vocabulary, dict[str, dict[str, object]], tuple[str, ...]]:
    """The catalogue, each item's row by id, and the notes, of a file with this text."""
    path = folder / "items.txt"
    path.write_text(text, encoding="utf-8")
    return found(path, *known)


def found(path: Path, *known: str) -> tuple[Vocabulary, dict[str, dict[str, object]], tuple[str, ...]]:
    catalogue, table, notes = read_items(path, Vocabulary(known))
    assert table.column("id").to_pylist() == catalogue.arrow.to_pylist()
    return catalogue, {row["id"]: row for row in table.to_pylist()}, notes


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path


def test_codes_of_the_log_stay_and_unwatched_items_join_behind_them(tmp_path: Path) -> None:
    catalogue, rows, notes = read(tmp_path, "item_id,title\nb,Two\nd,Four\nc,Three\n", "a", "b")
    assert catalogue.arrow.to_pylist() == ["a", "b", "d", "c"]
    assert [row["title"] for row in rows.values()] == ["a", "Two", "Four", "Three"]
    assert notes == (
        "items.txt: id is column 'item_id', title is column 'title'",
        "items.txt: 3 items, 2 of them in no event",
        "items.txt: 1 item of the log has no row: the id is its title",
    )


def test_an_item_without_a_title_is_called_by_its_id(tmp_path: Path) -> None:
    _, rows, _ = read(tmp_path, "item_id,title\na,\nb, \nc,Three\n", "a")
    assert [row["title"] for row in rows.values()] == ["a", "b", "Three"]
    assert plain_items(Vocabulary(["x"])).to_pylist() == [{"id": "x", "title": "x"}]


def test_the_first_row_of_an_id_counts(tmp_path: Path) -> None:
    _, rows, notes = read(tmp_path, "item_id,title\na,One\na,Other\nb,Two\n", "a")
    assert rows["a"]["title"] == "One"
    assert "1 row has an id that an earlier row has" in notes[0]


@pytest.mark.parametrize("id_", ["a/b", 'say "hi"', "a, b", "two words", "café", "映画", "007", "7.0", " x"])
def test_ids_survive_as_they_are(tmp_path: Path, id_: str) -> None:
    quoted = '"' + id_.replace('"', '""') + '"'
    catalogue, rows, _ = read(tmp_path, f"item_id,title\n{quoted},Some\nplain,Other\n", id_)
    assert catalogue.ids([0]) == [id_]
    assert rows[id_]["title"] == "Some"


@pytest.mark.parametrize(
    ("cells", "genres"),
    [
        (["Drama|Comedy", "Drama"], [["Drama", "Comedy"], ["Drama"]]),
        (['"Drama, Comedy"', "Drama"], [["Drama", "Comedy"], ["Drama"]]),
        (['"Crime, Real|Drama"', "(no genres listed)"], [["Crime, Real", "Drama"], []]),
    ],
)
def test_genres_are_cut_at_bars_or_else_at_commas(
    tmp_path: Path, cells: list[str], genres: list[list[str]]
) -> None:
    text = "movieId,title,genres\n" + "".join(f"{i},t{i},{cell}\n" for i, cell in enumerate(cells))
    _, rows, _ = read(tmp_path, text)
    assert [row["genres"] for row in rows.values()] == genres


def test_availability_is_typed(tmp_path: Path) -> None:
    text = (
        "item_id\ttitle\tavailable_from\tavailable_until\tregions\tin_stock\thidden\n"
        "a\tA\t2026-01-01\t\tDE|FR\tyes\tfalse\n"
        "b\tB\t2026-01-01T01:00:00+01:00\t1767225600\t\t0\t1\n"
        "c\tC\t1767225600000\t2026-01-01 00:00:00\tDE\t\t\n"
    )
    _, rows, _ = read(tmp_path, text)
    assert [row["available_from"] for row in rows.values()] == [JANUARY_MS] * 3
    assert [row["available_until"] for row in rows.values()] == [None, JANUARY_MS, JANUARY_MS]
    assert [row["regions"] for row in rows.values()] == [["DE", "FR"], [], ["DE"]]
    assert [row["in_stock"] for row in rows.values()] == [True, False, None]
    assert [row["hidden"] for row in rows.values()] == [False, True, None]


@pytest.mark.parametrize(
    ("column", "cell", "sentence"),
    [
        ("available_from", "next week", r"row 3, column 'available_from': expected a time"),
        ("in_stock", "few", r"row 3, column 'in_stock': expected true or false \(found 'few'\)"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, column: str, cell: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, f"item_id,{column}\na,1\nb,{cell}\nc,x\n")


def test_free_columns_keep_what_the_file_says_in_their_own_type(tmp_path: Path) -> None:
    _, rows, _ = read(tmp_path, "item_id,title,year,price,code,id\na,A,1999,1.5,007,x\nb,B,,2,010,y\n", "zz")
    assert rows["a"] == {
        "id": "a",
        "title": "A",
        "year": 1999,
        "price": 1.5,
        "code": "007",
        "id_in_file": "x",
    }
    assert rows["b"]["year"] is None
    assert rows["zz"] == {**dict.fromkeys(rows["a"]), "id": "zz", "title": "zz"}


def test_rows_of_the_wrong_length_are_errors_or_counted(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item_id,title\na,A\nb,B,and more\nc,C\n")
    with pytest.raises(DataError, match=r"row 3: expected 2 fields, found 3"):
        read_items(path, Vocabulary(["a"]))
    _, table, notes = read_items(path, Vocabulary(["a"]), skip_bad=True)
    assert table.column("id").to_pylist() == ["a", "c"]
    assert "1 malformed row left out, the first is row 3" in notes[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("item_id,title\n", "no rows"),
        ("name,size\nA,1\n", "column of item ids"),
        ("item_id,title\n,A\n", "expected an id"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items\.csv: there is no such file"):
        read_items(tmp_path / "items.csv", Vocabulary(["a"]))


def test_recbole_atomic_files(tmp_path: Path) -> None:
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    text = header + "1\tToy Story\t1995\tComedy Animation\n"
    _, rows, _ = read(tmp_path, text)
    assert rows["1"] == {
        "id": "1",
        "title": "Toy Story",
        "release_year": 1995,
        "genres": ["Comedy", "Animation"],
    }


def test_personalize_items(tmp_path: Path) -> None:
    _, rows, _ = read(tmp_path, "ITEM_ID,GENRES,CREATION_TIMESTAMP\ni1,Drama|War,1570003267\n")
    assert rows["i1"] == {
        "id": "i1",
        "title": "i1",
        "genres": ["Drama", "War"],
        "CREATION_TIMESTAMP": 1570003267,
    }


GORSE = [
    {
        "ItemId": "i1",
        "IsHidden": True,
        "Categories": ["a", "b"],
        "Timestamp": "2020-01-01T00:00:00Z",
        "Labels": {"length": [1]},
        "Comment": "One",
    },
    {"ItemId": "i2", "IsHidden": False, "Categories": None, "Labels": ["x"], "Comment": ""},
]


@pytest.mark.parametrize("form", ["list", "lines", "wrapped"])
def test_gorse_items(tmp_path: Path, form: str) -> None:
    lines = "\n".join(json.dumps(row) for row in GORSE)
    text = {"list": json.dumps(GORSE), "lines": lines, "wrapped": json.dumps({"Items": GORSE})}[form]
    _, rows, _ = read(tmp_path, text)
    assert (rows["i1"]["title"], rows["i1"]["hidden"], rows["i1"]["genres"]) == ("One", True, ["a", "b"])
    assert (rows["i2"]["title"], rows["i2"]["hidden"], rows["i2"]["genres"]) == ("i2", False, [])


def test_parquet_keeps_lists_and_dates(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    moments = pa.array([JANUARY_MS, None], pa.timestamp("ms", "Europe/Berlin"))
    pq.write_table(
        pa.table(
            {"id": [7, 8], "genres": [["Drama"], None], "available_from": moments, "hidden": [True, False]}
        ),
        path,
    )
    catalogue, rows, _ = found(path, "8")
    assert catalogue.arrow.to_pylist() == ["8", "7"]
    assert rows["7"] == {
        "id": "7",
        "title": "7",
        "genres": ["Drama"],
        "available_from": JANUARY_MS,
        "hidden": True,
    }


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_files_are_found_by_content(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "items.csv"
    with pa.CompressedOutputStream(str(path), compression) as stream:
        stream.write("item_id,title\na,Café\n".encode())
    assert found(path, "a")[1]["a"]["title"] == "Café"


def test_ml_100k_titles_are_latin_1_and_genres_come_from_the_file_beside() -> None:
    catalogue, rows, _ = found(real("ml-100k/u.item"), "543")
    assert len(catalogue) == 1682
    assert rows["543"] == {
        "id": "543",
        "title": "Misérables, Les (1995)",
        "genres": ["Drama", "Musical"],
        "release_date": "01-Jan-1995",
        "video_release_date": None,
        "url": "http://us.imdb.com/M/title-exact?Mis%E9rables%2C%20Les%20%281995%29",
    }


def test_ml_1m_movies_dat() -> None:
    catalogue, rows, _ = found(real("ml-1m/movies.dat"))
    assert len(catalogue) == 3883
    assert rows["73"] == {"id": "73", "title": "Misérables, Les (1995)", "genres": ["Drama", "Musical"]}


def test_ml_latest_small_movies_csv() -> None:
    catalogue, rows, _ = found(real("ml-latest-small/movies.csv"))
    assert len(catalogue) == 9125
    assert rows["99149"]["title"] == "Misérables, Les (2012)"
    assert rows["99149"]["genres"] == ["Drama", "Musical", "Romance", "IMAX"]


def test_lastfm_artists_dat() -> None:
    catalogue, rows, _ = found(real("lastfm/artists.dat"))
    assert len(catalogue) == 17632
    assert rows["73"]["title"] == "Café Del Mar"


def test_amazon_attributes_are_genres() -> None:
    catalogue, rows, _ = found(real("amazon-beauty/item_attributes.json"))
    assert len(catalogue) == 12101
    assert rows["4"]["genres"] == ["1", "2", "3"]
