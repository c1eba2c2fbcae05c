"""Intervals and paired tests over viewers, who are the witnesses: a viewer's events depend on each other.

Values come as sums over each viewer's queries and the number of these queries; a mean is the ratio of the two
sums, so that every query counts alike, while viewers are what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee.core.seeds import generator
from matinee.core.types import Float64, Int64

DRAWS = 2_000
SIGN_DRAWS = 9_999

# More viewers than this are joined at random into so many groups, which are then drawn: that estimates the
# spread of the mean as well, in bounded time.
MOST_WITNESSES = 20_000
_CHUNK_BYTES = 32 * 2**20
# Up to this many viewers who differ, every pattern of signs is counted instead of drawn: 2^13 < SIGN_DRAWS.
_MOST_EXACT = 13


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """As plain JSON values."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


def witness_groups(n: int, random: np.random.Generator) -> Int64 | None:
    """The group of each viewer, drawn at random: int64, shape (n,); None where each may stand alone.

    There are `MOST_WITNESSES` groups, whose sizes differ by one at most.
    """
    if n <= MOST_WITNESSES:
        return None
    bounds = np.linspace(0, n, MOST_WITNESSES + 1).astype(np.int64)
    groups = np.empty(n, dtype=np.int64)
    groups[random.permutation(n)] = np.repeat(np.arange(MOST_WITNESSES), np.diff(bounds))
    return groups


def bootstrap_means(sums: Float64, counts: Int64, *, draws: int = DRAWS, seed: int = 0) -> Float64:
    """Means of every column over viewers drawn with replacement.

    Args:
        sums: shape (viewers, columns): sums over each viewer's queries; or (fits, viewers, columns) for
            several fits with different seeds, of which as many are drawn with replacement too.
        counts: shape (viewers,): queries of each viewer.
        draws: how many times.
        seed: seed of the draws; the same for columns that are to be compared.

    Returns:
        Shape (draws, columns).
    """
    random = generator(seed, "bootstrap")
    fits = sums if sums.ndim == 3 else sums[None]
    joined, sizes = _join(fits, counts, random)
    n_fits, n, columns = joined.shape
    flat = joined.transpose(1, 0, 2).reshape(n, n_fits * columns)
    table = np.concatenate([flat, sizes[:, None].astype(np.float64)], axis=1)
    means = np.empty((draws, columns))
    step = max(1, min(draws, _CHUNK_BYTES // (8 * max(n, 1))))
    for begin in range(0, draws, step):
        size = min(step, draws - begin)
        drawn = random.integers(0, n, (size, n), dtype=np.int32)
        weights = np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.float64)
        totals = weights @ table
        picked = random.multinomial(n_fits, np.full(n_fits, 1 / n_fits), size=size) / n_fits
        per_fit = totals[:, :-1].reshape(size, n_fits, columns)
        means[begin : begin + size] = np.einsum("df,dfc->dc", picked, per_fit) / np.maximum(totals[:, -1:], 1)
    return means


def interval_of(mean: float, drawn: Float64) -> Interval:
    """The percentile interval of one mean: its bootstrap means, shape (draws,)."""
    if not len(drawn) or not np.isfinite(mean):
        return Interval(mean=mean, low=mean, high=mean)
    low, high = np.quantile(drawn, [0.025, 0.975])
    # With hardly any viewers the draws may miss the mean by rounding; it belongs to its interval.
    return Interval(mean=mean, low=float(min(low, mean)), high=float(max(high, mean)))


def sign_flip_p(differences: Float64, *, draws: int = SIGN_DRAWS, seed: int = 0) -> Float64:
    """Two-sided p of each column's sum by a paired sign-flip test over viewers.

    If two recommenders were equally good, each viewer's difference could as well have had the other sign.
    With up to 13 viewers who differ, all patterns of signs are counted; else `draws` are drawn, and p is
    (1 + patterns at least as extreme) / (1 + draws), so never 0 (Phipson and Smyth 2010).

    Args:
        differences: shape (viewers, columns): one recommender less the other, sums over a viewer's queries.
        draws: patterns drawn.
        seed: seed of the draws.

    Returns:
        p, shape (columns,); 1 where nobody differs.
    """
    random = generator(seed, "sign-flip")
    differs = (differences != 0).any(axis=1)
    table = differences[differs]
    if len(table) <= _MOST_EXACT:
        return _exact_p(table)
    table = _join(table[None], np.ones(len(table), np.int64), random)[0][0]
    observed = np.abs(table.sum(axis=0))
    # Sums in another order differ in their last bits; what equals the observed sum must count as extreme.
    reached = observed - 1e-9 * np.abs(table).sum(axis=0)
    extreme = np.zeros(table.shape[1], dtype=np.int64)
    step = max(1, min(draws, _CHUNK_BYTES // (8 * len(table))))
    for begin in range(0, draws, step):
        size = min(step, draws - begin)
        bits = np.unpackbits(np.frombuffer(random.bytes(-(-size * len(table) // 8)), dtype=np.uint8))
        signs = bits[: size * len(table)].reshape(size, len(table)).astype(np.float64)
        flipped = 2 * (signs @ table) - table.sum(axis=0)
        extreme += (np.abs(flipped) >= reached).sum(axis=0)
    return np.asarray((1 + extreme) / (1 + draws), dtype=np.float64)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p for a family of tests (Holm 1979): those at most .05 are sure together at the level .05."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = highest
    return [float(one) for one in adjusted]


def _exact_p(table: Float64) -> Float64:
    """Find p from every pattern of signs: shape (columns,)."""
    n = len(table)
    patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    sums = (2.0 * patterns - 1.0) @ table
    reached = np.abs(table.sum(axis=0)) - 1e-9 * np.abs(table).sum(axis=0)
    share: Float64 = (np.abs(sums) >= reached).mean(axis=0)
    return share


def _join(fits: Float64, counts: Int64, random: np.random.Generator) -> tuple[Float64, Int64]:
    """Viewers joined into a bounded number of groups: sums (fits, groups, columns), counts."""
    groups = witness_groups(len(counts), random)
    if groups is None:
        return fits, counts
    n_fits, _, columns = fits.shape
    sums = np.empty((n_fits, MOST_WITNESSES, columns))
    # Column by column: nothing else of the size of all viewers is made.
    for fit in range(n_fits):
        for column in range(columns):
            sums[fit, :, column] = np.bincount(groups, weights=fits[fit, :, column])
    return sums, np.bincount(groups, weights=counts).astype(np.int64)
