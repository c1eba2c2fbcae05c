"""Metrics against two slow, obvious ones: the mean over every order of ties, and plain lists without ties."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.evaluate.metrics import METRICS, coverage_of, metrics_at, novelty_of, rank_targets


def plain(name: str, order: list[int], relevant: set[int], k: int) -> float:
    """One metric of one list, by its definition."""
    hits = [item in relevant for item in order[:k]]
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(k, len(relevant))))
    by_name = {
        "recall": sum(hits) / len(relevant),
        "precision": sum(hits) / k,
        "hit": float(any(hits)),
        "mrr": next((1 / (rank + 1) for rank, hit in enumerate(hits) if hit), 0.0),
        "ndcg": sum(1 / math.log2(rank + 2) for rank, hit in enumerate(hits) if hit) / ideal,
        "map": sum(sum(hits[: r + 1]) / (r + 1) for r, hit in enumerate(hits) if hit) / min(k, len(relevant)),
    }
    return by_name[name]


def over_all_orders(name: str, scores: list[float], relevant: set[int], k: int) -> float:
    """The mean of one metric over every order that the scores allow."""
    groups = [
        [item for item in range(len(scores)) if scores[item] == score]
        for score in sorted(set(scores), reverse=True)
    ]
    orders = itertools.product(*(itertools.permutations(group) for group in groups))
    return float(np.mean([plain(name, [*itertools.chain(*order)], relevant, k) for order in orders]))


def ours(scores: list[list[float]], relevant: list[set[int]], k: int, at: tuple[int, ...]):
    table = np.array(scores, dtype=np.float32)
    best = np.full((len(table), k), np.nan, dtype=np.float32)
    ordered = -np.sort(-table, axis=1)[:, :k]
    best[:, : ordered.shape[1]] = ordered
    last = (table == best[:, -1:]).sum(axis=1)
    owners = np.repeat(np.arange(len(table)), [len(one) for one in relevant])
    wanted = np.array([item for one in relevant for item in sorted(one)])
    sizes = np.array([len(one) for one in relevant])
    return metrics_at(rank_targets(best, last, owners, table[owners, wanted], sizes), at)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_metrics_are_the_mean_over_every_order_of_the_ties(data):
    n_items = data.draw(st.integers(1, 6))
    levels = data.draw(st.integers(1, 4))
    scores = [float(data.draw(st.integers(0, levels))) for _ in range(n_items)]
    relevant = data.draw(st.sets(st.integers(0, n_items - 1), min_size=1))
    at = (1, 2, 3, 5, 8)
    found = ours([scores], [relevant], max(at), at)
    for name in METRICS:
        for k in at:
            expected = over_all_orders(name, scores, relevant, k)
            assert found[f"{name}@{k}"][0] == pytest.approx(expected, abs=1e-6), (name, k)


def test_metrics_agree_with_plain_lists_where_nothing_ties():
    random = np.random.default_rng(0)
    scores = [random.permutation(50).astype(float).tolist() for _ in range(300)]
    relevant = [set(random.choice(50, random.integers(1, 15), replace=False).tolist()) for _ in range(300)]
    found = ours(scores, relevant, 20, (5, 10, 20))
    for row in range(300):
        order = np.argsort(-np.array(scores[row])).tolist()
        for name in METRICS:
            for k in (5, 10, 20):
                expected = plain(name, order, relevant[row], k)
                assert found[f"{name}@{k}"][row] == pytest.approx(expected, abs=1e-6)


def test_one_target_in_a_catalogue_where_everything_ties_counts_as_chance():
    found = ours([[0.0] * 40], [{7}], 20, (10, 20))
    assert found["recall@10"][0] == pytest.approx(10 / 40)
    assert found["hit@20"][0] == pytest.approx(20 / 40)
    assert found["mrr@10"][0] == pytest.approx(sum(1 / r for r in range(1, 11)) / 40)


def test_a_target_that_cannot_be_shown_is_a_miss():
    best = np.array([[2.0, 1.0]], dtype=np.float32)
    none = np.array([-np.inf], dtype=np.float32)
    ranking = rank_targets(best, np.array([1]), np.array([0]), none, np.array([1]))
    assert all(values[0] == 0 for values in metrics_at(ranking, (1, 2)).values())


def test_novelty_is_the_mean_surprise_of_what_is_shown():
    popularity = np.array([8, 4, 4, 0], dtype=np.float32)
    shares = np.array([8, 4, 4, 1]) / 17
    novelty = novelty_of(np.array([[0, 1], [3, -1], [-1, -1]], dtype=np.int32), popularity)
    assert novelty[0] == pytest.approx(-np.log2(shares[:2]).mean())
    assert novelty[1] == pytest.approx(-np.log2(shares[3]))
    assert np.isnan(novelty[2])


def test_coverage_is_the_share_of_the_catalogue():
    assert coverage_of(np.array([True, False, False, True])) == 0.5
