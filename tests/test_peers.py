"""What the side-by-side hands to other libraries, and how it reads what they give back."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    from pathlib import Path

    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))


def rows():
    from peers.exchange import Rows

    return Rows(np.array([4, 2, 0, 3], dtype=np.int32), np.array([0, 3, 3, 4], dtype=np.int64))


def test_histories_are_cut_and_padded_on_the_left_and_unknown_items_left_out():
    number = np.array([1, 2, 3, 4, 0])
    assert rows().padded(3, number).tolist() == [[0, 3, 1], [0, 0, 0], [0, 0, 4]]
    assert rows().padded(1, number).tolist() == [[1], [0], [4]]


def test_an_event_is_predicted_where_one_stands_before_it():
    assert [rows().predicted(length) for length in (1, 2, 50)] == [1, 2, 2]


def test_lists_leave_out_the_history_and_put_unknown_items_last():
    from peers.exchange import top_lists

    users, items = np.ones((3, 1), dtype=np.float32), np.array([[5], [4], [3], [2]], dtype=np.float32)
    found = top_lists(users, items, np.arange(4), rows(), n_items=5, k=2)
    assert found.tolist() == [[1, 3], [0, 1], [0, 1]]
    assert top_lists(users, items, np.arange(4), rows(), n_items=5, k=4)[2].tolist() == [0, 1, 2, 4]


def test_the_first_epoch_at_a_level_counts_and_none_is_said_in_words():
    from peers.runs import NOT_REACHED, first_at

    curve = [{"cpu_s": 10.0 * n, "ndcg@10": value} for n, value in enumerate((0.05, 0.12, 0.11, 0.13))]
    assert first_at(curve, 0.12) == 10.0
    assert first_at(curve, 0.14) == NOT_REACHED


def test_the_judge_sees_a_list_as_its_order():
    from matinee.core.types import Histories, Ragged
    from matinee.data.queries import Queries
    from peers.judged import judge_lists

    source = Histories(items=np.zeros(2, dtype=np.int32), offsets=np.array([0, 1, 2]))
    targets = Ragged(values=np.array([7, 30], dtype=np.int32), offsets=np.array([0, 1, 2]))
    queries = Queries(
        source=source, viewers=np.array([0, 1]), ends=np.array([1, 2]), targets=targets, n_items=40
    )
    lists = np.stack([np.arange(5, 25), np.arange(5, 25)]).astype(np.int32)
    found = judge_lists(lists, queries)
    assert found.metrics["ndcg@10"].tolist() == pytest.approx([1 / np.log2(4), 0.0])
