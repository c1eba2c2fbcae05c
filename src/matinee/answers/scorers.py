"""The one table from a part's kind to the code that scores it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matinee.answers.context import Context
from matinee.answers.ensemble import EnsembleScorer
from matinee.answers.factors import FactorsScorer
from matinee.answers.friends import FriendsScorer
from matinee.answers.linear import LinearScorer
from matinee.answers.neighbours import NeighboursScorer
from matinee.answers.network import NetworkScorer
from matinee.answers.popular import PopularScorer
from matinee.answers.product import ProductScorer
from matinee.answers.value_neighbours import ValueNeighboursScorer
from matinee.answers.values import ValuesScorer
from matinee.core.errors import SettingsError, unknown_name
from matinee.core.promise import Part, Scorer

__all__ = ["JOINED", "SCORERS", "Context", "make_scorer"]

SCORERS: dict[str, Callable[[Part, Context], Scorer]] = {
    "factors": FactorsScorer,
    "friends": FriendsScorer,
    "linear": LinearScorer,
    "neighbours": NeighboursScorer,
    "network": NetworkScorer,
    "popular": PopularScorer,
    "value_neighbours": ValueNeighboursScorer,
    "values": ValuesScorer,
}

# Those that are made of the scorers of other parts, in the order of the part's setting `parts`.
JOINED: dict[str, Callable[[Part, Context, Sequence[Scorer]], Scorer]] = {
    "ensemble": EnsembleScorer,
    "product": ProductScorer,
}


def make_scorer(part: Part, context: Context, parts: Mapping[str, Part] | None = None) -> Scorer:
    """The scorer of a fitted part.

    Args:
        part: what was fitted.
        context: what scorers need beside their part.
        parts: the model's parts by name, for one that joins others.

    Raises:
        SettingsError: no scorer has this kind's name, or a part that it joins is missing.
    """
    if part.kind not in JOINED:
        return _alone(part, context)
    names = [str(name) for name in part.settings["parts"]]
    missing = [name for name in names if name not in (parts or {})]
    if missing:
        raise SettingsError(f"A {part.kind} needs the part {missing[0]!r}, which the model does not have.")
    return JOINED[part.kind](part, context, [_alone((parts or {})[name], context) for name in names])


def _alone(part: Part, context: Context) -> Scorer:
    if part.kind not in SCORERS:
        raise unknown_name("kind of part", part.kind, [*SCORERS, *JOINED])
    return SCORERS[part.kind](part, context)
