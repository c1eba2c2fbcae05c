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
from matinee.answers.regions import REGIONS, RegionsScorer, contexts_of
from matinee.answers.value_neighbours import ValueNeighboursScorer
from matinee.answers.values import ValuesScorer
from matinee.core.errors import SettingsError, unknown_name
from matinee.core.promise import Part, Scorer

__all__ = ["JOINED", "NEED_PEOPLE", "SCORERS", "Context", "make_scorer"]

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

# Kinds of parts that answer from other people's histories: nothing personal is left without them.
NEED_PEOPLE = ("friends", "neighbours")


def make_scorer(part: Part, context: Context, parts: Mapping[str, Part] | None = None) -> Scorer:
    """The scorer of a fitted part.

    Args:
        part: what was fitted.
        context: what scorers need beside their part.
        parts: the model's parts by name, for one that joins others.

    Raises:
        SettingsError: no scorer has this kind's name, or a part that it joins is missing.
    """
    if part.kind == REGIONS:
        return _by_region(part, context, parts or {})
    if part.kind not in JOINED:
        return _alone(part, context)
    inner = _inner(part, parts or {})
    return JOINED[part.kind](part, context, [_alone(one, context) for one in inner])


def _alone(part: Part, context: Context) -> Scorer:
    if part.kind not in SCORERS:
        raise unknown_name("kind of part", part.kind, [*SCORERS, *JOINED])
    return SCORERS[part.kind](part, context)


def _by_region(part: Part, context: Context, parts: Mapping[str, Part]) -> Scorer:
    """The scorers of everybody and of each region, each of which may join parts of its own."""
    inner = _inner(part, parts)
    if any(one.kind == REGIONS for one in inner):
        raise SettingsError("A region's model cannot be divided into regions.")
    contexts = [context, *contexts_of(part, context, [_needs_people(one, parts) for one in inner[1:]])]
    made = [make_scorer(one, theirs, parts) for one, theirs in zip(inner, contexts, strict=True)]
    return RegionsScorer(part, context, made)


def _needs_people(part: Part, parts: Mapping[str, Part]) -> bool:
    of = [part, *(_inner(part, parts) if part.kind in JOINED else ())]
    return any(one.kind in NEED_PEOPLE for one in of)


def _inner(part: Part, parts: Mapping[str, Part]) -> list[Part]:
    """The parts that one joins."""
    names = [str(name) for name in part.settings["parts"]]
    missing = [name for name in names if name not in parts]
    if missing:
        raise SettingsError(f"A {part.kind} needs the part {missing[0]!r}, which the model does not have.")
    return [parts[name] for name in names]
