"""The faces that Starlette routes: Gorse, Personalize and the page, by the first word of a path.

What no face answers is refused here in the way that whoever asked reads: in a browser as a page, on Gorse's
paths as plain text, anywhere else as JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import Receive, Scope, Send

from matinee.serve import gorse, page, personalize
from matinee.serve.keys import ADMIN, Keys, browser_key_of
from matinee.serve.page.frame import HEADERS, refused_page
from matinee.serve.refusals import Forbidden, NotFound, Unauthorised
from matinee.serve.replies import TEXT, Header, Reply, message_of, prefers_page
from matinee.serve.service import Service

GORSE, PERSONALIZE, PAGE = "gorse", "personalize", "page"
_HTML: Header = (b"content-type", b"text/html; charset=utf-8")
_GORSE_WORD = "api"


@dataclass(frozen=True)
class Face:
    """One face.

    Attributes:
        name: its name.
        routes: what it answers.
    """

    name: str
    routes: Sequence[BaseRoute]


def faces_of(
    service: Service,
    keys: Keys | None,
    aws: Mapping[str, str] | None,
    figures: Callable[[], Awaitable[bytes]] | None = None,
) -> list[Face]:
    """Every face beside the native one.

    Args:
        service: what is asked and told.
        keys: what looks at keys; None: any key is good.
        aws: access key ids and their secrets; with neither these nor keys any signature is good.
        figures: the text that Prometheus reads, for the page.
    """
    may = None if keys is None else _may(keys)
    return [
        Face(GORSE, gorse.routes(service, keys)),
        Face(PERSONALIZE, personalize.routes(service, aws, keys)),
        Face(PAGE, page.routes(service, figures=figures, may=may)),
    ]


def _may(keys: Keys) -> Callable[[Request], Awaitable[bool]]:
    """The page shows everybody's history and changes what is served: it is for whoever may do everything."""

    async def may(request: Request) -> bool:
        try:
            await keys.check(browser_key_of(dict(request.scope["headers"])), ADMIN)
        except (Unauthorised, Forbidden):
            return False
        return True

    return may


class Faces:
    """Which face a path is for.

    Args:
        faces: all of them.
    """

    def __init__(self, faces: Sequence[Face]) -> None:
        by_word: dict[str, list[BaseRoute]] = {}
        for face in faces:
            for route in face.routes:
                by_word.setdefault(_word(getattr(route, "path", "")), []).append(route)
        self._by_word = {word: _router(routes) for word, routes in by_word.items()}
        self._nowhere = _router([])

    def at(self, path: str) -> Router:
        """What routes the paths of a first word."""
        return self._by_word.get(_word(path), self._nowhere)

    def methods(self, scope: Scope) -> list[str]:
        """The methods that a path knows, where it does not know the one that was sent."""
        partly = (
            route
            for route in self.at(scope["path"]).routes
            if isinstance(route, Route) and route.matches(scope)[0] is Match.PARTIAL
        )
        return sorted({method for route in partly for method in route.methods or ()})


def in_words_of(reply: Reply, path: str, accept: str) -> Reply:
    """A no as whoever asked reads it, with the same sentence and status.

    Args:
        reply: the no, as JSON.
        path: what was asked.
        accept: the header Accept.
    """
    if prefers_page(accept):
        theirs = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS.items())
        shown = refused_page(message_of(reply), reply.status).encode()
        return reply._replace(body=shown, headers=(*reply.headers, *theirs), kind=_HTML)
    if _word(path) == _GORSE_WORD:
        return reply._replace(body=" ".join(message_of(reply).split()).encode(), kind=TEXT)
    return reply


def _router(routes: list[BaseRoute]) -> Router:
    return Router(routes, redirect_slashes=False, default=_nothing_there)


def _word(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


async def _nothing_there(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFound("There is nothing at this path: /openapi.json names those of matinee's own interface.")
