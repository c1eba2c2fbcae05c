"""A store over any SQL database: one reader, one writer, and the same sentences of SQL for all."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Protocol

from matinee.serve import changes
from matinee.serve.changes import MEMBERS, USER, Batch, grave
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
from matinee.serve.rows import Row, item_of, shown_of, stored_of, viewer_of
from matinee.serve.storable import check_events, check_histories, check_texts
from matinee.serve.store import FOR_EVER
from matinee.serve.writer import Writer

_STORED = (
    'SELECT e.seq, coalesce(m.root, e."user"), e.item, e.kind, e.value, e.time_ms, e.event_id, '
    "e.recommendation_id, e.position, e.session, e.properties, e.sets "
    'FROM event e LEFT JOIN merged m ON m."user" = e."user" WHERE e.seq > ? AND e.withdrawn = 0'
)
_SHOWN = (
    'SELECT e.seq, coalesce(m.root, e."user"), e.items, e.time_ms, e.recommendation_id '
    'FROM impression e LEFT JOIN merged m ON m."user" = e."user" WHERE e.seq > ?'
)
_PROFILE = "SELECT id, region, attributes, added_ms FROM profile WHERE "
_ITEM = "SELECT id, record, version, deleted FROM item WHERE "
# Steps from each viewer of the log to the next one in the index: as many look-ups as viewers are told.
_DOERS = (
    'WITH RECURSIVE doer(id) AS (SELECT (SELECT min("user") FROM event WHERE "user" > ? AND withdrawn = 0) '
    'UNION ALL SELECT (SELECT min("user") FROM event WHERE "user" > doer.id AND withdrawn = 0) FROM doer '
    "WHERE doer.id IS NOT NULL) SELECT id FROM doer WHERE id IS NOT NULL "
    'AND NOT EXISTS (SELECT 1 FROM merged m WHERE m."user" = doer.id) LIMIT ?'
)
# Half the time of calling Seen for each: this is done for every answer.
_seen = partial(tuple.__new__, Seen)
_TAKEN = "SELECT 1 FROM event WHERE event_id = ? UNION ALL SELECT 1 FROM tombstone WHERE hash = ? LIMIT 1"
_COUNTER = "SELECT value FROM counter WHERE name = ?"


class Reader(Protocol):
    """Queries of one database; what was committed before a call is in its answer."""

    async def rows(self, statement: str, values: Sequence[object] = (), *, long: bool = False) -> list[Row]:
        """The rows of a query, written with `?`; a long one must not hold up others."""

    async def history(self, user: str, most: int) -> list[Row]:
        """A viewer's latest events that were not withdrawn, the latest first."""

    def among(self, column: str) -> str:
        """The condition that a column is one of a list, which is given as `listed`."""

    def listed(self, texts: Sequence[str]) -> object:
        """A list as a statement's value."""

    def popular(self, condition: str, *, merged: bool) -> str:
        """The query for (item, viewers), the most first; values: the condition's, then how many items."""

    async def close(self) -> None:
        """Let go."""


class SqlStore:
    """Keeps the promise of `matinee.serve.store`.

    Args:
        reader: queries of the database.
        writer: everything that writes to it.
        secret: the store's own, from its note.
    """

    def __init__(self, reader: Reader, writer: Writer, secret: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._secret = secret

    async def add(
        self, events: Sequence[Event], impressions: Sequence[Impression] = (), *, imported: bool = False
    ) -> int:
        """Append, all or nothing; durable when it returns. Returns how many of both were new."""
        check_events(events, impressions)
        if not events and not impressions:
            return 0
        return await self._writer.add(Batch(events, impressions, imported))

    async def take_histories(self, told: ImportedHistories) -> int:
        """Append whole histories of an import, each at once and once: how many events were new."""
        check_histories(told)
        return await self._writer.change(partial(changes.take_histories, told=told))

    async def has_taken(self, user: str, mark: str) -> bool:
        """Whether the history with a mark is there, or was deleted with its viewer since it could be."""
        check_texts("An id", [user, mark])
        return bool(await self._reader.rows(_TAKEN, [mark, grave(self._secret, user)]))

    async def history(self, user: str, most: int) -> list[Seen]:
        """The latest `most` events of a viewer, oldest first, without those withdrawn."""
        rows = await self._reader.history(user, most)
        rows.reverse()
        return list(map(_seen, rows))

    async def withdraw(self, user: str, item: str, kind: str | None = None) -> int:
        """Take back a viewer's events with an item (of one kind): how many. They no longer count anywhere."""
        check_texts("An id", [user, item, kind])
        return await self._writer.change(partial(changes.withdraw, user=user, item=item, kind=kind))

    async def events(
        self,
        after: int = 0,
        most: int = 1000,
        *,
        user: str | None = None,
        item: str | None = None,
        kind: str | None = None,
    ) -> list[Stored]:
        """Events that were not withdrawn, in the order of the log, from the one after place `after` on."""
        statement = _STORED
        values: list[object] = [after]
        if user is not None:
            statement, values = await self._of_viewer(statement, values, user)
        for column, value in (("item", item), ("kind", kind)):
            if value is not None:
                statement = f"{statement} AND e.{column} = ?"
                values.append(value)
        rows = await self._reader.rows(f"{statement} ORDER BY e.seq LIMIT ?", [*values, most], long=True)
        return [stored_of(row) for row in rows]

    async def impressions(self, after: int = 0, most: int = 1000, *, user: str | None = None) -> list[Shown]:
        """Impressions (of one viewer) in the order in which they came, from the one after `after` on."""
        statement = _SHOWN
        values: list[object] = [after]
        if user is not None:
            statement, values = await self._of_viewer(statement, values, user)
        rows = await self._reader.rows(f"{statement} ORDER BY e.seq LIMIT ?", [*values, most], long=True)
        return [shown_of(row) for row in rows]

    async def popular(self, since_ms: int, most: int, kinds: Sequence[str] = ()) -> list[tuple[str, int]]:
        """Items by how many viewers chose them since a moment, the most first, with that number."""
        condition = "withdrawn = 0 AND time_ms >= ?"
        values: list[object] = [since_ms]
        if kinds:
            condition = f"{condition} AND {self._reader.among('kind')}"
            values.append(self._reader.listed(kinds))
        merged = bool(await self._reader.rows("SELECT 1 FROM merged LIMIT 1"))
        statement = self._reader.popular(condition, merged=merged)
        rows = await self._reader.rows(statement, [*values, most], long=True)
        return [(row[0], row[1]) for row in rows]

    async def merge(self, user: str, into: str) -> None:
        """Make two viewers one: both histories count as `into`'s from now on. Merging again changes nothing.

        Raises:
            InputError: it would close a ring, or both are the same.
        """
        check_texts("An id", [user, into])
        await self._writer.change(partial(changes.merge, user=user, into=into))

    async def merged(self, users: Sequence[str]) -> list[bool]:
        """Whether each id was merged into another."""
        roots = await self._roots(users)
        return [user in roots for user in users]

    async def stands_for(self, user: str) -> str:
        """The viewer that an id means: the one into which it was merged, or itself."""
        found = await self._reader.rows('SELECT root FROM merged WHERE "user" = ?', [user])
        return found[0][0] if found else user

    async def viewer(self, user: str) -> ViewerRecord | None:
        """What is known of a viewer; None where nobody was put under that id."""
        found = await self._reader.rows(
            _PROFILE + 'id = coalesce((SELECT root FROM merged WHERE "user" = ?), ?)',  # noqa: S608
            [user, user],
        )
        return viewer_of(found[0]) if found else None

    async def put_viewers(self, viewers: Sequence[ViewerRecord]) -> None:
        """Write viewers, each as a whole."""
        await self._writer.change(partial(changes.put_viewers, viewers=viewers))

    async def viewers(self, after: str = "", most: int = 1000) -> list[ViewerRecord]:
        """Viewers by id, from the one after `after` on; those without a profile included."""
        ask = partial(self._reader.rows, long=True)
        sources = [
            await ask(_DOERS, [after, most]),
            await ask("SELECT id FROM profile WHERE id > ? ORDER BY id LIMIT ?", [after, most]),
            await ask("SELECT DISTINCT root FROM merged WHERE root > ? ORDER BY root LIMIT ?", [after, most]),
        ]
        # By the bytes of UTF-8, as the databases compare.
        merged = heapq.merge(*([row[0] for row in rows] for rows in sources), key=str.encode)
        ids = list(islice(dict.fromkeys(merged), most))
        rows = await ask(_PROFILE + self._reader.among("id"), [self._reader.listed(ids)])
        known = {row[0]: viewer_of(row) for row in rows}
        return [known.get(identity) or ViewerRecord(id=identity) for identity in ids]

    async def forget(self, user: str) -> Receipt:
        """Delete a viewer: events, impressions, profile and merges; a tombstone (a keyed hash) stays."""
        check_texts("An id", [user])
        return await self._writer.change(partial(changes.forget, user=user))

    async def forgotten(self, users: Sequence[str]) -> list[bool]:
        """Whether each viewer was deleted, and has not begun anew."""
        roots = await self._roots(users)
        among, listed = self._reader.among, self._reader.listed
        hashes = [grave(self._secret, roots.get(user, user)) for user in users]
        rows = await self._reader.rows(
            f"SELECT hash FROM tombstone WHERE anew = 0 AND {among('hash')}",  # noqa: S608
            [listed(hashes)],
        )
        gone = {row[0] for row in rows}
        return [one in gone for one in hashes]

    async def void_until_ms(self, users: Sequence[str]) -> list[int]:
        """Up to when nothing that was learnt of each id may be used: -1 of those never deleted."""
        check_texts("An id", users)
        hashes = [grave(self._secret, user) for user in users]
        rows = await self._reader.rows(
            f"SELECT hash, time_ms, anew FROM tombstone WHERE {self._reader.among('hash')}",  # noqa: S608
            [self._reader.listed(hashes)],
        )
        when = {row[0]: int(row[1]) if row[2] else FOR_EVER for row in rows}
        return [when.get(one, -1) for one in hashes]

    async def ids_of(self, user: str) -> list[str]:
        """Every id that means a viewer: the one that stands for all of them first."""
        return [row[0] for row in await self._reader.rows(MEMBERS, [user] * 4)]

    async def item(self, item: str) -> ItemRecord | None:
        """What was put under an id; None where nothing was, or it was deleted."""
        found = await self._reader.rows(_ITEM + "id = ? AND deleted = 0", [item])
        return item_of(found[0]) if found else None

    async def put_items(self, items: Sequence[ItemRecord]) -> None:
        """Write items, each as a whole; their versions are given by the store."""
        await self._writer.change(partial(changes.put_items, items=items))

    async def delete_item(self, item: str) -> bool:
        """Delete an item: it is never shown again until it is put again. Whether it was there."""
        check_texts("An id", [item])
        return await self._writer.change(partial(changes.delete_item, item=item))

    async def items(self, after: str = "", most: int = 1000) -> list[ItemRecord]:
        """Items by id, from the one after `after` on, without the deleted."""
        statement = _ITEM + "id > ? AND deleted = 0 ORDER BY id LIMIT ?"
        return [item_of(row) for row in await self._reader.rows(statement, [after, most], long=True)]

    async def items_version(self) -> int:
        """The version of the latest change of an item, 0 where none was. Cheap: asked at every answer."""
        return int((await self._reader.rows(_COUNTER, ("items",)))[0][0])

    async def items_since(self, version: int) -> list[ItemRecord]:
        """Items changed after a version, the deleted included."""
        rows = await self._reader.rows(_ITEM + "version > ? ORDER BY version, id", [version], long=True)
        return [item_of(row) for row in rows]

    async def note(self, key: str) -> str | None:
        """A small fact that all processes share, such as which bundle has an alias; None: there is none."""
        found = await self._reader.rows("SELECT value FROM note WHERE key = ?", [key])
        return found[0][0] if found else None

    async def put_notes(self, notes: Mapping[str, str]) -> None:
        """Write such facts, all or none.

        Raises:
            Conflict: one is the store's secret, which is made once.
        """
        check_texts("A note", [*notes, *notes.values()])
        await self._writer.change(partial(changes.put_notes, notes=notes))

    async def change_note(self, key: str, change: Callable[[str | None], str]) -> str:
        """Write such a fact from what it says at this moment, so that no change of another's is lost.

        Raises:
            Conflict: it is the store's secret, which is made once.
        """
        check_texts("A note", [key])
        return await self._writer.change(partial(changes.change_note, key=key, change=change))

    async def notes_version(self) -> int:
        """A count that grows with every change of a note. Cheap: asked at every answer."""
        return int((await self._reader.rows(_COUNTER, ("notes",)))[0][0])

    async def retain(self, since_ms: int) -> int:
        """Delete events and impressions from before a moment: how many."""
        gone = 0
        for table in ("event", "impression"):
            place: int | None = await self._writer.change(partial(changes.first_place, table=table))
            while place is not None:
                work = partial(changes.sweep, table=table, after=place, since_ms=since_ms)
                some, place = await self._writer.change(work)
                gone += some
        return gone

    async def close(self) -> None:
        """Finish what was taken in, and let go."""
        await self._writer.close()
        await self._reader.close()

    async def _roots(self, users: Sequence[str]) -> dict[str, str]:
        """The ids that stand for those of some viewers who were merged."""
        check_texts("An id", users)
        rows = await self._reader.rows(
            f'SELECT "user", root FROM merged WHERE {self._reader.among(USER)}',  # noqa: S608
            [self._reader.listed(users)],
        )
        return {row[0]: row[1] for row in rows}

    async def _of_viewer(self, statement: str, values: list[object], user: str) -> tuple[str, list[object]]:
        """A query of a log, of one viewer's rows under any id."""
        ids = await self.ids_of(user)
        condition = self._reader.among('e."user"')
        return f"{statement} AND {condition}", [*values, self._reader.listed(ids)]
