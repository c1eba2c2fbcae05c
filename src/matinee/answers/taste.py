"""Histories as weighted sparse matrices: a row for each viewer, an entry for each item that the viewer has.

An item that a history has several times stands in it once, as its strongest event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from matinee.core.types import Float32, Histories, Int32, Int64

# A scipy.sparse.csr_matrix of float32.
Sparse = Any


def event_weights(histories: Histories, decay: float = 1.0) -> Float32:
    """What each event counts: its own weight times `decay` for each later event of its history.

    Returns:
        float32, shape (events,). Histories of a million events stay finite: what decays below the smallest
        float counts nothing.
    """
    weights = np.ones(len(histories.items), np.float32)
    if decay < 1.0:
        later = np.repeat(histories.offsets[1:], histories.lengths) - 1 - np.arange(len(histories.items))
        weights = np.exp(np.maximum(later * np.log(max(decay, 1e-6)), -80.0)).astype(np.float32)
    return weights if histories.weights is None else weights * histories.weights


def strongest_events(histories: Histories, weights: Float32) -> Int64:
    """The event that stands for each item of each history: of equals the latest.

    Returns:
        int64, shape (distinct items over all histories,): positions of events, by viewer, then by item.
    """
    rows = histories.rows()
    order = np.lexsort((weights, histories.items, rows))
    rows, items = rows[order], histories.items[order]
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = (rows[1:] != rows[:-1]) | (items[1:] != items[:-1])
    return order[last].astype(np.int64)


def taste_matrix(histories: Histories, n_items: int, decay: float = 1.0) -> Sparse:
    """Histories as a sparse matrix of event weights: float32, shape (viewers, items), items in order."""
    weights = event_weights(histories, decay)
    events = strongest_events(histories, weights)
    counts = np.bincount(histories.rows()[events], minlength=len(histories))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    return csr_matrix((weights[events], histories.items[events], offsets), shape=(len(histories), n_items))


def empty_matrix(rows: int, columns: int) -> Sparse:
    """A sparse matrix without entries."""
    indices, offsets = np.zeros(0, np.int32), np.zeros(rows + 1, np.int32)
    return csr_matrix((np.zeros(0, np.float32), indices, offsets), shape=(rows, columns))


def scaled(matrix: Sparse, rows: Float32 | None = None, columns: Float32 | None = None) -> Sparse:
    """The matrix with each row and each column multiplied by a number of its own: float32."""
    data = matrix.data.astype(np.float32)
    if rows is not None:
        data = data * np.repeat(rows.astype(np.float32), np.diff(matrix.indptr))
    if columns is not None:
        data = data * columns.astype(np.float32)[matrix.indices]
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def row_norms(matrix: Sparse) -> Float32:
    """The Euclidean length of each row: float32, shape (rows,)."""
    squares = np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64).ravel()
    return np.sqrt(squares).astype(np.float32)


def directions(matrix: Sparse) -> Sparse:
    """The columns of a sparse matrix, each of length 1 or empty: float32, of the same shape."""
    lengths = np.sqrt(np.bincount(matrix.indices, matrix.data.astype(np.float64) ** 2, matrix.shape[1]))
    return scaled(matrix, columns=(1.0 / np.maximum(lengths, 1e-12)).astype(np.float32))


def item_likeness(columns: Sparse, items: Int32) -> Float32:
    """How much items are had by the same viewers: the cosine between columns.

    Args:
        columns: from `directions`, shape (viewers, items).
        items: int32, shape (n,).

    Returns:
        float32, shape (n, items); zero for an item that nobody has.
    """
    return np.asarray((columns[:, items].T.tocsr() @ columns).toarray(), dtype=np.float32)


def blocks(costs: NDArray[Any], limit: float) -> Iterator[slice]:
    """Slices of rows whose costs add up to about `limit` at most; a row at least; none of no rows."""
    if not len(costs):
        return
    filled = np.cumsum(np.asarray(costs, dtype=np.float64)) // limit
    edges = np.flatnonzero(np.diff(filled, prepend=-1.0))
    for start, stop in zip(edges, [*edges[1:], len(filled)], strict=True):
        yield slice(int(start), int(stop))
