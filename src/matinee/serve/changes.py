"""What a store's writing does to its tables, within one transaction: the same for every database.

Whoever holds a `Hand` is the only writer there is, in any process: what these functions look up stays true
until the transaction ends. A function that refuses does so before it has written anything.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from matinee.core.errors import InputError
from matinee.serve.open_rounds import OPEN_ROUNDS, left_by
from matinee.serve.records import (
    Event,
    ImportedHistories,
    Impression,
    ItemRecord,
    Receipt,
    ViewerRecord,
)
from matinee.serve.refusals import Conflict
from matinee.serve.rows import Row, event_row, impression_row, item_text, viewer_row
from matinee.serve.storable import check_texts

# Rows of the log that one transaction of `retain` looks at: the others' writes come in between.
SWEEP = 20_000

SECRET = "secret"  # noqa: S105 (the name of a note, not its value)

# The columns of an imported event from its event id on: it brings none of them.
_UNTOLD = (None, None, None, None, None, 0)

# A word of SQL's own: quoted wherever a column is called so.
USER = '"user"'

# The id that stands for a viewer, and every other one that was merged into it.
MEMBERS = (
    'SELECT coalesce((SELECT root FROM merged WHERE "user" = ?), ?) UNION ALL '
    'SELECT "user" FROM merged WHERE root = coalesce((SELECT root FROM merged WHERE "user" = ?), ?)'
)


class Hand(Protocol):
    """A transaction in progress; statements are written with `?`."""

    secret: bytes

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows of a query."""

    def changed(self, statement: str, values: Sequence[object] = ()) -> int:
        """Change rows: how many."""

    def among(self, column: str) -> str:
        """The condition that a column is one of a list, which is given as `listed`."""

    def listed(self, texts: Sequence[str]) -> object:
        """A list as a statement's value."""

    def insert_events(self, rows: Sequence[Row]) -> None:
        """Append to the log, in this order."""

    def insert_impressions(self, rows: Sequence[Row]) -> None:
        """Append impressions, in this order."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call adds: all of it or nothing."""

    events: Sequence[Event]
    impressions: Sequence[Impression]
    imported: bool


def add_all(hand: Hand, batches: Sequence[Batch]) -> list[int]:
    """Append the batches in their order: how many records of each were new."""
    if hand.rows("SELECT 1 FROM tombstone LIMIT 1"):
        batches = [batch for _, some in groupby(batches, _is_import) for batch in _past_graves(hand, some)]
    known = _known(hand, "event", (event.event_id for batch in batches for event in batch.events))
    known_shown = _known(hand, "impression", (one.event_id for batch in batches for one in batch.impressions))
    counts, new_events, new_shown = [], [], []
    for batch in batches:
        fresh = [event_row(event) for event in batch.events if _is_new(event.event_id, known)]
        fresh_shown = [impression_row(one) for one in batch.impressions if _is_new(one.event_id, known_shown)]
        counts.append(len(fresh) + len(fresh_shown))
        new_events += fresh
        new_shown += fresh_shown
    if new_events:
        hand.insert_events(new_events)
    if new_shown:
        hand.insert_impressions(new_shown)
    return counts


def take_histories(hand: Hand, told: ImportedHistories) -> int:
    """Append histories whose marks are not there, and profiles where there are none: events that were new."""
    known = _known(hand, "event", told.marks)
    kept = None
    if hand.rows("SELECT 1 FROM tombstone LIMIT 1"):
        users = {*told.users, *(one.id for one in told.profiles)}
        kept = _past_grave(hand, users, told.learnt_ms)
    columns = list(zip(told.items, told.kinds, told.times_ms, told.values, strict=True))
    rows: list[Row] = []
    start = 0
    for user, mark, length in zip(told.users, told.marks, told.lengths, strict=True):
        some = columns[start : start + length]
        start += length
        if mark in known:
            continue
        mine: list[Row] = [(user, *one, *_UNTOLD) for one in some if kept is None or kept(user, one[2])]
        if mine:
            mine[-1] = (*mine[-1][:5], mark, *mine[-1][6:])
            rows += mine
    if rows:
        hand.insert_events(rows)
    for identity, region, attributes, added_ms in map(viewer_row, told.profiles):
        if kept is None or kept(identity, -1):
            hand.changed(
                "INSERT INTO profile (id, region, attributes, added_ms) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO NOTHING",
                (members(hand, identity)[0], region, attributes, added_ms),
            )
    return len(rows)


def withdraw(hand: Hand, user: str, item: str, kind: str | None) -> int:
    """Mark a viewer's events with an item as withdrawn: how many.

    They stay in the log, so that the sender's repetition of one is still known and not stored anew.
    """
    condition = f"withdrawn = 0 AND item = ? AND {hand.among(USER)}"
    values = [item, hand.listed(members(hand, user))]
    if kind is not None:
        condition, values = f"{condition} AND kind = ?", [*values, kind]
    return hand.changed(f"UPDATE event SET withdrawn = 1 WHERE {condition}", values)  # noqa: S608


def merge(hand: Hand, user: str, into: str) -> None:
    """Let one id stand for two; every merged id points at it directly.

    Raises:
        InputError: both are the same, or the second stands for the first already.
    """
    if user == into:
        raise InputError(f"A viewer cannot be merged into the same one ({user!r}): name two ids.")
    old, new = members(hand, user)[0], members(hand, into)[0]
    if old == new:
        if user == old:
            raise InputError(f"{into!r} was merged into {user!r} before: merging back would close a ring.")
        return
    hand.changed("UPDATE merged SET root = ? WHERE root = ?", (new, old))
    hand.changed('INSERT INTO merged ("user", root) VALUES (?, ?)', (old, new))
    if not hand.rows("SELECT 1 FROM profile WHERE id = ?", (new,)):
        hand.changed("UPDATE profile SET id = ? WHERE id = ?", (new, old))
    # Nothing can ask for it any more.
    hand.changed("DELETE FROM profile WHERE id = ?", (old,))


def forget(hand: Hand, user: str) -> Receipt:
    """Delete everything of a viewer, under every id; keyed hashes of the ids stay."""
    now_ms = time.time_ns() // 1_000_000
    ids = members(hand, user)
    here, listed = hand.among(USER), [hand.listed(ids)]
    events = hand.changed(f"DELETE FROM event WHERE {here}", listed)  # noqa: S608
    impressions = hand.changed(f"DELETE FROM impression WHERE {here}", listed)  # noqa: S608
    profile = hand.changed(f"DELETE FROM profile WHERE {hand.among('id')}", listed)  # noqa: S608
    hand.changed(f"DELETE FROM merged WHERE {here}", listed)  # noqa: S608
    _leave_rounds(hand, ids)
    for identity in ids:
        hand.changed(
            "INSERT INTO tombstone (hash, time_ms, anew) VALUES (?, ?, 0) "
            "ON CONFLICT (hash) DO UPDATE SET time_ms = excluded.time_ms, anew = 0",
            (grave(hand.secret, identity), now_ms),
        )
    return Receipt(
        user=user,
        ids=tuple(ids),
        events=events,
        impressions=impressions,
        profile=profile > 0,
        time_ms=now_ms,
    )


def put_viewers(hand: Hand, viewers: Sequence[ViewerRecord]) -> None:
    """Write viewers, each as a whole, under the ids that stand for theirs."""
    rows = [viewer_row(viewer) for viewer in viewers]
    for identity, region, attributes, added_ms in rows:
        hand.changed(
            "INSERT INTO profile (id, region, attributes, added_ms) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET region = excluded.region, attributes = excluded.attributes, "
            "added_ms = excluded.added_ms",
            (members(hand, identity)[0], region, attributes, added_ms),
        )


def put_items(hand: Hand, items: Sequence[ItemRecord]) -> None:
    """Write items, each as a whole, with the next version."""
    rows = [(item.id, item_text(item), int(item.deleted)) for item in items]
    if rows:
        _write_items(hand, rows)


def delete_item(hand: Hand, item: str) -> bool:
    """Mark an item as deleted, whether a store or a bundle knows it: whether it was in the store."""
    found = hand.rows("SELECT deleted FROM item WHERE id = ?", (item,))
    if not found or not found[0][0]:
        _write_items(hand, [(item, item_text(ItemRecord(id=item)), 1)])
    return bool(found) and not found[0][0]


def put_notes(hand: Hand, notes: Mapping[str, str]) -> None:
    """Write notes.

    Raises:
        Conflict: one is the secret, which is made once.
    """
    if SECRET in notes:
        raise Conflict(f"The note {SECRET!r} is made once, with the store: it cannot be written.")
    for key, value in notes.items():
        hand.changed(
            "INSERT INTO note (key, value) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )
    if notes:
        _next(hand, "notes")


def change_note(hand: Hand, key: str, change: Callable[[str | None], str]) -> str:
    """Write a note from what it says now; what it says from now on.

    Raises:
        Conflict: it is the secret, which is made once.
        Refusal: it cannot be stored.
    """
    found = hand.rows("SELECT value FROM note WHERE key = ?", (key,))
    text = change(found[0][0] if found else None)
    check_texts("A note", [text])
    put_notes(hand, {key: text})
    return text


def sweep(hand: Hand, table: str, after: int, since_ms: int) -> tuple[int, int | None]:
    """Delete what is too old in the next stretch of a log: how many, and where to go on (None: the end)."""
    (found,) = hand.rows(f"SELECT max(seq) FROM {table} WHERE seq > ?", (after,))  # noqa: S608
    if found[0] is None:
        return 0, None
    end = after + SWEEP
    gone = hand.changed(
        f"DELETE FROM {table} WHERE seq > ? AND seq <= ? AND time_ms < ?",  # noqa: S608
        (after, end, since_ms),
    )
    return gone, end if end < found[0] else None


def first_place(hand: Hand, table: str) -> int:
    """The place before the first one of a log that has any."""
    (found,) = hand.rows(f"SELECT min(seq) FROM {table}")  # noqa: S608
    return (found[0] or 1) - 1


def members(hand: Hand, user: str) -> list[str]:
    """Every id of a viewer; the first is the one that stands for them."""
    return [row[0] for row in hand.rows(MEMBERS, (user,) * 4)]


def grave(secret: bytes, user: str) -> str:
    """What is kept of a viewer who was deleted."""
    return hmac.new(secret, user.encode(), hashlib.sha256).hexdigest()


def _leave_rounds(hand: Hand, ids: Sequence[str]) -> None:
    """Take a viewer out of the rounds in which friends are picking for them."""
    for (note,) in hand.rows("SELECT value FROM note WHERE key = ?", (OPEN_ROUNDS,)):
        left = left_by(note, ids)
        if left != note:
            # Not overwritten but deleted, so that the names do not outlive it in a log.
            hand.changed("DELETE FROM note WHERE key = ?", (OPEN_ROUNDS,))
            put_notes(hand, {OPEN_ROUNDS: left})


def _is_import(batch: Batch) -> bool:
    return batch.imported


def _past_graves(hand: Hand, some: Iterable[Batch]) -> list[Batch]:
    """Batches that are all imported, or all not: imports lose what was deleted, others begin anew."""
    batches = list(some)
    users = {event.user for batch in batches for event in batch.events}
    if not batches[0].imported:
        _begin_anew(hand, users)
        return batches
    kept = _past_grave(hand, users | {shown.user for batch in batches for shown in batch.impressions})
    return [
        Batch(
            [event for event in batch.events if kept(event.user, event.time_ms)],
            [shown for shown in batch.impressions if kept(shown.user, shown.time_ms)],
            batch.imported,
        )
        for batch in batches
    ]


def _past_grave(hand: Hand, users: set[str], learnt_ms: int | None = None) -> Callable[[str, int], bool]:
    """Whether something of a viewer and a moment may be imported.

    Of the deleted nothing may, and of whoever began anew nothing that was learnt before the deletion, however
    it is dated.
    """
    hashes = {grave(hand.secret, user): user for user in users}
    found = hand.rows(
        f"SELECT hash, time_ms, anew FROM tombstone WHERE {hand.among('hash')}",  # noqa: S608
        [hand.listed(list(hashes))],
    )
    # Of whoever began anew, an import still brings back nothing from before the deletion.
    until = {
        hashes[one]: time_ms if anew and (learnt_ms is None or time_ms < learnt_ms) else None
        for one, time_ms, anew in found
    }

    def kept(user: str, time_ms: int) -> bool:
        moment = until.get(user, -1)
        return user not in until or (moment is not None and time_ms > moment)

    return kept


def _begin_anew(hand: Hand, users: set[str]) -> None:
    roots = hand.rows(
        f"SELECT root FROM merged WHERE {hand.among(USER)}",  # noqa: S608
        [hand.listed(list(users))],
    )
    hashes = [grave(hand.secret, user) for user in users | {row[0] for row in roots}]
    hand.changed(
        f"UPDATE tombstone SET anew = 1 WHERE anew = 0 AND {hand.among('hash')}",  # noqa: S608
        [hand.listed(hashes)],
    )


def _known(hand: Hand, table: str, event_ids: Iterable[str | None]) -> set[str]:
    ids = [one for one in event_ids if one is not None]
    if not ids:
        return set()
    found = hand.rows(
        f"SELECT event_id FROM {table} WHERE {hand.among('event_id')}",  # noqa: S608
        [hand.listed(ids)],
    )
    return {row[0] for row in found}


def _is_new(event_id: str | None, known: set[str]) -> bool:
    if event_id is None:
        return True
    if event_id in known:
        return False
    known.add(event_id)
    return True


def _write_items(hand: Hand, rows: Sequence[tuple[str, str, int]]) -> None:
    version = _next(hand, "items")
    for identity, record, deleted in rows:
        hand.changed(
            "INSERT INTO item (id, record, version, deleted) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
            "SET record = excluded.record, version = excluded.version, deleted = excluded.deleted",
            (identity, record, version, deleted),
        )


def _next(hand: Hand, counter: str) -> int:
    hand.changed("UPDATE counter SET value = value + 1 WHERE name = ?", (counter,))
    (row,) = hand.rows("SELECT value FROM counter WHERE name = ?", (counter,))
    return int(row[0])


Change = Callable[[Hand], object]
