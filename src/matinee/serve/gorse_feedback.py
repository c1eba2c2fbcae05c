"""Gorse's view of the event log: one row for each type, user and item, folded from the events.

What POST brings is added to the row's value, what PUT brings overwrites it; the log itself keeps every event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from matinee.serve.fold import Feedback, fold
from matinee.serve.foreign import SKEW_MS, moment_text
from matinee.serve.gorse_shapes import COMMENT
from matinee.serve.records import Stored
from matinee.serve.store import Store

_PAGE = 1000


def folded(events: Iterable[Stored], now_ms: int) -> list[dict[str, Any]]:
    """Rows as Gorse shows them; what was written back for later is not there before its time."""
    due = [event for event in events if event.time_ms <= now_ms + SKEW_MS]
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
        for event in events:
            if len(rows) == most:
                return rows, str(after)
            after = event.seq
            same = await all_events(store, user=event.user, item=event.item, kind=event.kind)
            if same and same[0].seq == event.seq:
                rows.extend(folded(same, now_ms))
        if len(events) < asked:
            return rows, ""
