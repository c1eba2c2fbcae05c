"""The page: what matinee recommends to whom and why, how good it is, and how the server does.

It is made on the server and whole without a script; the page's own script only swaps screens in place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.routing import Route

from matinee.serve.page import challenge, health, key, scoreboard, study, title, viewer
from matinee.serve.page.frame import Page, static_route
from matinee.serve.page.titles import Titles
from matinee.serve.service import Service

__all__ = ["routes"]


def routes(
    service: Service,
    *,
    figures: Callable[[], Awaitable[bytes]] | None = None,
    may: Callable[[Request], Awaitable[bool]] | None = None,
) -> list[Route]:
    """Every screen, at `/` and below.

    Args:
        service: what is asked, told and looked at.
        figures: the text that Prometheus reads: the health screen shows some of it.
        may: whether whoever sends a request may see the page; None: everybody may.
    """
    page = Page(service=service, titles=Titles(service.answers), figures=figures, may=may)
    return [
        *viewer.routes(page),
        *title.routes(page),
        *scoreboard.routes(page),
        *health.routes(page),
        *study.routes(page),
        *challenge.routes(page),
        *key.routes(page),
        static_route(),
    ]
