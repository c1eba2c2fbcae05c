"""A title's screen: what is known of it, and what is like it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.serve.asking import Ask
from matinee.serve.page.cards import card_of, row_of
from matinee.serve.page.frame import Page, checked, render
from matinee.serve.page.posters import shown
from matinee.serve.records import LONGEST_ID, ItemRecord
from matinee.serve.refusals import NotFound

_SIMILAR = 12
_FACTS = 8


def routes(page: Page) -> list[Route]:
    """A title's screen."""

    async def screen(request: Request) -> Response:
        item = checked(request.query_params.get("item", ""), "item", LONGEST_ID)
        user = checked(request.query_params.get("user", ""), "user", LONGEST_ID)
        record = await page.titles.record(item)
        if record is None:
            raise NotFound("Nobody knows this title: it may have been deleted, or never was.")
        ask = Ask(user=user or None, k=_SIMILAR, placement="page", repeats=None)
        try:
            answer = await page.service.answers.similar(item, ask)
            row = await row_of(page.titles, "More like this", answer)
        except NotFound:
            row = None
        values = {
            "here": "viewer",
            "user": user,
            "card": card_of(item, record),
            "row": row,
            "facts": _facts(record),
            "once": secrets.token_hex(8),
            "if_address": lambda item: "/?" + urlencode([("user", user), ("whatif", item)]),
        }
        return render("title.html", values)

    return [page.get("/title", screen)]


def _facts(record: ItemRecord) -> list[tuple[str, str]]:
    """What is known of a title, as pairs of words."""
    facts = [("id", shown(record.id, 40))]
    if record.categories:
        facts.append(("categories", ", ".join(shown(one, 30) for one in record.categories[:6])))
    for name, moment in (("from", record.available_from), ("until", record.available_until)):
        if moment is not None:
            facts.append((name, _day(moment)))
    if record.regions:
        facts.append(("regions", ", ".join(shown(one, 20) for one in record.regions[:8])))
    if record.in_stock is not None:
        facts.append(("in stock", "yes" if record.in_stock else "no"))
    if record.hidden:
        facts.append(("hidden", "yes: nobody is shown it"))
    plain = (one for one in record.attributes.items() if isinstance(one[1], str | int | float))
    facts += [(shown(name, 24), shown(str(value), 80)) for name, value in plain]
    return facts[:_FACTS]


def _day(moment_ms: int) -> str:
    try:
        return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%-d %B %Y")
    except (OverflowError, ValueError, OSError):
        return "beyond the calendar"
