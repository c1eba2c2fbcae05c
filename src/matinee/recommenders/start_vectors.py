"""Item vectors to start a network from: the largest eigenvectors of what is watched soon after what.

Pairs of events at most `_WINDOW` apart, each step counting `_DECAY` times the one before, are summed in both
directions; a cell becomes log(1 + pairs / expected pairs), where an item is expected as often as its events
** _SMOOTH, and the mean over all cells is taken off. The vectors are eigenvectors scaled by the roots of
their eigenvalues' sizes: a factorised matrix of shifted pointwise mutual information (Levy and Goldberg 2014,
"Neural word embedding as implicit matrix factorization"), by randomised subspace iteration (Halko et al.
2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matinee.core.seeds import generator
from matinee.core.types import Float32, Histories
from matinee.recommenders.cooccurrence import latest, pair_sums, sets_of

_WINDOW = 8
_DECAY = 0.8
_SMOOTH = 0.75
_SPARE = 16
_TURNS = 4


def start_vectors(histories: Histories, n_items: int, width: int, *, ordered: bool, seed: int) -> Float32:
    """Vectors of items that are watched near each other lie near each other.

    Args:
        histories: oldest event first.
        n_items: size of the catalogue.
        width: numbers of a vector.
        ordered: whether the order of events means something; else all pairs of a history count alike.
        seed: of the directions that the iteration starts from.

    Returns:
        float32, shape (items, width), of mean length 1; what a smaller catalogue leaves over, and items that
        nobody watched, is zeros.
    """
    near = _near(histories, n_items, ordered)
    total = float(near.sum())
    vectors = np.zeros((n_items, width), np.float32)
    if total <= 0.0:
        return vectors
    frequent = np.asarray(near.sum(axis=1)).ravel() ** _SMOOTH
    frequent *= total / frequent.sum()
    owners = np.repeat(np.arange(n_items), np.diff(near.indptr))
    near.data = np.log1p(near.data * total / (frequent[owners] * frequent[near.indices])).astype(np.float32)
    mean = np.float32(near.sum() / n_items**2)

    def product(columns: Float32) -> Float32:
        return np.asarray(near @ columns - mean * columns.sum(axis=0), dtype=np.float32)

    random = generator(seed, "start vectors")
    rank = min(width + _SPARE, n_items)
    basis = random.standard_normal((n_items, rank), dtype=np.float32)
    for _ in range(_TURNS):
        basis = np.linalg.qr(product(basis))[0]
    values, turns = np.linalg.eigh(basis.T @ product(basis))
    largest = np.argsort(-np.abs(values), kind="stable")[: min(width, rank)]
    vectors[:, : len(largest)] = (basis @ turns[:, largest]) * np.sqrt(np.abs(values[largest]))
    vectors[np.diff(near.indptr) == 0] = 0.0
    lengths = np.linalg.norm(vectors, axis=1)
    return vectors / np.float32(max(float(lengths[lengths > 0].mean()) if lengths.any() else 1.0, 1e-12))


def _near(histories: Histories, n_items: int, ordered: bool) -> Any:
    """Pairs of items in both directions: scipy CSR float32, symmetric."""
    if ordered:
        counts = np.ones(len(histories.items))
        (pairs,) = pair_sums(histories, n_items, _DECAY, _WINDOW, [counts])
        return (pairs + pairs.T).tocsr()
    sets = sets_of(latest(histories), n_items)
    pairs = (sets.T @ sets).tocsr()
    pairs.setdiag(0.0)
    pairs.eliminate_zeros()
    return pairs.astype(np.float32)
