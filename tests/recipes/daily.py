"""A server's days for tests: a bundle of what happened first, and a store that hears of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from matinee.data.log import InteractionLog
from matinee.recommenders.transitions import Transitions
from matinee.serve.records import Event
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.start import start_service
from matinee.serve.store import Store
from matinee.simulate.small import predictable

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Days:
    """A folder of bundles with one in it, a store that took it in, and events that are still to come."""

    folder: Path
    log: InteractionLog
    first: int

    @property
    def bundles(self) -> Path:
        return self.folder / "bundles"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'store.db'}"

    def do(self, story: Callable[[Store], Awaitable[T]]) -> T:
        async def run() -> T:
            store = open_sqlite(self.folder / "store.db")
            try:
                return await story(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def serve(self) -> None:
        """Start a server on all this, and end it."""

        async def story(store: Store) -> None:
            await start_service([self.bundles], store)

        self.do(story)

    def hear(self, begin: float, end: float) -> int:
        """Tell the store a stretch of the log, by shares of all events; what was not in the bundle only."""
        return self.do(lambda store: store.add(self.events(begin, end)))

    def events(self, begin: float, end: float) -> list[Event]:
        order = self._order()[int(begin * len(self.log)) : int(end * len(self.log))]
        histories, rows = self.log.histories, self.log.histories.rows()
        assert histories.times is not None
        return [
            Event(
                user=self.log.viewers.id(int(rows[place])),
                item=self.log.items.id(int(histories.items[place])),
                kind="watch",
                time_ms=int(histories.times[place]),
                event_id=f"later-{place}",
            )
            for place in order.tolist()
        ]

    def count(self) -> int:
        async def story(store: Store) -> int:
            return len(await store.events(0, 1_000_000))

        return self.do(story)

    def _order(self) -> np.ndarray:
        return np.argsort(self.log.histories.times, kind="stable")


def begin(folder: Path, share: float = 0.8) -> Days:
    """Fit on what happened first, and start a server on it."""
    log = predictable()
    days = Days(folder=folder, log=log, first=int(share * len(log)))
    seen = np.zeros(len(log), dtype=bool)
    seen[days._order()[: days.first]] = True
    Transitions().fit(log.keep(seen)).save(days.bundles / "first")
    days.serve()
    return days
