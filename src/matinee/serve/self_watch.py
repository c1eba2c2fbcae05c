"""What a server finds out about itself: reckoned seldom, once however many ask, and beside its answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

from matinee.serve.ab import Result, ShadowResult, results, shadow_results
from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.bundle_shelf import BundleShelf
from matinee.serve.experiments import EXPERIMENTS_NOTE
from matinee.serve.monitoring import Figures, figures
from matinee.serve.shadow import Shadows
from matinee.serve.store import Store

T = TypeVar("T")
_EXPERIMENTS_HOLD_S = 60.0
_FIGURES_HOLD_S = 300.0
# What takes long is asked for less often: at most one part in so many of a process's time goes there.
_REST = 20.0


class SelfWatch:
    """Keeps `matinee.serve.service.Watch`.

    Args:
        shelf: the bundles.
        store: where events and impressions are.
        shadows: the figures of this process's shadows.
        now_ms: the clock.
    """

    def __init__(self, shelf: BundleShelf, store: Store, shadows: Shadows, now_ms: Callable[[], int]) -> None:
        self._shelf, self._store, self._shadows, self._now = shelf, store, shadows, now_ms
        self._results = Held(self._count, _EXPERIMENTS_HOLD_S)
        self._figures = Held(self._reckon, _FIGURES_HOLD_S)

    async def experiments(self, wait_s: float | None = None) -> list[Result] | None:
        """What every experiment says, at most a minute old; those that are over included."""
        return await self._results.value(await self._store.note(EXPERIMENTS_NOTE), wait_s)

    def shadows(self) -> Mapping[str, ShadowResult]:
        """How far the shadows of this process differ from what was shown, by bundle."""
        return {one.bundle: one for one in shadow_results(self._shadows.figures())}

    async def figures(self, wait_s: float | None = None) -> Figures | None:
        """What is worth looking at of the last days, some minutes old."""
        return await self._figures.value(self._shelf.behind(DEFAULT_ALIAS).model.fingerprint, wait_s)

    async def close(self) -> None:
        """Reckon no more."""
        await self._results.close()
        await self._figures.close()

    async def _count(self) -> list[Result]:
        return await results(self._store, now_ms=self._now())

    async def _reckon(self) -> Figures:
        ready = self._shelf.behind(DEFAULT_ALIAS)
        records = dict(ready.live.records)
        return await figures(self._store, ready.model, now_ms=self._now(), records=records)


class Held(Generic[T]):
    """One value that is reckoned when somebody asks and what is held is of another key, or too old.

    Args:
        reckon: what reckons it.
        hold_s: how long it holds, in seconds; longer where reckoning takes long.
    """

    def __init__(self, reckon: Callable[[], Awaitable[T]], hold_s: float) -> None:
        self._reckon, self._hold_s = reckon, hold_s
        self._held: T | None = None
        self._key: Hashable = None
        self._until = float("-inf")
        self._task: asyncio.Task[T] | None = None

    async def value(self, key: Hashable, wait_s: float | None = None) -> T | None:
        """The value of a key.

        Args:
            key: what it depends on.
            wait_s: how long somebody waits; then it is the value held last, of whatever key, or None. None:
                until it is there.
        """
        while True:
            if self._task is None and (key != self._key or time.monotonic() >= self._until):
                self._task = asyncio.create_task(self._fresh(key))
            if self._task is None:
                return self._held
            # Who goes away keeps others from nothing.
            await asyncio.wait({task := self._task}, timeout=wait_s)
            if not task.done() or task.cancelled():
                return self._held
            found = task.result()
            if key == self._key or wait_s is not None:
                return found

    async def close(self) -> None:
        """Let go of what is being reckoned."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _fresh(self, key: Hashable) -> T:
        began = time.monotonic()
        try:
            self._held = await self._reckon()
            self._key = key
            now = time.monotonic()
            self._until = now + max(self._hold_s, _REST * (now - began))
            return self._held
        finally:
            self._task = None
