"""The catalogue as far as its content tells: what nobody could read off a title is replaced by its mean.

Content tells scenes (by genres and descriptions), series and episodes, and releases. It does not tell how
popular a title will be, in which region, or which titles follow on from which. Chances by the simulator's own
rule in this catalogue are those of an oracle that knows everybody's tastes and every item's content, no more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matinee.core.types import Float64
from matinee.simulate.catalogue import (
    FOLLOWER_WEIGHTS,
    LATER_EPISODE,
    NEXT_EPISODE,
    Catalogue,
    shelf_of,
)
from matinee.simulate.options import SimulationOptions


def as_told(options: SimulationOptions, catalogue: Catalogue) -> Catalogue:
    """The catalogue with popularity, regions and followers as their content alone has one expect.

    Every item is a follower of every other one, each with its expected weight: of n items, n x n numbers.
    """
    popularity = np.where(catalogue.episode > 1, LATER_EPISODE, 1.0)
    # A scene's empty places have weight 0, and keep it.
    weights = np.where(catalogue.scene_weights > 0, popularity[catalogue.scene_items], 0.0)
    n = len(popularity)
    return replace(
        catalogue,
        popularity=popularity,
        scene_weights=weights / weights.sum(axis=1, keepdims=True),
        followers=np.tile(np.arange(n, dtype=np.int32), (n, 1)),
        follower_weights=_expected_followers(catalogue),
        region_followers=None,
        region_follower_weights=None,
        shelf=shelf_of(np.tile(popularity, (options.regions, 1)), catalogue.release, options.strength),
    )


def _expected_followers(catalogue: Catalogue) -> Float64:
    """The mean weight of each item as a follower of each other one: float64, shape (items, items)."""
    unit, scene = catalogue.unit, catalogue.scene
    first = (catalogue.episode <= 1)[None, :] & (unit[:, None] != unit[None, :])
    near, far = first & (scene[:, None] == scene[None, :]), first
    # The second strongest comes from anywhere, the others from the same scene.
    of_far = FOLLOWER_WEIGHTS[1]
    weights = (sum(FOLLOWER_WEIGHTS) - of_far) * near / np.maximum(near.sum(1, keepdims=True), 1)
    weights = weights + of_far * far / np.maximum(far.sum(1, keepdims=True), 1)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-300)
    goes_on = np.flatnonzero(unit[1:] == unit[:-1])
    weights[goes_on] *= 1.0 - NEXT_EPISODE
    weights[goes_on, goes_on + 1] += NEXT_EPISODE
    return np.asarray(weights)
