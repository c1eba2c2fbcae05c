"""Around the whole app: each request counted, timed and logged, and nothing of it named.

A request is known by the template of its route, such as `/v1/users/{id}`: no id, no query, no address.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Mount, Route

from matinee.serve.connection import HEADER_BYTES
from matinee.serve.faces import in_words_of
from matinee.serve.health import Health
from matinee.serve.metrics import Metrics
from matinee.serve.replies import no, send_reply
from matinee.serve.request_log import RequestLog

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Where a face that does not route by Starlette says which route it took: (template, face).
ROUTE = "matinee.route"

_MOST_HEADERS = 100
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMATCHED = ("unmatched", "none")
_CLOSE = (b"connection", b"close")

# Frames of a traceback that a log line holds, the innermost.
_FRAMES = 6


class Observed:
    """An app whose requests are counted and logged.

    Args:
        app: the app.
        templates: the route's template and its face by the identity of what answers; see `templates_of`.
        health: says when clients are to go elsewhere.
        metrics: what counts.
        log: where each request's line goes.
    """

    def __init__(
        self,
        app: ASGIApp,
        templates: Mapping[int, tuple[str, str]],
        health: Health,
        metrics: Metrics,
        log: RequestLog,
    ) -> None:
        self._app, self._templates, self._health = app, templates, health
        self._metrics, self._log = metrics, log
        self._children: dict[tuple[str, str, str, int], tuple[Any, Any]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        seen = _Seen(send, self._health)
        error = ""
        try:
            if _too_many_headers(scope):
                await _refuse(431, "The request's header is larger than is taken.", scope, seen)
            else:
                await self._app(scope, receive, seen)
        except Exception as broken:
            error = where(broken)
            if not seen.status:
                await _refuse(500, "This is a defect of the server; its log says more.", scope, seen)
        finally:
            self._note(scope, seen, perf_counter() - began, error)

    def _note(self, scope: Scope, seen: _Seen, took_s: float, error: str) -> None:
        # A face that finds its own way leaves the template here.
        route, face = scope.get(ROUTE) or self._templates.get(id(scope.get("endpoint")), _UNMATCHED)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        # 499: the client left before there was an answer.
        status = seen.status or 499
        key = (face, route, method, status)
        children = self._children.get(key)
        if children is None:
            children = self._children[key] = (
                self._metrics.requests.labels(face, route, method, str(status)),
                self._metrics.seconds.labels(face, route),
            )
        requests, seconds = children
        requests.inc()
        seconds.observe(took_s)
        facts = {"method": method, "route": route, "face": face, "status": status}
        facts["ms"], facts["bytes"] = round(took_s * 1000, 2), seen.bytes
        if error:
            facts["error"] = error
        self._log.request(facts)


class _Seen:
    """What goes out: its status and size; while the server takes its leave, with the word to go elsewhere."""

    def __init__(self, send: Send, health: Health) -> None:
        self._send, self._health = send, health
        self.status = self.bytes = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._health.leaving:
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
        else:
            self.bytes += len(message.get("body", b""))
        await self._send(message)


def templates_of(routes: Mapping[str, list[BaseRoute]]) -> dict[int, tuple[str, str]]:
    """The template of each route and its face, by the identity of what answers: not all of it has a hash.

    Args:
        routes: those of each face.
    """
    found: dict[int, tuple[str, str]] = {}
    for face, theirs in routes.items():
        _gather(theirs, "", face, found)
    return found


def _gather(routes: Sequence[BaseRoute], prefix: str, face: str, found: dict[int, tuple[str, str]]) -> None:
    for route in routes:
        if isinstance(route, Mount):
            _gather(route.routes, prefix + route.path, face, found)
            found.setdefault(id(route.app), (prefix + route.path + "/{path}", face))
        elif isinstance(route, Route):
            found.setdefault(id(route.endpoint), (prefix + route.path, face))


def _too_many_headers(scope: Scope) -> bool:
    headers = scope["headers"]
    if len(headers) > _MOST_HEADERS:
        return True
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    for name, value in headers:
        size += len(name) + len(value) + 4
    return size > HEADER_BYTES


async def _refuse(status: int, words: str, scope: Scope, send: Send) -> None:
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    told = in_words_of(no(status, words), scope["path"], accept.decode("latin-1"))
    await send_reply(send, told, bodiless=scope["method"] == "HEAD")


def where(error: Exception) -> str:
    """What broke and where, without the values that it broke on: they may name somebody."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}"
