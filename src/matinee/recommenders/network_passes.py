"""The batches that a network of a recommender learns from, pass by pass, as the device takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.core.processes import Processes
from matinee.core.promise import Log
from matinee.core.types import Bool
from matinee.recommenders.held_out import HeldOut
from matinee.recommenders.network_context import Context
from matinee.recommenders.network_settings import SequentialConfig
from matinee.recommenders.network_warm import Warm, batch_events, mixtures
from matinee.train.ahead import Shapes, taken_ahead
from matinee.train.sequences import Pass, Reading, next_events, other_halves


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What a network that is gone on from learns from.

    Attributes:
        fresh: bool, shape (events,): what of that which may be learnt is new to it.
        told: what it reads beside items.
    """

    fresh: Bool
    told: Context


def rehearsed(warm: Warm, held: HeldOut, told: Context) -> Rehearsed:
    """What a network that is gone on from learns from.

    Args:
        warm: it.
        held: what of the log is held out.
        told: what it reads beside items.
    """
    return Rehearsed(fresh=warm.fresh[held.taught], told=told)


def reading_of(config: SequentialConfig, log: Log, told: Context, processes: Processes) -> Reading:
    """How histories are read by a network of some settings.

    Args:
        config: with what the log decides filled in.
        log: what is learnt.
        told: what is read beside items.
        processes: those that take every batch together.
    """
    return Reading(
        longest=config.longest,
        batch_events=config.batch_events or 1,
        times=config.times,
        last=config.last,
        opening=bool(config.opening) and log.ordered,
        beside=told.beside,
        processes=processes,
    )


def passes_of(taught: Log, reading: Reading, seed: int, warm: Rehearsed | None) -> Callable[[int], Pass]:
    """What is learnt, pass by pass.

    Args:
        taught: what may be learnt.
        reading: how it is read.
        seed: of all draws.
        warm: what a network that is gone on from learns from; None: it knows nothing.
    """
    made = next_events if taught.ordered else other_halves
    if warm is None:
        return made(taught.histories, reading, seed)
    told = warm.told
    mixture = mixtures(taught.histories, warm.fresh, reading.longest, seed)
    few = int(np.minimum(mixture(0).lengths, reading.longest).sum())
    small = replace(reading, batch_events=batch_events(few, reading.batch_events))

    def drawn(number: int) -> Pass:
        histories = mixture(number)
        return made(histories, replace(small, beside=told.beside_of(histories)), seed)(number)

    return drawn


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
