"""The faces that Starlette routes: Gorse, Personalize and the page, by the first word of a path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from matinee.serve import gorse, page, personalize
from matinee.serve.keys import ADMIN, Keys, browser_key_of
from matinee.serve.refusals import Forbidden, NotFound, Unauthorised
from matinee.serve.service import Service

GORSE, PERSONALIZE, PAGE = "gorse", "personalize", "page"


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


def _router(routes: list[BaseRoute]) -> Router:
    return Router(routes, redirect_slashes=False, default=_nothing_there)


def _word(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


async def _nothing_there(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFound("There is nothing at this path: /openapi.json names those of matinee's own interface.")
