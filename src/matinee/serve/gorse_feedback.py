"""Gorse's view of the event log: one row for each type, user and item, folded from the events.

What POST brings is added to the row's value, what PUT brings overwrites it; the log itself keeps every event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from matinee.serve.foreign import moment_text
from matinee.serve.gorse_shapes import COMMENT
from matinee.serve.records import Stored
from matinee.serve.store import Store

_PAGE = 1000


def folded(events: Iterable[Stored], now_ms: int) -> list[dict[str, Any]]:
    """Rows in the order in which they began; what is dated later than now is not there yet."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for event in events:
        if event.time_ms > now_ms:
            continue
        key = (event.kind, event.user, event.item)
        before = None if event.sets else rows.get(key)
        row = rows[key] = _row(event) if before is None else _added(before, event)
        if event.sets or before is None:
            row["Timestamp"] = moment_text(event.time_ms)
    return list(rows.values())


def _row(event: Stored) -> dict[str, Any]:
    return {
        "FeedbackType": event.kind,
        "UserId": event.user,
        "ItemId": event.item,
        "Value": event.value or 0.0,
        "Timestamp": moment_text(event.time_ms),
        "Updated": moment_text(event.time_ms),
        COMMENT: _comment(event.properties),
    }


def _added(row: Mapping[str, Any], event: Stored) -> dict[str, Any]:
    return {
        **row,
        "Value": row["Value"] + (event.value or 0.0),
        "Updated": moment_text(event.time_ms),
        COMMENT: _comment(event.properties) or row[COMMENT],
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
    while True:
        events = await store.events(after, min(_PAGE, most + 1), kind=kind)
        for event in events:
            if len(rows) == most:
                return rows, str(after)
            after = event.seq
            row = await all_events(store, user=event.user, item=event.item, kind=event.kind)
            if not row or row[0].seq == event.seq:
                rows.extend(folded(row or [event], now_ms))
        if len(events) < min(_PAGE, most + 1):
            return rows, ""
