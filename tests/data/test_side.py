from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matinee.core.errors import DataError
from matinee.core.types import histories_of
from matinee.data.log import InteractionLog
from matinee.data.options import LogOptions
from matinee.data.side import attach
from matinee.data.vocabulary import Vocabulary


def log_of(viewers: list[str], items: list[str]) -> InteractionLog:
    ids = Vocabulary(items)
    return InteractionLog(
        viewers=Vocabulary(viewers),
        items=ids,
        histories=histories_of([[0], [1, 0]]),
        item_table=pa.table({"id": ids.arrow}),
        notes=("read",),
    )


@pytest.fixture
def log() -> InteractionLog:
    return log_of(["ann", "bob"], ["lamp", "rug"])


def test_without_files_items_are_called_by_their_ids(log: InteractionLog) -> None:
    attached = attach(log, LogOptions())
    assert attached.item_table.to_pylist() == [{"id": "lamp", "title": "lamp"}, {"id": "rug", "title": "rug"}]
    assert attached.notes == ("read",)


def test_everything_at_once(log: InteractionLog, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\nvase,A vase\nlamp,A lamp\n")
    (tmp_path / "viewers.csv").write_text("user_id,region,age\nbob,DE,30\nold,FR,20\nann,US,10\n")
    (tmp_path / "friends.csv").write_text("user,friend\nold,bob\n")
    (tmp_path / "aliases.csv").write_text("old,new\nold,ann\n")
    vectors = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"id": ["vase", "chair"], "vector": vectors}), tmp_path / "vectors.parquet")
    names = {
        name: f"{name}.{'parquet' if name == 'vectors' else 'csv'}"
        for name in ("items", "viewers", "friends", "aliases", "vectors")
    }
    attached = attach(log, LogOptions(**names), tmp_path)
    assert attached.items.arrow.to_pylist() == ["lamp", "rug", "vase"]
    assert attached.item_table.column("title").to_pylist() == ["A lamp", "rug", "A vase"]
    assert attached.viewer_table is not None
    assert attached.viewer_table.to_pylist() == [
        {"id": "ann", "region": "US", "age": 10},
        {"id": "bob", "region": "DE", "age": 30},
    ]
    assert attached.friends is not None
    assert attached.friends.values.tolist() == [1, 0]
    assert attached.vectors is not None
    np.testing.assert_array_equal(attached.vectors, [[np.nan, np.nan], [np.nan, np.nan], [1, 2]])
    assert attached.histories is log.histories
    assert attached.notes[0] == "read"
    for name in ("items", "viewers", "friends", "vectors"):
        assert any(note.startswith(name) for note in attached.notes)


def test_an_old_ids_row_serves_where_the_new_id_has_none(log: InteractionLog, tmp_path: Path) -> None:
    (tmp_path / "viewers.csv").write_text("user_id,region\nold,FR\nstranger,US\n")
    (tmp_path / "aliases.csv").write_text("old,ann\n")
    attached = attach(log, LogOptions(viewers="viewers.csv", aliases="aliases.csv"), tmp_path)
    assert attached.viewer_table is not None
    assert attached.viewer_table.column("region").to_pylist() == ["FR", None]
    assert attached.notes[1:] == (
        "viewers.csv: 1 of the log's 2 viewers have a row",
        "viewers.csv: 1 row is of viewers who are not in the log",
    )


def test_viewers_without_a_header_have_their_id_first(tmp_path: Path) -> None:
    (tmp_path / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n")
    attached = attach(log_of(["2", "1"], ["a", "b"]), LogOptions(viewers=str(tmp_path / "u.user")))
    assert attached.viewer_table is not None
    assert attached.viewer_table.to_pylist()[0] == {
        "id": "2", "column_1": 53, "column_2": "F", "column_3": "other", "column_4": 94043,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        ([[1.0, 2.0], [3.0]], r"row 2, column 'vector': expected 2 numbers as in the first row \(found 1\)"),
        ([[1.0, 2.0], [3.0, float("nan")]], r"row 2, column 'vector': expected finite numbers"),
        ([[1.0, 2.0], None], r"row 2"),
        ([[], []], "row 1"),
        (["a", "b"], "expected lists of numbers"),
    ],
)
def test_vectors_that_cannot_be_used(
    log: InteractionLog, tmp_path: Path, vectors: list[object], sentence: str
) -> None:
    pq.write_table(pa.table({"id": ["lamp", "rug"], "vector": vectors}), tmp_path / "v.parquet")
    with pytest.raises(DataError, match=sentence):
        attach(log, LogOptions(vectors=str(tmp_path / "v.parquet")))


def test_vectors_may_be_columns_of_numbers(log: InteractionLog, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("item_id,x,y\nrug,1,2.5\nlamp,3,4\n")
    attached = attach(log, LogOptions(vectors=str(tmp_path / "v.csv")))
    assert attached.vectors is not None
    assert attached.vectors.tolist() == [[3, 4], [1, 2.5]]


def test_the_same_vectors_in_any_order_of_rows(log: InteractionLog, tmp_path: Path) -> None:
    for name, order in (("a", (0, 1)), ("b", (1, 0))):
        rows = [{"id": "lamp", "vector": [1.0]}, {"id": "rug", "vector": [2.0]}]
        pq.write_table(pa.Table.from_pylist([rows[i] for i in order]), tmp_path / name)
    first, second = (attach(log, LogOptions(vectors=str(tmp_path / name))).vectors for name in ("a", "b"))
    np.testing.assert_array_equal(first, second)
