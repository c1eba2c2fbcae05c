"""A key, asked for once: kept by the browser in a cookie that no script reads and no other site sends."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.serve.keys import COOKIE
from matinee.serve.page.frame import Page, field_of, form_of, render, see

_MONTH_S = 30 * 24 * 3600
_LONGEST = 512


def routes(page: Page) -> list[Route]:
    """What the form that asks for a key is sent to; nothing where no keys are configured."""
    if page.may is None:
        return []
    may = page.may

    async def take(request: Request) -> Response:
        form = await form_of(request)
        key, way = field_of(form, "key", _LONGEST).strip(), field_of(form, "next", 2_000)
        with_key = Request({**request.scope, "headers": [(b"cookie", f"{COOKIE}={key}".encode())]})
        if not key.isascii() or not await may(with_key):
            return render("key.html", {"next": way, "wrong": True}, status=401)
        answer = see(way if _is_here(way) else "/")
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, key, max_age=_MONTH_S, httponly=True, samesite="strict", secure=secure)
        return answer

    return [page.post("/key", take, open_to_all=True)]


def _is_here(address: str) -> bool:
    """Whether an address is one of this server's own paths."""
    return address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
