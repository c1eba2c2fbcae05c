"""How the suite of stores tells its stories: with one store, or with the same one opened twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from matinee.serve.open_store import open_store
from matinee.serve.records import Event
from matinee.serve.store import Store


def watched(user: str, item: str, time_ms: int = 1000, **more: Any) -> Event:
    """An event of the kind view."""
    return Event(**{"user": user, "item": item, "kind": "view", "time_ms": time_ms, **more})


class StoreStories:
    """What the parts of the suite share."""

    @pytest.fixture
    def url(self) -> str:
        """The name of a store that does not exist yet."""
        raise NotImplementedError("a store's tests say where an empty store is")

    @staticmethod
    def holds(events: int, impressions: int) -> Callable[[Store], Awaitable[None]]:
        """A story that finds so many in the store."""

        async def story(store: Store) -> None:
            assert len(await store.events()) == events
            assert len(await store.impressions()) == impressions

        return story

    @staticmethod
    async def open(url: str) -> Store:
        """Open the store."""
        return await open_store(url)

    @asynccontextmanager
    async def opened(self, url: str) -> AsyncIterator[Store]:
        """The store, closed at the end."""
        store = await self.open(url)
        try:
            yield store
        finally:
            await store.close()

    def tell(self, url: str, story: Callable[[Store], Awaitable[None]]) -> None:
        """Run a story with an open store."""

        async def whole() -> None:
            async with self.opened(url) as store:
                await story(store)

        asyncio.run(whole())

    def tell_two(self, url: str, story: Callable[[Store, Store], Awaitable[None]]) -> None:
        """Run a story with the same store opened twice, as by two processes."""

        async def whole() -> None:
            async with self.opened(url) as one, self.opened(url) as other:
                await story(one, other)

        asyncio.run(whole())
