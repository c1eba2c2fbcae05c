"""What the two ways to a linear model take, predicted from the log, so that the quicker one is gone.

A pair of items meets by chance with probability 1 - exp(-pairs * p_i * p_j), p the items' shares of the
events; real histories meet in fewer cells, so memory is predicted from above. The constants were measured on
one core on ML-1M, Beauty, LastFM, ml-latest-small and Gowalla: 60 billion float operations a second in
Cholesky and products, about 10 ns for each cell that a small system is picked from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.core.promise import Needs
from matinee.core.types import Float64, Int64
from matinee.recommenders.ridge import joint_features

FEATURES = 100
_BUCKETS = 64
_FLOPS = 6e10
_FIXED = 2**26


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides the cost of a fit.

    Attributes:
        events: int64, shape (items,): events of each item.
        pairs: for each set of features, how many pairs of events its sums go over.
        results: sums that are made of each pair.
        diagonal: float64, shape (features,): about what each feature weighs in the Gram matrix.
        met: for each set of features, how many different pairs of items meet, counted in a sample; None: as
            many as meet by chance.
    """

    events: Int64
    pairs: tuple[float, ...]
    results: int
    diagonal: NDArray[np.float64]
    met: tuple[float, ...] | None = None


def joint_cost(shape: Shape, least: float) -> Needs:
    """The dense way: rare features alone, the others by one Cholesky factor."""
    n, joint = len(shape.events), len(joint_features(shape.diagonal, least))
    sums, cells = _sums_cost(shape)
    inverse = 2.0 / 3.0 * joint**3 + 25.0 * cells * joint
    flops = joint**3 / 3.0 + min(inverse, 2.0 * float(joint) ** 2 * n)
    memory = 1.15 * (4.0 * joint * (joint + n + 2048) + 20.0 * cells)
    return Needs(
        memory_bytes=int(sums.memory_bytes + memory), cpu_s=float(sums.cpu_s + flops / _FLOPS + 5e-8 * cells)
    )


def near_cost(shape: Shape, features: int, row_cells: int) -> Needs:
    """The local way where each row of the Gram matrix keeps so many cells at most."""
    sums, cells = _sums_cost(shape)
    rates, n = len(shape.pairs), len(shape.events)
    gram = gram_cells(shape)
    rows = min(gram, float(rates * n * row_cells))
    chosen = min(float(features), cells / max(n, 1)) * n
    # The sums of one rate the other way round, the rows as they are made and as they are joined; the targets.
    memory = max(8.0 * gram / 2.0 / rates + 8.0 * rows, 16.0 * rows, 8.0 * rows + 8.0 * cells) + 40.0 * chosen
    cpu_s = 2.0e-7 * gram + 8e-9 * chosen * row_cells + 7e-4 * n
    return Needs(memory_bytes=int(sums.memory_bytes + memory), cpu_s=float(sums.cpu_s + cpu_s))


def gram_cells(shape: Shape) -> float:
    """Cells of the Gram matrix, at most."""
    cells = [min(pairs, met) for pairs, met in zip(shape.pairs, _met(shape), strict=True)]
    return 2.0 * len(cells) * sum(cells)


def _met(shape: Shape) -> Sequence[float]:
    """How many different pairs of items meet, for each set of features."""
    return shape.met or [float(row_lengths(shape.events, pairs).sum()) for pairs in shape.pairs]


def local_cost(shape: Shape, features: int) -> Needs:
    """The local way: one small system for each item, picked from the rows of its features."""
    sums, cells = _sums_cost(shape)
    rates, n = len(shape.pairs), len(shape.events)
    # Rows of the Gram matrix hold both orders of a pair.
    lengths = np.concatenate([row_lengths(shape.events, 2.0 * pairs) for pairs in shape.pairs]) * rates
    total = max(lengths.sum(), 1.0)
    chosen = np.minimum(lengths[:n], features)
    # The features of an item are met as often as they have pairs: long rows are picked from most.
    picked = chosen.sum() * float((lengths**2).sum()) / total
    solved = float((chosen**3).sum()) * 2.0 / 3.0
    return Needs(
        memory_bytes=int(sums.memory_bytes + 16.0 * cells * rates + 40.0 * chosen.sum()),
        cpu_s=float(sums.cpu_s + 8e-9 * picked + solved / 1e10 + 1e-4 * n),
    )


def row_lengths(events: Int64, pairs: float) -> Float64:
    """How many items each item is expected to meet, were pairs random: float64, shape (items,)."""
    shares = events / max(1, int(events.sum()))
    ordered = np.sort(shares)
    groups = [group for group in np.array_split(ordered, _BUCKETS) if len(group)]
    means = np.array([group.mean() for group in groups])
    sizes = np.array([len(group) for group in groups])
    meets = ((1.0 - np.exp(-pairs * np.outer(means, means))) * sizes).sum(axis=1)
    return np.interp(shares, means, meets) if len(means) else np.zeros(0)


def _sums_cost(shape: Shape) -> tuple[Needs, float]:
    """Making the sums, and how many cells all of their targets have."""
    stored = [min(pairs, found) for pairs, found in zip(shape.pairs, _met(shape), strict=True)]
    memory = 9.0 * sum(stored) * shape.results + 24 * float(shape.events.sum())
    cpu_s = shape.results * (2e-8 * sum(shape.pairs) + 7e-8 * sum(stored))
    return Needs(memory_bytes=int(memory + _FIXED), cpu_s=cpu_s), sum(stored)
