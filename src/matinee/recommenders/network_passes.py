"""The batches that a network of a recommender learns from, pass by pass, as the device takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from matinee.core.processes import Processes
from matinee.core.promise import Log
from matinee.core.types import Bool
from matinee.recommenders.network_settings import SequentialConfig
from matinee.recommenders.network_warm import batch_events, mixtures
from matinee.train.ahead import Shapes, taken_ahead
from matinee.train.sequences import Pass, Reading, next_events, other_halves


def reading_of(config: SequentialConfig, log: Log, processes: Processes) -> Reading:
    """How histories are read by a network of some settings.

    Args:
        config: with what the log decides filled in.
        log: what is learnt.
        processes: those that take every batch together.
    """
    return Reading(
        longest=config.longest,
        batch_events=config.batch_events or 1,
        times=config.times,
        last=config.last,
        opening=config.opening and log.ordered,
        processes=processes,
    )


def passes_of(taught: Log, reading: Reading, seed: int, fresh: Bool | None) -> Callable[[int], Pass]:
    """What is learnt, pass by pass.

    Args:
        taught: what may be learnt.
        reading: how it is read.
        seed: of all draws.
        fresh: bool, shape (events,): what is new to a network that is gone on from; None: it knows nothing.
    """
    made = next_events if taught.ordered else other_halves
    if fresh is None:
        return made(taught.histories, reading, seed)
    mixture = mixtures(taught.histories, fresh, reading.longest, seed)
    few = int(np.minimum(mixture(0).lengths, reading.longest).sum())
    small = replace(reading, batch_events=batch_events(few, reading.batch_events))
    return lambda number: made(mixture(number), small, seed)(number)


def for_gpu(
    passes: Callable[[int], Pass], reading: Reading, *, ordered: bool, recorded: bool
) -> Callable[[int], Any]:
    """The same passes, made ahead of a GPU, and filled up to few shapes where its steps are recorded."""
    shapes = Shapes(
        batch_events=reading.batch_events,
        longest=reading.longest,
        ordered=ordered,
        opening=reading.opening,
    )
    return taken_ahead(passes, shapes if recorded else None)
