"""What viewers had turned down by the moment that they are asked: a later no would tell of the future."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matinee.core.types import Bool, Int64, Ragged
from matinee.data.log import InteractionLog


def negatives_before(log: InteractionLog, moment: int) -> tuple[Ragged | None, bool]:
    """What had been turned down before a moment, and whether some had to be left out for want of a date."""
    negatives = log.negatives
    if negatives is None or not len(negatives.values):
        return negatives, False
    if log.negative_times is None:
        return None, True
    return keep_entries(negatives, log.negative_times < moment), False


def negatives_by_events(log: InteractionLog, ends: Sequence[Int64], held: Int64) -> list[Ragged | None]:
    """What each viewer had turned down before an event of their own.

    Where nothing is dated, nobody knows which came first: then it is all of them, less what was chosen
    after all.

    Args:
        log: the log.
        ends: positions of events, each int64, shape (viewers,); the end of a viewer's history: no such event.
        held: int64, shape (n,): positions of all held-out events.

    Returns:
        The negatives for each of `ends`.
    """
    negatives, dates, times = log.negatives, log.negative_times, log.histories.times
    if negatives is None or dates is None or times is None:
        return [negatives_less_targets(log, held)] * len(ends)
    found: list[Ragged | None] = []
    for end in ends:
        until = np.full(len(log.histories), np.iinfo(np.int64).max)
        some = end < log.histories.offsets[1:]
        until[some] = times[end[some]]
        found.append(keep_entries(negatives, dates < np.repeat(until, np.diff(negatives.offsets))))
    return found


def negatives_less_targets(log: InteractionLog, held: Int64) -> Ragged | None:
    """What was turned down and not chosen after all.

    Args:
        log: the log.
        held: int64, shape (n,): positions of all held-out events.
    """
    negatives = log.negatives
    if negatives is None or not len(negatives.values):
        return negatives
    owners = np.searchsorted(log.histories.offsets, held, side="right") - 1
    chosen = owners * log.n_items + log.histories.items[held]
    rows = np.repeat(np.arange(len(negatives), dtype=np.int64), np.diff(negatives.offsets))
    return keep_entries(negatives, ~np.isin(rows * log.n_items + negatives.values, chosen))


def negative_times_of(log: InteractionLog, negatives: Ragged | None) -> Int64 | None:
    """When some of a log's negatives were turned down: int64, shape (entries,); None where nobody knows."""
    if log.negatives is None or log.negative_times is None or negatives is None:
        return None
    if negatives is log.negatives:
        return log.negative_times
    known, kept = (
        np.repeat(np.arange(len(some), dtype=np.int64), np.diff(some.offsets)) * log.n_items + some.values
        for some in (log.negatives, negatives)
    )
    # Of several noes to one item the first is meant.
    order = np.lexsort((log.negative_times, known))
    return np.asarray(log.negative_times[order[np.searchsorted(known[order], kept)]])


def negatives_of(negatives: Ragged | None, viewers: Bool) -> Ragged | None:
    """Those of some viewers alone: bool, shape (viewers,); the others' rows are empty."""
    if negatives is None:
        return None
    return keep_entries(negatives, np.repeat(viewers, np.diff(negatives.offsets)))


def keep_entries(ragged: Ragged, mask: Bool) -> Ragged:
    """Some entries of a ragged array: bool, shape (entries,)."""
    counted = np.concatenate([np.zeros(1, np.int64), np.cumsum(mask, dtype=np.int64)])
    weights = None if ragged.weights is None else ragged.weights[mask]
    return Ragged(values=ragged.values[mask], offsets=counted[ragged.offsets], weights=weights)
