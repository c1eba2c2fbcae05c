"""Which index a large catalogue gets: each way is tried on histories that it was not built with.

Everything is decided by how many numbers an answer looks at, never by a clock: the same bundle gets the same
index on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from matinee.answers.index.candidates import Asks, Candidates, Joins, can_have
from matinee.answers.index.found import Index
from matinee.answers.index.inverted_lists import InvertedLists, inverted_lists
from matinee.answers.index.measure import Measured, exact_best, measure
from matinee.answers.index.norm_bounds import norm_bounds
from matinee.core.promise import Scorer
from matinee.core.types import Askers, Float32, Int64

# Up to so many items every answer looks at all of them.
LARGE = 200_000
RECALL, AT = 0.95, 100
# What is chosen on some queries comes to a little less on others.
_ROOM = 0.005
# Numbers that an answer may look at for exactness: about half a millisecond.
_EXACT_READ = 1_500_000
# Queries for the choices, and for what the manifest says.
CHOOSING, HELD_OUT = 100, 200
QUERIES = CHOOSING + HELD_OUT
_SAME, _TOP = 0.99, 10
_SPARES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a bundle gets.

    Attributes:
        indices: by the name of the part.
        facts: by the name of the part: what was measured on held-out histories.
        joint: of a product: what linear parts propose, and how often its ten best are those of a full look.
    """

    indices: Mapping[str, Index]
    facts: Mapping[str, Mapping[str, Any]]
    joint: Mapping[str, Any]


def build(
    name: str, scorer: Scorer, parts: Mapping[str, Scorer], queries: Sequence[Askers], *, seed: int = 0
) -> Built | None:
    """An index for each part that is a product of vectors; None where the model cannot be answered by any.

    Args:
        name: the part that answers.
        scorer: its scorer.
        parts: where it joins others: those, by name.
        queries: `QUERIES` askers, of whom no two are the same; fewer are parted alike.
        seed: of everything random.
    """
    if not can_have(scorer, parts) or not queries:
        return None
    held = min(HELD_OUT, max(1, 2 * len(queries) // 3))
    indices: dict[str, Index] = {}
    facts: dict[str, Mapping[str, Any]] = {}
    for one, voice in (parts if isinstance(scorer, Joins) else {name: scorer}).items():
        if isinstance(voice, Asks):
            asked = np.stack([voice.asked(asker) for asker in queries])
            index, measured = build_index(
                voice.item_vectors, asked[held:] if len(asked) > held else asked, asked[:held], seed=seed
            )
            indices[one] = index
            facts[one] = {"items": len(voice.item_vectors), "queries": held, "at": AT, **asdict(measured)}
    joint: Mapping[str, Any] = {}
    if isinstance(scorer, Joins):
        joint = _spared(Candidates(name, scorer, indices), scorer, queries[: min(held, CHOOSING)])
    return Built(indices=indices, facts=facts, joint=joint)


def build_index(
    vectors: Float32, choosing: Float32, held_out: Float32, *, seed: int = 0
) -> tuple[Index, Measured]:
    """The index of some vectors that looks at the fewest numbers; an exact one if those are few enough.

    Args:
        vectors: float32, shape (items, width).
        choosing: float32, shape (n, width): what histories ask for.
        held_out: float32, shape (m, width): the same of others, to measure with.
        seed: of everything random.
    """
    bounds = norm_bounds(vectors)
    told = exact_best(vectors, held_out, AT)
    exactly = measure(bounds, held_out, told)
    if exactly.read > _EXACT_READ:
        best = exact_best(vectors, choosing, AT)
        for lists in _lists(vectors, choosing, best, seed):
            measured = measure(lists, held_out, told)
            if measured.recall >= RECALL and measured.read < exactly.read:
                return lists, measured
    return bounds, exactly


def _lists(vectors: Float32, choosing: Float32, best: Int64, seed: int) -> Iterator[InvertedLists]:
    """Lists of which as many are read as the recall takes; then ever more of them."""
    index = inverted_lists(vectors, lists_for(len(vectors)), seed=seed)
    n = int(index.settings["lists"])
    low, high = 0, 1
    while high < n:
        index.probes = high
        if measure(index, choosing, best).recall >= RECALL + _ROOM:
            break
        low, high = high, min(2 * high, n)
    while high - low > max(1, low // 8):
        index.probes = (low + high) // 2
        enough = measure(index, choosing, best).recall >= RECALL + _ROOM
        low, high = (low, index.probes) if enough else (index.probes, high)
    while high <= n:
        index.probes = high
        yield index
        high += max(1, high // 4)


def lists_for(items: int) -> int:
    """How many lists: a power of two near four times the root of the number of items."""
    return int(2 ** max(1, round(np.log2(max(items, 2)) / 2 + 2)))


def _spared(candidates: Candidates, scorer: Scorer, queries: Sequence[Askers]) -> dict[str, Any]:
    """How many candidates linear parts must propose for the ten best to be those of a full look."""
    wanted = [_ten_best(scorer.score(asker)[0]) for asker in queries]
    tried = []
    for spare in _SPARES:
        candidates.spare = spare
        same = []
        for asker, best in zip(queries, wanted, strict=True):
            codes, scores = candidates.best(asker, AT)
            same.append(_same(codes[_ten_best(scores)], best))
        tried.append((float(np.mean(same)), spare))
        if tried[-1][0] >= _SAME:
            break
    share, spare = max(tried, key=lambda one: one[0])
    return {"spare": spare, "same_top_10": share, "queries": len(queries)}


def _ten_best(scores: Float32) -> Int64:
    place = max(len(scores) - _TOP, 0)
    return np.argpartition(scores, place)[place:]


def _same(found: Int64, best: Int64) -> bool:
    return set(found.tolist()) == set(best.tolist())
