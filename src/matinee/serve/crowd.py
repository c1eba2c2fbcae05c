"""What most viewers chose of late: asked of the store about once a minute, not at every answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from matinee.core.errors import MatineeError
from matinee.core.types import Float32, Int64
from matinee.data.kinds_mean import NOES, KindsMean
from matinee.serve.live_items import LiveItems
from matinee.serve.ready_bundle import ReadyBundle
from matinee.serve.store import Store

DAY_MS = 86_400_000
RECENT_MS = 14 * DAY_MS
_FRESH_MS = 60_000
# Where counting takes longer than this, nobody waits for it: the count before it is told meanwhile, unless it
# is as old as that.
_LONG_S = 0.05
_STALE_MS = 600_000
_MOST = 10_000
# What newcomers are shown is not for a handful of people to say: so many viewers of an item count, and so
# many such items are enough.
_VIEWERS, _ITEMS = 5, 10
# Of the items that are popular now, so many go before all others.
_LIFTED = 200

_log = logging.getLogger("matinee.serve")

Counts = Sequence[tuple[str, int]]
# What counting raises where the store fails, or was let go.
_BROKEN = (MatineeError, RuntimeError)


@dataclass(frozen=True, slots=True)
class _Count:
    """What was counted, when, and how long that took."""

    now_ms: int
    took_s: float
    found: Counts

    def is_fresh(self, now_ms: int) -> bool:
        """Whether it is of the last minute."""
        return 0 <= now_ms - self.now_ms < _FRESH_MS


class _Recent(NamedTuple):
    """What is popular now among a bundle's items: codes, the scores that they get, when it was counted."""

    live: LiveItems
    codes: Int64
    scores: Float32
    time_ms: int


class Crowd:
    """Choices of all viewers in the last fourteen days.

    Args:
        store: where they are counted.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: dict[tuple[str, ...], _Count] = {}
        self._counting: dict[tuple[str, ...], asyncio.Task[Counts]] = {}
        self._recent: dict[str, _Recent] = {}
        self._renewing: dict[str, asyncio.Task[None]] = {}

    async def counts(self, now_ms: int, meaning: KindsMean) -> Counts:
        """Items with how many viewers chose them, those who turned them down taken away.

        To count a large store takes long: whoever asks when the count is a minute old is told what it was,
        and it is counted again meanwhile. Many who ask at once wait for the same one.

        Args:
            now_ms: the moment.
            meaning: which kinds say no.
        """
        noes = _noes_of(meaning)
        kept = self._counts.get(noes)
        if kept is not None and kept.took_s > _LONG_S and 0 <= now_ms - kept.now_ms < _STALE_MS:
            if not kept.is_fresh(now_ms):
                self._begin(noes, now_ms)
            return kept.found
        return await self._newest(noes, now_ms)

    def lift(self, ready: ReadyBundle, scores: Float32, now_ms: int) -> None:
        """Put what many chose of late before everything else, in place; nothing is waited for.

        It is what was counted last: a minute ago at most where somebody asks once a minute. Before the first
        count, and where too few viewers chose too few items, the scores stay as they are.

        Args:
            ready: the bundle that answers.
            scores: its items' popularity, float32, shape (items,).
            now_ms: the moment.
        """
        recent = self._recent.get(ready.name)
        if recent is not None and recent.live is not ready.live:
            recent = None
        if recent is None or not 0 <= now_ms - recent.time_ms < _FRESH_MS:
            self._renew(ready, now_ms)
        if recent is not None and len(recent.codes):
            scores[recent.codes] = recent.scores

    async def settled(self) -> None:
        """Wait until what is being counted for newcomers is there."""
        await asyncio.gather(*self._renewing.values())

    def _renew(self, ready: ReadyBundle, now_ms: int) -> None:
        if ready.name not in self._renewing:
            task = asyncio.get_running_loop().create_task(self._look_again(ready, now_ms))
            self._renewing[ready.name] = task
            task.add_done_callback(lambda _done: self._renewing.pop(ready.name, None))

    async def _look_again(self, ready: ReadyBundle, now_ms: int) -> None:
        counts: Counts = ()
        # What goes wrong is said where it does, and tried again in a minute.
        with suppress(*_BROKEN):
            counts = await self._newest(_noes_of(ready.reading.meaning), now_ms)
        self._recent[ready.name] = _recent_of(ready, counts, now_ms)

    async def _newest(self, noes: tuple[str, ...], now_ms: int) -> Counts:
        """The count of the last minute, which is waited for."""
        kept = self._counts.get(noes)
        if kept is not None and kept.is_fresh(now_ms):
            return kept.found
        # Whoever gives up waiting must not end the count that others wait for.
        return await asyncio.shield(self._begin(noes, now_ms))

    def _begin(self, noes: tuple[str, ...], now_ms: int) -> asyncio.Task[Counts]:
        """The count that is under way; one that begins now where none is."""
        if noes not in self._counting:
            self._counting[noes] = asyncio.get_running_loop().create_task(self._count(noes, now_ms))
            self._counting[noes].add_done_callback(_told)
        return self._counting[noes]

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
    if isinstance(error, _BROKEN):
        _log.warning("what is popular could not be counted: %s", error)


def _noes_of(meaning: KindsMean) -> tuple[str, ...]:
    return tuple(sorted(kind for kind in NOES | set(meaning.negative) if meaning.says_no(kind)))


def _recent_of(ready: ReadyBundle, counts: Counts, now_ms: int) -> _Recent:
    many = [(ready.live.code(item), n) for item, n in counts[:_LIFTED] if n >= _VIEWERS]
    known = [(code, n) for code, n in many if 0 <= code < ready.live.known]
    if len(known) < _ITEMS:
        known = []
    codes = np.array([code for code, _ in known], dtype=np.int64)
    popularity = ready.model.context.popularity
    most = float(popularity.max(initial=0.0))
    # Above whatever else there is; of two that equally many chose, the one first that more ever did.
    scores = most + np.array([n for _, n in known], np.float32) + popularity[codes] / (most + 1.0)
    return _Recent(ready.live, codes, scores.astype(np.float32), now_ms)
