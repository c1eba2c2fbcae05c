"""Histories to build and measure an index with: as people's were before their last event."""

from __future__ import annotations

import numpy as np

from matinee.core.seeds import generator
from matinee.core.types import Askers, Float32, Histories, histories_of, newcomers

_LONGEST_MADE_UP = 8


def drawn_histories(histories: Histories, popularity: Float32, n: int, *, seed: int) -> list[Askers]:
    """Askers one by one, in a random order.

    Args:
        histories: those of a log; where they are too few, others are made up of what has been watched.
        popularity: float32, shape (items,): events of each item.
        n: how many are wanted.
        seed: of the draw.
    """
    random = generator(seed, "queries of an index", n)
    long_enough = np.flatnonzero(histories.lengths >= 2)
    drawn = random.choice(long_enough, min(n, len(long_enough)), replace=False)
    found = []
    for viewer in drawn:
        one = histories.take(np.array([viewer]))
        found.append(newcomers(one.keep(np.arange(len(one.items)) < len(one.items) - 1)))
    watched = np.flatnonzero(popularity > 0)
    while len(found) < n and len(watched):
        size = int(random.integers(1, _LONGEST_MADE_UP + 1))
        found.append(newcomers(histories_of([random.choice(watched, size).tolist()])))
    return found
