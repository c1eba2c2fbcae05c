"""Weights made small: bf16, and only the largest weights of each item where that is not enough.

bf16 keeps 8 bits of each weight, which moves a score by at most .4 % of the terms that it adds up. The
largest weights of a row are those of the largest size, negative ones included. Losses measured on ML-1M and
Beauty stand in benchmarks/.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.bf16 import bf16, float32_of
from matinee.core.promise import Part
from matinee.core.types import Float32

DEFAULT_BYTES = 900_000_000
_ROWS = 256
_SPARSE = ("indptr", "indices", "data")


def compact(part: Part, *, limit_bytes: int = DEFAULT_BYTES, keep: int | None = None) -> Part:
    """The same part with its weights in bf16 and within a number of bytes.

    Args:
        part: of kind `linear`; any other kind is returned as it is.
        limit_bytes: dense weights that are larger than this in bf16 are kept sparse, with as many of the
            largest weights of each row as fit.
        keep: keep so many weights of each row, whatever fits; for answering in bulk.

    Returns:
        A part that the same scorer reads; `settings["kept"]` tells how many weights a row kept at most.
    """
    if part.kind != "linear":
        return part
    tensors = dict(part.tensors)
    settings = dict(part.settings)
    if "weights" in tensors and keep is None and _rounded_bytes(tensors) <= limit_bytes:
        for name in {"weights", "data"} & set(tensors):
            tensors[name] = _rounded(tensors[name])
    elif "weights" in tensors:
        dense, rows = tensors.pop("weights"), tensors.pop("rows", None)
        items = dense.shape[1]
        height = len(dense) if rows is None else len(tensors["indptr"]) - 1
        settings["kept"] = min(items, keep or _fitting(height, items, limit_bytes))
        others = {name: tensors.pop(name) for name in _SPARSE if name in tensors}
        tensors |= _merged(_largest_dense(dense, settings["kept"]), rows, others, settings["kept"])
    elif "indptr" in tensors:
        items = int(tensors["indices"].max(initial=0)) + 1
        wanted = keep or _fitting(len(tensors["indptr"]) - 1, items, limit_bytes)
        tensors |= _largest_sparse(tensors, wanted)
        tensors["data"] = _rounded(tensors["data"])
        settings["kept"] = wanted
    for name in ("left", "right"):
        if name in tensors:
            tensors[name] = _rounded(tensors[name])
    return replace(part, settings=settings, tensors=tensors)


def sparse_tensors(matrix: Any) -> dict[str, NDArray[Any]]:
    """A scipy CSR matrix as the tensors of a linear part; column codes take two bytes where they fit."""
    small = matrix.shape[1] <= np.iinfo(np.uint16).max
    return {
        "indptr": matrix.indptr.astype(np.int64),
        "indices": matrix.indices.astype(np.uint16 if small else np.int32),
        "data": np.asarray(matrix.data, dtype=np.float32),
    }


def largest(matrix: Any, keep: int) -> Any:
    """A scipy CSR matrix with only the `keep` largest entries, by size, of each row."""
    import scipy.sparse

    tensors = {"indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data}
    kept = _largest_sparse(tensors, keep)
    return scipy.sparse.csr_matrix((kept["data"], kept["indices"], kept["indptr"]), shape=matrix.shape)


def _rounded_bytes(tensors: dict[str, NDArray[Any]]) -> int:
    """Bytes of dense and sparse weights, were they in bf16."""
    sizes = [2 * tensors[name].size for name in ("weights", "data") if name in tensors]
    return sum(sizes) + sum(tensors[name].nbytes for name in ("rows", "indptr", "indices") if name in tensors)


def _merged(
    some: dict[str, NDArray[Any]], rows: NDArray[Any] | None, others: dict[str, NDArray[Any]], keep: int
) -> dict[str, NDArray[Any]]:
    """Sparse rows that stand at `rows`, and `others` in between, as one set of sparse rows in bf16."""
    if rows is None or not others:
        return some
    rest = _largest_sparse(others, keep)
    lengths = np.diff(rest["indptr"])
    lengths[rows] = np.diff(some["indptr"])
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    mine = np.zeros(len(lengths), bool)
    mine[rows] = True
    mine = np.repeat(mine, lengths)
    indices = np.empty(len(mine), rest["indices"].dtype)
    data = np.empty(len(mine), np.uint16)
    indices[mine], indices[~mine] = some["indices"], rest["indices"]
    data[mine], data[~mine] = some["data"], bf16(rest["data"])
    return {"indptr": indptr, "indices": indices, "data": data}


def _rounded(array: NDArray[Any]) -> NDArray[Any]:
    """The array in bf16, row block by row block; what is in bf16 already stays."""
    if array.dtype == np.uint16:
        return array
    small = np.empty(array.shape, np.uint16)
    for start in range(0, len(array), _ROWS):
        small[start : start + _ROWS] = bf16(array[start : start + _ROWS])
    return small


def _fitting(rows: int, items: int, limit_bytes: int) -> int:
    """How many weights of each row fit."""
    entry = 4 if items <= np.iinfo(np.uint16).max else 6
    return max(1, (limit_bytes - 8 * rows) // (entry * max(rows, 1)))


def _largest_dense(dense: NDArray[Any], keep: int) -> dict[str, NDArray[Any]]:
    """The `keep` largest weights of each row of a dense matrix."""
    import scipy.sparse

    blocks = []
    for start in range(0, len(dense), _ROWS):
        block: Float32 = float32_of(dense[start : start + _ROWS])
        if keep < block.shape[1]:
            small = np.argpartition(-np.abs(block), keep - 1, axis=1)[:, keep:]
            block = block.copy()
            np.put_along_axis(block, small, 0.0, axis=1)
        blocks.append(scipy.sparse.csr_matrix(block))
    tensors = sparse_tensors(scipy.sparse.vstack(blocks, format="csr"))
    return tensors | {"data": bf16(tensors["data"])}


def _largest_sparse(tensors: dict[str, NDArray[Any]], keep: int) -> dict[str, NDArray[Any]]:
    """The `keep` largest weights of each sparse row, as float32."""
    indptr, data = tensors["indptr"].astype(np.int64), float32_of(tensors["data"])
    lengths = np.diff(indptr)
    if (lengths <= keep).all():
        return {"indptr": indptr, "indices": tensors["indices"], "data": data}
    row = np.repeat(np.arange(len(lengths)), lengths)
    ordered = np.lexsort((-np.abs(data), row))
    rank = np.arange(len(data)) - np.repeat(indptr[:-1], lengths)
    kept = np.sort(ordered[rank < keep])
    ends = np.cumsum(np.minimum(lengths, keep))
    return {
        "indptr": np.concatenate([np.zeros(1, np.int64), ends]),
        "indices": tensors["indices"][kept],
        "data": data[kept],
    }
