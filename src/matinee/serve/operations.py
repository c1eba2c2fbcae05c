"""What the native face is made of: operations in a table, found by their path and read by their description.

The same table is what answers and what `/openapi.json` describes. Paths are matched as they were sent,
segment by segment, before percent-decoding: an id may hold an encoded slash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.types import Receive, Scope, Send

from matinee.core.errors import InputError
from matinee.serve.body import Bounded, Contradiction, Malformed, decoded, is_json, read_body, too_big
from matinee.serve.query import QueryReader
from matinee.serve.records import LONGEST_ID
from matinee.serve.refusals import Refusal
from matinee.serve.replies import Reply, no, send_reply
from matinee.serve.service import Limits, Service


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation, read and found well formed.

    Attributes:
        service: what is asked and told.
        path: what stands in the path's braces.
        query: as of the operation's `query`; None where it has none.
        body: as of the operation's `body`; None where it has none, or it may be and was left out.
    """

    service: Service
    path: Mapping[str, str]
    query: Any = None
    body: Any = None


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        method: HTTP's.
        path: with names in braces, such as "/v1/items/{id}".
        handler: what does it.
        tag: the group under which it is described.
        summary: what it does, in a few words.
        description: whatever else is to be known.
        scope: what a key must be good for; empty: it is answered without one.
        query: what may stand after the question mark.
        body: what is sent, as JSON.
        optional: whether the body may be left out.
        said: what is answered.
        status: the status of that.
        noes: why it may not be answered, beside what any operation may say: status and reason.
        example: a body to try.
        given: values for the path's names to try.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    description: str = ""
    scope: str = "read"
    query: type[msgspec.Struct] | None = None
    body: Any = None
    optional: bool = False
    said: Any = None
    status: int = 200
    noes: Mapping[int, str] = field(default_factory=dict)
    example: Any = None
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name that no other operation has."""
        return self.handler.__name__

    @cached_property
    def reads_query(self) -> QueryReader:
        """What reads its query."""
        return QueryReader(self.query)

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """What reads its body."""
        return msgspec.json.Decoder(self.body)


class Resource:
    """One path with its methods: an ASGI application that reads, asks and answers.

    Args:
        service: what is asked and told.
        operations: all of one path.
    """

    def __init__(self, service: Service, operations: Iterable[Operation]) -> None:
        self.operations = {one.method: one for one in operations}
        self.path = next(iter(self.operations.values())).path
        self._service = service
        methods = {*self.operations, "OPTIONS", *(["HEAD"] if "GET" in self.operations else ())}
        self.allow = (b"allow", ", ".join(sorted(methods)).encode())

    def operation(self, method: str) -> Operation | None:
        """What a method does here; None where it is not allowed."""
        return self.operations.get("GET" if method == "HEAD" else method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; names of the path are in `scope["path_params"]`."""
        reply = await self.reply(scope, receive)
        await send_reply(send, reply, bodiless=scope["method"] == "HEAD")

    async def reply(self, scope: Scope, receive: Receive) -> Reply:
        """What one request is answered.

        Raises:
            Refusal: it is not.
        """
        method = scope["method"]
        operation = self.operation(method)
        if operation is not None:
            return await self._answer(operation, scope, receive)
        return Reply(b"", 204, (self.allow,)) if method == "OPTIONS" else self._not_allowed(method)

    async def _answer(self, operation: Operation, scope: Scope, receive: Receive) -> Reply:
        path = scope["path_params"]
        query = operation.reads_query(scope["query_string"])
        body = None
        if operation.body is not None:
            body = await read_json(operation, scope, receive, self._service.limits)
        try:
            return await operation.handler(Call(self._service, path, query, body))
        except InputError as error:
            raise Contradiction(str(error)) from None
        except Refusal as refusal:
            # What is described was kept to: a plain no is about what it means.
            if refusal.status == Refusal.status and not isinstance(refusal, Malformed):
                raise Contradiction(str(refusal)) from None
            raise

    def _not_allowed(self, method: str) -> Reply:
        allowed = self.allow[1].decode()
        return no(405, f"{self.path} does not know {method}: it knows {allowed}.", None, self.allow)


async def read_json(operation: Operation, scope: Scope, receive: Receive, limits: Limits) -> Any:
    """The body of a request as its operation describes it; None where it may be and was left out.

    Raises:
        Malformed: it is not what is described, or of another type.
        TooBig, TooSlow: as limits say.
    """
    kind, length = b"", None
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"content-length":
            length = int(value) if value.isdigit() else None
    if length is not None and length > limits.body_bytes:
        raise too_big(limits)
    body = await read_body(Bounded(receive, limits))
    if operation.optional and not body:
        return None
    if not is_json(kind):
        shown = kind.decode("latin-1")[:80]
        raise Malformed(
            f"Expected the header Content-Type: application/json, found {shown!r}.", "Content-Type", 415
        )
    return decoded(operation.decoder, body)


class Table:
    """Which resource a path means.

    Args:
        resources: all that there are.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._plain = {one.path.encode(): one for one in resources}
        self._named: dict[int, list[tuple[list[bytes], Resource]]] = {}
        for one in self._plain.values():
            segments = one.path.encode().split(b"/")[1:]
            self._named.setdefault(len(segments), []).append((segments, one))

    def find(self, path: bytes) -> tuple[Resource, dict[str, str]] | None:
        """The resource of a path as it was sent, and what stands for its names; None where there is none.

        Raises:
            Malformed: a segment is no text, empty or too long for an id.
        """
        plain = self._plain.get(path)
        if plain is not None:
            return plain, {}
        sent = path.split(b"/")[1:]
        for segments, resource in self._named.get(len(sent), ()):
            names = {}
            for mine, theirs in zip(segments, sent, strict=True):
                if mine.startswith(b"{"):
                    names[mine] = theirs
                elif mine != theirs and mine != unquote_to_bytes(theirs):
                    break
            else:
                return resource, {name[1:-1].decode(): _id(value) for name, value in names.items()}
        return None


def _id(segment: bytes) -> str:
    try:
        text = (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
    except UnicodeDecodeError:
        raise Malformed("The id in the path is not UTF-8: percent-encode it as such.", "path") from None
    if not 0 < len(text) <= LONGEST_ID or "\x00" in text:
        raise Malformed(
            f"The id in the path has {len(text)} characters: expected 1 to {LONGEST_ID}, U+0000 not among "
            "them.",
            "path",
        )
    return text
