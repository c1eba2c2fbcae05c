"""The web application: three faces and a page on one port, behind one door.

The native face is found by a table of its own, by the path as it was sent, and costs a few dozen
microseconds; the other faces are Starlette's routes. Around all of them: who may, how much, from where, and
what every answer bears. Nothing here knows a model or a database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from matinee.core.errors import MatineeError
from matinee.serve import native
from matinee.serve.body import Bounded, Malformed, too_big
from matinee.serve.faces import Face, Faces, faces_of, in_words_of
from matinee.serve.keys import READ, Keys, key_of
from matinee.serve.operations import Call, Operation, Resource, Table
from matinee.serve.refusals import Forbidden, Refusal
from matinee.serve.replies import SECURITY, Header, Reply, is_foreign, no, refused, send_reply
from matinee.serve.service import Service

# The text that Prometheus reads.
Metrics = Callable[[], Awaitable[bytes]]

# Where whoever counts requests finds the route's template and its face.
ROUTE = "matinee.route"
_PROMETHEUS: Header = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = no(500, "Something went wrong here, not with the request; the server's log says what.")
# Where a browser says whose page sends a request; nobody else has these headers.
_BROWSERS_SAY = frozenset({b"origin", b"sec-fetch-site"})
_LOOKED_AT = frozenset(
    {b"accept", b"authorization", b"x-api-key", b"host", b"origin", b"sec-fetch-site", b"content-length"}
)


def make_app(
    service: Service,
    *,
    keys: Keys | None = None,
    aws: Mapping[str, str] | None = None,
    ready: native.Ready | None = None,
    metrics: Metrics | None = None,
    hosts: Collection[str] | None = None,
) -> App:
    """Put the faces together.

    Args:
        service: what is asked and told.
        keys: what looks at keys; None: whoever comes may do everything: for this machine alone.
        aws: access key ids and their secrets, for clients of Personalize; None: any signature is good, unless
            keys are asked for.
        ready: why this process should not be asked now; None: what bundles and store say.
        metrics: what `/metrics` answers; None: there is no such path.
        hosts: the names by which the server may be called, without port; None: any. On a machine's own
            address, where no key is asked for, this keeps pages of other sites out, whatever their name
            resolves to.
    """
    resources = native.resources(service, ready)
    if metrics is not None:
        resources.append(Resource(service, [_figures(metrics)]))
    return App(service, resources, faces_of(service, keys, aws, metrics), keys=keys, hosts=hosts)


class App:
    """The application, as ASGI.

    Args:
        service: what is asked and told.
        resources: the native face's paths.
        faces: the other faces.
        keys: what looks at keys.
        hosts: the names by which the server may be called.
    """

    def __init__(
        self,
        service: Service,
        resources: Sequence[Resource],
        faces: Sequence[Face],
        *,
        keys: Keys | None,
        hosts: Collection[str] | None,
    ) -> None:
        self.faces = faces
        self._limits = service.limits
        self._table, self._routers = Table(resources), Faces(faces)
        self._keys, self._hosts = keys, None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; events of a process's life are acknowledged, sockets closed."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, Outgoing(send))
        else:
            await send({"type": "websocket.close", "code": 1003, "reason": "There are no sockets here."})

    async def _http(self, scope: Scope, receive: Receive, send: Outgoing) -> None:
        found = {name: value for name, value in scope["headers"] if name in _LOOKED_AT}
        broken: Exception | None = None
        try:
            self._refuse_foreign(scope, found)
            at = self._table.find(scope.get("raw_path") or scope["path"].encode())
            if at is None:
                await self._faces(scope, receive, send, found)
                return
            reply = await self._native(at[0], at[1], scope, receive, found)
        except ConnectionResetError:
            # Who went away is told nothing.
            return
        except Exception as error:
            if send.begun:
                raise
            said = self._said_to(error, scope)
            reply, broken = (_OURS, error) if said is None else (said, None)
        if reply.status >= HTTPStatus.BAD_REQUEST:
            reply = in_words_of(reply, scope["path"], found.get(b"accept", b"").decode("latin-1"))
        await send_reply(send.plain, reply, bodiless=scope["method"] == "HEAD")
        if broken is not None:
            raise broken

    def _said_to(self, error: Exception, scope: Scope) -> Reply | None:
        """The no that an error is; None where it is a mistake of ours."""
        if isinstance(error, MatineeError):
            return refused(error if isinstance(error, Refusal) else Malformed(str(error)))
        if not isinstance(error, HTTPException):
            return None
        if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
            return no(error.status_code, error.detail)
        known = ", ".join(self._routers.methods(scope))
        words = f"This path does not know {scope['method'][:20]}: it knows {known}."
        return no(error.status_code, words, None, (b"allow", known.encode()))

    async def _native(
        self,
        resource: Resource,
        names: dict[str, str],
        scope: Scope,
        receive: Receive,
        found: Mapping[bytes, bytes],
    ) -> Reply:
        scope["path_params"], scope[ROUTE] = names, (resource.path, "native")
        operation = resource.operation(scope["method"])
        if self._keys is not None and operation is not None and operation.scope:
            await self._keys.check(key_of(found), operation.scope)
        return await resource.reply(scope, receive)

    async def _faces(self, scope: Scope, receive: Receive, send: Send, found: Mapping[bytes, bytes]) -> None:
        router = self._routers.at(scope["path"])
        length = found.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limits.body_bytes:
            raise too_big(self._limits)
        if scope["method"] not in _READING:
            receive = Bounded(receive, self._limits)
        # So that a method which a path does not know is refused here, not by the router.
        scope["app"] = self
        await router(scope, receive, send)

    def _refuse_foreign(self, scope: Scope, found: Mapping[bytes, bytes]) -> None:
        if self._hosts is not None and _host(found.get(b"host", b"")) not in self._hosts:
            raise Refusal(
                "This server is not called by the name in the header Host: use the address that it printed "
                "at its start.",
                HTTPStatus.MISDIRECTED_REQUEST,
            )
        if scope["method"] in _READING or found.keys().isdisjoint(_BROWSERS_SAY):
            return
        said = {name: value.decode("latin-1") for name, value in found.items()}
        if is_foreign(said.get(b"sec-fetch-site"), said.get(b"origin"), said.get(b"host", "")):
            raise Forbidden("A page of another site sent this: only this server's own pages may.")


class Outgoing:
    """A request's `send`: remembers whether an answer has begun, and adds what every answer bears.

    Args:
        send: the server's, which is kept as `plain`.
    """

    __slots__ = ("begun", "plain")

    def __init__(self, send: Send) -> None:
        self.plain, self.begun = send, False

    async def __call__(self, message: Message) -> None:
        """Send one message of the answer."""
        if message["type"] == "http.response.start":
            self.begun = True
            headers: list[Header] = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            headers += [one for one in SECURITY if one[0] not in there]
            message["headers"] = headers
        await self.plain(message)


def _figures(metrics: Metrics) -> Operation:
    async def figures(_call: Call) -> Reply:
        return Reply(await metrics(), kind=_PROMETHEUS)

    return Operation(
        method="GET", path="/metrics", handler=figures, tag="Health", summary="Figures", scope=READ
    )


def _host(header: bytes) -> str:
    """The name in a Host header, without port and brackets."""
    text = header.decode("latin-1").lower()
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
