"""Sums over pairs against loops that state what they are."""

import numpy as np
import pytest
import scipy.sparse

from matinee.core.types import Histories, histories_of
from matinee.recommenders import cooccurrence, decayed_gram
from matinee.recommenders.cooccurrence import near_sums, pair_sums, pairs_within, remaining, sets_of
from matinee.recommenders.decayed_gram import (
    dense_gram,
    from_arrays,
    sparse_gram,
    sums_of,
    targets_by_item,
    to_arrays,
)


def random_histories(seed: int, n_items: int = 9, weighted: bool = True) -> Histories:
    random = np.random.default_rng(seed)
    lists = [list(random.integers(0, n_items, random.integers(0, 12))) for _ in range(15)]
    plain = histories_of(lists)
    n = len(plain.items)
    return Histories(
        items=plain.items,
        offsets=plain.offsets,
        weights=random.uniform(0.2, 2.0, n).astype(np.float32) if weighted else None,
        targets=random.random(n) < 0.7 if weighted else None,
    )


def rows_of(histories: Histories, n_items: int, decays: tuple[float, ...]) -> tuple[np.ndarray, ...]:
    """The design matrix that the sums never make: features, next items and counts of every step."""
    features, following, counts = [], [], []
    for viewer in range(len(histories)):
        span = slice(histories.offsets[viewer], histories.offsets[viewer + 1])
        items = histories.items[span]
        weights = np.ones(len(items)) if histories.weights is None else histories.weights[span]
        targets = np.ones(len(items)) if histories.targets is None else histories.targets[span]
        states = np.zeros((len(decays), n_items))
        for t, item in enumerate(items):
            if t:
                features.append(states.ravel().copy())
                following.append(np.eye(n_items)[item])
                counts.append(weights[t] * targets[t])
            states = states * np.array(decays)[:, None]
            states[:, item] += weights[t]
    return np.array(features), np.array(following), np.array(counts)


@pytest.mark.parametrize("crowded", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_gram_and_targets_are_those_of_the_design_matrix(
    seed: int, crowded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooccurrence, "_PAIRS", 16)
    monkeypatch.setattr(cooccurrence, "_CELLS", 30)
    n_items = 9 if crowded else 200
    histories, decays = random_histories(seed), (0.5, 0.9)
    sums = sums_of(histories, n_items, decays, (50, 50))
    H, Y, u = rows_of(histories, n_items, decays)
    np.testing.assert_allclose(dense_gram(sums), (H * u[:, None]).T @ H, atol=1e-4)
    np.testing.assert_allclose(sparse_gram(sums).toarray(), (H * u[:, None]).T @ H, atol=1e-4)
    np.testing.assert_allclose(targets_by_item(sums).toarray(), Y.T @ (H * u[:, None]), atol=1e-4)


def test_windows_cut_only_what_counts_little() -> None:
    histories = random_histories(4)
    whole = dense_gram(sums_of(histories, 9, (0.5,), (50,)))
    cut = dense_gram(sums_of(histories, 9, (0.5,), (6,)))
    assert np.abs(whole - cut).max() <= 0.02 * np.abs(whole).max()
    assert not np.array_equal(whole, cut)


def test_predicted_events_split_the_sums() -> None:
    histories = random_histories(2)
    mask = np.random.default_rng(5).random(len(histories.items)) < 0.5
    whole = sums_of(histories, 9, (0.5, 0.9), (50, 50))
    parts = sums_of(histories, 9, (0.5, 0.9), (50, 50), mask) + sums_of(
        histories, 9, (0.5, 0.9), (50, 50), ~mask
    )
    np.testing.assert_allclose(dense_gram(whole), dense_gram(parts), atol=1e-4)
    np.testing.assert_allclose(targets_by_item(whole).toarray(), targets_by_item(parts).toarray(), atol=1e-5)


def test_sums_survive_being_arrays_and_new_codes() -> None:
    sums = sums_of(random_histories(3), 9, (0.5, 0.9), (50, 50))
    again = from_arrays(to_arrays(sums))
    np.testing.assert_array_equal(dense_gram(sums), dense_gram(again))
    codes = np.array([8, 10, 1, 0, 2, 3, 4, 5, 6])
    moved = dense_gram(again.renamed(codes, 11))
    picked = np.concatenate([codes, codes + 11])
    np.testing.assert_array_equal(moved[np.ix_(picked, picked)], dense_gram(sums))
    assert moved.sum() == pytest.approx(dense_gram(sums).sum(), rel=1e-4)


def test_many_items_are_kept_as_few_are(monkeypatch) -> None:
    sums = sums_of(random_histories(4), 9, (0.5, 0.9), (3, 50))
    few = to_arrays(sums)
    monkeypatch.setattr(decayed_gram, "_TABLE_CELLS", 0)
    many = to_arrays(sums)
    assert few.keys() == many.keys()
    for name, array in few.items():
        np.testing.assert_array_equal(array, many[name])


def test_remaining_is_the_discounted_future() -> None:
    histories = random_histories(6)
    serve = np.random.default_rng(1).random(len(histories.items))
    for rate in (0.0, 0.6, 1.0):
        found = remaining(serve, histories, rate)
        for viewer in range(len(histories)):
            first, last = histories.offsets[viewer : viewer + 2]
            for q in range(first, last):
                wanted = sum(rate ** (t - 1 - q) * serve[t] for t in range(q + 1, last))
                assert found[q] == pytest.approx(wanted, abs=1e-9)


def test_near_pairs_are_symmetric_and_meet_themselves() -> None:
    histories = random_histories(7)
    slow = np.zeros((9, 9))
    for viewer in range(len(histories)):
        first, last = histories.offsets[viewer : viewer + 2]
        for p in range(first, last):
            for q in range(first, last):
                pair = histories.weights[p] * histories.weights[q]
                slow[histories.items[p], histories.items[q]] += 0.8 ** abs(p - q) * pair
    np.testing.assert_allclose(near_sums(histories, 9, 0.8, 50).toarray(), slow, atol=1e-4)
    assert np.linalg.eigvalsh(slow).min() > -1e-9


def test_sets_count_an_item_once_unless_weighted() -> None:
    assert sets_of(histories_of([[1, 1, 0], []]), 3).toarray().tolist() == [[1, 1, 0], [0, 0, 0]]
    weighted = Histories(
        items=np.array([1, 1], np.int32), offsets=np.array([0, 2]), weights=np.array([2, 0.5], np.float32)
    )
    assert sets_of(weighted, 2).toarray().tolist() == [[0, 2.5]]


def test_one_endless_history_does_not_decide_the_memory() -> None:
    endless = histories_of([list(range(6000)), [0, 1]])
    sets = sets_of(endless, 6000)
    assert np.diff(sets.indptr).tolist() == [5000, 2]
    assert sets[0].indices.min() == 1000
    assert pairs_within(endless.lengths, 0) == 5000**2 + 4
    assert pairs_within(endless.lengths, 3) == 3 * 6000 + 4


def test_nobody_and_lonely_events_give_empty_sums() -> None:
    for lists in ([], [[]], [[1], [0]]):
        (pairs,) = pair_sums(histories_of(lists), 3, 0.5, 4, [np.ones(sum(map(len, lists)))])
        assert scipy.sparse.issparse(pairs)
        assert pairs.shape == (3, 3)
        assert pairs.nnz == 0


def test_pairs_of_no_distance_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        pair_sums(histories_of([[0, 1]]), 2, 0.5, 0, [np.ones(2)])
