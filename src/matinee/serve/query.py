"""Reading what stands after the question mark, as strictly as a body."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import msgspec.inspect

from matinee.serve.body import Malformed, malformed

# Fields that one query holds at most.
_MOST = 1000
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


class QueryReader:
    """Reads queries into a Struct whose fields are texts, numbers, yes or no, or lists of texts.

    Args:
        shape: the Struct; None: no query is taken.
    """

    def __init__(self, shape: type[msgspec.Struct] | None) -> None:
        self._shape = shape
        self._kinds: dict[str, str] = {}
        self._empty: msgspec.Struct | None = None
        if shape is None:
            return
        described = msgspec.inspect.type_info(shape)
        assert isinstance(described, msgspec.inspect.StructType)  # noqa: S101  a Struct is described as one
        self._kinds = {one.encode_name: _kind(one.type) for one in described.fields}
        if not any(one.required for one in described.fields):
            self._empty = shape()

    def __call__(self, query: bytes) -> Any:
        """The query as the Struct; None where none is taken.

        Raises:
            Malformed: it is not what the Struct describes.
        """
        if not query:
            return self._empty
        try:
            pairs = _pairs(query.decode("ascii"))
        except ValueError:
            raise Malformed(
                f"The query is not percent-encoded UTF-8 of at most {_MOST} fields.", "query"
            ) from None
        found: dict[str, Any] = {}
        for name, text in pairs:
            self._take(found, name, text)
        if self._shape is None:
            return None
        try:
            return msgspec.convert(found, self._shape)
        except msgspec.ValidationError as error:
            raise malformed(error, self._shape, found) from None

    def _take(self, found: dict[str, Any], name: str, text: str) -> None:
        kind = self._kinds.get(name)
        if kind is None:
            known = ", ".join(sorted(self._kinds)) or "no query at all"
            raise Malformed(f"Nothing here is called {name[:80]!r}: expected {known}.", name[:80])
        if "\x00" in text:
            raise Malformed(f"{name} holds the character U+0000: leave it out.", name)
        if kind == "list":
            found.setdefault(name, []).append(text)
            return
        if name in found:
            raise Malformed(f"{name} is given twice: expected one.", name)
        found[name] = _value(name, kind, text)


def _pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query.

    Raises:
        ValueError: there are too many, or they are not UTF-8.
    """
    parts = query.split("&")
    if len(parts) > _MOST:
        raise ValueError
    pairs = [part.partition("=") for part in parts if part]
    return [(_text(name), _text(value)) for name, _, value in pairs]


def _text(sent: str) -> str:
    return unquote_plus(sent, errors="strict") if "%" in sent or "+" in sent else sent


def _value(name: str, kind: str, text: str) -> Any:
    if kind == "text":
        return text
    if kind == "bool" and text in ("true", "false"):
        return text == "true"
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "float" and _NUMBER.fullmatch(text):
        return float(text)
    words = {"bool": "true or false", "int": "a whole number", "float": "a number"}[kind]
    raise Malformed(f"{name} is {text[:80]!r}: expected {words}.", name)


def _kind(described: msgspec.inspect.Type) -> str:
    if isinstance(described, msgspec.inspect.Metadata):
        return _kind(described.type)
    if isinstance(described, msgspec.inspect.UnionType):
        return next(_kind(one) for one in described.types if not isinstance(one, msgspec.inspect.NoneType))
    kinds = {
        msgspec.inspect.StrType: "text",
        msgspec.inspect.IntType: "int",
        msgspec.inspect.FloatType: "float",
        msgspec.inspect.BoolType: "bool",
        msgspec.inspect.ListType: "list",
    }
    return kinds[type(described)]
