"""Norm bounds never miss an item, and look no further than they must."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.answers.index.inverted_lists import inverted_lists
from matinee.answers.index.norm_bounds import norm_bounds


def drawn(items, width, seed, spread=1.0):
    """Vectors about a point away from zero, of very different lengths, and what is asked for."""
    random = np.random.default_rng(seed)
    lengths = np.exp(spread * random.normal(size=(items, 1)))
    vectors = (random.normal(size=(items, width)) * lengths + random.normal(size=width)).astype(np.float32)
    return vectors, random.normal(size=(10, width)).astype(np.float32)


@given(
    items=st.integers(1, 9_000),
    width=st.integers(1, 12),
    n=st.integers(1, 150),
    spread=st.sampled_from([0.0, 1.0, 2.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_the_best_are_those_of_a_look_at_all_items(items, width, n, spread, seed):
    vectors, asked = drawn(items, width, seed, spread)
    index = norm_bounds(vectors)
    for one in asked[:3]:
        found = index.best(one, n)
        scores = vectors @ one
        assert len(set(found.codes.tolist())) == len(found.codes) == min(n, items)
        np.testing.assert_allclose(found.scores, scores[found.codes], rtol=1e-4, atol=1e-4)
        best = np.sort(scores)[::-1][: min(n, items)]
        np.testing.assert_allclose(np.sort(found.scores)[::-1], best, rtol=1e-4, atol=1e-4)


def test_short_vectors_are_not_read():
    vectors, asked = drawn(100_000, 8, 0, spread=2.0)
    index = norm_bounds(vectors)
    assert np.mean([index.best(one, 100).read for one in asked]) < 0.2 * vectors.size


def test_equal_vectors_and_empty_questions_are_answered():
    index = norm_bounds(np.ones((5_000, 4), np.float32))
    assert len(index.best(np.zeros(4, np.float32), 10).codes) == 10
    assert len(index.best(np.ones(4, np.float32), 7_000).codes) == 5_000


@pytest.mark.parametrize("n", [1, 10, 400])
def test_lists_that_are_all_read_miss_nothing_but_what_8_bits_hide(n):
    vectors, asked = drawn(4_000, 16, 1)
    index = inverted_lists(vectors, 64, seed=0)
    index.probes = 64
    for one in asked:
        scores = vectors @ one
        found = index.best(one, n)
        assert len(set(found.codes.tolist())) == n
        np.testing.assert_allclose(found.scores, scores[found.codes], rtol=1e-5, atol=1e-5)
        told = np.argsort(-scores)[:n]
        assert np.isin(told, found.codes).mean() >= 0.97


def test_more_effort_finds_more_and_reads_more():
    vectors, asked = drawn(20_000, 16, 2)
    index = inverted_lists(vectors, 256, seed=0)
    index.probes = 8
    little, much = ([index.best(one, 50, effort) for one in asked] for effort in (1, 8))
    assert sum(one.read for one in much) > 2 * sum(one.read for one in little)
    assert sum(one.scores.sum() for one in much) > sum(one.scores.sum() for one in little)


def test_the_seed_decides_the_lists():
    vectors, _ = drawn(3_000, 8, 3)
    first, again, other = (inverted_lists(vectors, 32, seed=seed).tensors for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["order"], other["order"])
    assert np.array_equal(np.sort(first["order"]), np.arange(3_000))
