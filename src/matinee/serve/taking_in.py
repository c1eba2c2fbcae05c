"""A store into which histories of bundles are still going, and that answers as if they were all there.

A large log takes its time. Meanwhile a viewer's history is what the store has and, until it was their turn,
what the bundle has; whoever is merged, deleted or takes something back is taken in at that moment, before
everybody else. So histories, profiles and deletions are right from the first answer on; lists of all viewers
and of all events, and what is popular, hold what is there so far.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from matinee.core.errors import MatineeError
from matinee.serve.bundle_histories import BundleHistories
from matinee.serve.ready_bundle import ReadyBundle
from matinee.serve.records import Receipt, Seen, Stored, ViewerRecord
from matinee.serve.store import Store
from matinee.serve.take_in import finished, is_taken_in, take_in, taking_in

# Logs of so many events or fewer are taken in before anybody is let in.
_SMALL = 20_000
_ASKED_AT_ONCE = 1000
# How often whoever waits is told how far it is, and after how long it is tried again where it failed.
_TELL_S = 1.0
_AGAIN_S = 10.0

_log = logging.getLogger("matinee.serve")


@dataclass(eq=False)
class _Going:
    """A log that is going in.

    Attributes:
        name: its bundle's name.
        histories: what it tells.
        known: codes of viewers that are known to be in the store.
    """

    name: str
    histories: BundleHistories
    known: set[int] = field(default_factory=set)


class TakingIn:
    """A store, and what bundles have not told it yet; everything else is passed on.

    Args:
        inner: the store.
        say: told how far it is.
    """

    def __init__(self, inner: Store, say: Callable[[str], None]) -> None:
        self._inner, self._say = inner, say
        self._going: dict[str, _Going] = {}
        self._version = -1
        self._done = asyncio.Event()
        self._done.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def begin(self, bundles: Sequence[ReadyBundle], *, first: bool) -> None:
        """See what is to be taken in.

        Args:
            bundles: those in use.
            first: whether this process does it: what is little at once, the rest in `go_on`.
        """
        for ready in bundles:
            model = ready.model
            if await is_taken_in(model, self._inner):
                continue
            if first and len(model.log) <= _SMALL:
                taken = await take_in(model, self._inner, created_ms=ready.created_ms, name=ready.name)
                self._told(taken.events, ready.name)
                continue
            histories = BundleHistories(model, ready.created_ms)
            if first:
                await self._take_first(histories)
            self._going[model.log.fingerprint] = _Going(ready.name, histories)
            self._done.clear()

    async def go_on(self) -> None:
        """Take in what is left; what fails is tried again."""
        while self._going:
            try:
                for fingerprint, going in list(self._going.items()):
                    await self._take(fingerprint, going)
                    self._leave(fingerprint)
            except MatineeError as error:
                _log.warning("histories could not be taken in: %s It is tried again.", error)
                await asyncio.sleep(_AGAIN_S)

    async def ended(self) -> None:
        """Wait until everything is there."""
        await self._done.wait()

    async def status(self) -> str:
        """What /readyz says."""
        await self._look()
        if not self._going:
            return "ready"
        names = ", ".join(sorted(one.name for one in self._going.values()))
        return f"ready, taking in the histories of {names}"

    async def history(self, user: str, most: int) -> list[Seen]:
        """As of Store, with what the bundles will tell of the viewer."""
        if not self._going:
            return await self._inner.history(user, most)
        await self._look()
        more = [seen for going, code in await self._untold(user) for seen in going.histories.seen(code)]
        found = await self._inner.history(user, most)
        if not more:
            return found
        # Whoever was taken in between two questions is told of twice.
        both = sorted(dict.fromkeys([*more, *found]), key=lambda one: one.time_ms)
        return both[max(0, len(both) - most) :]

    async def viewer(self, user: str) -> ViewerRecord | None:
        """As of Store, with what the bundles will tell of the viewer."""
        found = await self._inner.viewer(user)
        if found is not None or not self._going:
            return found
        await self._look()
        told = [going.histories.profile(code) for going, code in await self._untold(user)]
        return next((one for one in told if one is not None), None) or await self._inner.viewer(user)

    async def withdraw(self, user: str, item: str, kind: str | None = None) -> int:
        """As of Store."""
        await self._take_now(user)
        return await self._inner.withdraw(user, item, kind)

    async def merge(self, user: str, into: str) -> None:
        """As of Store."""
        await self._take_now(user)
        await self._take_now(into)
        await self._inner.merge(user, into)

    async def forget(self, user: str) -> Receipt:
        """As of Store."""
        await self._take_now(user)
        return await self._inner.forget(user)

    async def events(
        self,
        after: int = 0,
        most: int = 1000,
        *,
        user: str | None = None,
        item: str | None = None,
        kind: str | None = None,
    ) -> list[Stored]:
        """As of Store."""
        if user is not None:
            await self._take_now(user)
        return await self._inner.events(after, most, user=user, item=item, kind=kind)

    async def _untold(self, user: str) -> list[tuple[_Going, int]]:
        """The logs that have something to tell of a viewer and have not told it."""
        found = []
        for going in list(self._going.values()):
            code = going.histories.code(user)
            if code < 0 or code in going.known:
                continue
            if await self._inner.has_taken(user, going.histories.mark(code)):
                going.known.add(code)
            else:
                found.append((going, code))
        return found

    async def _take_now(self, user: str) -> None:
        """Take one viewer in before everybody else."""
        if not self._going:
            return
        for going, code in await self._untold(user):
            await self._inner.take_histories(going.histories.of(np.array([code], dtype=np.int64)))
            going.known.add(code)

    async def _take_first(self, histories: BundleHistories) -> None:
        """Take those in of whom the bundle alone does not say what is to be answered.

        Whoever was merged is asked for under an id that no log has; of whoever was deleted and began anew,
        only the store knows what may be told.
        """
        for start in range(0, len(histories.codes), _ASKED_AT_ONCE):
            codes = histories.codes[start : start + _ASKED_AT_ONCE]
            users = histories.users(codes)
            merged = np.array(await self._inner.merged(users), dtype=bool)
            some = merged | (np.array(await self._inner.void_until_ms(users), dtype=np.int64) >= 0)
            if some.any():
                await self._inner.take_histories(histories.of(codes[some]))

    async def _take(self, fingerprint: str, going: _Going) -> None:
        """Take one log in."""
        all_of_it, taken, told = going.histories.events, 0, monotonic()
        _log.info("taking %d events of %s into the store", all_of_it, going.name)
        async for some in taking_in(fingerprint, going.histories, self._inner, going.name):
            taken += some.events
            if monotonic() - told > _TELL_S:
                told = monotonic()
                self._say(f"Taking histories into the store: {taken:,} of {all_of_it:,} events so far.")
        _log.info("took %d events of %s into the store", taken, going.name)
        self._told(taken, going.name)

    def _told(self, events: int, name: str) -> None:
        if events:
            self._say(f"Took {events:,} events of {name} into the store.")

    async def _look(self) -> None:
        """See whether another process has taken everything in."""
        if not self._going:
            return
        version = await self._inner.notes_version()
        if version != self._version:
            done = await finished(self._inner)
            self._version = version
            for fingerprint in done & self._going.keys():
                self._leave(fingerprint)

    def _leave(self, fingerprint: str) -> None:
        self._going.pop(fingerprint, None)
        if not self._going:
            self._done.set()
