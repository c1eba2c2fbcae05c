"""Reading what is sent: never more than agreed, never longer than agreed, and JSON as it is described."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.types import Message, Receive

from matinee.serve.refusals import Refusal, TooBig
from matinee.serve.service import Limits
from matinee.serve.wrong_shape import UNSEEN, wrong_shape

T = TypeVar("T")
# What a database of text cannot keep.
NUL = "\x00"
# What msgspec says of a text that is no JSON, and what is said here.
_NO_JSON = {
    "Input data was truncated": "one that ends too early",
    "trailing characters": "something after its end",
    "invalid character": "a character that does not belong there",
    "object keys must be strings": "a name that is not in double quotes",
    "invalid number": "a number that is written otherwise",
    "Number out of range": "a number out of range",
}


class Malformed(Refusal):
    """What was sent is not what the description says.

    Args:
        message: what was found, expected and to be done.
        field: the place in what was sent, such as "events[3].time"; None where it has none.
        status: the HTTP status.
    """

    def __init__(self, message: str, field: str | None = None, status: int | None = None) -> None:
        super().__init__(message, status)
        self.field = field


class NotJson(Malformed):
    """What was sent is no JSON at all."""


class Contradiction(Malformed):
    """What was sent is well formed, and yet cannot be: the clock or another part of it speaks against it."""

    status = 422


class TooSlow(Refusal):
    """What was to be sent did not come in time."""

    status = 408


class Bounded:
    """A request's `receive` that gives up when too much comes, or too late.

    Args:
        receive: the server's.
        limits: how much, and how long.

    Raises:
        TooBig: more bytes than `limits.body_bytes`.
        TooSlow: the whole was not there after `limits.body_s`.
    """

    __slots__ = ("_left", "_limits", "_open", "_receive", "_until")

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._left, self._open = limits.body_bytes, True
        self._until: float | None = None

    async def __call__(self) -> Message:
        """The next message of the request."""
        if not self._open:
            return await self._receive()
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + self._limits.body_s
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow(
                f"The request's body was not complete after {self._limits.body_s:g} seconds: send it in one "
                "go, or in smaller parts."
            ) from None
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise too_big(self._limits)
        self._open = bool(message.get("more_body", False))
        return message


def too_big(limits: Limits) -> TooBig:
    """What is said to a body above the limit."""
    return TooBig(
        f"The request's body is larger than the {limits.body_bytes:,} bytes that are taken in at once: send "
        "it in parts."
    )


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request.

    Raises:
        ConnectionResetError: the sender went away.
        TooBig, TooSlow: as `Bounded` says.
    """
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("The sender went away before the body was complete.")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def is_json(content_type: bytes) -> bool:
    """Whether a Content-Type header says JSON."""
    return content_type.partition(b";")[0].strip().lower() == b"application/json"


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """JSON as the decoder's type.

    Raises:
        NotJson: it is no JSON.
        Malformed: it is not of this shape.
        Contradiction: a text holds the character U+0000.
    """
    try:
        value = _fitting(decoder, body)
        # A decoder that looks at every text costs more than an answer; the bytes tell first whether it must.
        if b"\\u0000" in body:
            refuse_nul(msgspec.to_builtins(value))
    except msgspec.ValidationError as error:
        raise malformed(error, decoder.type, _seen(body)) from None
    except UnicodeDecodeError as error:
        raise NotJson(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from None
    except msgspec.DecodeError as error:
        raise NotJson(f"Expected a body of JSON, found {_no_json(body, str(error))}.") from None
    except RecursionError:
        raise NotJson("The JSON is nested deeper than is taken in: keep it flat.") from None
    return value


def _no_json(body: bytes, text: str) -> str:
    if not body.strip():
        return "nothing"
    byte = re.search(r"\(byte (\d+)\)", text)
    words = next((said for sign, said in _NO_JSON.items() if sign in text), "something else")
    return f"{words} (byte {byte[1]})" if byte else words


def _seen(body: bytes) -> Any:
    """A body as plain values, to be looked at again; UNSEEN where it cannot be."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNSEEN


def _fitting(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        # To JSON 3.0 is as whole as 3, and some languages know no other way to write it.
        if "got `float`" not in str(error):
            raise
    return msgspec.convert(_whole(msgspec.json.decode(body)), decoder.type)


def _whole(value: Any) -> Any:
    """JSON values with every whole number as one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list) else value


def malformed(error: msgspec.ValidationError, shape: Any, value: Any = UNSEEN) -> Malformed:
    """A violated description in the words of this house.

    Args:
        error: what msgspec says.
        shape: what was described.
        value: what was sent.
    """
    told = wrong_shape(error, shape, value)
    return Malformed(told.sentence, told.place)


def refuse_nul(value: Any, place: str = "") -> None:
    """Refuse texts that hold the character U+0000, wherever they are.

    Raises:
        Contradiction: one does.
    """
    if isinstance(value, str):
        if NUL in value:
            raise Contradiction(
                f"{place or 'A text'} holds the character U+0000, which cannot be kept: leave it out.",
                place or None,
            )
        return
    for name, part in _parts(value):
        refuse_nul(name, place)
        refuse_nul(part, f"{place}.{name}".lstrip(".") if isinstance(value, Mapping) else f"{place}[{name}]")


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, list | tuple) else ()
