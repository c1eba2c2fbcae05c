from fractions import Fraction
from itertools import product
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.core.statistics import (
    MOST_WITNESSES,
    bootstrap_means,
    holm,
    interval_of,
    sign_flip_p,
    witness_groups,
)


def test_the_interval_of_a_mean_is_that_of_the_normal_law_where_viewers_are_many():
    values = np.random.default_rng(0).normal(3, 2, (4_000, 1))
    drawn = bootstrap_means(values, np.ones(4_000, np.int64))
    interval = interval_of(float(values.mean()), drawn[:, 0])
    half = 1.96 * values.std() / sqrt(4_000)
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_many_viewers_are_joined_into_groups_without_another_spread():
    values = np.random.default_rng(0).normal(0, 1, (50_000, 1))
    drawn = bootstrap_means(values, np.ones(50_000, np.int64), draws=400)
    assert drawn.std() == pytest.approx(1 / sqrt(50_000), rel=0.15)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.001)


def test_viewers_are_joined_at_random_not_with_their_neighbours():
    # Sorted by value, neighbours are alike: groups of neighbours would spread 1.6 times as far.
    values = np.sort(np.random.default_rng(0).normal(0, 1, 50_000))[:, None]
    drawn = bootstrap_means(values, np.ones(50_000, np.int64), draws=400)
    assert drawn.std() == pytest.approx(1 / sqrt(50_000), rel=0.15)
    shifted = values - values.mean() + 2 * values.std() / sqrt(50_000)
    assert sign_flip_p(shifted, draws=1_999)[0] == pytest.approx(0.0455, abs=0.02)


def test_groups_are_of_one_size_and_keep_every_sum():
    random = np.random.default_rng(0)
    assert witness_groups(MOST_WITNESSES, random) is None
    groups = witness_groups(50_001, random)
    assert set(np.bincount(groups, minlength=MOST_WITNESSES).tolist()) == {2, 3}
    counts = random.integers(1, 9, 50_001)
    values = (7.0 * counts)[:, None]
    # A mean over queries that is the same for everybody has no spread, however they are joined.
    assert bootstrap_means(values, counts, draws=20) == pytest.approx(7.0)


def test_viewers_are_drawn_not_queries():
    # Each viewer's 100 queries say the same: the interval is that of 50 viewers, not of 5,000 queries.
    values = np.random.default_rng(1).integers(0, 2, 50).astype(float)
    drawn = bootstrap_means(values[:, None] * 100, np.full(50, 100))
    assert drawn.std() == pytest.approx(values.std() / sqrt(50), rel=0.1)


def test_a_mean_is_over_queries_where_viewers_have_unequal_many():
    drawn = bootstrap_means(np.array([[0.0], [9.0]]), np.array([1, 9]), draws=4_000)
    assert set(np.round(drawn[:, 0], 6)) == {0.0, 0.9, 1.0}


def test_fits_with_different_seeds_widen_the_interval():
    viewers = np.zeros((300, 1))
    fits = np.stack([viewers + level for level in (0.0, 1.0, 2.0)])
    counts = np.ones(300, np.int64)
    assert bootstrap_means(viewers, counts).std() == 0
    drawn = bootstrap_means(fits, counts)
    assert drawn.mean() == pytest.approx(1, abs=0.05)
    assert drawn.std() == pytest.approx(sqrt(2 / 3) / sqrt(3), rel=0.1)


def test_the_same_seed_draws_the_same_and_nothing_else_matters():
    values = np.random.default_rng(0).random((30, 2))
    counts = np.ones(30, np.int64)
    same, again = (bootstrap_means(values, counts, draws=50, seed=4) for _ in range(2))
    assert (same == again).all()
    assert (bootstrap_means(values[:, :1], counts, draws=50, seed=4) == same[:, :1]).all()


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
@settings(deadline=None)
def test_few_viewers_are_tested_exactly(differences):
    observed = abs(sum(differences))
    flips = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    expected = Fraction(sum(abs(f) >= observed for f in flips), len(flips))
    found = sign_flip_p(np.array(differences, dtype=float)[:, None])
    assert found[0] == pytest.approx(float(expected))


def test_many_viewers_are_tested_by_draws_near_the_exact_p():
    # 30 viewers who all differ by one: the sum is 2 B - 30 with B binomial.
    differences = np.array([1.0] * 20 + [-1.0] * 10)
    exact = 2 * sum(comb(30, b) for b in range(20, 31)) / 2**30
    assert sign_flip_p(differences[:, None])[0] == pytest.approx(exact, abs=0.01)


def test_the_least_p_is_one_in_the_draws_and_one_where_nobody_differs():
    table = np.stack([np.ones(500), np.zeros(500)], axis=1)
    assert sign_flip_p(table).tolist() == [1 / 10_000, 1.0]
    assert sign_flip_p(np.zeros((5, 2))).tolist() == [1.0, 1.0]


def test_p_is_uniform_where_there_is_no_difference():
    random = np.random.default_rng(0)
    p = sign_flip_p(random.normal(size=(60, 400)), draws=999)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.08)


def test_holm_on_a_known_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
