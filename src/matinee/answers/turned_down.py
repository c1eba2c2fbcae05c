"""What viewers turned down, as sparse matrices beside those of what they watched."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from matinee.answers.taste import Sparse
from matinee.core.types import Float32, Int64, Ragged


def noes_matrix(negatives: Ragged | None, n_items: int) -> Sparse | None:
    """Who turned down what: float32 ones, sparse, shape (viewers, items); None where nobody did anything."""
    if negatives is None or not len(negatives.values):
        return None
    ones = np.ones(len(negatives.values), np.float32)
    # Copies: summing sorts in place, and the log may be a read-only map.
    cells = (ones, negatives.values.copy(), negatives.offsets.copy())
    noes = csr_matrix(cells, shape=(len(negatives), n_items))
    noes.sum_duplicates()
    noes.data[:] = 1.0
    return noes


def taught(watched: Sparse, noes: Sparse | None, weight: float) -> tuple[Sparse, Float32 | None]:
    """What a squared loss is taught: a one for what was watched, a zero for what was turned down.

    Of what a viewer both watched and turned down, the target is the mean of both by their weights.

    Args:
        watched: weights of what was watched, above 0, sparse, shape (viewers, items).
        noes: ones, of the same shape; or None.
        weight: of a no.

    Returns:
        The weights of all that was said, above 0, and the target of each of its entries; None: all are 1.
    """
    if noes is None or weight == 0.0:
        return watched, None
    total = (watched + np.float32(weight) * noes).tocsr()
    total.sort_indices()
    targets = np.zeros(total.nnz, np.float32)
    places = np.searchsorted(_keys(total), _keys(watched))
    targets[places] = watched.data / total.data[places]
    return total, targets


def turned(matrix: Sparse, targets: Float32 | None) -> tuple[Sparse, Float32 | None]:
    """The transpose of a sparse matrix as CSR, and what belongs to its entries in their new places."""
    across = matrix.T.tocsr()
    if targets is None:
        return across, None
    places = csr_matrix((np.arange(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
    return across, targets[places.T.tocsr().data]


def _keys(matrix: Sparse) -> Int64:
    """One number for each entry's place, ascending: int64, shape (entries,)."""
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return np.asarray(rows * matrix.shape[1] + matrix.indices, dtype=np.int64)
