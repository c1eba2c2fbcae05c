"""The one table from a part's kind to the code that scores it."""

from __future__ import annotations

from collections.abc import Callable

from matinee.answers.context import Context
from matinee.answers.factors import FactorsScorer
from matinee.answers.friends import FriendsScorer
from matinee.answers.linear import LinearScorer
from matinee.answers.neighbours import NeighboursScorer
from matinee.answers.network import NetworkScorer
from matinee.answers.popular import PopularScorer
from matinee.core.errors import unknown_name
from matinee.core.promise import Part, Scorer

__all__ = ["SCORERS", "Context", "make_scorer"]

SCORERS: dict[str, Callable[[Part, Context], Scorer]] = {
    "factors": FactorsScorer,
    "friends": FriendsScorer,
    "linear": LinearScorer,
    "neighbours": NeighboursScorer,
    "network": NetworkScorer,
    "popular": PopularScorer,
}


def make_scorer(part: Part, context: Context) -> Scorer:
    """The scorer of a fitted part.

    Raises:
        SettingsError: no scorer has this kind's name.
    """
    if part.kind not in SCORERS:
        raise unknown_name("kind of part", part.kind, SCORERS)
    return SCORERS[part.kind](part, context)
