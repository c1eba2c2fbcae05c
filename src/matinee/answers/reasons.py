"""Why an item is recommended: the events that contributed most, by the model's own arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from matinee.core.promise import Scorer
from matinee.core.types import Askers, Float32, Int32, Int64

POPULAR = "popular now"
# What is personal without a history is what is liked in the asker's region.
NEAR = "liked where you are"

# What was done, for the names that logs give to it; everything else was watched.
_VERBS = {
    "purchase": "bought",
    "buy": "bought",
    "order": "bought",
    "transaction": "bought",
    "cart": "put in your cart",
    "addtocart": "put in your cart",
    "add_to_cart": "put in your cart",
    "view": "looked at",
    "click": "looked at",
    "pageview": "looked at",
    "rating": "rated",
    "rate": "rated",
    "like": "liked",
    "favorite": "liked",
    "listen": "listened to",
    "play": "played",
    "read": "read",
}
_MOST_NAMED = 2
# Less than this share of everything that spoke for the item is no reason worth naming.
_SUBSTANCE = 0.1


@runtime_checkable
class Explains(Protocol):
    """A scorer that has words of its own, such as "3 friends watched it"."""

    def reasons(self, askers: Askers, item: int) -> list[str]:
        """Sentences for one asker (one row) and one item; empty where it has nothing to say."""


@runtime_checkable
class Contributes(Protocol):
    """A scorer that says at once what events add to the scores of some items."""

    def contributions_to(self, asker: Askers, items: Int64) -> Float32:
        """As `contributions`, a row an item: float32, shape (items, events)."""


def reasons(
    scorer: Scorer,
    asker: Askers,
    items: Sequence[int],
    title: Callable[[int], str],
    verbs: Sequence[str] = (),
) -> list[list[str]]:
    """Why a personal answer holds its items.

    Args:
        scorer: the model's scorer.
        asker: one asker.
        items: the items' codes.
        title: from an item's code to what people call it.
        verbs: what was done at each event of the history; empty: "watched".

    Returns:
        For each item the scorer's own words where it has any, else one sentence that names at most two items;
        nothing where no event of the history speaks for the item; without a history, that it is liked there.
    """
    said = [scorer.reasons(asker, item) for item in items] if isinstance(scorer, Explains) else []
    history = asker.histories.items
    silent = [place for place in range(len(items)) if not (said and said[place])]
    said = said or [[] for _ in items]
    if not len(history):
        for place in silent:
            said[place] = [NEAR]
    if not len(history) or not silent:
        return said
    codes = np.array([items[place] for place in silent], dtype=np.int64)
    last = {int(code): place for place, code in enumerate(history)}
    for place, row in zip(silent, _contributions(scorer, asker, codes), strict=True):
        named = [(title(code), verbs[last[code]] if verbs else "watched") for code in strongest(history, row)]
        if named:
            said[place] = [_because(named)]
    return said


def _contributions(scorer: Scorer, asker: Askers, codes: Int64) -> Float32:
    if isinstance(scorer, Contributes):
        return scorer.contributions_to(asker, codes)
    return np.stack([scorer.contributions(asker, int(code)) for code in codes])


def _because(named: Sequence[tuple[str, str]]) -> str:
    """A sentence that names titles and what was done with each."""
    parts: list[str] = []
    spoken = ""
    for title, verb in named:
        parts.append(title if verb == spoken else f"{verb} {title}")
        spoken = verb
    return f"because you {' and '.join(parts)}"


def strongest(history: Int32, contributions: Float32) -> list[int]:
    """The items of a history that contributed most, best first; those without substance are left out."""
    codes, where = np.unique(history, return_inverse=True)
    shares = np.bincount(where, weights=np.asarray(contributions, dtype=np.float64))
    spoke_for = shares[shares > 0].sum()
    order = np.argsort(-shares, kind="stable")[:_MOST_NAMED]
    return [int(codes[one]) for one in order if shares[one] > 0 and shares[one] >= _SUBSTANCE * spoke_for]


def verb_of(kind: str | None) -> str:
    """What somebody did at an event of this kind, in the past tense."""
    return _VERBS.get((kind or "").lower(), "watched")
