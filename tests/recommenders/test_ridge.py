"""Ridge solutions against numpy's."""

import numpy as np
import pytest
import scipy.sparse

from matinee.recommenders import ridge
from matinee.recommenders.ridge import factor, inverted, solve, solve_local


def problem(n: int = 30, items: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, n))
    return (rows.T @ rows).astype(np.float32), random.normal(size=(n, items)).astype(np.float32)


@pytest.mark.parametrize("density", [1.0, 0.002])
def test_dense_solution_and_both_ways_to_it(density: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "_BLOCK", 7)
    gram, targets = problem(items=40)
    targets = targets * (np.random.default_rng(1).random(targets.shape) < density)
    wanted = np.linalg.solve(gram + 5 * np.eye(30), targets)
    lower, times = factor(gram.copy(), 5.0)
    found = solve(lower, scipy.sparse.csr_matrix(targets.T))
    assert times == 1.0
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_inverse_is_symmetric_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "_BLOCK", 7)
    gram, _ = problem()
    inverse = inverted(factor(gram.copy(), 2.0)[0])
    np.testing.assert_array_equal(inverse, inverse.T)
    np.testing.assert_allclose(inverse @ (gram + 2 * np.eye(30)), np.eye(30), atol=1e-3)


def test_ridge_is_raised_where_rounding_spoils_the_matrix() -> None:
    gram, targets = problem()
    gram -= np.float32(np.linalg.eigvalsh(gram).min() + 3.0) * np.eye(30, dtype=np.float32)
    lower, times = factor(gram.copy(), 1.0)
    assert times == 4.0
    found = solve(lower, scipy.sparse.csr_matrix(targets.T))
    np.testing.assert_allclose((gram + 4 * np.eye(30)) @ found, targets, atol=1e-3)


def test_nothing_helps_a_matrix_with_nans() -> None:
    gram, _ = problem()
    gram[3, 3] = np.nan
    with pytest.raises(ArithmeticError, match="NaN"):
        factor(gram, 1.0)


def test_local_solution_on_all_features_is_the_dense_one() -> None:
    gram, targets = problem()
    wanted = np.linalg.solve(gram + 5 * np.eye(30), targets)
    found = solve_local(scipy.sparse.csr_matrix(gram), scipy.sparse.csr_matrix(targets.T), 5.0, 30)
    np.testing.assert_allclose(found.toarray(), wanted, atol=1e-4)


def test_local_solution_takes_the_strongest_features_only() -> None:
    gram, targets = problem()
    found = solve_local(scipy.sparse.csr_matrix(gram), scipy.sparse.csr_matrix(targets.T), 5.0, 4).toarray()
    strength = targets / np.sqrt(gram.diagonal() + 5)[:, None]
    for j in range(targets.shape[1]):
        best = np.sort(np.argsort(-np.abs(strength[:, j]))[:4])
        np.testing.assert_array_equal(np.flatnonzero(found[:, j]), best)
        small = gram[np.ix_(best, best)] + 5 * np.eye(4)
        np.testing.assert_allclose(found[best, j], np.linalg.solve(small, targets[best, j]), atol=1e-5)


def test_local_solution_of_nothing() -> None:
    empty = scipy.sparse.csr_matrix((3, 3), dtype=np.float32)
    assert solve_local(empty, empty, 1.0, 2).nnz == 0
