import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.core.types import Askers, Histories, histories_of

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=8)


def timed(lists: list[list[int]]) -> Histories:
    plain = histories_of(lists)
    n = len(plain.items)
    return Histories(items=plain.items, offsets=plain.offsets, times=np.arange(n, dtype=np.int64) * 10)


@given(LISTS, st.data())
def test_take_returns_the_rows_asked_for_in_order(lists, data):
    viewers = data.draw(st.lists(st.integers(-1, len(lists) - 1), max_size=10))
    taken = timed(lists).take(np.array(viewers, dtype=np.int64))
    assert [list(taken.row(r)) for r in range(len(taken))] == [[] if v < 0 else lists[v] for v in viewers]
    assert len(taken.times) == len(taken.items)


@given(LISTS, st.integers(0, 7))
def test_last_keeps_the_latest_events(lists, n):
    kept = timed(lists).last(n)
    assert [list(kept.row(r)) for r in range(len(kept))] == [row[max(0, len(row) - n) :] for row in lists]


@given(LISTS, st.data())
def test_keep_drops_events_and_no_viewer(lists, data):
    total = sum(map(len, lists))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)), dtype=bool)
    kept = timed(lists).keep(mask)
    flat = iter(mask)
    expected = [[item for item in row if next(flat)] for row in lists]
    assert [list(kept.row(r)) for r in range(len(kept))] == expected
    assert list(kept.times) == list(np.flatnonzero(mask) * 10)


def test_rows_names_the_viewer_of_each_event():
    assert list(histories_of([[4, 5], [], [6]]).rows()) == [0, 0, 2]


def test_take_from_no_viewers_at_all():
    nobody = histories_of([])
    assert len(nobody.take(np.array([-1, -1]))) == 2


def test_askers_take_keeps_who_they_are():
    askers = Askers(histories=histories_of([[1], [2, 3]]), viewers=np.array([7, -1]))
    picked = askers.take(np.array([1, 0]))
    assert list(picked.viewers) == [-1, 7]
    assert list(picked.histories.row(0)) == [2, 3]


def test_histories_are_frozen():
    with pytest.raises(AttributeError):
        histories_of([[1]]).items = np.zeros(1, np.int32)  # type: ignore[misc]
