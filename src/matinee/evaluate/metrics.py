"""Metrics of ranked answers, ties counted as their expected value over random orders.

Items that share a score are a group: in which order they would be shown is chance, and no row number may
decide it. Every metric here is the exact mean over all orders within the groups, so nothing is drawn. Let a
position p (from 0) lie in a group of m items of which r are relevant, j places into the group, with h
relevant items in the groups above. Then

- the item at p is relevant with probability r / m, which is all that recall, precision and ndcg need;
- given that none before p was relevant, it is with probability r / (m - j): hit and mrr follow from these;
- given that it is relevant, (r - 1) j / (m - 1) of the others stand before it in the group on average: map.

Definitions (R relevant items in all): recall = hits / R, precision = hits / k, hit = any hit, mrr = 1 / rank
of the first hit, ndcg with binary gains and an ideal of min(k, R) hits, map over min(k, R).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee.core.types import Bool, Float32, Float64, Int32, Int64

METRICS = ("recall", "ndcg", "mrr", "map", "hit", "precision")


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Where the relevant items stand in the first K positions of n answers. All arrays have shape (n, K).

    Attributes:
        size: items that share the score at a position, those beyond K included (m).
        start: items with a higher score.
        found: relevant items in the group (r).
        before: relevant items in the groups above (h).
        relevant: shape (n,): relevant items of each answer in all (R), shown or not; at least 1.
    """

    size: Int64
    start: Int64
    found: Int64
    before: Int64
    relevant: Int64


def rank_targets(
    best: Float32, tied_last: Int64, rows: Int64, target_scores: Float32, relevant: Int64
) -> Ranking:
    """Find the groups of the first K positions, and the targets in them.

    Args:
        best: float32, shape (n, K): the K highest scores of each answer, highest first; NaN where there are
            fewer items.
        tied_last: shape (n,): how many items of the whole catalogue have the score of position K.
        rows: shape (targets,): the answer of each target.
        target_scores: float32, shape (targets,): the score of each target; -inf where it cannot be shown.
        relevant: shape (n,): targets of each answer.
    """
    n, k = best.shape
    shown = np.isfinite(best)
    fresh = np.ones((n, k), dtype=bool)
    fresh[:, 1:] = best[:, 1:] != best[:, :-1]
    places = np.arange(k, dtype=np.int64)
    start = np.maximum.accumulate(np.where(fresh, places, 0), axis=1)
    # A group ends where the next begins; the last one goes on beyond K.
    ends = np.minimum.accumulate(np.where(np.roll(fresh, -1, axis=1), places + 1, k)[:, ::-1], axis=1)[
        :, ::-1
    ]
    reaches = (ends == k) & shown[:, -1:]
    size = np.where(reaches, tied_last[:, None], ends - start)
    found = np.zeros((n, k), dtype=np.int64)
    group, inside = _place(best, rows, target_scores)
    np.add.at(found, (rows[inside], group[inside]), 1)
    above = np.cumsum(found, axis=1) - found
    return Ranking(
        size=size,
        start=start,
        found=np.take_along_axis(found, start, axis=1),
        before=np.take_along_axis(above, start, axis=1),
        relevant=relevant,
    )


def recall_at(ranking: Ranking, k: int) -> Float64:
    """Hits among the first k, of all relevant: shape (n,)."""
    shares: Float64 = _hits(ranking, k) / ranking.relevant
    return shares


def precision_at(ranking: Ranking, k: int) -> Float64:
    """Hits among the first k, of k: shape (n,)."""
    shares: Float64 = _hits(ranking, k) / k
    return shares


def ndcg_at(ranking: Ranking, k: int) -> Float64:
    """Hits among the first k, discounted by log2(rank + 1), of the most that R relevant items could give."""
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(ranking.relevant, k) - 1]
    chance = _chance(ranking, k)
    gained: Float64 = chance @ discounts[: chance.shape[1]] / ideal
    return gained


def hit_at(ranking: Ranking, k: int) -> Float64:
    """Whether any of the first k is relevant: shape (n,), a probability where ties decide."""
    none: Float64 = np.prod(1.0 - _hazards(ranking, k), axis=1)
    return 1.0 - none


def mrr_at(ranking: Ranking, k: int) -> Float64:
    """One over the rank of the first hit among the first k, else 0: shape (n,)."""
    hazards = _hazards(ranking, k)
    none_yet = np.cumprod(1.0 - hazards, axis=1)
    first = hazards.copy()
    first[:, 1:] *= none_yet[:, :-1]
    reached: Float64 = first @ (1.0 / np.arange(1, first.shape[1] + 1))
    return reached


def map_at(ranking: Ranking, k: int) -> Float64:
    """Mean over the hits among the first k of the precision at their rank, over min(k, R)."""
    chance = _chance(ranking, k)
    width = chance.shape[1]
    found, size = ranking.found[:, :width], ranking.size[:, :width]
    inside = np.arange(width) - ranking.start[:, :width]
    others = np.where(size > 1, inside * (found - 1) / np.maximum(size - 1, 1), 0.0)
    precision = (ranking.before[:, :width] + 1 + others) / np.arange(1, width + 1)
    total: Float64 = (chance * precision).sum(axis=1)
    return total / np.minimum(ranking.relevant, k)


def metrics_at(ranking: Ranking, at: Sequence[int]) -> dict[str, Float32]:
    """Every metric at every k: name such as `ndcg@10` -> float32, shape (n,)."""
    rules = {
        "recall": recall_at,
        "ndcg": ndcg_at,
        "mrr": mrr_at,
        "map": map_at,
        "hit": hit_at,
        "precision": precision_at,
    }
    return {f"{name}@{k}": rules[name](ranking, k).astype(np.float32) for k in at for name in METRICS}


def novelty_of(codes: Int32, popularity: Float32) -> Float64:
    """Mean over the shown items of -log2 of their share of all events: shape (n,); NaN for an empty list.

    Args:
        codes: int32, shape (n, k): item codes, -1 where nothing is shown.
        popularity: shape (items,): events of each item in what was learnt from; an item without any counts
            as if it had one, since the share's logarithm needs it.
    """
    counts = np.maximum(popularity.astype(np.float64), 1.0)
    surprise = -np.log2(counts / max(counts.sum(), 1.0))
    shown = codes >= 0
    total = np.where(shown, surprise[np.maximum(codes, 0)], 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Float64 = total / shown.sum(axis=1)
    return mean


def coverage_of(shown: Bool) -> float:
    """The share of the catalogue that is ever recommended: `shown` is bool, shape (items,)."""
    return float(shown.mean()) if len(shown) else 0.0


def _place(best: Float32, rows: Int64, target_scores: Float32) -> tuple[Int64, Bool]:
    """The position where each target's group starts, and whether that is within the first K."""
    place = np.empty(len(rows), dtype=np.int64)
    inside = np.empty(len(rows), dtype=bool)
    step = max(1, 2**22 // best.shape[1])
    for begin in range(0, len(rows), step):
        part = slice(begin, begin + step)
        theirs = best[rows[part]]
        place[part] = (theirs > target_scores[part, None]).sum(axis=1)
        inside[part] = (theirs == target_scores[part, None]).any(axis=1) & np.isfinite(target_scores[part])
    return place, inside


def _chance(ranking: Ranking, k: int) -> Float64:
    """The probability that each of the first k positions holds a relevant item: shape (n, at most k)."""
    return ranking.found[:, :k] / np.maximum(ranking.size[:, :k], 1)


def _hits(ranking: Ranking, k: int) -> Float64:
    hits: Float64 = _chance(ranking, k).sum(axis=1)
    return hits


def _hazards(ranking: Ranking, k: int) -> Float64:
    """The probability of a hit at each of the first k positions, given none before: shape (n, at most k)."""
    found, size = ranking.found[:, :k], ranking.size[:, :k]
    inside = np.arange(found.shape[1]) - ranking.start[:, :k]
    left = np.maximum(size - inside, 1)
    return np.minimum(found / left, 1.0)
