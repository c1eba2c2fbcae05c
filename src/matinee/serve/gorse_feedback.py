"""Gorse's view of the event log: one row for each type, user and item, folded from the events.

What POST brings is added to the row's value, what PUT brings overwrites it; the log itself keeps every event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from matinee.serve.due import is_due
from matinee.serve.fold import Feedback, fold
from matinee.serve.foreign import moment_text
from matinee.serve.gorse_shapes import COMMENT
from matinee.serve.records import Stored
from matinee.serve.store import Store

_PAGE = 1000
# A user with more events than these on a page is looked up as a whole.
_OFTEN = 3


def folded(events: Iterable[Stored], now_ms: int) -> list[dict[str, Any]]:
    """Rows as Gorse shows them; what was written back for later is not there before its time."""
    due = [event for event in events if is_due(event.time_ms, now_ms)]
    comments = {
        (event.kind, event.user, event.item): comment
        for event in due
        if (comment := _comment(event.properties))
    }
    return [_row(one, comments.get((one.kind, one.user, one.item), "")) for one in fold(due)]


def _row(one: Feedback, comment: str) -> dict[str, Any]:
    return {
        "FeedbackType": one.kind,
        "UserId": one.user,
        "ItemId": one.item,
        "Value": one.value,
        "Timestamp": moment_text(one.time_ms),
        "Updated": moment_text(one.updated_ms),
        COMMENT: comment,
    }


def _comment(properties: str | None) -> str:
    if not properties:
        return ""
    found = msgspec.json.decode(properties)
    comment = found.get(COMMENT) if isinstance(found, dict) else None
    return comment if isinstance(comment, str) else ""


async def all_events(store: Store, **which: str | None) -> list[Stored]:
    """Every event of a viewer, an item or a kind, in the order of the log."""
    found: list[Stored] = []
    after = 0
    while True:
        page = await store.events(after, _PAGE, **which)
        found.extend(page)
        if len(page) < _PAGE:
            return found
        after = page[-1].seq


async def page_of(
    store: Store, after: int, most: int, kind: str | None, now_ms: int
) -> tuple[list[dict[str, Any]], str]:
    """A page of rows, and the cursor of the next; empty where there is none.

    A row stands where its first event stands in the log, so that paging shows each row once.
    """
    rows: list[dict[str, Any]] = []
    asked = min(_PAGE, most + 1)
    while True:
        events = await store.events(after, asked, kind=kind)
        same = _Same(store, events)
        for event in events:
            if len(rows) == most:
                return rows, str(after)
            after = event.seq
            row = await same.as_(event)
            if row and row[0].seq == event.seq:
                rows.extend(folded(row, now_ms))
        if len(events) < asked:
            return rows, ""


class _Same:
    """What belongs to one row, looked up for a page of events; who is there often is looked up once."""

    def __init__(self, store: Store, events: Sequence[Stored]) -> None:
        self._store = store
        self._often = {user for user, times in Counter(one.user for one in events).items() if times > _OFTEN}
        self._known: dict[str, dict[tuple[str, str], list[Stored]]] = {}

    async def as_(self, event: Stored) -> list[Stored]:
        """Every event of the same type, user and item."""
        if event.user not in self._often:
            return await all_events(self._store, user=event.user, item=event.item, kind=event.kind)
        if event.user not in self._known:
            by_key: dict[tuple[str, str], list[Stored]] = {}
            for one in await all_events(self._store, user=event.user):
                by_key.setdefault((one.kind, one.item), []).append(one)
            self._known[event.user] = by_key
        return self._known[event.user].get((event.kind, event.item), [])
