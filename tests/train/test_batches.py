"""Batches of like length: hardly any filling, every history once, windows inside their histories."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.train.batches import draw_windows

histories = st.lists(st.integers(0, 60), max_size=60)


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def draw(lengths, longest=20, batch_events=100, seed=0, last_share=0.5):
    return draw_windows(offsets_of(lengths), longest, batch_events, np.random.default_rng(seed), last_share)


@given(histories, st.integers(1, 30), st.integers(1, 200), st.integers(0, 5))
def test_every_history_gives_one_window_that_lies_inside_it(lengths, longest, batch_events, seed):
    windows = draw(lengths, longest, batch_events, seed)
    offsets = offsets_of(lengths)
    owners = np.searchsorted(offsets, windows.starts, side="right") - 1
    assert sorted(owners) == [row for row, length in enumerate(lengths) if length]
    assert np.all(windows.starts >= offsets[owners])
    assert np.all(windows.starts + windows.lengths <= offsets[owners + 1])
    assert np.array_equal(windows.lengths, np.minimum(np.diff(offsets)[owners], longest))
    drawn = np.concatenate([*windows.batches, np.zeros(0, np.int64)])
    assert sorted(drawn) == list(range(len(windows.starts)))


@given(histories, st.integers(1, 30), st.integers(1, 200))
def test_no_batch_is_larger_than_asked_unless_it_is_one_window(lengths, longest, batch_events):
    for batch in (windows := draw(lengths, longest, batch_events)).batches:
        assert len(batch) == 1 or len(batch) * windows.lengths[batch].max() <= batch_events


@given(histories)
def test_places_are_those_of_the_windows_and_repeat_the_last_event(lengths):
    windows = draw(lengths)
    for number, batch in enumerate(windows.batches):
        places, found = windows.places(number)
        assert np.array_equal(found, windows.lengths[batch])
        for row, start, length in zip(places, windows.starts[batch], found, strict=True):
            assert list(row[:length]) == list(range(start, start + length))
            assert set(row[length:]) <= {start + length - 1}


def test_the_same_seed_draws_the_same_pass():
    lengths = np.random.default_rng(0).integers(1, 60, 200)
    one, two, other = draw(lengths, seed=1), draw(lengths, seed=1), draw(lengths, seed=2)
    assert np.array_equal(one.starts, two.starts)
    assert all(np.array_equal(a, b) for a, b in zip(one.batches, two.batches, strict=True))
    assert not np.array_equal(one.starts, other.starts)


@pytest.mark.parametrize("viewers", [3000, 20_000])
@pytest.mark.parametrize(("mean", "spread"), [(1.5, 1.0), (3.0, 1.0), (4.5, 1.2)])
def test_less_than_a_twentieth_is_filling_where_lengths_are_skewed(mean, spread, viewers):
    random = np.random.default_rng(0)
    lengths = np.maximum(1, random.lognormal(mean, spread, viewers)).astype(int)
    windows = draw(lengths, 200, 4096)
    assert windows.filled > 0.95
    assert min(len(batch) for batch in windows.batches) > 1


@pytest.mark.parametrize("last_share", [0.0, 0.5, 1.0])
def test_a_long_history_gives_its_last_window_as_often_as_asked(last_share):
    lengths = np.full(4000, 400)
    windows = draw(lengths, 200, 4096, last_share=last_share)
    last = np.mean(windows.starts + windows.lengths == offsets_of(lengths)[1:])
    assert last == pytest.approx(last_share + (1 - last_share) / 201, abs=0.03)
    spread = (windows.starts - offsets_of(lengths)[:-1])[windows.starts % 400 < 200]
    assert last_share == 1.0 or abs(spread.mean() - 100) < 5


def test_a_window_may_begin_anywhere_the_last_place_included():
    """Of a history of eight events and windows of six: three beginnings, each as often."""
    offsets = np.arange(0, 8 * 3001, 8)
    windows = draw_windows(offsets, 6, 600, np.random.default_rng(0), last_share=0.0)
    counts = np.bincount(windows.starts % 8, minlength=8)
    assert counts[3:].sum() == 0
    assert counts[:3] == pytest.approx(1000, abs=120)
