"""The viewer's screen: a history, rows of recommendations with reasons, and what one more title changes.

"I watched this" is kept in the store, "what if" nowhere: it lives in the page's address.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.serve.asking import Answer, Ask
from matinee.serve.due import due_history
from matinee.serve.page.cards import Row, card_of, cards_of, row_of, summary
from matinee.serve.page.frame import Page, checked, field_of, form_of, render, see
from matinee.serve.records import LONGEST_ID, Event, Seen
from matinee.serve.refusals import NotFound, Refusal

_PLACEMENT = "page"
_SHOWN = 10
_BESIDE = 8
# To say from how far an item came up, the row before is looked at so far down.
_BEFORE = 100
_PAST = 12
_VIEWERS = 24
_FOUND = 8
_MOST_IMAGINED = 20
_WATCHED = "watch"


def routes(page: Page) -> list[Route]:
    """The viewer's screen, and what its forms are sent to."""

    async def home(request: Request) -> Response:
        user = checked(request.query_params.get("user", ""), "user", LONGEST_ID)
        return await (_viewer(page, request, user) if user else _start(page, request))

    async def watched(request: Request) -> Response:
        form = await form_of(request)
        user = _named(field_of(form, "user"))
        position, _, item = field_of(form, "title", LONGEST_ID + 5).partition(" ")
        if await page.titles.record(item) is None:
            raise NotFound("Nobody knows this title: it may have been deleted meanwhile.")
        event = Event(
            user=user,
            item=item,
            kind=await _kind(page, user),
            time_ms=page.service.now_ms(),
            event_id=f"page:{field_of(form, 'once', 40) or secrets.token_hex(8)}:{item}"[:LONGEST_ID],
            recommendation_id=field_of(form, "recommendation_id", 1_000) or None,
            position=int(position) if re.fullmatch("[1-9][0-9]{0,3}", position) else None,
        )
        await page.service.store.add([event])
        return see(_address(user, watched=item))

    async def unwatched(request: Request) -> Response:
        form = await form_of(request)
        user = _named(field_of(form, "user"))
        await page.service.store.withdraw(user, field_of(form, "item"), await _kind(page, user))
        return see(_address(user))

    async def newcomer(_request: Request) -> Response:
        return see(_address(f"newcomer-{secrets.token_hex(3)}"))

    return [
        page.get("/", home),
        page.get("/newcomer", newcomer),
        page.post("/watched", watched),
        page.post("/unwatched", unwatched),
    ]


async def _start(page: Page, request: Request) -> Response:
    """Before a viewer is chosen: pick one, search one, or be a newcomer."""
    wanted = checked(request.query_params.get("q", ""), "The search").strip()
    store = page.service.store
    # From the last id before the one that is wanted, so that it stands first itself.
    after = _last_before(wanted)
    found = [one.id for one in await store.viewers(after, _VIEWERS) if one.id.startswith(wanted)]
    if wanted and wanted not in found and await store.history(wanted, 1):
        found = [wanted, *found]
    popular = await page.service.answers.popular(Ask(k=_SHOWN, placement=_PLACEMENT))
    row = await row_of(page.titles, "Popular now", popular)
    return render("start.html", {"here": "viewer", "wanted": wanted, "viewers": found, "row": row})


def _last_before(wanted: str) -> str:
    """A text after every id that comes before those that begin with some words; empty: from the first on."""
    if not wanted or ord(wanted[-1]) <= 33:
        return ""
    # What comes before U+E000 is half of a pair, and no letter.
    letter = "\ud7ff" if wanted[-1] == "\ue000" else chr(ord(wanted[-1]) - 1)
    return f"{wanted[:-1]}{letter}\U0010ffff"


async def _viewer(page: Page, request: Request, user: str) -> Response:
    asked = [checked(one, "whatif", LONGEST_ID) for one in request.query_params.getlist("whatif")]
    imagined = list(dict.fromkeys(one for one in asked if one))[-_MOST_IMAGINED:]
    just = checked(request.query_params.get("watched", ""), "watched", LONGEST_ID)
    wanted = checked(request.query_params.get("q", ""), "The search").strip()
    service = page.service
    history = await due_history(service.store, user, service.limits.history, service.now_ms())
    if just and just not in {seen.item for seen in history}:
        just = ""
    began = time.perf_counter()
    answer = await page.service.answers.recommend(_ask(user, what_if=tuple(imagined)))
    took_ms = (time.perf_counter() - began) * 1000
    before = await _before(page, user, history, imagined, just)
    row = await row_of(page.titles, "For you", answer, before)
    found = await page.titles.find(wanted, _FOUND) if wanted else []
    newest = list(dict.fromkeys(seen.item for seen in reversed(history)))
    values = {
        "here": "viewer",
        "user": user,
        "is_new": not history,
        "events": len(history),
        "more_events": len(history) >= service.limits.history,
        "past": await cards_of(page.titles, newest[:_PAST]),
        "row": row,
        "moved": summary(row.cards),
        "left": await cards_of(page.titles, _left(before, row)),
        "rows": await _beside(page, user, (imagined or newest)[-1:] if imagined else newest[:1], row),
        "imagined": [
            (card, _address(user, *_without(imagined, card.item)))
            for card in await cards_of(page.titles, imagined)
        ],
        "just": (await cards_of(page.titles, [just]))[0] if just else None,
        "wanted": wanted,
        "found": [card_of(one.id, one) for one in found],
        "answer": answer,
        "took_ms": took_ms,
        "once": secrets.token_hex(8),
        "if_address": lambda item: _address(user, *imagined, item),
        "address": _address(user),
    }
    return render("viewer.html", values)


def _ask(user: str, **more: object) -> Ask:
    ask = Ask(user=user, k=_SHOWN, reasons=True, placement=_PLACEMENT)
    return replace(ask, **more)  # type: ignore[arg-type]


async def _before(
    page: Page, user: str, history: Sequence[Seen], imagined: Sequence[str], just: str
) -> list[str] | None:
    """The row without what was just watched or imagined: ids, best first; None where nothing was."""
    ask = _ask(user, k=_BEFORE, reasons=False)
    if not imagined and not just:
        return None
    if not imagined:
        last = max(place for place, seen in enumerate(history) if seen.item == just)
        ask = replace(ask, history=[*history[:last], *history[last + 1 :]])
    answer: Answer = await page.service.answers.recommend(ask)
    return [one.item for one in answer.items]


def _left(before: Sequence[str] | None, row: Row) -> list[str]:
    """What stood in the row before and does no longer."""
    now = {card.item for card in row.cards}
    return [item for item in (before or [])[:_SHOWN] if item not in now]


async def _beside(page: Page, user: str, liked: Sequence[str], first: Row) -> list[Row]:
    """Further rows: like the latest title, popular, new; nothing stands on the screen twice."""
    answers, shown = page.service.answers, [card.item for card in first.cards]
    rows = []

    def ask() -> Ask:
        return Ask(user=user, k=_BESIDE, repeats=False, exclude=tuple(shown), placement=_PLACEMENT)

    for item in liked:
        (card,) = await cards_of(page.titles, [item])
        try:
            alike = await answers.similar(item, replace(ask(), exclude=(*shown, item)))
        except NotFound:
            continue
        rows.append(await row_of(page.titles, f"Like {card.title}", alike))
        shown += [one.item for one in alike.items]
    for name, found in (("Popular now", answers.popular), ("New", answers.latest)):
        answer = await found(ask())
        rows.append(await row_of(page.titles, name, answer))
        shown += [one.item for one in answer.items]
    return [row for row in rows if row.cards]


async def _kind(page: Page, user: str) -> str:
    """What a log calls watching: as in the viewer's last event, else as in the first of all."""
    last = await page.service.store.history(user, 1)
    if last:
        return last[-1].kind
    first = await page.service.store.events(0, 1)
    return first[0].kind if first else (*page.service.kinds_seen, _WATCHED)[0]


def _without(items: Sequence[str], item: str) -> list[str]:
    return [one for one in items if one != item]


def _named(user: str) -> str:
    if not user:
        raise Refusal("The form names no viewer: choose one first.")
    return user


def _address(user: str, *imagined: str, watched: str = "") -> str:
    """The address of a viewer's screen."""
    pairs = [("user", user), *(("whatif", item) for item in imagined)]
    return "/?" + urlencode([*pairs, ("watched", watched)] if watched else pairs)
