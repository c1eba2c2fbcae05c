"""Random search on validation: the defaults first, what the recommender always tries, then points drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from matinee.core.seeds import generator
from matinee.core.space import draw
from matinee.recommenders import RECOMMENDERS

_DRAWS_A_TRY = 20


def draw_tries(name: str, given: Mapping[str, Any], tries: int, seed: int) -> list[dict[str, Any]]:
    """Settings to try, no two the same: at most `tries`, or one and the recommender's `variants`.

    Args:
        name: the recommender.
        given: settings that somebody chose; they are the first try's, and neither variant nor draw changes
            them.
        tries: how many; variants are among them, and are tried even where that makes more.
        seed: seed of the draws.
    """
    recommender = RECOMMENDERS[name]
    space = {key: values for key, values in recommender.space.items() if key not in given}
    random = generator(seed, "search", name)
    found = [dict(given)]
    for variant in getattr(recommender, "variants", ()):
        if not set(variant) & set(given):
            found.append({**given, **variant})
    known = {json.dumps(settings, sort_keys=True) for settings in found}
    for _ in range(_DRAWS_A_TRY * tries if space else 0):
        if len(found) >= tries:
            break
        settings = {**draw(space, random, given), **given}
        words = json.dumps(settings, sort_keys=True)
        if words not in known:
            known.add(words)
            found.append(settings)
    return found
