"""What most viewers chose of late: asked of the store about once a minute, not at every answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from matinee.core.errors import MatineeError
from matinee.data.kinds_mean import NOES, KindsMean
from matinee.serve.store import Store

DAY_MS = 86_400_000
RECENT_MS = 14 * DAY_MS
_FRESH_MS = 60_000
# Where counting takes longer than this, nobody waits for it: the count before it is told meanwhile, unless it
# is as old as that.
_LONG_S = 0.05
_STALE_MS = 600_000
_MOST = 10_000

_log = logging.getLogger("matinee.serve")

Counts = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class _Count:
    """What was counted, when, and how long that took."""

    now_ms: int
    took_s: float
    found: Counts


class Crowd:
    """Choices of all viewers in the last fourteen days.

    Args:
        store: where they are counted.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: dict[tuple[str, ...], _Count] = {}
        self._counting: dict[tuple[str, ...], asyncio.Task[Counts]] = {}

    async def counts(self, now_ms: int, meaning: KindsMean) -> Counts:
        """Items with how many viewers chose them, those who turned them down taken away.

        To count a large store takes long: whoever asks when the count is a minute old is told what it was,
        and it is counted again meanwhile. Many who ask at once wait for the same one.

        Args:
            now_ms: the moment.
            meaning: which kinds say no.
        """
        noes = tuple(sorted(kind for kind in NOES | set(meaning.negative) if meaning.says_no(kind)))
        kept = self._counts.get(noes)
        age_ms = -1 if kept is None else now_ms - kept.now_ms
        if kept is not None and 0 <= age_ms < _FRESH_MS:
            return kept.found
        if noes not in self._counting:
            self._counting[noes] = asyncio.get_running_loop().create_task(self._count(noes, now_ms))
            self._counting[noes].add_done_callback(_told)
        if kept is not None and kept.took_s > _LONG_S and 0 <= age_ms < _STALE_MS:
            return kept.found
        # Whoever gives up waiting must not end the count that others wait for.
        return await asyncio.shield(self._counting[noes])

    async def _count(self, noes: tuple[str, ...], now_ms: int) -> Counts:
        try:
            since, began = now_ms - RECENT_MS, time.monotonic()
            chosen = await self._store.popular(since, _MOST)
            less = dict(await self._store.popular(since, _MOST, noes))
            found = [(item, n - less.get(item, 0)) for item, n in chosen]
            liked = [(item, n) for item, n in found if n > 0]
            self._counts[noes] = _Count(now_ms, time.monotonic() - began, liked)
            return liked
        finally:
            del self._counting[noes]


def _told(count: asyncio.Task[Counts]) -> None:
    """Say what went wrong where perhaps nobody waited."""
    error = None if count.cancelled() else count.exception()
    if isinstance(error, MatineeError):
        _log.warning("what is popular could not be counted: %s", error)
