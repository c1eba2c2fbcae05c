"""The faces that Starlette routes: Gorse, Personalize and the page, by the first word of a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from matinee.serve.keys import Keys
from matinee.serve.refusals import NotFound
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


def faces_of(service: Service, keys: Keys | None, aws: Mapping[str, str] | None) -> list[Face]:
    """Every face beside the native one.

    Args:
        service: what is asked and told.
        keys: what looks at Gorse's keys; None: any key is good.
        aws: access key ids and their secrets, beside those that belong to the keys; None: any signature is
            good, unless keys are asked for.
    """
    given: dict[str, tuple[Any, ...]] = {GORSE: (keys,), PERSONALIZE: (aws, keys), PAGE: ()}
    modules = {
        name: import_module(f"matinee.serve.{name}") for name in given if find_spec(f"matinee.serve.{name}")
    }
    return [
        Face(name, module.routes(service, *given[name]))
        for name, module in modules.items()
        if hasattr(module, "routes")
    ]


class Faces:
    """Which face a path is for.

    Args:
        faces: all of them.
    """

    def __init__(self, faces: Sequence[Face]) -> None:
        by_word: dict[str, list[tuple[str, BaseRoute]]] = {}
        for face in faces:
            for route in face.routes:
                by_word.setdefault(_word(getattr(route, "path", "")), []).append((face.name, route))
        self._by_word = {
            word: (some[0][0], _router([route for _, route in some])) for word, some in by_word.items()
        }
        self._nowhere = ("", _router([]))

    def at(self, path: str) -> tuple[str, Router]:
        """The name of the face that a path is for, empty where there is none, and what routes there."""
        return self._by_word.get(_word(path), self._nowhere)


def _router(routes: list[BaseRoute]) -> Router:
    return Router(routes, redirect_slashes=False, default=_nothing_there)


def _word(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


async def _nothing_there(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFound("There is nothing at this path: /openapi.json names those of matinee's own interface.")
