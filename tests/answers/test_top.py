"""The best k: exact against a slow sort, ties by the hash, rows that end early, tables."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.answers.top import FALLBACK, TopItems, asked_of, top_k
from matinee.core.seeds import shuffle_keys
from matinee.data.vocabulary import Vocabulary


def slow_top(scores, k, keys):
    """Every item sorted by score, then by key; what must not be shown left out."""
    shown = [code for code in range(len(scores)) if scores[code] > -np.inf]
    return sorted(shown, key=lambda code: (-scores[code], keys[code]))[:k]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    items=st.sampled_from([1, 2, 7, 130, 700, 3000]),
    k=st.sampled_from([1, 3, 10]),
    levels=st.sampled_from([1, 2, 5, 1000]),
    barred=st.sampled_from([0.0, 0.5, 0.999, 1.0]),
)
def test_top_k_is_the_slow_sort(seed, items, k, levels, barred):
    random = np.random.default_rng(seed)
    scores = random.integers(0, levels, (4, items)).astype(np.float32) / 7 - 3
    scores[random.random((4, items)) < barred] = -np.inf
    keys = shuffle_keys(items)
    codes, best = top_k(scores, k, keys)
    for row in range(4):
        expected = slow_top(scores[row], k, keys)
        assert codes[row].tolist() == expected + [-1] * (k - len(expected))
        assert best[row, : len(expected)].tolist() == [scores[row, code] for code in expected]
        assert np.isnan(best[row, len(expected) :]).all()


def test_few_scores_above_a_floor_of_zeros():
    scores = np.zeros((3, 20_000), dtype=np.float32)
    scores[0, [17, 4000]] = [2.0, 5.0]
    keys = shuffle_keys(20_000)
    codes, _ = top_k(scores, 10, keys)
    assert codes[0, :2].tolist() == [4000, 17]
    zeros = [code for code in np.argsort(keys) if code not in (17, 4000)]
    assert codes[0, 2:].tolist() == zeros[:8]
    assert codes[1].tolist() == codes[2].tolist() == np.argsort(keys)[:10].tolist()


def test_nobody_and_nothing():
    assert top_k(np.zeros((0, 5), np.float32), 3, shuffle_keys(5))[0].shape == (0, 3)
    assert top_k(np.zeros((2, 0), np.float32), 3, shuffle_keys(0))[0].tolist() == [[-1] * 3] * 2


def some_answers():
    return TopItems(
        asked=asked_of(["a/b", 'c "d"']),
        codes=np.array([[2, 0], [1, -1]], dtype=np.int32),
        scores=np.array([[1.5, 0.5], [0.25, np.nan]], dtype=np.float32),
        personal=np.array([True, False]),
        name="ease",
        catalogue=Vocabulary(["x,1", "ü", "z"]),
    )


def test_tables_hold_one_row_an_item():
    table = some_answers().to_arrow()
    assert table.to_pydict() == {
        "user": ["a/b", "a/b", 'c "d"'],
        "rank": [1, 2, 1],
        "item": ["z", "x,1", "ü"],
        "score": [1.5, 0.5, 0.25],
        "source": ["ease", "ease", FALLBACK],
    }
    assert some_answers().to_pandas()["item"].tolist() == ["z", "x,1", "ü"]
    assert table.schema.field("user").type == pa.large_string()


def test_arrays_are_padded():
    answers = some_answers()
    assert answers.items.tolist() == [["z", "x,1"], ["ü", None]]
    assert np.isnan(answers.scores[1, 1])
    assert answers.sources == ["ease", FALLBACK]
    assert len(answers) == 2
    with pytest.raises(AttributeError):
        answers.name = "other"
