"""One side of a table of ratings, viewers or items: vectors, their prior, and draws of both.

A side's vectors v_n have a normal prior with a mean and precision drawn from their posterior under a
normal-Wishart prior (Salakhutdinov and Mnih 2008, "Bayesian probabilistic matrix factorization"), shifted by
a linear function of facts about each row, whose weights are drawn too (Simm et al. 2017, "Macau"):

v_n ~ N(mean + f_n' B, precision^-1),   B ~ N(0, (pull * precision)^-1) a row.

The facts are what a row rated at all (for an item: by whom), scaled to length 1 and given by coordinates
along the largest principal axes of all rows: SVD++'s implicit feedback, on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from matinee.core.types import Float64, Int64

_SPARE, _TURNS = 10, 4
# Rows that are solved at a time: their matrices take some tens of megabytes.
_ROWS = 8_192
# The normal-Wishart prior: what it counts as against one row.
_OBSERVATIONS = 2.0


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of each row beside its ratings, along principal axes.

    Attributes:
        coordinates: shape (rows, axes): orthonormal columns times `sizes`.
        sizes: shape (axes,): singular values, largest first.
        axes: shape (columns, axes): orthonormal columns.
    """

    coordinates: Float64
    sizes: Float64
    axes: Float64


@dataclass(kw_only=True)
class Side:
    """One side of the table, in the middle of a run.

    Attributes:
        offsets: int64, shape (rows + 1,): row r's ratings are `order[offsets[r]:offsets[r + 1]]`.
        order: int64, shape (ratings,).
        others: int64, shape (ratings,): the row of the other side, in this side's order.
        facts: what is known beside; None: nothing.
        vectors: shape (rows, 1 + k): bias, factors.
        mean: shape (1 + k,).
        precision: shape (1 + k, 1 + k).
        links: shape (axes, 1 + k): B.
        pull: of the links to zero.
        shift: shape (rows, 1 + k): f_n' B.
    """

    offsets: Int64
    order: Int64
    others: Int64
    facts: Facts | None
    vectors: Float64
    mean: Float64
    precision: Float64
    links: Float64
    pull: float
    shift: Float64

    def draw_prior(self, random: np.random.Generator) -> None:
        """Draw mean, precision and links from what the vectors say of them."""
        rows, width = self.vectors.shape
        own = self.vectors - self.shift
        centre = own.mean(axis=0)
        spread = own - centre
        share = _OBSERVATIONS * rows / (_OBSERVATIONS + rows)
        scatter = np.eye(width) + spread.T @ spread + share * np.outer(centre, centre)
        freedom = width + 1 + rows
        if self.facts is not None:
            scatter += self.pull * self.links.T @ self.links
            freedom += len(self.links)
        self.precision = draw_wishart(scatter, freedom, random)
        root = np.asarray(np.linalg.cholesky(self.precision).T, dtype=np.float64)
        noise = np.linalg.solve(root, random.standard_normal(width))
        self.mean = rows * centre / (_OBSERVATIONS + rows) + noise / np.sqrt(_OBSERVATIONS + rows)
        if self.facts is not None:
            self._draw_links(self.facts, root, random)

    def _draw_links(self, facts: Facts, root: Float64, random: np.random.Generator) -> None:
        heft = facts.sizes**2 + self.pull
        told = facts.coordinates.T @ (self.vectors - self.mean)
        noise = np.linalg.solve(root, random.standard_normal((len(root), len(heft)))).T
        self.links = told / heft[:, None] + noise / np.sqrt(heft)[:, None]
        self.shift = facts.coordinates @ self.links
        size = float(np.einsum("rd,de,re->", self.links, self.precision, self.links))
        self.pull = float(random.gamma(0.5 + self.links.size / 2, 2.0 / (1.0 + size)))

    def draw_vectors(
        self, other: Float64, wanted: Float64, noise: float, random: np.random.Generator | None
    ) -> None:
        """Draw every vector given the other side's; without a generator, take the means.

        Args:
            other: shape (rows of the other side, 1 + k): bias, factors.
            wanted: shape (ratings,): the values less what is not this side's, the other's biases included.
            noise: precision of a rating.
            random: what draws.
        """
        width = self.vectors.shape[1]
        design = other.copy()
        design[:, 0] = 1.0
        wanted = wanted[self.order]
        prior = self.mean + self.shift
        for start in range(0, len(self.vectors), _ROWS):
            rows = range(start, min(start + _ROWS, len(self.vectors)))
            left = np.empty((len(rows), width, width))
            right = np.empty((len(rows), width))
            for place, row in enumerate(rows):
                part = slice(self.offsets[row], self.offsets[row + 1])
                seen = design[self.others[part]]
                left[place] = seen.T @ seen
                right[place] = wanted[part] @ seen
            left = noise * left + self.precision
            right = noise * right + prior[rows.start : rows.stop] @ self.precision
            solved = np.linalg.solve(left, right[:, :, None])
            if random is not None:
                root = np.linalg.cholesky(left).transpose(0, 2, 1)
                solved += np.linalg.solve(root, random.standard_normal((len(rows), width, 1)))
            self.vectors[rows.start : rows.stop] = solved[:, :, 0]


def side_of(rows: Int64, others: Int64, n: int, width: int, facts: Facts | None) -> Side:
    """A side of which nothing is learnt yet: every vector is zero.

    Args:
        rows: int64, shape (ratings,): each rating's row on this side.
        others: its row on the other side.
        n: rows of this side.
        width: 1 + k.
        facts: what is known of the rows beside.
    """
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=n)
    return Side(
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        order=order,
        others=others[order],
        facts=facts,
        vectors=np.zeros((n, width)),
        mean=np.zeros(width),
        precision=np.eye(width),
        links=np.zeros((0 if facts is None else len(facts.sizes), width)),
        pull=1.0,
        shift=np.zeros((n, width)),
    )


def facts_of(rows: Int64, others: Int64, shape: tuple[int, int], axes: int, seed: int) -> Facts | None:
    """What each row rated at all, along the largest principal axes (Halko et al. 2011).

    Args:
        rows: int64, shape (ratings,).
        others: int64, shape (ratings,).
        shape: rows of both sides.
        axes: at most so many.
        seed: of the directions that the search starts from.
    """
    pairs = np.unique(rows * shape[1] + others)
    which = pairs // shape[1]
    counts = np.bincount(which, minlength=shape[0])
    weights = 1.0 / np.sqrt(counts[which])
    table = csr_matrix((weights, (which, pairs % shape[1])), shape=shape)
    rank = min(axes + _SPARE, *shape)
    basis = np.random.default_rng(seed).standard_normal((shape[0], rank))
    for _ in range(_TURNS):
        basis = np.linalg.qr(table @ (table.T @ basis))[0]
    turns, sizes, found = np.linalg.svd(table.T.dot(basis).T, full_matrices=False)
    kept = np.flatnonzero(sizes[:axes] > 1e-6)
    if not len(kept):
        return None
    sizes = sizes[kept]
    return Facts(coordinates=basis @ (turns[:, kept] * sizes), sizes=sizes, axes=found[kept].T)


def draw_wishart(scatter: Float64, freedom: int, random: np.random.Generator) -> Float64:
    """A draw from a Wishart distribution whose scale is the inverse of `scatter` (Bartlett 1933)."""
    width = len(scatter)
    root = np.linalg.cholesky(np.linalg.inv(scatter))
    lower = np.tril(random.standard_normal((width, width)), -1)
    lower[np.arange(width), np.arange(width)] = np.sqrt(random.chisquare(freedom - np.arange(width)))
    half = root @ lower
    return np.asarray(half @ half.T)
