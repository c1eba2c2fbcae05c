"""Sittings: a viewer's events with no pause longer than a given one, told apart by their times.

Whoever rates several items in one sitting is in one mood, and looks at one page: their ratings there lean the
same way (the day-specific bias of timeSVD++, Koren 2009, with the log's own pauses in place of days).
"""

from __future__ import annotations

import numpy as np

from matinee.core.types import Histories, Int64

MINUTE_MS = 60_000


def sittings(histories: Histories, pause_minutes: float) -> Int64 | None:
    """The number of each event's sitting, counted through all histories.

    Args:
        histories: oldest event first.
        pause_minutes: a longer pause ends a sitting; 0: there are no sittings.

    Returns:
        int64, shape (events,), rising by 0 or 1; None without times, events or pauses.
    """
    times = histories.times
    if times is None or not len(times) or pause_minutes <= 0:
        return None
    fresh = np.zeros(len(times), dtype=np.int64)
    fresh[1:] = np.diff(times) > pause_minutes * MINUTE_MS
    starts = histories.offsets[1:-1]
    fresh[starts[(starts > 0) & (starts < len(times))]] = 1
    return np.cumsum(fresh)


def sitting_at(times: Int64, numbers: Int64, asked: Int64, pause_minutes: float) -> Int64:
    """The sitting of one history that each of some moments falls into.

    Args:
        times: int64, shape (events,), milliseconds, rising.
        numbers: int64, shape (events,): the events' sittings.
        asked: int64, shape (n,): the moments.
        pause_minutes: what ends a sitting.

    Returns:
        int64, shape (n,): -1 for a moment further from every event than the pause.
    """
    if not len(times):
        return np.full(len(asked), -1, dtype=np.int64)
    after = np.searchsorted(times, asked)
    before = np.maximum(after - 1, 0)
    after = np.minimum(after, len(times) - 1)
    nearest = np.where(np.abs(asked - times[before]) <= np.abs(times[after] - asked), before, after)
    near = np.abs(asked - times[nearest]) <= pause_minutes * MINUTE_MS
    return np.where(near, numbers[nearest], -1)
