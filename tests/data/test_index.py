"""Indexing, held to a slow and obvious second implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data.events import Events
from matinee.data.index import build_index
from matinee.data.vocabulary import Vocabulary


def make(rows, *, time=True, kinds=("view", "buy"), **columns):
    """Events of (viewer, item, time, kind, value) rows."""
    array = np.array(rows, dtype=np.int64).reshape(len(rows), 5)
    n = int(array[:, :2].max(initial=0)) + 1
    return Events(
        viewers=Vocabulary(str(v) for v in range(n)),
        items=Vocabulary(str(i) for i in range(n)),
        viewer=array[:, 0].astype(np.int32),
        item=array[:, 1].astype(np.int32),
        time=array[:, 2].copy() if time else None,
        kind=array[:, 3].astype(np.int8),
        kinds=kinds,
        value=array[:, 4].astype(np.float32),
        **columns,
    )


def obvious(rows, *, time):
    """Viewer -> (item, time, kind, value), oldest first, the same event once."""
    found = {}
    seen = set()
    for row in rows:
        key = tuple(row) if time else (row[0], row[1], row[3])
        if key not in seen:
            seen.add(key)
            found.setdefault(row[0], []).append(tuple(row[1:]))
    return {v: sorted(events, key=lambda e: e[1]) if time else events for v, events in found.items()}


rows = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(0, 3),
        st.sampled_from([1, 2, 3, 10**12]),
        st.integers(0, 1),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(rows=rows, time=st.booleans(), block=st.sampled_from([1, 7, 1 << 18]))
def test_same_as_the_obvious_way(rows, time, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matinee.data.index._BLOCK_EVENTS", block)
        patch.setattr("matinee.data.index._COMPARED_EVENTS", 5)
        indexed = build_index(make(rows, time=time))
    expected = obvious(rows, time=time)
    h = indexed.histories
    for viewer in range(len(h)):
        part = slice(h.offsets[viewer], h.offsets[viewer + 1])
        got = zip(
            h.items[part], h.times[part] if time else [None] * 99, h.kinds[part], h.values[part], strict=False
        )
        want = [(i, t if time else None, k, v) for i, t, k, v in expected.get(viewer, [])]
        assert list(got) == want
    assert indexed.duplicates == len(rows) - len(h.items)
    assert indexed.order == ("time" if time else "none")


def test_duplicates_and_ties_are_counted():
    same = [0, 1, 50, 0, 3]
    indexed = build_index(make([same, [0, 2, 50, 0, 3], same, [0, 1, 60, 0, 3], [1, 1, 50, 0, 3], same]))
    assert indexed.duplicates == 2
    assert indexed.tied == 2
    assert indexed.histories.items.tolist() == [1, 2, 1, 1]


def test_another_kind_or_value_is_no_duplicate():
    indexed = build_index(make([[0, 1, 50, 0, 3], [0, 1, 50, 1, 3], [0, 1, 50, 0, 4]]))
    assert indexed.duplicates == 0
    assert indexed.tied == 3


def test_empty_values_are_equal_to_each_other():
    events = make([[0, 1, 50, 0, 0]] * 2)
    events.value = np.full(2, np.nan, np.float32)
    assert build_index(events).duplicates == 1


def test_without_times_and_positions_the_first_row_of_a_pair_counts():
    indexed = build_index(make([[0, 1, 0, 0, 5], [0, 1, 0, 0, 4], [0, 2, 0, 0, 1]], time=False))
    assert indexed.histories.values.tolist() == [5, 1]
    assert (indexed.duplicates, indexed.tied) == (1, None)


def test_noes_go_apart():
    events = make(
        [[0, 1, 50, 0, 3], [0, 2, 40, 1, 3], [0, 2, 60, 1, 3], [1, 1, 50, 1, 3]],
        negative=np.array([False, True, True, True]),
    )
    indexed = build_index(events)
    assert indexed.histories.items.tolist() == [1]
    assert indexed.histories.offsets.tolist() == [0, 1, 1, 1]
    assert indexed.negatives.values.tolist() == [2, 1]
    assert indexed.negatives.offsets.tolist() == [0, 1, 2, 2]
    assert indexed.negative_times.tolist() == [40, 50]


def test_weights_and_targets_follow_their_events():
    events = make(
        [[0, 1, 60, 0, 3], [0, 2, 50, 0, 3]],
        weight=np.array([0.5, 2], np.float32),
        target=np.array([True, False]),
    )
    histories = build_index(events).histories
    assert histories.weights.tolist() == [2, 0.5]
    assert histories.targets.tolist() == [False, True]


def test_one_kind_needs_no_column():
    assert build_index(make([[0, 1, 60, 0, 3]], kinds=("view",))).histories.kinds is None


@pytest.mark.parametrize("span", [10**6, 10**15])
def test_one_viewer_with_a_hundred_thousand_events(span):
    n = 100_000
    rng = np.random.default_rng(0)
    times = rng.integers(1, span, n)
    viewer = np.zeros(n + 2, np.int32)
    viewer[[0, -1]] = 1, 2
    events = Events(
        viewers=Vocabulary("abc"),
        items=Vocabulary(str(i) for i in range(n + 2)),
        viewer=viewer,
        item=np.arange(n + 2, dtype=np.int32),
        time=np.concatenate([[5], times, [7]]),
    )
    indexed = build_index(events)
    assert indexed.histories.lengths.tolist() == [n, 1, 1]
    assert indexed.histories.row(0).tolist() == (np.argsort(times, kind="stable") + 1).tolist()


def test_the_events_are_given_up():
    events = make([[0, 1, 60, 0, 3]])
    build_index(events)
    assert events.time is None
    assert len(events.viewer) == len(events.item) == 0
