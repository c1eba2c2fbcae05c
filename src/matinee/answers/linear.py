"""Linear models: an item's score is a sum over the events of a history, each weighted by how long ago it was.

score(j) = bias[j] + sum over rates s, events e of weight_e * decays[s] ** back_e * W[s * items + item_e, j]

where back_e counts the events after e. One scorer answers for transitions, ease, item_knn and graph_filter;
they differ in where W comes from. W is the sum of whichever of these tensors the part has:

- `weights`: dense, shape (rates x items, items); with `rows` (int32, ascending) only those rows of it;
- `indptr`, `indices`, `data`: sparse rows (CSR), such as the largest weights of each item;
- `left` (rates x items, rank) and `right` (rank, items): low rank.

`bias`, shape (items,), is optional. Tensors are float32, or bf16 kept as its uint16 bit patterns. Settings
read: `decays` (default one rate of 1: order does not matter), `windows` (events per rate; 0 for all).

An asker's scores are added up event by event in the order of the history, so they are the same alone and in
any company; through low-rank tensors to within rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee.answers.bf16 import float32_of
from matinee.answers.context import Context
from matinee.answers.decay import decayed, decayed_alone, known, recency
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Histories, Int32, Int64

_BLOCK_BYTES = 2**26
_COLUMNS = 256
_UNPACKED_BYTES = 2**26
# As few askers as that do not need all sparse rows in memory.
_FEW = 8
# All of a bf16 but its sign.
_UNSIGNED = np.uint16(0x7FFF)


class _Sparse(NamedTuple):
    """Sparse rows (CSR) as a bundle has them: what is read of them alone is taken from the disk."""

    indptr: Int64
    indices: NDArray[Any]
    data: NDArray[Any]


class LinearScorer:
    """Scores histories with the weights of one fitted part.

    Args:
        part: tensors and settings as the file's docstring names them.
        context: the size of the catalogue.
    """

    def __init__(self, part: Part, context: Context) -> None:
        self._n = context.n_items
        self._decays = [float(decay) for decay in part.settings.get("decays", (1.0,))]
        self._windows = [int(w) for w in part.settings.get("windows", (0,) * len(self._decays))]
        self._dense = part.tensors.get("weights")
        self._rows = _places(part.tensors.get("rows"), len(self._decays) * self._n)
        self._sparse = _sparse_of(part.tensors)
        self._left = _optional(part.tensors, "left")
        self._right = _optional(part.tensors, "right")
        self._bias = _optional(part.tensors, "bias")
        self._asked: tuple[Histories, tuple[Int64, Float32]] | None = None
        self._sums: tuple[Histories, tuple[Int64, Float32]] | None = None

    def score(self, askers: Askers) -> Float32:
        """Scores of every item for every asker: float32, shape (askers, items)."""
        scores = self._sum(askers.histories)
        if self._bias is not None:
            scores += self._bias
        return scores

    def personal(self, askers: Askers) -> Bool:
        """Whether any event that counts is of an item that W has a row for: bool, shape (askers,)."""
        if len(askers) == 1:
            return np.array([self._speaking[self._entries(askers.histories)[0]].any()])
        query = decayed(askers.histories, self._decays, self._windows, self._n)
        said = np.concatenate([np.zeros(1, np.int64), np.cumsum(self._speaking[query.indices])])
        return np.asarray(np.diff(said[query.indptr]) > 0)

    def contributions(self, asker: Askers, item: int) -> Float32:
        """What each event adds to one item's score: float32, shape (events,); sums to score - bias."""
        return np.asarray(self.contributions_to(asker, np.array([item]))[0])

    def contributions_to(self, asker: Askers, items: Int64) -> Float32:
        """The same for some items: float32, shape (items, events)."""
        events = asker.histories
        there = known(events, self._n)
        clean = events.keep(there)
        parts = np.zeros((len(items), len(there)), np.float32)
        table = recency(clean, self._decays, self._windows)
        parts[:, there] = (table * self._cells(items, self._rows_of(clean))).sum(axis=2)
        return parts

    def without_each(self, asker: Askers, items: Int64) -> Float32:
        """One asker's scores of some items, then those without each event: float32, (items, 1 + events).

        Without an event, all before it lie one event less far back: their terms are reckoned once more.
        """
        events = asker.histories
        there = known(events, self._n)
        clean = events.keep(there)
        cells = self._cells(items, self._rows_of(clean)).astype(np.float64)
        shorter = clean.keep(np.arange(len(clean.items)) < len(clean.items) - 1)
        terms = (recency(clean, self._decays, self._windows) * cells).sum(axis=2)
        nearer = (recency(shorter, self._decays, self._windows) * cells[:, :-1]).sum(axis=2)
        bias = np.zeros(len(items)) if self._bias is None else self._bias[items].astype(np.float64)
        scores = np.repeat((bias + terms.sum(axis=1))[:, None], 1 + len(there), axis=1)
        before = np.zeros_like(terms)
        before[:, 1:] = nearer.cumsum(axis=1)
        after = terms[:, ::-1].cumsum(axis=1)[:, ::-1] - terms
        scores[:, 1:][:, there] = bias[:, None] + before + after
        return scores.astype(np.float32)

    def similar(self, items: Int32) -> Float32:
        """The model's own likeness: every item's score after a history of that one item, without bias."""
        codes = np.asarray(items, dtype=np.int32)
        return self._sum(Histories(items=codes, offsets=np.arange(len(codes) + 1, dtype=np.int64)))

    def reached(self, asker: Askers, n: int) -> Int64:
        """The n items, or fewer, that one asker's history reaches by the largest sums: int64."""
        if self._dense is not None or self._left is not None:
            sums = self._sum_alone(asker.histories)[0]
            return np.argpartition(-sums, n)[:n] if n < len(sums) else np.arange(len(sums))
        codes, sums = self._sparse_sums(asker.histories)
        return codes if n >= len(codes) else codes[np.argpartition(-sums, n)[:n]]

    def few(self, askers: Askers) -> Any | None:
        """Scores of the items that are reached: scipy CSR, shape (askers, items); None: all may be."""
        all_reached = self._dense is not None or self._left is not None or self._bias is not None
        if all_reached or self._sparse is None or len(askers) <= _FEW:
            return None
        return decayed(askers.histories, self._decays, self._windows, self._n) @ self._matrix

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items: float32, shape (codes,); equal to `score` within rounding."""
        if self._dense is not None or self._left is not None:
            scores: Float32 = self._sum_alone(asker.histories)[0, codes]
        else:
            reached, sums = self._sparse_sums(asker.histories)
            scores = np.zeros(len(codes), np.float32)
            if len(reached):
                places = np.minimum(np.searchsorted(reached, codes), len(reached) - 1)
                there = reached[places] == codes
                scores[there] = sums[places[there]]
        return scores if self._bias is None else np.asarray(scores + self._bias[codes], dtype=np.float32)

    @cached_property
    def _speaking(self) -> Bool:
        """Which rows of W are not empty: bool, shape (rates x items,)."""
        speaking = np.zeros(len(self._decays) * self._n, np.bool_)
        if self._dense is not None:
            of_dense = _filled_rows(self._dense)
            speaking |= of_dense if self._rows is None else (self._rows >= 0) & of_dense[self._rows]
        if self._sparse is not None:
            speaking |= _filled_sparse(self._sparse)
        if self._left is not None and self._right is not None:
            speaking |= _filled_rows(self._left)
        return speaking

    def _sum(self, histories: Histories) -> Float32:
        """Scores without bias: float32, shape (histories, items)."""
        if len(histories) == 1:
            return self._sum_alone(histories)
        query = decayed(histories, self._decays, self._windows, self._n)
        scores = None
        if self._dense is not None:
            of_dense = query if self._rows is None else _narrowed(query, self._rows, len(self._dense))
            scores = _times_dense(of_dense, self._dense)
        if self._sparse is not None:
            sparse = self._times_rows(query)
            scores = sparse if scores is None else scores + sparse
        if scores is None:
            scores = np.zeros((len(histories), self._n), np.float32)
        if self._left is not None and self._right is not None:
            scores += (query @ self._left) @ self._right
        return np.asarray(scores, dtype=np.float32)

    def _times_rows(self, query: Any) -> Float32:
        """Decayed counts times sparse rows: float32, shape (histories, items)."""
        if query.shape[0] > _FEW or self._sparse is None:
            return np.asarray((query @ self._matrix).toarray(), dtype=np.float32)
        scores = np.zeros((query.shape[0], self._n), np.float32)
        for row, (start, end) in enumerate(pairwise(query.indptr)):
            some = slice(start, end)
            scores[row] = _times_sparse(query.indices[some], query.data[some], self._sparse, self._n)
        return scores

    def _sum_alone(self, history: Histories) -> Float32:
        """Scores of one history without bias: float32, shape (1, items)."""
        columns, counts = self._entries(history)
        scores = np.zeros((1, self._n), np.float32)
        if self._dense is not None:
            places = columns if self._rows is None else self._rows[columns]
            inside = places >= 0
            dense = self._dense if self._unpacked is None else self._unpacked
            scores += _times_dense(self._one_row(places[inside], counts[inside]), dense)
        if self._sparse is not None:
            scores += _times_sparse(columns, counts, self._sparse, self._n)
        if self._left is not None and self._right is not None:
            scores += (counts @ self._left[columns]) @ self._right
        return scores

    def _sparse_sums(self, history: Histories) -> tuple[Int64, Float32]:
        """The items that one history reaches by sparse rows, ascending, and their sums."""
        asked = self._sums
        if asked is None or asked[0] is not history:
            asked = history, _sums_of(*self._entries(history), self._sparse)
            self._sums = asked
        return asked[1]

    def _entries(self, history: Histories) -> tuple[Int64, Float32]:
        """One history's decayed counts; asked for again, they are what they were."""
        asked = self._asked
        if asked is None or asked[0] is not history:
            asked = history, decayed_alone(history, self._decays, self._windows, self._n)
            self._asked = asked
        return asked[1]

    def _one_row(self, columns: Int64, counts: Float32) -> Any:
        """One sparse row for the dense weights: a copy of an empty one, since scipy checks what is new."""
        row = copy(self._empty_row)
        row.data, row.indices = counts, columns.astype(np.int32)
        row.indptr = np.array([0, len(columns)], np.int32)
        return row

    @cached_property
    def _empty_row(self) -> Any:
        import scipy.sparse

        shape: Any = (1, 0 if self._dense is None else len(self._dense))
        return scipy.sparse.csr_matrix(shape, dtype=np.float32)

    @cached_property
    def _matrix(self) -> Any:
        """The sparse rows as scipy has them, for who asks in company: float32."""
        import scipy.sparse

        rows = self._sparse
        assert rows is not None  # noqa: S101 - asked for only where there are any
        width: Any = np.int32 if len(rows.indices) < np.iinfo(np.int32).max else np.int64
        indices, indptr = (np.asarray(one, dtype=width) for one in (rows.indices, rows.indptr))
        shape = len(rows.indptr) - 1, self._n
        return scipy.sparse.csr_matrix((float32_of(rows.data), indices, indptr), shape=shape)

    @cached_property
    def _unpacked(self) -> Float32 | None:
        """Dense weights as float32 for who asks alone, where they take little room."""
        if self._dense is None or self._dense.dtype == np.float32:
            return self._dense
        return float32_of(self._dense) if 4 * self._dense.size <= _UNPACKED_BYTES else None

    def _rows_of(self, history: Histories) -> Int64:
        """The rows of W that each event of known items speaks by: int64, shape (events, rates)."""
        return history.items[:, None].astype(np.int64) + np.arange(len(self._decays)) * self._n

    def _cells(self, items: Int64, rows: Int64) -> Float32:
        """W[rows, item] for some items: float32, shape (items, *rows.shape)."""
        cells = np.zeros((len(items), *rows.shape), np.float32)
        if self._dense is not None:
            places = rows if self._rows is None else self._rows[rows]
            cells[:, places >= 0] += float32_of(self._dense[places[places >= 0][None], items[:, None]])
        if self._sparse is not None:
            cells += _sparse_cells(self._sparse, rows.ravel(), items).reshape(cells.shape)
        if self._left is not None and self._right is not None:
            cells += np.moveaxis(self._left[rows] @ self._right[:, items], -1, 0)
        return cells


def _optional(tensors: Mapping[str, NDArray[Any]], name: str) -> Float32 | None:
    return float32_of(tensors[name]) if name in tensors else None


def _places(rows: NDArray[Any] | None, n: int) -> Int64 | None:
    """Where each row of W stands among some dense rows, -1 where it does not: int64, shape (n,)."""
    if rows is None:
        return None
    places = np.full(n, -1, np.int64)
    places[rows] = np.arange(len(rows))
    return places


def _filled_rows(weights: NDArray[Any]) -> Bool:
    """Which rows have any weight: bool, shape (rows,). Most rows tell in their first columns."""
    filled = np.zeros(len(weights), np.bool_)
    for start in range(0, weights.shape[1], _COLUMNS):
        empty = np.flatnonzero(~filled)
        if not len(empty):
            break
        filled[empty] = float32_of(weights[empty, start : start + _COLUMNS]).any(axis=1)
    return filled


def _narrowed(query: Any, places: Int64, width: int) -> Any:
    """The entries of a query that stand in dense rows, in their order."""
    import scipy.sparse

    columns = places[query.indices]
    inside = columns >= 0
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(inside)])
    return scipy.sparse.csr_matrix(
        (query.data[inside], columns[inside], ends[query.indptr]), shape=(query.shape[0], width)
    )


def _sparse_of(tensors: Mapping[str, NDArray[Any]]) -> _Sparse | None:
    """The sparse rows of a part, or None."""
    if "indptr" not in tensors:
        return None
    return _Sparse(tensors["indptr"].astype(np.int64, copy=False), tensors["indices"], tensors["data"])


def _filled_sparse(rows: _Sparse) -> Bool:
    """Which sparse rows have any weight that is not 0: bool, shape (rows,)."""
    filled = (rows.data & _UNSIGNED if rows.data.dtype == np.uint16 else rows.data) != 0
    if filled.all():
        return np.diff(rows.indptr) > 0
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(filled)])
    return np.diff(before[rows.indptr]) > 0


def _sparse_cells(weights: _Sparse, rows: Int64, items: Int64) -> Float32:
    """The weights of some sparse rows in some columns: float32, shape (items, rows)."""
    picked, owners = _entries_of(weights, rows)
    columns = weights.indices[picked]
    found = np.zeros((len(items), len(rows)), np.float32)
    for place, item in enumerate(items.tolist()):
        there = columns == item
        cells = float32_of(weights.data[picked[there]])
        found[place] = np.bincount(owners[there], cells, minlength=len(rows))
    return found


def _entries_of(weights: _Sparse, rows: Int64) -> tuple[Int64, Int64]:
    """Positions of the entries of some sparse rows, and which of these rows each belongs to: int64."""
    starts = weights.indptr[rows].astype(np.int64)
    lengths = weights.indptr[rows + 1] - starts
    picked = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
    return picked, np.repeat(np.arange(len(rows)), lengths)


def _times_sparse(columns: Int64, counts: Float32, weights: _Sparse, n_items: int) -> Any:
    """One row's entries times sparse weights: shape (items,), or 0 where none of their rows has any."""
    items, terms = _terms(columns, counts, weights)
    if not len(items):
        return 0.0
    scores = np.zeros(n_items, np.float32)
    # In the order of the entries, as scipy adds up: the same scores as in company.
    np.add.at(scores, items, terms)
    return scores


def _sums_of(columns: Int64, counts: Float32, weights: _Sparse | None) -> tuple[Int64, Float32]:
    """The same for the items alone that are reached, ascending: int64 and float32, shape (reached,)."""
    items, terms = _terms(columns, counts, weights)
    if not len(items):
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    order = np.argsort(items)
    items = items[order]
    starts = np.flatnonzero(np.concatenate([np.ones(1, np.bool_), items[1:] != items[:-1]]))
    return items[starts].astype(np.int64), np.add.reduceat(terms[order], starts)


def _terms(columns: Int64, counts: Float32, weights: _Sparse | None) -> tuple[NDArray[Any], Float32]:
    """Every sparse weight of a row's entries: which item it is of, and what it adds."""
    if weights is None:
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    starts = weights.indptr[columns].astype(np.int64)
    lengths = weights.indptr[columns + 1] - starts
    picked = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
    return weights.indices[picked], float32_of(weights.data[picked]) * np.repeat(counts, lengths)


def _times_dense(query: Any, weights: NDArray[Any]) -> Float32:
    """Sparse rows times dense weights, as bf16 in blocks of columns whose float32 copy stays small."""
    import scipy.sparse

    if weights.dtype == np.float32:
        return np.asarray(query @ weights, dtype=np.float32)
    rows, places = np.unique(query.indices, return_inverse=True)
    narrow = scipy.sparse.csr_matrix(
        (query.data, places, query.indptr), shape=(query.shape[0], max(len(rows), 1))
    )
    scores = np.zeros((query.shape[0], weights.shape[1]), np.float32)
    if not len(rows):
        return scores
    width = max(16, _BLOCK_BYTES // (4 * len(rows)))
    for start in range(0, weights.shape[1], width):
        block = np.ascontiguousarray(float32_of(weights[rows, start : start + width]))
        scores[:, start : start + width] = narrow @ block
    return scores
