"""What both foreign faces do with a request: read its body, its numbers, ids and moments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.data.times import to_ms
from matinee.serve.body import NUL, Bounded, read_body
from matinee.serve.body import decoded as read
from matinee.serve.records import LONGEST_ID
from matinee.serve.refusals import Refusal
from matinee.serve.service import Limits

Handler = Callable[[Request], Awaitable[Response]]
# Ways of writing a moment that Gorse's clients use and ISO 8601 does not know.
_OTHER_WAYS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%m/%d/%Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%a, %d %b %Y %H:%M:%S %Z",
    "%a %b %d %H:%M:%S %Y",
)


async def body_of(request: Request, limits: Limits) -> bytes:
    """The body of a request.

    Raises:
        TooBig, TooSlow: it is larger, or comes slower, than the limits allow.
    """
    return await read_body(Bounded(request.receive, limits))


def decoded(body: bytes, shape: Any) -> Any:
    """A body as the JSON of a shape.

    Raises:
        Refusal: it is no JSON, not of the shape, or holds a character that no store keeps.
    """
    return read(_decoder(shape), body)


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def routes_of(path: str, handlers: Sequence[tuple[str, Handler]]) -> list[Route]:
    """Routes of one path, with and without a slash at its end.

    Args:
        path: without a slash at its end.
        handlers: methods such as "GET" or "GET,HEAD", and what answers them.
    """
    return [
        Route(one, handler, methods=methods.split(","))
        for one in (path, path + "/")
        for methods, handler in handlers
    ]


def whole_number(request: Request, name: str, default: int, most: int) -> int:
    """A whole number of the query, from 0 to `most`.

    Raises:
        Refusal: it is none, or out of range.
    """
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 18 or int(text) > most:
        raise Refusal(f"{name} is {text[:40]!r}, and was expected to be a whole number from 0 to {most:,}.")
    return int(text)


def checked_id(what: str, text: str) -> str:
    """An id as it came.

    Raises:
        Refusal: it is empty, blank or longer than an id may be.
    """
    if not text.strip():
        raise Refusal(f"{what} is empty: give an id of 1 to {LONGEST_ID} characters.")
    if len(text) > LONGEST_ID:
        raise Refusal(f"{what} has {len(text):,} characters: an id has at most {LONGEST_ID}.")
    if NUL in text:
        raise Refusal(f"{what} has a NUL character: give an id of printable characters.")
    return text


def moment_ms(what: str, text: str | None) -> int | None:
    """Milliseconds since 1970 of a moment in words or in numbers; None where there is none.

    Raises:
        Refusal: it is no moment after 1970.
    """
    if text is None or not text.strip():
        return None
    times = to_ms(pa.array([text.strip()]))
    if times.bad is None:
        return int(times.ms[0])
    for way in _OTHER_WAYS:
        try:
            found = datetime.strptime(text.strip(), way).replace(tzinfo=UTC)
        except ValueError:
            continue
        return int(found.timestamp() * 1000)
    raise Refusal(f"{what} is {text[:40]!r}: expected a moment after 1970 such as 2024-05-01T12:00:00Z.")


def moment_text(ms: int | None) -> str:
    """A moment as Go writes it: no more digits than needed, and its zero time where there is none."""
    if ms is None:
        return "0001-01-01T00:00:00Z"
    text = datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{ms % 1000:03d}".rstrip("0") if ms % 1000 else "") + "Z"
