"""A log without some of its viewers."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from matinee.core.types import Ragged, histories_of
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary


@pytest.fixture
def log():
    offsets = np.array([0, 2, 3, 5, 6], dtype=np.int64)
    return InteractionLog(
        viewers=Vocabulary(["a", "b", "c", "d"]),
        items=Vocabulary(["x", "y", "z"]),
        histories=histories_of([[0, 1], [2], [0], [1, 2]]),
        item_table=pa.table({"id": ["x", "y", "z"]}),
        negatives=Ragged(values=np.array([2, 2, 0, 1, 2, 0], dtype=np.int32), offsets=offsets),
        negative_times=np.arange(6, dtype=np.int64),
        viewer_table=pa.table({"id": ["a", "b", "c", "d"], "region": ["1", "2", "3", "4"]}),
        friends=Ragged(
            values=np.array([1, 3, 0, 1, 3, 0], dtype=np.int32),
            offsets=offsets,
            weights=np.arange(6, dtype=np.float32),
        ),
    )


def test_everything_of_the_forgotten_is_gone(log):
    left = forget(log, {"b", "nobody"})
    assert left.viewers.ids(range(3)) == ["a", "c", "d"]
    assert [left.histories.row(v).tolist() for v in range(3)] == [[0, 1], [0], [1, 2]]
    assert [left.negatives.row(v).tolist() for v in range(3)] == [[2, 2], [1, 2], [0]]
    assert left.negative_times.tolist() == [0, 1, 3, 4, 5]
    assert left.viewer_table.column("region").to_pylist() == ["1", "3", "4"]
    assert [left.friends.row(v).tolist() for v in range(3)] == [[2], [2], [0]]
    assert left.friends.weights.tolist() == [1, 4, 5]
    assert left.n_items == 3


def test_what_is_left_has_a_fingerprint_that_tells_who_was_forgotten(log):
    same = {forget(log, {"b"}).fingerprint, forget(log, {"b", "nobody"}).fingerprint}
    others = {log.fingerprint, forget(log, {"c"}).fingerprint, forget(log, {"b", "c"}).fingerprint}
    assert len(same) == 1
    assert len(same | others) == 4
    assert forget(replace(log, fingerprint="changed"), {"b"}).fingerprint not in same


def test_nothing_to_forget(log):
    assert forget(log, {"nobody"}) is log
    assert forget(log, ()) is log
