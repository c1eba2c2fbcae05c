"""Factor models: an asker's factors are solved from their history, so newcomers are answered like anybody.

x = A^-1 sum_j c_j y_j,   A = unobserved * Y'Y + sum_j c_j y_j y_j' + ridge(n) * I,   score(i) = x . y_i

over the n items j of the history, with c_j the weight of item j's strongest event, y_j its factors (tensor
`items`, float32, shape (items, factors)) and ridge(n) = ridge * (n + unobserved * items) ** exponent
(Hu, Koren, Volinsky 2008; Rendle et al. 2021, "Revisiting the performance of iALS", section 4).

Where the part has factors of viewers too (tensor `links`, float32, shape (viewers, factors)), an asker's
friends are told like further events, of weight `friends` times the link's, and "items" in the formulas counts
both.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.linalg.lapack import sposv

from matinee.answers.context import Context
from matinee.answers.links import links_of
from matinee.answers.network import last_places, less_each
from matinee.answers.taste import Sparse, blocks, event_weights, strongest_events, taste_matrix
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Float64, Histories, Int32, Int64

# Gathered factors of a block of rows: at most this many floats.
_FLOATS = 4_000_000


class FactorsScorer:
    """Scores askers by factors folded in from their histories."""

    def __init__(self, part: Part, context: Context) -> None:
        settings = part.settings
        self._n_items = context.n_items
        self._decay = float(settings["decay"])
        self._unobserved = float(settings["unobserved"])
        self._ridge = float(settings["ridge"])
        self._exponent = float(settings["exponent"])
        self._items: Float32 = np.asarray(part.tensors["items"], dtype=np.float32)
        self._links = part.tensors.get("links")
        self._link = float(settings.get("friends", 0.0))
        self._friends = context.friends
        # What can be in what is told of an asker: items, then friends.
        columns = self._items if self._links is None else np.concatenate([self._items, self._links])
        self._columns: Float32 = columns.astype(np.float32, copy=False)
        self._gram: Float32 = self._unobserved * (self._columns.T @ self._columns)
        self._known: Bool = np.any(self._columns != 0, axis=1)
        self._asked: tuple[Histories, Int64, Float32] | None = None
        self._without: tuple[Histories, Int64, Float32] | None = None

    @property
    def item_vectors(self) -> Float32:
        """What is multiplied with what is asked for: float32, shape (items, factors)."""
        return self._items

    def asked(self, asker: Askers) -> Float32:
        """The factors of one asker: float32, shape (factors,). Asked for again, they are what they were."""
        asked = self._asked
        if asked is None or asked[0] is not asker.histories or asked[1] is not asker.viewers:
            asked = asker.histories, asker.viewers, self._solved_alone(*self._told(asker))
            self._asked = asked
        return asked[2]

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items: float32, shape (codes,)."""
        return np.asarray(self._items.take(codes, axis=0) @ self.asked(asker), dtype=np.float32)

    def score(self, askers: Askers) -> Float32:
        """The inner product of each asker's factors with every item's."""
        if len(askers) == 1:
            return np.asarray(self.asked(askers) @ self._items.T, dtype=np.float32)[None]
        return np.asarray(self.folded(askers) @ self._items.T, dtype=np.float32)

    def folded(self, askers: Askers) -> Float32:
        """The factors of each asker: float32, shape (askers, factors)."""
        history = self._matrix(*self._told(askers))
        return solve_rows(history, self._columns, self._gram, self._ridges(history))

    def personal(self, askers: Askers) -> Bool:
        """Whether an asker's history has an item with factors, or the asker a friend with any."""
        told, _ = self._told(askers)
        if len(askers) == 1:
            return np.array([self._known[told.items].any()])
        rows = told.rows()[self._known[told.items]]
        return np.bincount(rows, minlength=len(askers)) > 0

    def contributions(self, asker: Askers, item: int) -> Float32:
        """What each event adds to the score: c_j y_j' A^-1 y_i (Hu et al. section 5).

        Returns:
            float32, shape (events,), adding up to the score short of what friends add; of several events of
            one item the strongest has all.
        """
        return np.asarray(self.contributions_to(asker, np.array([item]))[0])

    def contributions_to(self, asker: Askers, items: Int64) -> Float32:
        """The same for some items: float32, shape (items, events)."""
        one, decay = self._told(asker)
        parts = np.zeros((len(items), len(one.items)), dtype=np.float32)
        weights = event_weights(one, decay)
        events = strongest_events(one, weights)
        if not len(events):
            return parts
        observed: Float64 = self._columns[one.items[events]].astype(np.float64)
        ridge = self._ridges(self._matrix(one, decay))[0]
        matrix = self._gram + (observed.T * weights[events]) @ observed + ridge * np.eye(len(self._gram))
        solved = np.linalg.solve(matrix, self._items[items].T)
        parts[:, events] = (weights[events][:, None] * (observed @ solved)).T
        return parts[:, : len(asker.histories.items)]

    def without_each(self, asker: Askers, items: Int64) -> Float32:
        """One asker's scores of some items, then those without each event: float32, (items, 1 + events).

        The factors are solved without each of the last events once (`last_places`), the others are told to
        lose nothing; an asker's further items take no more than a product.
        """
        solved, places = self._without, last_places(asker.histories)
        if solved is None or solved[0] is not asker.histories or solved[1] is not asker.viewers:
            shorter = less_each(asker.histories, places)
            copies = Askers(histories=shorter, viewers=np.repeat(asker.viewers, len(shorter)))
            matrix = self._matrix(*self._told(copies))
            factors = solve_rows(matrix, self._columns, self._gram, self._ridges(matrix))
            solved = asker.histories, asker.viewers, factors
            self._without = solved
        found = self._items[items] @ solved[2].T
        scores = np.repeat(found[:, :1], 1 + len(asker.histories.items), axis=1)
        scores[:, 1 + places] = found[:, 1:]
        return np.asarray(scores, dtype=np.float32)

    def similar(self, items: Int32) -> Float32:
        """The cosine between items' factors; zero for an item without any."""
        lengths = np.linalg.norm(self._items, axis=1, keepdims=True)
        directions = self._items / np.maximum(lengths, 1e-12)
        return np.asarray(directions[items] @ directions.T, dtype=np.float32)

    def _told(self, askers: Askers) -> tuple[Histories, float]:
        """What the factors are solved from, with the decay left to do: histories, and friends after them.

        A friend's code stands behind the items'; friends decay with nothing.
        """
        if self._links is None or not self._link or self._friends is None:
            return askers.histories, self._decay
        links = links_of(self._friends, askers.viewers, len(self._links))
        histories = askers.histories
        weights = event_weights(histories, self._decay)
        rows = np.concatenate([histories.rows(), np.repeat(np.arange(len(askers)), np.diff(links.indptr))])
        order = np.argsort(rows, kind="stable")
        items = np.concatenate([histories.items, self._n_items + links.indices])
        told = Histories(
            items=items[order].astype(np.int32),
            offsets=histories.offsets + links.indptr,
            weights=np.concatenate([weights, np.float32(self._link) * links.data])[order],
        )
        return told, 1.0

    def _matrix(self, told: Histories, decay: float) -> Sparse:
        return taste_matrix(told, len(self._columns), decay)

    def _solved_alone(self, history: Histories, decay: float) -> Float32:
        """The factors of one asker: float32, shape (factors,)."""
        if decay >= 1.0 and history.weights is None:
            items = np.unique(history.items)
            weights = np.ones(len(items), np.float32)
        else:
            all_weights = event_weights(history, decay)
            events = strongest_events(history, all_weights)
            items, weights = history.items[events], all_weights[events]
        spectrum, axes = self._axes
        if not len(items):
            return np.zeros(len(spectrum), np.float32)
        ridge = self._ridge * (len(items) + self._unobserved * len(self._columns)) ** self._exponent
        observed, diagonal = self._columns[items] @ axes, spectrum + np.float32(ridge)
        if len(items) >= len(spectrum):
            solved = _solve_one(observed, weights, diagonal)
        else:
            wanted = np.ones((1, len(items)), np.float32)
            solved = _solve_short(observed[None], weights[None], wanted, diagonal[None])[0]
        return np.asarray(solved @ axes.T, dtype=np.float32)

    @cached_property
    def _axes(self) -> tuple[Float32, Float32]:
        return _axes_of(self._gram)

    def _ridges(self, matrix: Sparse) -> Float32:
        return ridges(matrix, self._ridge, self._unobserved, self._exponent)


def ridges(matrix: Sparse, ridge: float, unobserved: float, exponent: float) -> Float32:
    """The ridge of each row, scaled by how many entries it has: float32, shape (rows,)."""
    n = np.diff(matrix.indptr)
    return np.asarray(ridge * (n + unobserved * matrix.shape[1]) ** exponent, dtype=np.float32)


def solve_rows(
    matrix: Sparse, factors: Float32, gram: Float32, row_ridges: Float32, targets: Float32 | None = None
) -> Float32:
    """Solve each row's factors against the other side's, in blocks of rows of like length.

    Args:
        matrix: weights of what was observed, above 0, sparse, shape (rows, columns).
        factors: the columns' factors, float32, shape (columns, k).
        gram: what all columns add, symmetric, float32, shape (k, k).
        row_ridges: float32, shape (rows,), above 0.
        targets: what each entry of the matrix should come to: float32, shape (entries,); None: 1.

    Returns:
        float32, shape (rows, k); zeros for an empty row.
    """
    width = factors.shape[1]
    spectrum, axes = _axes_of(gram)
    matrix, factors = _met(matrix, factors)
    turned = np.vstack([factors @ axes, np.zeros((1, width), np.float32)])
    solved = np.zeros((matrix.shape[0], width), dtype=np.float32)
    lengths = np.diff(matrix.indptr)
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    order = order[lengths[order] > 0]
    for block in blocks((lengths[order] + width) * width, _FLOATS):
        rows = order[block]
        diagonals = spectrum + row_ridges[rows][:, None]
        observed, weights, wanted = _gather(matrix, rows, turned, targets)
        solve = _solve_short if observed.shape[1] < width else _solve_long
        solved[rows] = solve(observed, weights, wanted, diagonals)
    return np.asarray(solved @ axes.T, dtype=np.float32)


def _met(matrix: Sparse, factors: Float32) -> tuple[Sparse, Float32]:
    """The same without columns that no row has, where that leaves few of many."""
    if 4 * matrix.nnz >= len(factors):
        return matrix, factors
    columns, places = np.unique(matrix.indices, return_inverse=True)
    shape = matrix.shape[0], len(columns)
    return type(matrix)((matrix.data, places, matrix.indptr), shape=shape), factors[columns]


def _axes_of(gram: Float32) -> tuple[Float32, Float32]:
    """A gram along whose axes what all rows share is a diagonal.

    Returns:
        The diagonal, float32, shape (k,), and the axes, float32, shape (k, k), a column each.
    """
    spectrum, axes = np.linalg.eigh(gram.astype(np.float64))
    return np.maximum(spectrum, 0.0).astype(np.float32), axes.astype(np.float32)


def _gather(
    matrix: Sparse, rows: Int64, factors: Float32, targets: Float32 | None
) -> tuple[Float32, Float32, Float32]:
    """The factors, weights and targets of what some rows observed; shorter rows end in zeros.

    Returns:
        float32 of shapes (rows, longest, k), (rows, longest) and (rows, longest).
    """
    starts, lengths = matrix.indptr[rows], np.diff(matrix.indptr)[rows]
    at = np.arange(int(lengths.max()))
    there = at < lengths[:, None]
    places = np.where(there, starts[:, None] + at, 0)
    weights = np.where(there, matrix.data[places], 0.0).astype(np.float32)
    wanted = np.where(there, 1.0 if targets is None else targets[places], 0.0).astype(np.float32)
    return factors[np.where(there, matrix.indices[places], len(factors) - 1)], weights, wanted


def _solve_long(observed: Float32, weights: Float32, wanted: Float32, diagonals: Float32) -> Float32:
    """Solve (D + Z'WZ) x = Z'Wt, one k x k system a row."""
    roots = np.sqrt(weights)
    halves = observed * roots[:, :, None]
    # A product of an array with its own transpose takes half the arithmetic.
    left = halves.transpose(0, 2, 1) @ halves
    at = np.arange(left.shape[1])
    left[:, at, at] += diagonals
    right = halves.transpose(0, 2, 1) @ (roots * wanted)[:, :, None]
    return np.asarray(np.linalg.solve(left, right)[:, :, 0], dtype=np.float32)


def _solve_one(observed: Float32, weights: Float32, diagonal: Float32) -> Float32:
    """The same for one row whose targets are all 1, by Cholesky's factors: float32, shape (k,)."""
    halves = observed * np.sqrt(weights)[:, None]
    left, right = halves.T @ halves, weights @ observed
    left.ravel()[:: len(left) + 1] += diagonal
    _, solved, failed = sposv(left.T, right)
    return np.asarray(np.linalg.solve(left, right) if failed else solved, dtype=np.float32)


def _solve_short(observed: Float32, weights: Float32, wanted: Float32, diagonals: Float32) -> Float32:
    """The same x = D^-1 Z' (W^-1 + Z D^-1 Z')^-1 t, one system of the row's length (Woodbury)."""
    halves = observed / np.sqrt(diagonals)[:, None, :]
    left = halves @ halves.transpose(0, 2, 1)
    at = np.arange(left.shape[1])
    left[:, at, at] += np.where(weights > 0, 1.0 / np.maximum(weights, np.float32(1e-30)), 1.0)
    dual = np.linalg.solve(left, wanted[:, :, None])
    inner = (halves.transpose(0, 2, 1) @ dual)[:, :, 0]
    return np.asarray(inner / np.sqrt(diagonals), dtype=np.float32)
