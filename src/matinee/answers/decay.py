"""Histories as decayed counts: what lies k events back counts `decay ** k`, for one or more decay rates.

A linear model reads a history as a sparse row of width rates x items: for each rate s, the entry of item i is
the sum of `weight * decays[s] ** k` over the events of item i, where k counts the events after it (0 is the
latest). A window leaves out what lies so far back that it counts next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from matinee.core.types import Bool, Float32, Float64, Histories, Int64


def window_of(decay: float, threshold: float) -> int:
    """How many events back a decay reaches before an event counts less than `threshold`.

    Returns:
        At least 1; 0, which stands for all of a history, where nothing fades (decay 1 or threshold 0).
    """
    if decay >= 1.0 or threshold <= 0.0:
        return 0
    if decay <= 0.0:
        return 1
    return max(1, math.ceil(math.log(threshold) / math.log(decay)))


def known(histories: Histories, n_items: int) -> Bool:
    """Which events are of an item of the catalogue: bool, shape (events,)."""
    return (histories.items >= 0) & (histories.items < n_items)


def all_known(histories: Histories, n_items: int) -> bool:
    """Whether every event is of an item of the catalogue, in one look."""
    # Read without a sign, a code below 0 is a large one.
    return not len(histories.items) or bool(histories.items.astype(np.uint32).max() < n_items)


def recency(histories: Histories, decays: Sequence[float], windows: Sequence[int]) -> Float32:
    """What each event counts at the end of its history.

    Args:
        histories: oldest event first.
        decays: one rate per column; 1 forgets nothing.
        windows: events per history that each rate looks at, counted from the latest; 0 for all.

    Returns:
        float32, shape (events, rates): weight x decay ** (events after it), 0 beyond the window.
    """
    back = np.repeat(histories.offsets[1:], histories.lengths) - 1 - np.arange(len(histories.items))
    columns = []
    for decay, window in zip(decays, windows, strict=True):
        counts = np.ones(len(back)) if decay == 1.0 else np.float64(decay) ** back
        columns.append(np.where(back < window, counts, 0.0) if window else counts)
    table = np.stack(columns, axis=1)
    if histories.weights is not None:
        table *= histories.weights[:, None]
    return table.astype(np.float32)


def decayed(histories: Histories, decays: Sequence[float], windows: Sequence[int], n_items: int) -> Any:
    """Every history as a sparse row of decayed counts.

    Events of unknown items (codes below 0, or at least `n_items`) are left out as if they had not happened.
    The entries of a row stand oldest event first, so that a product with the row adds up in one order,
    whoever else is asked for beside it.

    Returns:
        scipy CSR float32, shape (histories, rates x items); an item may have several entries in a row.
    """
    import scipy.sparse

    clean = histories.keep(known(histories, n_items))
    if all(windows):
        clean = clean.last(max(windows))
    table = recency(clean, decays, windows)
    columns = clean.items[:, None].astype(np.int64) + np.arange(len(decays)) * n_items
    there = table != 0.0
    filled = np.concatenate([np.zeros(1, np.int64), np.cumsum(there.sum(axis=1))])
    return scipy.sparse.csr_matrix(
        (table[there], columns[there], filled[clean.offsets]), shape=(len(clean), len(decays) * n_items)
    )


def decayed_alone(
    history: Histories, decays: Sequence[float], windows: Sequence[int], n_items: int
) -> tuple[Int64, Float32]:
    """One history as decayed counts at little cost: oldest event first, as in `decayed`.

    Returns:
        Columns int64 and counts float32: the entries of `decayed`'s row.
    """
    items, weights = history.items, history.weights
    if not all_known(history, n_items):
        there = known(history, n_items)
        items, weights = items[there], None if weights is None else weights[there]
    if all(windows):
        items = items[-max(windows) :]
        weights = None if weights is None else weights[-max(windows) :]
    events, rates, counts = _entries(len(items), tuple(decays), tuple(windows))
    columns = items.astype(np.int64)[events] + rates * n_items
    if weights is None:
        return columns, counts.astype(np.float32)
    weighted = (counts * weights[events]).astype(np.float32)
    filled = weighted != 0.0
    return columns[filled], weighted[filled]


@lru_cache(maxsize=1024)
def _entries(n: int, decays: tuple[float, ...], windows: tuple[int, ...]) -> tuple[Int64, Int64, Float64]:
    """What any n events count at the end of their history, without what counts nothing.

    Returns:
        Positions of events and of rates, int64, and counts, float64: by event, then by rate.
    """
    back = np.arange(n - 1, -1, -1)
    table = np.ones((n, len(decays)))
    for rate, (decay, window) in enumerate(zip(decays, windows, strict=True)):
        if decay != 1.0:
            table[:, rate] = np.float64(decay) ** back
        if window:
            table[: max(n - window, 0), rate] = 0.0
    events, rates = np.nonzero(table.astype(np.float32))
    return events, rates, table[events, rates]
