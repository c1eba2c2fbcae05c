"""What is written for later does not count before its time, wherever a history is read.

Gorse's clients write feedback for later (write-back-delay), and clocks of senders run ahead.
"""

from __future__ import annotations

from collections.abc import Sequence

from matinee.serve.records import Seen
from matinee.serve.store import Store

# Machines' clocks may differ by so much: what is dated later than that is not due yet.
SKEW_MS = 60_000

# Of viewers with very long histories, so many events are looked at.
LONGEST = 5_000


def is_due(time_ms: int, now_ms: int) -> bool:
    """Whether what is dated so has happened."""
    return time_ms <= now_ms + SKEW_MS


def due(history: Sequence[Seen], now_ms: int) -> Sequence[Seen]:
    """A history, oldest first, without what is not due yet."""
    last = len(history)
    while last and not is_due(history[last - 1].time_ms, now_ms):
        last -= 1
    return history if last == len(history) else history[:last]


async def due_history(store: Store, user: str, most: int, now_ms: int) -> Sequence[Seen]:
    """The latest `most` events of a viewer that are due, oldest first; what is not due takes no one's place.

    Args:
        store: where histories are.
        user: whose.
        most: how many events; a viewer with more than `LONGEST` that are not due is told fewer.
        now_ms: the moment.
    """
    history = await store.history(user, most)
    found = due(history, now_ms)
    if len(found) < len(history) == most:
        found = due(await store.history(user, max(LONGEST, most)), now_ms)
    return found[max(len(found) - most, 0) :]
