"""An export of Personalize becomes a log that can be fitted, and bad rows are named."""

import gzip
import json

import pyarrow.parquet as pq
import pytest

import matinee
from matinee.core.errors import DataError, InputError
from matinee.data.options import LogOptions
from matinee.recipes.import_personalize import import_personalize

INTERACTIONS = """USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,DEVICE
1,007,1700000000,watch,4.5,tv
1,8,1700000060,click,,"phone, old"
2,007,1700000120,watch,3,
"""
ITEMS = """ITEM_ID,TITLE,GENRES,PRICE,YEAR,CREATION_TIMESTAMP
007,"Goldfinger, the film",Crime|Action,3,1964,1600000000
8,Second,,2.5,1999,
9,Never watched,Drama,,2001,1600000100
"""
USERS = "USER_ID,AGE,REGION\n1,30,north\n2,,south\n1,31,north\n"
SCHEMA = {
    "schema": {
        "name": "Items",
        "schema": json.dumps(
            {
                "type": "record",
                "name": "Items",
                "fields": [
                    {"name": "ITEM_ID", "type": "string"},
                    {"name": "PRICE", "type": ["null", "float"]},
                    {"name": "YEAR", "type": "string"},
                ],
            }
        ),
    }
}


@pytest.fixture
def export(tmp_path):
    """A folder as an export job writes it."""
    folder = tmp_path / "export"
    (folder / "interactions/job-1").mkdir(parents=True)
    (folder / "interactions/job-1/part-0000.csv").write_text(INTERACTIONS)
    late = "USER_ID,ITEM_ID,TIMESTAMP\n2,9,1700000200\n"
    (folder / "interactions/job-1/part-0001.csv.gz").write_bytes(gzip.compress(late.encode()))
    (folder / "items.csv").write_text(ITEMS)
    (folder / "users.csv").write_text(USERS)
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    (folder / "_SUCCESS").write_text("")
    line = {"input": {"userId": "1"}, "output": {"recommendedItems": ["8"], "scores": [0.1]}, "error": None}
    (folder / "batch.jsonl.out").write_text(json.dumps(line) + "\n" + json.dumps(line) + "\n")
    return folder


def test_an_export_becomes_a_log(export, tmp_path):
    told = import_personalize([export], tmp_path / "log")
    assert (told.events, told.items, told.viewers) == (4, 3, 2)
    assert told.kinds == {"watch": 2, "click": 1}
    assert any("answers of a batch job" in note for note in told.notes)
    assert any("users: 1 row was there again" in note for note in told.notes)
    events = pq.read_table(tmp_path / "log/log.parquet").to_pylist()
    assert events[0] == {
        "viewer": "1",
        "item": "007",
        "time": 1_700_000_000_000,
        "kind": "watch",
        "value": 4.5,
    }
    assert events[1]["value"] is None
    assert {one["item"] for one in events} == {"007", "8", "9"}
    items = {one["id"]: one for one in pq.read_table(tmp_path / "log/items.parquet").to_pylist()}
    assert items["007"] == {
        "id": "007",
        "title": "Goldfinger, the film",
        "genres": ["Crime", "Action"],
        "price": 3.0,
        "year": "1964",
        "available_from": 1_600_000_000_000,
    }
    assert items["8"]["genres"] is None
    viewers = {one["id"]: one for one in pq.read_table(tmp_path / "log/viewers.parquet").to_pylist()}
    assert viewers == {
        "1": {"id": "1", "age": 31, "region": "north"},
        "2": {"id": "2", "age": None, "region": "south"},
    }


def test_what_was_imported_is_read_and_fitted(export, tmp_path):
    folder = tmp_path / "log"
    import_personalize([export], folder)
    sides = LogOptions(items=folder / "items.parquet", viewers=folder / "viewers.parquet")
    log = matinee.read_log(folder / "log.parquet", sides)
    assert (len(log), log.n_items, log.n_viewers) == (4, 3, 2)
    model = matinee.fit(log, "popularity")
    assert model.recommend(["2"], k=1).to_pandas()["item"].tolist() == ["8"]


def test_files_may_be_named_one_by_one(export, tmp_path):
    told = import_personalize(
        [export / "interactions/job-1/part-0000.csv", export / "items.csv"], tmp_path / "log"
    )
    assert (told.events, told.items, told.viewers) == (3, 3, 0)
    assert not (tmp_path / "log/viewers.parquet").exists()


def test_columns_that_nobody_filled_are_left_out(tmp_path):
    (tmp_path / "i.csv").write_text("USER_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE\n1,2,1700000000,\n")
    import_personalize([tmp_path / "i.csv"], tmp_path / "log")
    assert pq.read_table(tmp_path / "log/log.parquet").column_names == ["viewer", "item", "time"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("5,6,yesterday,watch,1,tv", "row 5, column 'TIMESTAMP': expected a time"),
        (",6,1700000000,watch,1,tv", "row 5, column 'USER_ID': expected an id"),
        ("5,6,1700000000,watch,much,tv", "row 5, column 'EVENT_VALUE': expected a number"),
        ("5,6", "it cannot be read"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(tmp_path, row, words):
    (tmp_path / "i.csv").write_text(INTERACTIONS + row + "\n")
    with pytest.raises(DataError, match=words):
        import_personalize([tmp_path / "i.csv"], tmp_path / "log")
    assert not list((tmp_path / "log").iterdir())


def test_what_is_no_export_is_refused(tmp_path):
    (tmp_path / "items.csv").write_text(ITEMS)
    with pytest.raises(DataError, match="USER_ID, ITEM_ID and TIMESTAMP"):
        import_personalize([tmp_path / "items.csv"], tmp_path / "log")
    with pytest.raises(DataError, match="no such file"):
        import_personalize([tmp_path / "nowhere"], tmp_path / "log")
    (tmp_path / "i.csv").write_text("USER_ID,ITEM_ID,TIMESTAMP\n")
    with pytest.raises(InputError, match="no event"):
        import_personalize([tmp_path / "i.csv"], tmp_path / "log")
