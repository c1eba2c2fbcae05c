"""Gorse's view of the event log: one row for each type, user and item, folded from the events.

What POST brings is added to the row's value, what PUT brings overwrites it; the log itself keeps every event.
Events are read page by page and folded as they come: what is in memory are rows, and those are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from matinee.serve.due import is_due
from matinee.serve.fold import Feedback, with_event
from matinee.serve.foreign import moment_text, whole_number
from matinee.serve.gorse_shapes import COMMENT
from matinee.serve.records import Stored
from matinee.serve.refusals import Refusal
from matinee.serve.service import Service
from matinee.serve.store import Store

# Rows of one answer, and events that are looked at for it.
MOST_ROWS = 10_000
MOST_EVENTS = 100_000
_PAGE = 1000
# Most rows are of fewer events than these: one query tells them whole.
_FEW = 20
_DEFAULT_N = 1000

_Key = tuple[str, str, str]


class _Rows:
    """Rows as Gorse shows them; what was written back for later is not there before its time."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._rows: dict[_Key, Feedback] = {}
        self._comments: dict[_Key, str] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, events: Iterable[Stored]) -> None:
        """Fold events that come next in the order of the log."""
        for event in events:
            if not is_due(event.time_ms, self._now_ms):
                continue
            key = (event.kind, event.user, event.item)
            self._rows[key] = with_event(self._rows.get(key), event)
            comment = _comment(event.properties)
            if comment:
                self._comments[key] = comment

    def shown(self) -> list[dict[str, Any]]:
        """The rows, in the order in which they first appeared."""
        return [_row(one, self._comments.get(key, "")) for key, one in self._rows.items()]


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


async def all_rows(store: Store, now_ms: int, **which: str | None) -> list[dict[str, Any]]:
    """Every row of a viewer, an item or a kind.

    Raises:
        Refusal: there are more rows, or more events, than one answer is made of.
    """
    rows, after, looked_at = _Rows(now_ms), 0, 0
    while page := await store.events(after, _PAGE, **which):
        rows.take(page)
        after, looked_at = page[-1].seq, looked_at + len(page)
        if len(rows) > MOST_ROWS or looked_at > MOST_EVENTS:
            raise Refusal(
                f"There is more feedback than one answer holds ({MOST_ROWS:,} rows, of {MOST_EVENTS:,} "
                "events): ask for pages with ?n=1000; the header X-Next-Cursor of each says what to ask for "
                "next, as &cursor=."
            )
        if len(page) < _PAGE:
            break
    return rows.shown()


async def page_of(
    store: Store, after: int, most: int, now_ms: int, **which: str | None
) -> tuple[list[dict[str, Any]], str]:
    """A page of rows, and the cursor of the next; empty where there is none.

    A row stands where its first event stands in the log, so that paging shows each row once. Where very many
    events belong to few rows a page ends early, with a cursor.
    """
    rows: list[dict[str, Any]] = []
    asked, looked_at = min(_PAGE, most + 1), 0
    while True:
        events = await store.events(after, asked, **which)
        known: dict[_Key, list[Stored]] = {}
        for event in events:
            if len(rows) == most:
                return rows, str(after)
            after, key = event.seq, (event.kind, event.user, event.item)
            if key not in known:
                known[key] = await _next(store, 0, key, _FEW)
            if known[key] and known[key][0].seq == event.seq:
                rows.extend(await _row_of(store, known[key], now_ms))
        looked_at += len(events)
        if len(events) < asked:
            return rows, ""
        if looked_at >= MOST_EVENTS // 5:
            return rows, str(after)


async def _row_of(store: Store, begin: list[Stored], now_ms: int) -> list[dict[str, Any]]:
    """The row that begins with some events; none where nothing of it is due."""
    rows, page, asked = _Rows(now_ms), begin, _FEW
    while page:
        rows.take(page)
        if len(page) < asked:
            break
        last, asked = page[-1], _PAGE
        page = await _next(store, last.seq, (last.kind, last.user, last.item), asked)
    return rows.shown()


async def _next(store: Store, after: int, key: _Key, most: int) -> list[Stored]:
    kind, user, item = key
    return await store.events(after, most, user=user, item=item, kind=kind)


async def feedback_answer(service: Service, request: Request, **which: str | None) -> Any:
    """All rows of a viewer or an item, as Gorse answers; a page of them where `n` or `cursor` is named.

    Gorse knows no pages here, and its answer is a bare list: where the next page begins is in the header
    `X-Next-Cursor`, which the last one has not.
    """
    now_ms = service.now_ms()
    if not (request.query_params.get("n") or cursor_of(request)):
        return await all_rows(service.store, now_ms, **which)
    most, after = whole_number(request, "n", _DEFAULT_N, MOST_ROWS), place_of(request)
    rows, following = await page_of(service.store, after, most, now_ms, **which) if most else ([], "")
    headers = {"X-Next-Cursor": following} if following else {}
    return Response(msgspec.json.encode(rows), headers=headers, media_type="application/json")


def cursor_of(request: Request) -> str:
    """Where the next page begins; gorsejs writes the name with a capital letter."""
    return request.query_params.get("cursor") or request.query_params.get("Cursor") or ""


def place_of(request: Request) -> int:
    """The place in the log that a cursor says.

    Raises:
        Refusal: it says none.
    """
    cursor = cursor_of(request)
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise Refusal(f"cursor is {cursor[:40]!r}: expected one that an earlier page gave, or none.")
    return int(cursor or 0)
