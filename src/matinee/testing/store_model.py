"""A slow, obvious store of lists, and random stories, to hold the real ones to."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from matinee.core.errors import InputError
from matinee.serve.records import Event, Impression, Receipt, Seen, ViewerRecord

_USERS, _ITEMS, _KINDS = "abcdef", "xyz", ("view", "like")


@dataclass(frozen=True)
class Step:
    """One call of a story."""

    call: str
    given: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


def steps(seed: int, most: int = 60) -> Iterator[Step]:
    """A random story: few viewers and items, so that everything meets everything."""
    rng = random.Random(seed)

    def user() -> str:
        return rng.choice(_USERS)

    def event() -> Event:
        known = rng.choice([None, None, f"e{rng.randrange(20)}"])
        item, kind = rng.choice(_ITEMS), rng.choice(_KINDS)
        return Event(user=user(), item=item, kind=kind, time_ms=rng.randrange(50), event_id=known)

    def batch() -> Step:
        shown = [Impression(user=user(), items=("x",), time_ms=rng.randrange(50))] * rng.randrange(2)
        events = [event() for _ in range(rng.randrange(5))]
        return Step("add", (events, shown), {"imported": rng.random() < 0.3})

    others = (
        lambda: Step("withdraw", (user(), rng.choice(_ITEMS), rng.choice([None, *_KINDS]))),
        lambda: Step("merge", (user(), user())),
        lambda: Step("forget", (user(),)),
        lambda: Step("put_viewers", ([ViewerRecord(id=user(), region=rng.choice("EU"))],)),
        lambda: Step("retain", (rng.randrange(20),)),
        lambda: Step("popular", (rng.randrange(50), rng.randrange(4), rng.sample(_KINDS, rng.randrange(3)))),
    )
    for _ in range(most):
        yield batch() if rng.random() < 0.6 else rng.choice(others)()


class ModelStore:
    """What a store does to viewers and their events, in the plainest words."""

    def __init__(self) -> None:
        self._log: list[tuple[int, Event]] = []
        self._places = count()
        self._shown: list[Impression] = []
        self._withdrawn: set[int] = set()
        self._into: dict[str, str] = {}
        self._profiles: dict[str, ViewerRecord] = {}
        self._graves: set[str] = set()
        self._began_anew: set[str] = set()

    async def add(
        self, events: Sequence[Event], impressions: Sequence[Impression] = (), *, imported: bool = False
    ) -> int:
        """Append what is new and, in an import, of nobody who was deleted."""
        new = 0
        for event in events:
            known = event.event_id is not None and event.event_id in {one.event_id for _, one in self._log}
            if not imported:
                self._began_anew |= {event.user, await self.stands_for(event.user)} & self._graves
            # Times of these stories are long before any deletion.
            if not known and not (imported and event.user in self._graves):
                self._log.append((next(self._places), event))
                new += 1
        for shown in impressions:
            if not (imported and shown.user in self._graves):
                self._shown.append(shown)
                new += 1
        return new

    async def history(self, user: str, most: int) -> list[Seen]:
        """By time, then by place in the log."""
        mine = [one for _, one in self._counting() if self._root(one.user) == self._root(user)]
        mine.sort(key=lambda one: one.time_ms)
        return [Seen(one.item, one.kind, one.value, one.time_ms) for one in mine][-most:]

    async def withdraw(self, user: str, item: str, kind: str | None = None) -> int:
        """Note which events no longer count."""
        found = {
            place
            for place, one in self._counting()
            if self._root(one.user) == self._root(user) and one.item == item and kind in (None, one.kind)
        }
        self._withdrawn |= found
        return len(found)

    async def popular(self, since_ms: int, most: int, kinds: Sequence[str] = ()) -> list[tuple[str, int]]:
        """Sets of viewers."""
        viewers: dict[str, set[str]] = {}
        for _, one in self._counting():
            if one.time_ms >= since_ms and (not kinds or one.kind in kinds):
                viewers.setdefault(one.item, set()).add(self._root(one.user))
        ranked = sorted((-len(who), item) for item, who in viewers.items())
        return [(item, -n) for n, item in ranked][:most]

    async def merge(self, user: str, into: str) -> None:
        """Point one root at the other."""
        old, new = self._root(user), self._root(into)
        if user == into or (old == new and user == old):
            raise InputError("a ring")
        if old != new:
            self._into[old] = new
            profile = self._profiles.pop(old, None)
            if profile is not None and new not in self._profiles:
                self._profiles[new] = ViewerRecord(id=new, region=profile.region)

    async def stands_for(self, user: str) -> str:
        """The root."""
        return self._root(user)

    async def viewer(self, user: str) -> ViewerRecord | None:
        """The root's profile."""
        return self._profiles.get(self._root(user))

    async def put_viewers(self, viewers: Sequence[ViewerRecord]) -> None:
        """Write under the root."""
        for viewer in viewers:
            root = self._root(viewer.id)
            self._profiles[root] = ViewerRecord(id=root, region=viewer.region)

    async def viewers(self) -> list[ViewerRecord]:
        """Everybody who did anything, has a profile, or was merged."""
        ids = {self._root(one.user) for _, one in self._counting()} | set(self._profiles)
        ids |= {self._root(user) for user in self._into}
        return [self._profiles.get(user, ViewerRecord(id=user)) for user in sorted(ids)]

    async def forget(self, user: str) -> Receipt:
        """Leave out everything of the root's ids."""
        root = self._root(user)
        ids = {one for one in (*_USERS, user, root) if self._root(one) == root}
        log, shown = len(self._log), len(self._shown)
        self._log = [(place, one) for place, one in self._log if one.user not in ids]
        self._shown = [one for one in self._shown if one.user not in ids]
        profile = self._profiles.pop(root, None) is not None
        self._into = {one: into for one, into in self._into.items() if one not in ids}
        self._graves |= ids
        self._began_anew -= ids
        events, impressions = log - len(self._log), shown - len(self._shown)
        return Receipt(
            user=user,
            ids=(root, *sorted(ids - {root})),
            events=events,
            impressions=impressions,
            profile=profile,
            time_ms=0,
        )

    async def forgotten(self, users: Sequence[str]) -> list[bool]:
        """Of the roots."""
        return [self._root(user) in self._graves - self._began_anew for user in users]

    async def retain(self, since_ms: int) -> int:
        """Leave out what is older."""
        before = len(self._log) + len(self._shown)
        self._log = [(place, one) for place, one in self._log if one.time_ms >= since_ms]
        self._shown = [one for one in self._shown if one.time_ms >= since_ms]
        return before - len(self._log) - len(self._shown)

    async def logged(self) -> list[tuple[str, str, str]]:
        """Viewer, item and kind of every event that counts, in the order of the log."""
        return [(self._root(one.user), one.item, one.kind) for _, one in self._counting()]

    def _counting(self) -> list[tuple[int, Event]]:
        return [(place, one) for place, one in self._log if place not in self._withdrawn]

    def _root(self, user: str) -> str:
        while user in self._into:
            user = self._into[user]
        return user


async def everything(store: Any) -> list[Any]:
    """All that can be asked of viewers and events; equal of two stores that were told the same."""
    if isinstance(store, ModelStore):
        log = await store.logged()
    else:
        log = [(event.user, event.item, event.kind) for event in await store.events()]
    found: list[Any] = [log, await store.viewers(), await store.popular(0, 9), await store.forgotten(_USERS)]
    for user in _USERS:
        found += [await store.history(user, 7), await store.viewer(user), await store.stands_for(user)]
    return found
