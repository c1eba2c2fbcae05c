"""Ridge regression from a Gram matrix, W = (G + ridge)^-1 T: dense by Cholesky, or local where G is large.

The dense way works in float32 and in place: beside G only W and one block of columns are held. Of many
features it solves those together that weigh something against the ridge; each of the others alone, on its
own diagonal, which gives sparse rows (`joint_features`, `solve_alone`). The local
way (as Ning & Karypis, "SLIM", ICDM 2011, select features) solves each target on the features that go with
it most: one small system per item, sparse weights, any catalogue.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.compact import sparse_tensors
from matinee.core.types import Float32, Float64, Int64

_BLOCK = 1024
_TRIES = 8
_FEW = 2_000
# A product with one sparse entry takes as long as so many operations of dense ones.
_SPARSE_FLOPS = 25.0


def factor(gram: Float32, ridge: Float32 | float) -> tuple[Float32, float]:
    """Cholesky factor of `gram + diag(ridge)`, in the memory of `gram`.

    Where rounding leaves the matrix not positive definite, the ridge is doubled until it is.

    Args:
        gram: symmetric, float32, C order; overwritten.
        ridge: one number, or one per row.

    Returns:
        The lower factor in Fortran order (its other triangle is not zeroed), and the multiple of the ridge
        that it took.

    Raises:
        ArithmeticError: not even a ridge 128 times as large makes it positive definite (it has NaNs).
    """
    from scipy.linalg import lapack

    diagonal = gram.diagonal().copy()
    where = np.diag_indices(len(gram))
    times = 1.0
    for _ in range(_TRIES):
        gram[where] = diagonal + np.float32(times) * ridge
        lower, info = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
        if info == 0 and np.isfinite(lower.diagonal()).all():
            return lower, times
        _mirror(gram)
        times *= 2.0
    raise ArithmeticError(f"No Cholesky factor after raising the ridge {times:.0f} times: are there NaNs?")


def solve(lower: Float32, targets: Any) -> Float32:
    """W = (G + ridge)^-1 T, from the factor.

    Few targets (sparse T) are cheaper through the inverse, n^3 instead of 2 n^2 x items; `lower` is then
    overwritten.

    Args:
        lower: from `factor`, shape (n, n).
        targets: scipy CSR of T transposed, shape (items, n).

    Returns:
        float32, shape (n, items), C order.
    """
    from scipy.linalg import lapack

    n, items = len(lower), targets.shape[0]
    weights = np.empty((n, items), np.float32)
    through_inverse = _SPARSE_FLOPS * targets.nnz * n + float(n) ** 3 * 2 / 3 < 2.0 * float(n) ** 2 * items
    inverse = inverted(lower) if through_inverse else lower
    for start in range(0, items, _BLOCK):
        block = targets[start : start + _BLOCK]
        if through_inverse:
            weights[:, start : start + _BLOCK] = (block @ inverse).T
        else:
            solved, _ = lapack.spotrs(lower, block.toarray().T, lower=1, overwrite_b=1)
            weights[:, start : start + _BLOCK] = solved
    return weights


def joint_features(diagonal: NDArray[Any], least: float) -> Int64:
    """Which features are solved together: all of up to 2,000, else those that weigh against the ridge.

    A feature whose Gram diagonal is a small share s of the ridge keeps only s / (1 + s) of its least-squares
    weight, so what it shares with others hardly moves the solution.

    Args:
        diagonal: of the Gram matrix, shape (n,).
        least: the least diagonal of a feature that is solved with others.

    Returns:
        int64, ascending; at least one where there are any.
    """
    if len(diagonal) <= _FEW:
        return np.arange(len(diagonal))
    chosen = diagonal >= least
    chosen[np.argmax(diagonal)] = True
    return np.flatnonzero(chosen)


def solve_alone(diagonal: NDArray[Any], targets: Any, ridge: float, joint: Int64) -> Any:
    """The weights of the features that are not `joint`, each solved as if it were the only one.

    Args:
        diagonal: of the Gram matrix, shape (n,).
        targets: scipy CSR of T transposed, shape (items, n).
        ridge: what is added to the diagonal.
        joint: from `joint_features`.

    Returns:
        scipy CSR float32, shape (n, items), rows of joint features empty.
    """
    factors = (1.0 / (np.asarray(diagonal, np.float64) + ridge)).astype(np.float32)
    factors[joint] = 0.0
    weights = targets.astype(np.float32)
    weights.data = weights.data * factors[weights.indices]
    weights.eliminate_zeros()
    return weights.T.tocsr()


def tensors_of(joint: Int64, dense: Float32, alone: Any) -> dict[str, NDArray[Any]]:
    """The tensors of a linear part: the joint rows dense, the others sparse."""
    if len(joint) == alone.shape[0]:
        return {"weights": dense}
    return {"weights": dense, "rows": joint.astype(np.int32), **sparse_tensors(alone)}


def inverted(lower: Float32) -> Float32:
    """(G + ridge)^-1 from the factor, in its memory: symmetric, float32, C order."""
    from scipy.linalg import lapack

    inverse, _ = lapack.spotri(lower, lower=1, overwrite_c=1)
    filled: Float32 = inverse.T
    _mirror(filled, from_upper=True)
    return filled


def _mirror(matrix: NDArray[Any], from_upper: bool = False) -> None:
    """Copy the lower triangle of a C-ordered matrix into the upper one, or the other way, block by block."""
    source = matrix.T if from_upper else matrix
    for start in range(0, len(matrix), _BLOCK):
        stop = min(start + _BLOCK, len(matrix))
        square = source[start:stop, start:stop]
        square[:] = np.tril(square) + np.tril(square, -1).T
        source[start:stop, stop:] = source[stop:, start:stop].T


def solve_local(gram: Any, targets: Any, ridge: Float32 | float, features: int) -> Any:
    """Solve each target on its few strongest features.

    Args:
        gram: scipy CSR, shape (n, n), no cell below 0: symmetric, or with its largest cells alone, some
            of them on one side of the diagonal only.
        targets: scipy CSR of T transposed, shape (items, n).
        ridge: what is added to the diagonal: one number, or one per feature.
        features: the most features of a target, those with the largest |t| / sqrt(g + ridge).

    Returns:
        scipy CSR float32, shape (n, items).
    """
    import scipy.sparse

    diagonal = gram.diagonal() + ridge
    roots = np.sqrt(diagonal)
    place = np.full(gram.shape[0], -1, np.int32)
    rows, columns, values = [], [], []
    for j in range(targets.shape[0]):
        span = slice(targets.indptr[j], targets.indptr[j + 1])
        among, wanted = targets.indices[span], targets.data[span]
        if len(among) > features:
            best = np.argpartition(-np.abs(wanted) / roots[among], features)[:features]
            among, wanted = among[best], wanted[best]
        if not len(among):
            continue
        small = _submatrix(gram, among, place)
        small = np.maximum(small, small.T)
        small.ravel()[:: len(among) + 1] += ridge if isinstance(ridge, float) else ridge[among]
        rows.append(among)
        columns.append(np.full(len(among), j, np.int32))
        values.append(_solved(small, wanted.astype(np.float64)).astype(np.float32))
    shape = (gram.shape[0], targets.shape[0])
    if not rows:
        return scipy.sparse.csr_matrix(shape, dtype=np.float32)
    cells = (np.concatenate(rows), np.concatenate(columns))
    return scipy.sparse.csr_matrix((np.concatenate(values), cells), shape=shape)


def _solved(small: Float64, wanted: Float64) -> Float64:
    """A small symmetric system by its Cholesky factor, at half the arithmetic; else by elimination."""
    from scipy.linalg import lapack

    _, solved, failed = lapack.dposv(small, wanted)
    return np.asarray(np.linalg.solve(small, wanted) if failed else solved)


def _submatrix(gram: Any, among: NDArray[Any], place: NDArray[np.int32]) -> Float64:
    """gram[among, among] as a dense matrix; `place` is all -1, and is so again afterwards."""
    place[among] = np.arange(len(among))
    starts = gram.indptr[among]
    lengths = gram.indptr[among + 1] - starts
    ends = np.cumsum(lengths)
    cells = np.arange(ends[-1])
    cells += np.repeat(starts - (ends - lengths), lengths)
    columns = place[gram.indices[cells]]
    inside = np.flatnonzero(columns >= 0)
    small = np.zeros((len(among), len(among)))
    rows = np.searchsorted(ends, inside, side="right")
    small[rows, columns[inside]] = gram.data[cells[inside]]
    place[among] = -1
    return small
