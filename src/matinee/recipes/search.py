"""Random search on validation: the default settings first, then points drawn from the recommender's space."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from matinee.core.seeds import generator
from matinee.core.space import draw
from matinee.recommenders import RECOMMENDERS

_DRAWS_A_TRY = 20


def draw_tries(name: str, given: Mapping[str, Any], tries: int, seed: int) -> list[dict[str, Any]]:
    """Settings to try: at most `tries`, no two the same.

    Args:
        name: the recommender.
        given: settings that somebody chose; they are the first try's, and no draw changes them.
        tries: how many.
        seed: seed of the draws.
    """
    space = {key: values for key, values in RECOMMENDERS[name].space.items() if key not in given}
    random = generator(seed, "search", name)
    found, known = [dict(given)], {json.dumps(dict(given), sort_keys=True)}
    for _ in range(_DRAWS_A_TRY * tries if space else 0):
        if len(found) >= tries:
            break
        settings = {**draw(space, random), **given}
        words = json.dumps(settings, sort_keys=True)
        if words not in known:
            known.add(words)
            found.append(settings)
    return found
