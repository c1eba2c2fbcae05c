"""Fitting what can be asked. Each recommender is equal behind one promise: settings in, a `Model` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matinee.core.errors import unknown_name
from matinee.core.promise import Recommender

RECOMMENDERS: dict[str, type[Any]] = {}


def make_recommender(name: str, settings: Mapping[str, Any] | None = None) -> Recommender:
    """A recommender by name, with settings that differ from its defaults.

    Raises:
        SettingsError: the name or a setting is unknown; the message names the nearest known one.
    """
    if name not in RECOMMENDERS:
        raise unknown_name("recommender", name, RECOMMENDERS)
    recommender: Recommender = RECOMMENDERS[name](**dict(settings or {}))
    return recommender
