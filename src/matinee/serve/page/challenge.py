"""The friend challenge's screens: begin, the friend's ten, the blind list, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.report.bands import Band, band_chart
from matinee.serve import challenge
from matinee.serve.asking import Ask
from matinee.serve.challenge import TEN, Brought, Round, Score
from matinee.serve.id_key import looks_hashed
from matinee.serve.page.cards import card_of, cards_of
from matinee.serve.page.frame import Handler, Page, checked, field_of, form_of, render, see
from matinee.serve.records import LONGEST_ID
from matinee.serve.refusals import NotFound, Refusal

_FOUND = 12
_POINTS = 24
_LISTED = 20
_TOKEN = 40


def routes(page: Page) -> list[Route]:
    """The challenge's screens. Whoever has a round's link needs no key for it."""
    return [
        page.get("/challenge", _home(page)),
        page.post("/challenge", _begin(page)),
        page.get("/challenge/friend", _friend(page), open_to_all=True),
        page.post("/challenge/friend", _pick(page), open_to_all=True),
        page.get("/challenge/round", _round(page), open_to_all=True),
        page.post("/challenge/round", _mark(page), open_to_all=True),
    ]


def verdict(found: Score) -> str:
    """What the score says, in a sentence or two."""
    lead, n = found.lead, len(found.rounds)
    if not n:
        return "No round has been finished yet. Yours could be the first."
    after = f"After {n} {'round' if n == 1 else 'rounds'}"
    who = "matinee" if lead.mean > 0 else "the friend"
    ahead = "both are level" if lead.mean == 0 else f"{who} is {abs(lead.mean):.1f} titles of ten ahead"
    if lead.decided:
        return f"{after} {ahead}, and that is no luck: {who} knows better what to watch."
    return f"{after} {ahead}. That may still be luck: play on."


def _home(page: Page) -> Handler:
    async def home(request: Request) -> Response:
        user = checked(request.query_params.get("user", ""), "user", LONGEST_ID)
        found = await challenge.score(page.service.store)
        rounds = [*reversed(found.rounds)][:_LISTED]
        values = {
            "here": "challenge",
            "user": user,
            "score": found,
            "rounds": rounds,
            "charts": _drawn(found),
        }
        return render("challenge.html", {**values, "verdict": verdict(found)})

    return home


def _begin(page: Page) -> Handler:
    async def begin(request: Request) -> Response:
        form = await form_of(request)
        user = field_of(form, "user").strip()
        if not user:
            raise Refusal("The form names no viewer: choose one with a history.")
        made = await challenge.begin(page.service.store, user, page.service.now_ms())
        return see(f"/challenge/round?id={made.id}")

    return begin


def _friend(page: Page) -> Handler:
    async def friend(request: Request) -> Response:
        store, now_ms = page.service.store, page.service.now_ms()
        one = await challenge.find_for_friend(store, _token(request, "link"))
        user = await challenge.viewer_of(store, one, now_ms)
        if not user and not one.order:
            raise NotFound("This round is over, and nobody waits for it any more.")
        wanted = checked(request.query_params.get("q", ""), "The search").strip()
        seen = await challenge.seen_by(store, user, now_ms) if user else set()
        if wanted:
            found = [card_of(record.id, record) for record in await page.titles.find(wanted, _FOUND)]
        else:
            ask = Ask(k=_FOUND, exclude=(*one.picks, *seen), placement="challenge")
            popular = await page.service.answers.popular(ask)
            found = await cards_of(page.titles, [item.item for item in popular.items])
        values = {
            "here": "challenge",
            "round": one,
            "viewer": "your friend" if looks_hashed(user) else user,
            "wanted": wanted,
            "found": found,
            "seen": seen,
            "picks": await cards_of(page.titles, one.picks),
            "ten": TEN,
        }
        return render("friend.html", values)

    return friend


def _pick(page: Page) -> Handler:
    async def pick(request: Request) -> Response:
        form, store, now_ms = await form_of(request), page.service.store, page.service.now_ms()
        one = await challenge.find_for_friend(store, field_of(form, "link", _TOKEN))
        if "pick" in form:
            item = field_of(form, "pick")
            if await page.titles.record(item) is None:
                raise NotFound("Nobody knows this title: it may have been deleted meanwhile.")
            await challenge.pick(store, one, item, now_ms)
        elif "unpick" in form:
            await challenge.unpick(store, one, field_of(form, "unpick"))
        elif "finish" in form:
            await challenge.finish_picks(store, page.service.answers, one, now_ms)
        return see(f"/challenge/friend?link={one.friend}")

    return pick


def _round(page: Page) -> Handler:
    async def show(request: Request) -> Response:
        store = page.service.store
        one = await challenge.find_round(store, _token(request, "id"))
        await challenge.keep_listed(store, one)
        values = {"here": "challenge", "round": one, "ten": TEN}
        if one.marked is not None:
            return render("result.html", {**values, **await _told(page, one)})
        if one.order:
            return render("mark.html", {**values, "cards_": await cards_of(page.titles, one.order)})
        link = str(request.url.replace(path="/challenge/friend", query=f"link={one.friend}"))
        user = await challenge.viewer_of(store, one, page.service.now_ms())
        if not user:
            raise NotFound("This round is over, and nobody waits for it any more: begin another one.")
        named = "you" if looks_hashed(user) else user
        return render("waiting.html", {**values, "viewer": named, "link": link, "picked": len(one.picks)})

    return show


def _mark(page: Page) -> Handler:
    async def mark(request: Request) -> Response:
        form, store = await form_of(request), page.service.store
        one = await challenge.find_round(store, field_of(form, "id", _TOKEN))
        await challenge.mark(store, one, form.get("item", []), page.service.now_ms())
        return see(f"/challenge/round?id={one.id}")

    return mark


async def _told(page: Page, one: Round) -> dict[str, object]:
    """What a finished round came to: who picked what, and the score with it."""
    found = await challenge.score(page.service.store)
    marked = set(one.marked or ())
    sides = []
    for name, items in (("matinee", one.answer), ("your friend", one.picks)):
        cards = await cards_of(page.titles, items)
        sides.append((name, [(card, card.item in marked) for card in cards]))
    return {
        "sides": sides,
        "brought": challenge.brought(one),
        "both": len(set(one.answer) & set(one.picks)),
        "verdict": verdict(found),
    }


def _token(request: Request, name: str) -> str:
    return checked(request.query_params.get(name, ""), name, _TOKEN)


def _drawn(found: Score) -> tuple[str, ...]:
    """The lead after each round, wide and narrow: markup."""
    bands = [_band(found.rounds[:n]) for n in _spread(len(found.rounds))]
    title = "matinee's lead in titles of ten, round by round, with its 95 % band"
    wide = band_chart(bands, title, ends=(-float(TEN), float(TEN)))
    narrow = band_chart(bands, "lead in titles of ten, 95 % band", ends=(-10.0, 10.0), width=300)
    return (wide, narrow) if wide else ()


def _spread(n: int) -> Sequence[int]:
    if n <= _POINTS:
        return range(1, n + 1)
    return sorted({round(1 + place * (n - 1) / (_POINTS - 1)) for place in range(_POINTS)})


@lru_cache(maxsize=512)
def _band(rounds: tuple[Brought, ...]) -> Band:
    lead = challenge.score_of(rounds).lead
    return Band(mean=lead.mean, low=lead.low, high=lead.high)
