"""What an event's value says of how much it counts: how often a song was heard, how many stars a film got."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matinee.core.types import Histories


def by_value(histories: Histories, power: float) -> Histories:
    """The same histories, each event's weight times what its value says.

    An event of value v counts (log(1 + v) / m) ** power, m the mean of log(1 + v) over its history: who hears
    everything often is told no louder than others. A value that is not known counts 1, one below 0 as 0.

    Args:
        histories: whose; without values they are returned as they are.
        power: how far values count; 0: not at all.
    """
    if histories.values is None or not power or not len(histories.items):
        return histories
    said = np.log1p(np.maximum(histories.values.astype(np.float64), 0.0))
    known, rows = ~np.isnan(said), histories.rows()
    sums = np.bincount(rows[known], said[known], len(histories))
    means = sums / np.maximum(np.bincount(rows[known], minlength=len(histories)), 1)
    counted = known & (means[rows] > 0)
    factors = np.ones(len(said), np.float32)
    factors[counted] = (said[counted] / means[rows[counted]]) ** power
    weights = factors if histories.weights is None else factors * histories.weights
    return replace(histories, weights=weights)
