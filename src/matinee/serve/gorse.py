"""Gorse's REST API, version 0.5, under /api: PyGorse, gorsejs and whatever else speaks it run unmodified.

Every path is answered with and without a slash at its end; writes answer {"RowAffected": n}, a no is plain
text, into which `matinee.serve.faces` puts what is raised here. Where Gorse answers from lists that it
computed some time ago, the answer here is made at the moment. Two things differ on purpose: deleting an item
leaves the histories of those who chose it, and what is not there is answered with 404 where Gorse says 500 or
changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.serve import gorse_answers, gorse_items, gorse_users
from matinee.serve.foreign import Handler, routes_of
from matinee.serve.keys import ADMIN, READ, WRITE, Keys
from matinee.serve.refusals import Forbidden, StoreError, outside_words
from matinee.serve.replies import is_foreign
from matinee.serve.service import Service

Answering = Callable[[Service, Request], Awaitable[Any]]

_READ = {
    "/recommend/{user}": gorse_answers.recommend,
    "/recommend/{user}/{category}": gorse_answers.recommend,
    "/collaborative-filtering/{user}": gorse_answers.scored,
    "/intermediate/recommend/{user}": gorse_answers.scored,
    "/intermediate/recommend/{user}/{category}": gorse_answers.scored,
    "/latest": gorse_answers.latest,
    "/latest/{category}": gorse_answers.latest,
    "/popular": gorse_answers.popular,
    "/popular/{category}": gorse_answers.popular,
    "/non-personalized/{name}": gorse_answers.non_personalized,
    "/item-to-item/{name}/{item}": gorse_answers.similar,
    "/item/{item}/neighbors": gorse_answers.similar,
    "/item/{item}/neighbors/{category}": gorse_answers.similar,
}
# What tells of viewers is not for every key that may ask.
_OF_VIEWERS = {
    "/user-to-user/{name}/{user}": gorse_answers.neighbours,
    "/user/{user}/neighbors": gorse_answers.neighbours,
    "/user/{user}/feedback": gorse_users.feedback_of_user,
    "/user/{user}/feedback/{type}": gorse_users.feedback_of_user,
    "/item/{item}/feedback": gorse_items.feedback_of_item,
    "/item/{item}/feedback/{type}": gorse_items.feedback_of_item,
    "/feedback/{type}": gorse_users.feedback_page,
}
_SESSION = ("/session/recommend", "/session/recommend/{category}")


def routes(service: Service, keys: Keys | None = None) -> list[Route]:
    """Every path of the face.

    Args:
        service: what is asked and told.
        keys: what looks at the header X-API-Key; None: any key is good, and none is needed.
    """
    made: list[Route] = []

    def add(path: str, asks: str = WRITE, ends: str = WRITE, **methods: Answering) -> None:
        scopes = {"GET": asks, "DELETE": ends}
        handlers = [
            (method, _handler(service, keys, answering, scopes.get(method, WRITE)))
            for method, answering in methods.items()
        ]
        made.extend(routes_of("/api" + path, handlers))

    for path, answering in _READ.items():
        add(path, READ, GET=answering)
    for path, answering in _OF_VIEWERS.items():
        add(path, GET=answering)
    for path in _SESSION:
        made.extend(
            routes_of("/api" + path, [("POST", _handler(service, keys, gorse_answers.session, READ))])
        )
    add("/user", POST=gorse_users.put_user)
    add("/users", GET=gorse_users.list_users, POST=gorse_users.put_users)
    add(
        "/user/{user}",
        ends=ADMIN,
        GET=gorse_users.get_user,
        PATCH=gorse_users.patch_user,
        DELETE=gorse_users.delete_user,
    )
    add("/item", POST=gorse_items.put_item)
    add("/items", READ, GET=gorse_items.list_items, POST=gorse_items.put_items)
    add(
        "/item/{item}",
        READ,
        GET=gorse_items.get_item,
        PATCH=gorse_items.patch_item,
        DELETE=gorse_items.delete_item,
    )
    add("/item/{item}/category/{category}", PUT=gorse_items.add_category, DELETE=gorse_items.drop_category)
    add(
        "/feedback",
        GET=gorse_users.feedback_page,
        POST=gorse_users.add_feedback,
        PUT=gorse_users.set_feedback,
    )
    for path in ("/feedback/{user}/{item}", "/feedback/{type}/{user}/{item}"):
        add(path, GET=gorse_users.get_feedback, DELETE=gorse_users.delete_feedback)
    for path in ("/health/live", "/health/ready"):
        made.extend(routes_of("/api" + path, [("GET", _handler(service, None, health, READ))]))
    return made


def _writes(request: Request) -> bool:
    """Whether a question is to be written down: Gorse has that done by a GET."""
    return request.method == "GET" and bool(request.query_params.get("write-back-type"))


def _from_elsewhere(request: Request) -> bool:
    headers = request.headers
    return is_foreign(headers.get("sec-fetch-site"), headers.get("origin"), headers.get("host", ""))


async def health(service: Service, request: Request) -> Any:
    """Whether the store can be reached, in Gorse's words; `ready` says so with its status too."""
    reached, why = True, None
    try:
        await service.store.notes_version()
    except StoreError as error:
        reached, why = False, outside_words(error)
    told = {
        "Ready": reached,
        "DataStoreError": why,
        "CacheStoreError": None,
        "DataStoreConnected": reached,
        "CacheStoreConnected": True,
    }
    if not reached and request.url.path.rstrip("/").endswith("ready"):
        raise StoreError(msgspec.json.encode(told).decode())
    return told


def _handler(service: Service, keys: Keys | None, answering: Answering, scope: str) -> Handler:
    async def handler(request: Request) -> Response:
        if keys is not None:
            await keys.check(_key_of(request), scope)
            if _writes(request):
                await keys.check(_key_of(request), WRITE)
        if _writes(request) and _from_elsewhere(request):
            raise Forbidden("A page of another site sent this: only this server's own pages may.")
        content = await answering(service, request)
        if isinstance(content, Response):
            return content
        return Response(msgspec.json.encode(content), media_type="application/json")

    return handler


def _key_of(request: Request) -> str | None:
    """The key as Gorse's clients send it, or as everybody else does."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else None)
