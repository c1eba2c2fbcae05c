"""Fitting what can be asked. Each recommender is equal behind one promise: settings in, a `Model` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matinee.core.errors import unknown_name
from matinee.core.promise import Recommender
from matinee.recommenders.friends import Friends
from matinee.recommenders.ials import Ials
from matinee.recommenders.popularity import Popularity
from matinee.recommenders.recent import Recent
from matinee.recommenders.user_knn import UserKnn

RECOMMENDERS: dict[str, type[Any]] = {
    "friends": Friends,
    "ials": Ials,
    "popularity": Popularity,
    "recent": Recent,
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
