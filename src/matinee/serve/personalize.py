"""Amazon Personalize's runtime and events: boto3 with an endpoint_url runs unmodified.

The name at the end of a campaign's or recommender's ARN is a bundle's alias, that of a filter's a note's.
Requests are signed (SigV4): with the operator's pairs of key id and secret, or with those that belong to API
keys, whose secret the server reckons from its own.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.core.errors import InputError
from matinee.serve.body import NotJson
from matinee.serve.foreign import Handler, body_of, decoded, routes_of
from matinee.serve.keys import READ, WRITE, Keys
from matinee.serve.personalize_answers import ranking, recommendations
from matinee.serve.personalize_events import put_events, put_items, put_users
from matinee.serve.personalize_select import Selector
from matinee.serve.personalize_shapes import (
    GetPersonalizedRanking,
    GetRecommendations,
    PutEvents,
    PutItems,
    PutUsers,
)
from matinee.serve.refusals import Refusal, outside_words
from matinee.serve.service import Service
from matinee.serve.signers import Signers
from matinee.serve.sigv4 import BadSignature, Signed, verify

Answering = Callable[[Any], Awaitable[dict[str, Any]]]

_ERRORS = {
    400: "InvalidInputException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "RequestTimeoutException",
    409: "ResourceInUseException",
    413: "RequestEntityTooLargeException",
    503: "ServiceUnavailableException",
}
_NOT_HERE = ("/action-recommendations", "/action-interactions", "/actions")


def routes(service: Service, pairs: Mapping[str, str] | None = None, keys: Keys | None = None) -> list[Route]:
    """Every path of the face.

    Args:
        service: what is asked and told.
        pairs: access key ids and their secrets.
        keys: API keys; each stands for a pair as well. Where both are None, any signature is good, and none
            is needed.
    """
    signers = None if pairs is None and keys is None else Signers(service.store, pairs or {}, keys)
    selector = Selector()

    async def recommend(sent: GetRecommendations) -> dict[str, Any]:
        return await recommendations(service, selector, sent)

    async def rank(sent: GetPersonalizedRanking) -> dict[str, Any]:
        return await ranking(service, selector, sent)

    async def take_events(sent: PutEvents) -> dict[str, Any]:
        return await put_events(service, sent)

    async def take_items(sent: PutItems) -> dict[str, Any]:
        return await put_items(service, sent)

    async def take_users(sent: PutUsers) -> dict[str, Any]:
        return await put_users(service, sent)

    operations: list[tuple[str, Any, Answering, str]] = [
        ("/recommendations", GetRecommendations, recommend, READ),
        ("/personalize-ranking", GetPersonalizedRanking, rank, READ),
        ("/events", PutEvents, take_events, WRITE),
        ("/items", PutItems, take_items, WRITE),
        ("/users", PutUsers, take_users, WRITE),
        *((path, Any, _no_actions, READ) for path in _NOT_HERE),
    ]
    made: list[Route] = []
    for path, shape, answering, scope in operations:
        made.extend(routes_of(path, [("POST", _handler(service, signers, shape, answering, scope))]))
    return made


async def _no_actions(_sent: Any) -> dict[str, Any]:
    raise Refusal("matinee recommends items, no actions: ask GetRecommendations.")


def _handler(
    service: Service, signers: Signers | None, shape: Any, answering: Answering, scope: str
) -> Handler:
    async def handler(request: Request) -> Response:
        try:
            body = await body_of(request, service.limits)
            if signers is not None and await signers.asked_for():
                await _refuse_unsigned(request, body, signers, scope)
            content = await answering(decoded(body, shape))
        except (Refusal, InputError) as error:
            return _no(error)
        return Response(msgspec.json.encode(content), media_type="application/json")

    return handler


async def _refuse_unsigned(request: Request, body: bytes, signers: Signers, scope: str) -> None:
    signed = Signed(
        method=request.method,
        path=(request.scope.get("raw_path") or request.url.path.encode()).decode("latin-1").partition("?")[0],
        query=request.scope["query_string"].decode("latin-1"),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]
        ],
        body=body,
    )
    key_id = verify(signed, await signers.secrets_of(signed), time.time())
    await signers.check(key_id, scope)


def _no(error: Refusal | InputError) -> Response:
    status = getattr(error, "status", 400)
    code = "SerializationException" if isinstance(error, NotJson) else _ERRORS.get(status, "ServiceException")
    if isinstance(error, BadSignature):
        code = error.code
    return Response(
        msgspec.json.encode({"message": " ".join(outside_words(error).split())}),
        403 if status == 401 else status,
        {"x-amzn-ErrorType": code},
        media_type="application/json",
    )
