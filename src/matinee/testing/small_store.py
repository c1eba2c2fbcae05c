"""A store in memory, for tests of what stands upon a store: it keeps the promise, and nothing on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from matinee.core.errors import InputError
from matinee.serve.open_rounds import OPEN_ROUNDS, left_by
from matinee.serve.records import (
    Event,
    ImportedHistories,
    Impression,
    ItemRecord,
    Receipt,
    Seen,
    Shown,
    Stored,
    ViewerRecord,
)
from matinee.serve.store import FOR_EVER


class SmallStore:
    """Keeps what `matinee.serve.store.Store` promises, as long as the process lives.

    Args:
        now_ms: the moment that receipts bear.
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now = now_ms
        self._seq = 0
        self._events: list[Stored] = []
        self._shown: list[Shown] = []
        self._ids: set[str] = set()
        self._into: dict[str, str] = {}
        self._viewers: dict[str, ViewerRecord] = {}
        self._dead: set[str] = set()
        self._died: dict[str, int] = {}
        self._items: dict[str, ItemRecord] = {}
        self._items_version = self._notes_version = 0
        self._notes: dict[str, str] = {}

    async def add(
        self, events: Sequence[Event], impressions: Sequence[Impression] = (), *, imported: bool = False
    ) -> int:
        """Append."""
        new = 0
        for event in events:
            new += self._add(event, imported)
        for one in impressions:
            if (imported and one.user in self._dead) or not self._first(one.event_id):
                continue
            self._seq, new = self._seq + 1, new + 1
            self._shown.append(
                Shown(self._seq, one.user, tuple(one.items), one.time_ms, one.recommendation_id)
            )
        return new

    async def take_histories(self, told: ImportedHistories) -> int:
        """Append whole histories."""
        start = new = 0
        for user, mark, length in zip(told.users, told.marks, told.lengths, strict=True):
            places = range(start, start + length)
            start += length
            if mark not in self._ids and self._died.get(user, -1) < told.learnt_ms:
                events = [
                    Event(
                        user=user,
                        item=told.items[place],
                        kind=told.kinds[place],
                        time_ms=told.times_ms[place],
                        value=told.values[place],
                        event_id=mark if place == places[-1] else None,
                    )
                    for place in places
                ]
                new += await self.add(events, imported=True)
        for one in told.profiles:
            if one.id not in self._died:
                self._viewers.setdefault(self._who(one.id), one)
        return new

    async def has_taken(self, user: str, mark: str) -> bool:
        """Whether a history is there."""
        return mark in self._ids or user in self._died

    def _add(self, event: Event, imported: bool) -> bool:
        if (imported and self._is_void(event)) or not self._first(event.event_id):
            return False
        if not imported:
            self._dead.discard(event.user)
        self._seq += 1
        names = [name for name in Stored._fields if name != "seq"]
        self._events.append(Stored(self._seq, *(getattr(event, name) for name in names)))
        return True

    def _is_void(self, event: Event) -> bool:
        died = self._died.get(event.user)
        return died is not None and (event.user in self._dead or event.time_ms <= died)

    def _first(self, event_id: str | None) -> bool:
        known = event_id is not None and event_id in self._ids
        if event_id is not None:
            self._ids.add(event_id)
        return not known

    def _who(self, user: str) -> str:
        while user in self._into:
            user = self._into[user]
        return user

    def _of(self, user: str) -> list[Stored]:
        who = self._who(user)
        return [one for one in self._events if self._who(one.user) == who]

    async def history(self, user: str, most: int) -> list[Seen]:
        """The latest events of a viewer, oldest first."""
        found = sorted(self._of(user), key=lambda one: (one.time_ms, one.seq))
        return [Seen(one.item, one.kind, one.value, one.time_ms) for one in found[-most:]] if most else []

    async def withdraw(self, user: str, item: str, kind: str | None = None) -> int:
        """Take back a viewer's events with an item."""
        gone = {one.seq for one in self._of(user) if one.item == item and kind in (None, one.kind)}
        self._events = [one for one in self._events if one.seq not in gone]
        return len(gone)

    async def events(
        self,
        after: int = 0,
        most: int = 1000,
        *,
        user: str | None = None,
        item: str | None = None,
        kind: str | None = None,
    ) -> list[Stored]:
        """Events in the order of the log."""
        found = [
            one._replace(user=self._who(one.user))
            for one in self._events
            if one.seq > after
            and (user is None or self._who(one.user) == self._who(user))
            and item in (None, one.item)
            and kind in (None, one.kind)
        ]
        return found[:most]

    async def impressions(self, after: int = 0, most: int = 1000, *, user: str | None = None) -> list[Shown]:
        """Impressions in the order in which they came."""
        found = [
            one
            for one in self._shown
            if one.seq > after and (user is None or self._who(one.user) == self._who(user))
        ]
        return found[:most]

    async def popular(self, since_ms: int, most: int, kinds: Sequence[str] = ()) -> list[tuple[str, int]]:
        """Items by how many viewers chose them."""
        fans: dict[str, set[str]] = defaultdict(set)
        for one in self._events:
            if one.time_ms >= since_ms and (not kinds or one.kind in kinds):
                fans[one.item].add(self._who(one.user))
        counts = sorted(
            ((item, len(who)) for item, who in fans.items()), key=lambda pair: (-pair[1], pair[0])
        )
        return counts[:most]

    async def merge(self, user: str, into: str) -> None:
        """Make two viewers one."""
        if self._into.get(user) == into:
            return
        if user == into or self._who(into) == user:
            raise InputError(
                f"{user!r} cannot be merged into {into!r}: they are one already, or it is a ring."
            )
        self._into[user] = into

    async def merged(self, users: Sequence[str]) -> list[bool]:
        """Whether each id was merged."""
        return [user in self._into for user in users]

    async def stands_for(self, user: str) -> str:
        """The viewer that an id means."""
        return self._who(user)

    async def viewer(self, user: str) -> ViewerRecord | None:
        """What is known of a viewer."""
        return self._viewers.get(self._who(user))

    async def put_viewers(self, viewers: Sequence[ViewerRecord]) -> None:
        """Write viewers."""
        self._viewers.update({self._who(one.id): replace(one, id=self._who(one.id)) for one in viewers})

    async def viewers(self, after: str = "", most: int = 1000) -> list[ViewerRecord]:
        """Viewers by id."""
        known = {self._who(one.user) for one in self._events} | set(self._viewers)
        return [self._viewers.get(user, ViewerRecord(id=user)) for user in sorted(known) if user > after][
            :most
        ]

    async def forget(self, user: str) -> Receipt:
        """Delete a viewer."""
        who = self._who(user)
        gone = {one.seq for one in self._of(user)}
        shown = {one.seq for one in self._shown if self._who(one.user) == who}
        self._events = [one for one in self._events if one.seq not in gone]
        self._shown = [one for one in self._shown if one.seq not in shown]
        profile = self._viewers.pop(who, None) is not None
        ids = await self.ids_of(user)
        names = {user, *ids}
        self._into = {old: new for old, new in self._into.items() if old not in names}
        self._dead |= names
        if OPEN_ROUNDS in self._notes:
            self._notes[OPEN_ROUNDS] = left_by(self._notes[OPEN_ROUNDS], names)
        self._died |= dict.fromkeys(names, self._now)
        return Receipt(
            user=user,
            ids=tuple(ids),
            events=len(gone),
            impressions=len(shown),
            profile=profile,
            time_ms=self._now,
        )

    async def forgotten(self, users: Sequence[str]) -> list[bool]:
        """Whether each viewer was deleted."""
        return [user in self._dead for user in users]

    async def void_until_ms(self, users: Sequence[str]) -> list[int]:
        """Up to when nothing that was learnt of each id may be used."""
        return [FOR_EVER if user in self._dead else self._died.get(user, -1) for user in users]

    async def ids_of(self, user: str) -> list[str]:
        """Every id that means a viewer."""
        who = self._who(user)
        return [who, *(old for old in self._into if self._who(old) == who)]

    async def item(self, item: str) -> ItemRecord | None:
        """What was put under an id."""
        found = self._items.get(item)
        return None if found is None or found.deleted else found

    async def put_items(self, items: Sequence[ItemRecord]) -> None:
        """Write items."""
        for one in items:
            self._items_version += 1
            self._items[one.id] = replace(one, version=self._items_version, deleted=False)

    async def delete_item(self, item: str) -> bool:
        """Delete an item."""
        there = await self.item(item) is not None
        self._items_version += 1
        self._items[item] = ItemRecord(id=item, version=self._items_version, deleted=True)
        return there

    async def items(self, after: str = "", most: int = 1000) -> list[ItemRecord]:
        """Items by id."""
        found = [one for id_, one in sorted(self._items.items()) if id_ > after and not one.deleted]
        return found[:most]

    async def items_version(self) -> int:
        """The version of the latest change of an item."""
        return self._items_version

    async def items_since(self, version: int) -> list[ItemRecord]:
        """Items changed after a version."""
        found = [one for one in self._items.values() if one.version > version]
        return sorted(found, key=lambda one: one.version)

    async def note(self, key: str) -> str | None:
        """A small fact."""
        return self._notes.get(key)

    async def put_notes(self, notes: Mapping[str, str]) -> None:
        """Write such facts."""
        self._notes.update(notes)
        self._notes_version += 1

    async def change_note(self, key: str, change: Callable[[str | None], str]) -> str:
        """Write such a fact from what it says."""
        await self.put_notes({key: change(self._notes.get(key))})
        return self._notes[key]

    async def notes_version(self) -> int:
        """A count that grows with every change of a note."""
        return self._notes_version

    async def retain(self, since_ms: int) -> int:
        """Delete what is older."""
        before = len(self._events) + len(self._shown)
        self._events = [one for one in self._events if one.time_ms >= since_ms]
        self._shown = [one for one in self._shown if one.time_ms >= since_ms]
        return before - len(self._events) - len(self._shown)

    async def close(self) -> None:
        """Nothing is to be let go."""
