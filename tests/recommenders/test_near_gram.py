"""The Gram matrix with the largest cells of each row alone, for logs whose whole one has too many."""

import numpy as np
import pytest

from matinee.recommenders import transitions
from matinee.recommenders.decayed_gram import gram_cells, near_gram, sparse_gram, sums_of
from matinee.recommenders.held_out import hold_out
from matinee.recommenders.transitions import Transitions
from matinee.testing.made_logs import random_log
from matinee.testing.tastes import predictable_log

DECAYS, WINDOWS = (0.5, 0.9), (4, 20)


@pytest.fixture(scope="module")
def sums():
    log = random_log(3, n_viewers=60, n_items=40, longest=20)
    return sums_of(log.histories, 40, DECAYS, WINDOWS)


def test_with_room_for_all_cells_it_is_the_whole_matrix(sums):
    whole = sparse_gram(sums)
    near = near_gram(sums, np.ones(80), 80)
    np.testing.assert_allclose(near.toarray(), whole.toarray(), rtol=1e-6)
    assert whole.nnz <= gram_cells(sums) + 4 * 40


def test_each_row_keeps_its_diagonal_and_what_weighs_most(sums):
    whole, weights = sparse_gram(sums).toarray(), np.random.default_rng(0).random(80) + 0.1
    near = near_gram(sums, weights, 5)
    assert np.diff(near.indptr).max() == 5
    for row, found in enumerate(near.toarray()):
        worth = np.where(np.arange(80) == row, np.inf, whole[row] * weights)
        kept = np.flatnonzero(found)
        assert row in kept
        np.testing.assert_allclose(found[kept], whole[row, kept], rtol=1e-6)
        left = np.setdiff1d(np.flatnonzero(whole[row]), kept)
        assert not len(left) or worth[left].max() <= worth[kept].min()


def test_a_fit_on_the_largest_cells_ranks_nearly_as_the_whole_one(monkeypatch):
    log = predictable_log(300, seed=1)
    held = hold_out(log, 0)
    found = {}
    for cells in (2**27, 0):
        monkeypatch.setattr(transitions, "_GRAM_CELLS", cells)
        monkeypatch.setattr(transitions, "_ROW_CELLS", 12)
        model = Transitions(features=8).fit(log)
        found[cells] = held.ndcg(model.scorer.score, log.n_items)
    assert found[2**27] > 0.2
    assert found[0] > 0.95 * found[2**27]


def test_sums_that_are_too_large_are_not_kept(monkeypatch):
    log = random_log(3, n_viewers=60, n_items=40, longest=20)
    assert Transitions().fit(log).parts["transitions"].sums
    monkeypatch.setattr(transitions, "_SUMS_BYTES", 100)
    part = Transitions().fit(log).parts["transitions"]
    assert not part.sums
    assert "an update fits anew" in part.settings["sums"]
