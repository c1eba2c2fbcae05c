"""Pages of a large catalogue: arranged among candidates; more of them are asked for until they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from matinee.answers.index.candidates import Candidates
from matinee.core.types import Float32, Int64
from matinee.serve.arrange import DIVERSE_AMONG, Placed, Ranked, Wish, arrange
from matinee.serve.struck import Asked, may_be_shown, strike_some, wanted

# At least so many candidates are looked at: what is measured is how many of the best 100 are among them.
CANDIDATES = 100
_EFFORTS = (1, 4, 16)
# Where an ask leaves so many items to choose from, all of them are scored.
_FEW = 20_000


class Shortlisted(NamedTuple):
    """A page, and what it was chosen from.

    Attributes:
        placed: the page.
        codes: int64: the candidates, whether they may be shown or not; empty where no index was asked.
        scores: float32: theirs.
    """

    placed: list[Placed]
    codes: Int64
    scores: Float32


def shortlisted(asked: Asked, wish: Wish, *, seen: bool) -> Shortlisted | None:
    """A page for somebody to whom something personal can be said; None where all items must be looked at.

    That is where the catalogue has no index, where newness counts beside scores, and where so much is struck
    out that candidates are not enough.

    Args:
        asked: who asks for what.
        wish: how the page is to be arranged.
        seen: whether what was chosen before must not come again.
    """
    ready = asked.ready
    candidates = ready.model.candidates
    if candidates is None or asked.ask.freshness:
        return None
    known = ready.live.known
    pinned = [code for code in wish.pinned if code < known]
    few = _few(asked, known)
    if few is not None:
        codes = np.union1d(few, pinned).astype(np.int64)
        scores = candidates.scores_of(asked.taken.asker, codes)
        return Shortlisted(_page(asked, wish, codes, scores, seen=seen), codes[:0], scores[:0])
    n = _how_many(asked, wish, seen=seen)
    for effort in _EFFORTS:
        if 4 * n * effort > known:
            break
        codes, scores = candidates.best(asked.taken.asker, n, effort)
        mine, theirs = _with_pins(candidates, asked, codes, scores, pinned)
        placed = _page(asked, wish, mine, theirs.copy(), seen=seen)
        if len(placed) == wish.k:
            return Shortlisted(placed, codes, scores)
    return None


def _few(asked: Asked, known: int) -> Int64 | None:
    """The bundle's items that an ask chooses among, where they are few: int64, ascending."""
    if asked.ask.only is None and not asked.ask.categories:
        return None
    codes = np.flatnonzero(wanted(asked)[:known])
    return codes if len(codes) <= _FEW else None


def _how_many(asked: Asked, wish: Wish, *, seen: bool) -> int:
    """So many candidates that what is struck out leaves enough."""
    out = len(asked.taken.noes) + len(asked.ask.exclude) + (len(asked.taken.seen) if seen else 0)
    among = DIVERSE_AMONG if wish.diversity else 0
    live = asked.ready.live
    gone = len(live.struck(asked.now_ms)) + (0 if asked.region is None else len(live.shut(asked.region)))
    share = min(0.9, gone / max(live.known, 1))
    return int((max(CANDIDATES, wish.offset + wish.k, among) + out) / (1.0 - share))


def _with_pins(
    candidates: Candidates, asked: Asked, codes: Int64, scores: Float32, pinned: Sequence[int]
) -> tuple[Int64, Float32]:
    """Candidates in the order of their codes, pins among them."""
    more = np.setdiff1d(np.asarray(pinned, dtype=np.int64), codes)
    if len(more):
        codes = np.concatenate([codes, more])
        scores = np.concatenate([scores, candidates.scores_of(asked.taken.asker, more)])
    order = np.argsort(codes)
    return codes[order], scores[order]


def _page(asked: Asked, wish: Wish, codes: Int64, scores: Float32, *, seen: bool) -> list[Placed]:
    strike_some(asked, codes, scores, seen=seen)
    live = asked.ready.live
    ranked = Ranked(
        scores=scores,
        keys=live.keys,
        values=live.values,
        likeness=asked.ready.likeness,
        shown=may_be_shown(asked, seen=seen),
        codes=codes,
    )
    return arrange(ranked, wish)
