"""What goes back: JSON with its headers, and every no in the same shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from starlette.types import Send

from matinee.serve.refusals import Refusal, outside_words

Header = tuple[bytes, bytes]

# Nothing that this server sends is to be framed, sniffed, cached or loaded by another site; a face that needs
# it otherwise sets the header itself.
SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
JSON: Header = (b"content-type", b"application/json")
TEXT: Header = (b"content-type", b"text/plain; charset=utf-8")
_ENCODER = msgspec.json.Encoder()


class Reply(NamedTuple):
    """One answer over HTTP.

    Attributes:
        body: all of it, or what comes before `more`.
        status: HTTP's.
        headers: beside type, length and those that are in every answer.
        kind: the header that says what it is.
        more: the rest, in parts; its length is then not said.
    """

    body: bytes
    status: int = 200
    headers: tuple[Header, ...] = ()
    kind: Header = JSON
    more: AsyncIterator[bytes] | None = None


def said(value: Any, status: int = 200, *headers: Header) -> Reply:
    """A reply of JSON."""
    return Reply(_ENCODER.encode(value), status, headers)


def refused(refusal: Refusal) -> Reply:
    """A no, as JSON: {"error": {"status", "message", "field"}}."""
    return no(refusal.status, outside_words(refusal), getattr(refusal, "field", None))


def no(status: int, message: str, field: str | None = None, *headers: Header) -> Reply:
    """A no by its parts, with the headers that its status calls for."""
    body = {"error": {"status": status, "message": message, "field": field}}
    return Reply(_ENCODER.encode(body), status, (*headers, *no_headers(status)))


def no_headers(status: int) -> tuple[Header, ...]:
    """What the status of a no calls for."""
    if status == HTTPStatus.UNAUTHORIZED:
        return ((b"www-authenticate", b'Bearer realm="matinee", charset="UTF-8"'),)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return ((b"retry-after", b"1"),)
    # What was not read to its end cannot be told from the next request.
    closes = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return ((b"connection", b"close"),) if status in closes else ()


def message_of(reply: Reply) -> str:
    """The sentence of a no."""
    return str(msgspec.json.decode(reply.body)["error"]["message"])


def prefers_page(accept: str) -> bool:
    """Whether a header Accept would rather have HTML than JSON or plain text, as those of browsers do."""
    weights = {"text/html": 0.0, "application/json": 0.0, "text/plain": 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        if kind in weights:
            weights[kind] = _weight(parameters)
    page = weights.pop("text/html")
    return page > max(weights.values())


def _weight(parameters: list[str]) -> float:
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def is_foreign(site: str | None, origin: str | None, host: str) -> bool:
    """Whether a browser says that a page of another site sends this; False where no browser says anything.

    Args:
        site: the header Sec-Fetch-Site.
        origin: the header Origin.
        host: the header Host.
    """
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and not is_own(origin, host)


def is_own(origin: str, host: str) -> bool:
    """Whether an Origin is this server, by the name that the request called it."""
    return origin.partition("://")[2] == host


async def send_reply(send: Send, reply: Reply, *, bodiless: bool = False) -> None:
    """Send a reply; `bodiless`: its headers alone, as HEAD asks."""
    headers = [*(_beside(reply.headers) if reply.headers else SECURITY), *reply.headers]
    if reply.status != HTTPStatus.NO_CONTENT:
        headers.append(reply.kind)
    if reply.more is None and reply.status != HTTPStatus.NO_CONTENT:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if bodiless:
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.body", "body": reply.body, "more_body": reply.more is not None})
    if reply.more is not None:
        async for part in reply.more:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _beside(theirs: tuple[Header, ...]) -> list[Header]:
    names = {name for name, _ in theirs}
    return [one for one in SECURITY if one[0] not in names]
