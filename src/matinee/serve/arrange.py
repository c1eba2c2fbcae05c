"""From scores to a page: pins first, at most so many of a kind, items unlike each other, new ones before old.

Everything here is a function of scores and wishes alone, and a list is made from its beginning whatever page
is asked for, so that the pages of an unchanged history fit each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from matinee.answers.top import top_k_of_one
from matinee.core.types import Float32, Int64

# Items among which diversity chooses; what comes after them keeps the order of its scores.
DIVERSE_AMONG = 500
_FIRST_LOOK = 64


class Placed(NamedTuple):
    """An item in its place."""

    code: int
    score: float | None
    pinned: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """How a list is to be arranged.

    Attributes:
        k: how many items.
        offset: how many to leave out at the beginning.
        pinned: codes put first, in this order, where they may be shown.
        most: at most so many items for each value of a column.
        diversity: from 0, the best, to 1, as unlike each other as can be.
    """

    k: int
    offset: int = 0
    pinned: Sequence[int] = ()
    most: Mapping[str, int] = field(default_factory=dict)
    diversity: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """What is arranged.

    Attributes:
        scores: float32, shape (items,): -inf where an item must not be shown.
        keys: int64, one an item or more: among equal scores the smaller key comes first.
        values: what an item has in a column.
        likeness: how alike some items are: codes -> float32, shape (n, n).
        shown: whether an item beyond the scores may be shown.
        codes: int64, ascending: the items that the scores are of; None: all of them, by their codes.
    """

    scores: Float32
    keys: Int64
    values: Callable[[str, int], tuple[Any, ...]]
    likeness: Callable[[Int64], Float32]
    shown: Callable[[int], bool]
    codes: Int64 | None = None

    def best(self, n: int) -> tuple[Int64, Float32]:
        """The n best items that may be shown, best first, and their scores."""
        if self.codes is None:
            return top_k_of_one(self.scores, n, self.keys)
        places, scores = top_k_of_one(self.scores, n, self.keys[self.codes])
        return self.codes[places], scores

    def score(self, code: int) -> float | None:
        """An item's score; None where it has none."""
        place = code
        if self.codes is not None:
            place = int(np.searchsorted(self.codes, code))
            if place >= len(self.codes) or self.codes[place] != code:
                return None
        return float(self.scores[place]) if place < len(self.scores) else None


def arrange(ranked: Ranked, wish: Wish) -> list[Placed]:
    """The page that is wished for: `k` items from place `offset` on, fewer where there are no more."""
    if not (wish.pinned or wish.most or wish.diversity):
        codes, scores = ranked.best(wish.offset + wish.k)
        page = zip(codes[wish.offset :].tolist(), scores[wish.offset :].tolist(), strict=True)
        return [Placed(code, score, False) for code, score in page]
    placed: list[Placed] = []
    counts: dict[str, Counter[Any]] = {column: Counter() for column in wish.most}
    end = wish.offset + wish.k
    for one in _in_order(ranked, wish):
        if len(placed) >= end:
            break
        if _admitted(one, ranked, wish, counts):
            placed.append(one)
    return placed[wish.offset :]


def newer_first(scores: Float32, newness: Float32, freshness: float) -> Float32:
    """Scores that give way to newness.

    Args:
        scores: float32, shape (items,): -inf where an item must not be shown.
        newness: from 0, the oldest, to 1, the newest: float32, at least as long; what has no score yet comes
            in with the lowest.
        freshness: from 0, scores alone, to 1, newness alone.

    Returns:
        float32, shape of `newness`.
    """
    there = np.isfinite(scores)
    found = np.full(len(newness), -np.inf, np.float32)
    low = float(scores[there].min()) if there.any() else 0.0
    high = float(scores[there].max()) if there.any() else 0.0
    span = max(high - low, 1e-12)
    found[: len(scores)][there] = (scores[there] - low) * ((1.0 - freshness) / span)
    found[len(scores) :] = 0.0
    found += np.float32(freshness) * newness
    return found


def _in_order(ranked: Ranked, wish: Wish) -> Iterator[Placed]:
    """Every item that may be shown: pins, then the diverse, then by score."""
    first: set[int] = set()
    for code in dict.fromkeys(wish.pinned):
        score = ranked.score(code)
        if ranked.shown(code) if score is None else score > -np.inf:
            first.add(code)
            yield Placed(code, score, True)
    if wish.diversity:
        codes, scores = ranked.best(DIVERSE_AMONG + len(first))
        kept = [place for place, code in enumerate(codes.tolist()) if code not in first][:DIVERSE_AMONG]
        codes, scores = codes[kept], scores[kept]
        for place in _unlike(scores, ranked.likeness(codes), wish.diversity):
            first.add(int(codes[place]))
            yield Placed(int(codes[place]), float(scores[place]), False)
    for code, score in _by_score(ranked):
        if code not in first:
            yield Placed(code, score, False)


def _by_score(ranked: Ranked) -> Iterator[tuple[int, float]]:
    """Items by score, looked up in ever larger pieces."""
    given, k = 0, _FIRST_LOOK
    while True:
        codes, scores = ranked.best(k)
        yield from zip(codes[given:].tolist(), scores[given:].tolist(), strict=True)
        if len(codes) < k:
            return
        given, k = k, 4 * k


def _unlike(scores: Float32, likeness: Float32, diversity: float) -> Iterator[int]:
    """Places by maximal marginal relevance (Carbonell and Goldstein 1998), each against those before."""
    if not len(scores):
        return
    low, high = float(scores.min()), float(scores.max())
    worth = (1.0 - diversity) * (scores - low) / max(high - low, 1e-12)
    nearest = np.full(len(scores), -np.inf, np.float32)
    left = worth.astype(np.float64)
    for _ in range(len(scores)):
        place = int(np.argmax(left))
        yield place
        np.maximum(nearest, likeness[place], out=nearest)
        worth[place] = -np.inf
        left = worth - diversity * nearest


def _admitted(one: Placed, ranked: Ranked, wish: Wish, counts: Mapping[str, Counter[Any]]) -> bool:
    """Whether no column has too many of this item's values already; it is counted if so. Pins always are."""
    found = {column: ranked.values(column, one.code) for column in wish.most}
    full = any(
        counts[column][value] >= wish.most[column] for column, values in found.items() for value in values
    )
    if full and not one.pinned:
        return False
    for column, values in found.items():
        counts[column].update(set(values))
    return True
