"""The sums that the regression from decayed histories to the next item is solved from.

At each event t that is to be predicted, the features are the decayed histories
h_t^a = sum over p < t of a^(t-1-p) w_p e(item_p), one for each decay rate a, and the event counts u_t. The
Gram matrix is G_ab = sum u_t h_t^a (h_t^b)', the targets are T_a = sum u_t h_t^a e(item_t)'. A pair of events
p < q, k apart, adds a^k w_p w_q R_q to G, where R_q = sum over t > q of (ab)^(t-1-q) u_t are the later steps
that both still serve, and a^(k-1) w_p u_q to T. So one pass over the lags makes both.

Sums over disjoint sets of predicted events add up: new events need only their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Bool, Float32, Histories, Int64
from matinee.recommenders.cooccurrence import pair_sums, remaining

# Rows of a block of `near_gram`.
_ROWS = 4096
# Numbers below this are merged in a table of 5 bytes for each.
_TABLE_CELLS = 2**25


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Gram matrix and targets, pair by pair; scipy CSR matrices of shape (items, items), rows newer items.

    Attributes:
        pairs: [a][b]: pairs whose older event is seen at rate a, and whose newer one at rate b.
        same: float32, shape (rates, rates, items): what each event adds to the Gram matrix with itself.
        targets: [a]: for each predicted item (row), the decayed histories at rate a before it.
    """

    pairs: tuple[tuple[Any, ...], ...]
    same: Float32
    targets: tuple[Any, ...]

    def diagonal(self) -> Float32:
        """The diagonal of the Gram matrix: float32, shape (rates x items,)."""
        rates = range(len(self.targets))
        return np.concatenate([self.same[a, a] + 2.0 * self.pairs[a][a].diagonal() for a in rates])

    def __add__(self, other: Sums) -> Sums:
        """The sums over both sets of predicted events."""
        return Sums(
            pairs=tuple(
                tuple(x + y for x, y in zip(mine, theirs, strict=True))
                for mine, theirs in zip(self.pairs, other.pairs, strict=True)
            ),
            same=self.same + other.same,
            targets=tuple(x + y for x, y in zip(self.targets, other.targets, strict=True)),
        )

    def less(self, noes: Any | None) -> Sums:
        """The sums whose targets are lower by `noes` (CSR, shape (items, rates x items)); None: the same."""
        if noes is None:
            return self
        n = self.same.shape[2]
        lower = [noes[:, a * n : (a + 1) * n].tocsr() for a in range(len(self.targets))]
        return replace(self, targets=tuple(x - y for x, y in zip(self.targets, lower, strict=True)))

    def renamed(self, codes: NDArray[np.int64], n_items: int) -> Sums:
        """The same sums where item i has become item `codes[i]` of a catalogue of `n_items`."""
        if np.array_equal(codes, np.arange(n_items)):
            return self
        same = np.zeros((*self.same.shape[:2], n_items), np.float32)
        same[:, :, codes] = self.same
        return Sums(
            pairs=tuple(tuple(_renamed(x, codes, n_items) for x in row) for row in self.pairs),
            same=same,
            targets=tuple(_renamed(x, codes, n_items) for x in self.targets),
        )


def sums_of(
    histories: Histories,
    n_items: int,
    decays: tuple[float, ...],
    windows: tuple[int, ...],
    predicted: Bool | None = None,
) -> Sums:
    """Sum over all predicted events of some histories.

    Args:
        histories: oldest event first; events that are no `targets` are never predicted.
        n_items: size of the catalogue.
        decays: rates between 0 and 1.
        windows: the greatest lag of a pair for each rate.
        predicted: bool, shape (events,): predict these only; None: all.
    """
    weights = np.ones(len(histories.items)) if histories.weights is None else histories.weights
    counts = weights.astype(np.float64)
    for mask in (histories.targets, predicted):
        counts = counts if mask is None else counts * mask
    pairs, targets = [], []
    same = np.zeros((len(decays), len(decays), n_items), np.float32)
    for a, (decay, window) in enumerate(zip(decays, windows, strict=True)):
        serves = [weights * remaining(counts, histories, decay * other) for other in decays]
        for b, serve in enumerate(serves):
            same[a, b] = np.bincount(histories.items, weights * serve, n_items)
        *row, target = pair_sums(histories, n_items, decay, window, [*serves, counts / decay])
        pairs.append(tuple(row))
        targets.append(target)
    return Sums(pairs=tuple(pairs), same=same, targets=tuple(targets))


def dense_gram(sums: Sums, joint: Int64 | None = None) -> Float32:
    """The Gram matrix of some features, ascending, or of all: float32, square, C order."""
    rates, _, n = sums.same.shape
    joint = np.arange(rates * n) if joint is None else joint
    cuts = np.searchsorted(joint, np.arange(rates + 1) * n)
    kept = [joint[cuts[a] : cuts[a + 1]] - a * n for a in range(rates)]
    gram = np.zeros((len(joint), len(joint)), np.float32)
    for a in range(rates):
        for b in range(rates):
            block = gram[cuts[a] : cuts[a + 1], cuts[b] : cuts[b + 1]]
            _add_into(block, _among(sums.pairs[b][a], kept[a], kept[b]))
            _add_into(block.T, _among(sums.pairs[a][b], kept[b], kept[a]))
            both, rows, columns = np.intersect1d(kept[a], kept[b], True, return_indices=True)
            block[rows, columns] += sums.same[a, b][both]
    return gram


def sparse_gram(sums: Sums) -> Any:
    """The Gram matrix as scipy CSR, shape (rates x items, rates x items)."""
    import scipy.sparse

    rates = len(sums.targets)
    return scipy.sparse.block_array(
        [
            [
                sums.pairs[a][b].T + sums.pairs[b][a] + scipy.sparse.diags_array(sums.same[a, b])
                for b in range(rates)
            ]
            for a in range(rates)
        ],
        format="csr",
    )


def near_gram(sums: Sums, weights: NDArray[Any], most: int) -> Any:
    """The Gram matrix with the largest cells of each row alone, for a catalogue whose whole one has too many.

    Made some rows at a time: neither the whole matrix nor its other triangle is ever there.

    Args:
        sums: what it is made of; no cell is below 0.
        weights: shape (features,): a cell g of column j counts g * weights[j].
        most: cells that a row keeps; the diagonal is always among them.

    Returns:
        scipy CSR float32, shape (rates x items, rates x items), its cells in no order; a cell that its row
        keeps may be missing on the other side of the diagonal.
    """
    import scipy.sparse

    rates, n = len(sums.targets), sums.same.shape[2]
    blocks = []
    for a in range(rates):
        older = [sums.pairs[a][b].T.tocsr() for b in range(rates)]
        for start in range(0, n, _ROWS):
            rows = slice(start, min(start + _ROWS, n))
            parts = []
            for b in range(rates):
                same = scipy.sparse.diags_array(
                    sums.same[a, b][rows], offsets=start, shape=(rows.stop - start, n)
                )
                parts.append(older[b][rows] + sums.pairs[b][a][rows] + same)
            blocks.append(_largest(scipy.sparse.hstack(parts, format="csr"), weights, most, a * n + start))
    return scipy.sparse.vstack(blocks, format="csr")


def gram_cells(sums: Sums) -> int:
    """Cells of the Gram matrix, at most."""
    return 2 * sum(int(matrix.nnz) for row in sums.pairs for matrix in row)


def targets_by_item(sums: Sums) -> Any:
    """T transposed: scipy CSR, shape (items, rates x items)."""
    import scipy.sparse

    return scipy.sparse.hstack(sums.targets, format="csr")


def to_arrays(sums: Sums) -> dict[str, NDArray[Any]]:
    """Named arrays, as a part keeps them.

    The sums of one rate stand in nearly the same cells, so their places are kept once, with a row of values
    for each; column codes take two bytes where they fit.
    """
    arrays: dict[str, NDArray[Any]] = {"same": sums.same}
    n = sums.same.shape[2]
    for a, row in enumerate(sums.pairs):
        matrices = (*row, sums.targets[a])
        every, places = _merged([_keys(matrix, n) for matrix in matrices], n * n)
        values = np.zeros((len(matrices), len(every)), np.float32)
        for into, where, matrix in zip(values, places, matrices, strict=True):
            into[where] = matrix.data
        width = np.uint16 if n <= np.iinfo(np.uint16).max else np.int32
        arrays[f"{a}.indptr"] = np.searchsorted(every, np.arange(n + 1, dtype=np.int64) * n)
        arrays[f"{a}.indices"] = (every % max(n, 1)).astype(width)
        arrays[f"{a}.values"] = values
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Sums:
    """The sums that `to_arrays` named."""
    same = np.asarray(arrays["same"], np.float32)
    rates, _, n = same.shape
    found = [[_matrix(arrays, a, row, n) for row in range(rates + 1)] for a in range(rates)]
    return Sums(
        pairs=tuple(tuple(row[:rates]) for row in found), same=same, targets=tuple(row[-1] for row in found)
    )


def _merged(keys: Sequence[Int64], below: int) -> tuple[Int64, list[NDArray[Any]]]:
    """Every number of some ascending lists without doubles, once, and where each list's stand among them.

    Args:
        keys: the lists.
        below: all numbers are less.
    """
    if below >= _TABLE_CELLS:
        every = np.unique(np.concatenate(keys))
        return every, [np.searchsorted(every, some) for some in keys]
    # One look a number, where sorting and searching take twenty.
    there = np.zeros(below, np.bool_)
    for some in keys:
        there[some] = True
    rank = np.cumsum(there, dtype=np.int32)
    return np.flatnonzero(there), [rank[some] - 1 for some in keys]


def _keys(matrix: Any, n: int) -> Int64:
    """Row * n + column of each stored cell: int64, ascending."""
    matrix.sum_duplicates()
    rows = np.repeat(np.arange(n, dtype=np.int64), np.diff(matrix.indptr))
    keys: Int64 = rows * n + matrix.indices
    return keys


def _matrix(arrays: Mapping[str, NDArray[Any]], rate: int, row: int, n: int) -> Any:
    """One kept sum as scipy CSR without empty cells."""
    import scipy.sparse

    values = arrays[f"{rate}.values"][row]
    there = values != 0.0
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(there)])
    indices = arrays[f"{rate}.indices"][there].astype(np.int32)
    return scipy.sparse.csr_matrix((values[there], indices, ends[arrays[f"{rate}.indptr"]]), shape=(n, n))


def _renamed(matrix: Any, codes: NDArray[np.int64], n: int) -> Any:
    import scipy.sparse

    cells = matrix.tocoo()
    return scipy.sparse.csr_matrix((cells.data, (codes[cells.row], codes[cells.col])), shape=(n, n))


def _largest(block: Any, weights: NDArray[Any], most: int, first: int) -> Any:
    """Some rows of a matrix with their largest weighted cells alone; the first row is number `first`."""
    import scipy.sparse

    lengths = np.diff(block.indptr)
    if lengths.max(initial=0) <= most:
        return block
    rows = np.repeat(np.arange(block.shape[0]), lengths)
    worth = (block.data * weights[block.indices]).astype(np.float32)
    worth[block.indices == rows + first] = np.inf
    # Bits of floats that are not below 0 are in the floats' order: one sort by rows, the largest first.
    order = np.argsort((rows.astype(np.uint64) << np.uint64(32)) | ~worth.view(np.uint32))
    kept = order[np.arange(len(order)) - np.repeat(block.indptr[:-1], lengths) < most]
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.minimum(lengths, most))])
    return scipy.sparse.csr_matrix((block.data[kept], block.indices[kept], ends), shape=block.shape)


def _among(matrix: Any, rows: Int64, columns: Int64) -> Any:
    """Some rows and columns of a sparse matrix."""
    if len(rows) < matrix.shape[0]:
        matrix = matrix[rows]
    return matrix if len(columns) == matrix.shape[1] else matrix[:, columns]


def _add_into(block: Float32, matrix: Any, rows: int = 512) -> None:
    """Add a sparse matrix to a dense block, with only some rows dense at a time."""
    for start in range(0, matrix.shape[0], rows):
        block[start : start + rows] += matrix[start : start + rows].toarray()
