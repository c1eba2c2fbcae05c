"""Fitting what can be asked. Each recommender is equal behind one promise: settings in, a `Model` out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from matinee.core.errors import unknown_name
from matinee.core.promise import Recommender
from matinee.recommenders.blend import Blend
from matinee.recommenders.ease import Ease
from matinee.recommenders.ensemble import Ensemble
from matinee.recommenders.friends import Friends
from matinee.recommenders.graph_filter import GraphFilter
from matinee.recommenders.ials import Ials
from matinee.recommenders.item_knn import ItemKnn
from matinee.recommenders.popularity import Popularity
from matinee.recommenders.rating import Rating
from matinee.recommenders.rating_factors import RatingBiases, RatingFactors
from matinee.recommenders.rating_knn import RatingKnn
from matinee.recommenders.rating_mean import RatingMean
from matinee.recommenders.recent import Recent
from matinee.recommenders.sequential import Sequential
from matinee.recommenders.transitions import Transitions
from matinee.recommenders.user_knn import UserKnn

RECOMMENDERS: dict[str, type[Any]] = {
    "blend": Blend,
    "ease": Ease,
    "ensemble": Ensemble,
    "friends": Friends,
    "graph_filter": GraphFilter,
    "ials": Ials,
    "item_knn": ItemKnn,
    "popularity": Popularity,
    "rating": Rating,
    "rating_biases": RatingBiases,
    "rating_factors": RatingFactors,
    "rating_knn": RatingKnn,
    "rating_mean": RatingMean,
    "recent": Recent,
    "sequential": Sequential,
    "transitions": Transitions,
    "user_knn": UserKnn,
}


def make_recommender(name: str, settings: Mapping[str, Any] | None = None) -> Recommender:
    """A recommender by name, with settings that differ from its defaults.

    Raises:
        SettingsError: the name or a setting is unknown; the message names the nearest known one.
    """
    if name not in RECOMMENDERS:
        raise unknown_name("recommender", name, RECOMMENDERS)
    recommender: Recommender = RECOMMENDERS[name](**dict(settings or {}))
    return recommender


class _Door(ModuleType):
    """`matinee.recommenders()` names them: Python binds this folder to that name, so the folder is called."""

    def __call__(self) -> tuple[str, ...]:
        """The names of all recommenders, for `matinee.fit` and `matinee.compare`."""
        return tuple(sorted(RECOMMENDERS))


sys.modules[__name__].__class__ = _Door
