import numpy as np
import pytest

from matinee.answers.factors import ridges, solve_rows
from matinee.answers.taste import taste_matrix
from matinee.answers.turned_down import noes_matrix, taught, turned
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import ragged, random_log


@pytest.mark.parametrize("width", [3, 8, 40])
def test_rows_are_solved_as_one_at_a_time(width: int) -> None:
    random = np.random.default_rng(0)
    log = random_log(3, n_viewers=60, n_items=50, longest=30)
    matrix = taste_matrix(log.histories, 50, decay=0.8)
    factors = random.standard_normal((50, width)).astype(np.float32)
    gram = 0.2 * factors.T @ factors
    row_ridges = ridges(matrix, 0.05, 0.2, 1.0)
    found = solve_rows(matrix, factors, gram, row_ridges)
    for row, weights in enumerate(matrix.toarray().astype(np.float64)):
        left = gram + (factors.T * weights) @ factors + row_ridges[row] * np.eye(width)
        np.testing.assert_allclose(found[row], np.linalg.solve(left, factors.T @ weights), atol=2e-3)


def test_every_epoch_lowers_the_loss() -> None:
    log = random_log(5, n_viewers=50, n_items=30)
    watched = taste_matrix(log.histories, 30)
    losses = []
    for epochs in (1, 2, 4, 8):
        recommender = make_recommender("ials", {"factors": 4, "epochs": epochs, "exponent": 1.0})
        items = recommender.fit(log).parts["ials"].tensors["items"]
        gram = 0.1 * items.T @ items
        viewers = solve_rows(watched, items, gram, ridges(watched, 0.01, 0.1, 1.0))
        dense, guess = watched.toarray(), viewers @ items.T
        pulls = ridges(watched, 0.01, 0.1, 1.0), ridges(watched.T.tocsr(), 0.01, 0.1, 1.0)
        loss = (dense * (1 - guess) ** 2).sum() + 0.1 * (guess**2).sum()
        losses.append(loss + pulls[0] @ (viewers**2).sum(axis=1) + pulls[1] @ (items**2).sum(axis=1))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("width", [3, 40])
def test_what_was_turned_down_is_a_zero_and_what_was_both_is_the_mean(width: int) -> None:
    random = np.random.default_rng(1)
    log = random_log(4, n_viewers=40, n_items=30)
    noes = noes_matrix(ragged([random.choice(30, 5, replace=False).tolist() for _ in range(40)]), 30)
    watched = taste_matrix(log.histories, 30, decay=0.7)
    matrix, targets = taught(watched, noes, 2.0)
    factors = random.standard_normal((30, width)).astype(np.float32)
    found = solve_rows(matrix, factors, factors.T @ factors, np.full(40, 0.5, np.float32), targets)
    for row, (ones, zeros) in enumerate(zip(watched.toarray(), 2.0 * noes.toarray(), strict=True)):
        left = factors.T @ factors + (factors.T * (ones + zeros)) @ factors + 0.5 * np.eye(width)
        np.testing.assert_allclose(found[row], np.linalg.solve(left, factors.T @ ones), atol=2e-3)
    across, turned_targets = turned(matrix, targets)
    np.testing.assert_allclose(across.toarray(), matrix.toarray().T)
    across.data, matrix.data = turned_targets, targets
    np.testing.assert_array_equal(across.toarray(), matrix.toarray().T)
