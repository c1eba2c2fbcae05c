"""The native face's description, OpenAPI 3.1: made from the table of operations and the Structs they name."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from matinee.serve.operations import Operation
from matinee.serve.schemas import Id
from matinee.serve.schemas_said import SaidNo
from matinee.serve.service import Limits

_REF = "#/components/schemas/{name}"
_ABOUT = """Recommendations that change with the next click.

Tell what viewers did (`/v1/events`), ask what they would like (`/v1/recommend`). An event that was
acknowledged is on disk and counts in the next answer. Every answer has a `recommendation_id`; events that
bring it say which answer they followed from.

Times are sent as ISO 8601 with an offset or as milliseconds since 1970, UTC, and answered as milliseconds.
Ids are texts of 1 to 256 characters, percent-encoded in paths, slashes included. What is not described
here is refused. A request's header, its first line included, has 32 KiB at most. Whoever would rather have
`text/html`, as browsers do, is told every no as a page.
"""
# What any operation may say, and what only those say that are sent something.
_NOES = {
    400: "What was sent is not what is described here; `field` names the place.",
    401: "No key came, or one that nobody knows.",
    403: "The key is not good for this, or the request came from a page of another site.",
    405: "The path does not know this method.",
    422: "What was sent is as described, yet cannot be: it contradicts itself, the clock or what is known.",
    500: "A mistake of the server's; it is in its log.",
    503: "The server is busy, or its store cannot be reached: try again.",
}
_NOES_SENT = {
    408: "The body did not come in time.",
    413: "The body is larger than is taken in at once.",
    415: "The body is not `application/json`.",
}
_OPEN = (400, 405, 422, 500, 503)
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_SPECIAL = {
    401: ("WWW-Authenticate", "How to bring a key."),
    405: ("Allow", "The methods that the path knows."),
    503: ("Retry-After", "Seconds after which to try again."),
}


def described(operations: Sequence[Operation], limits: Limits) -> dict[str, Any]:
    """The description of operations, as plain JSON values.

    Args:
        operations: every operation.
        limits: what comes in at most.
    """
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "matinee",
            "version": _version(),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(one.tag for one in operations)],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations, limits),
            "headers": {name: _fixed(value) for name, value in _SAFE.items()},
            "securitySchemes": _schemes(),
        },
    }


def _version() -> str:
    from importlib.metadata import version

    return version("matinee")


def _schemes() -> dict[str, Any]:
    about = "A key with the scope that the operation names; without configured keys none is asked for."
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": about},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": about},
    }


def _fixed(value: str) -> dict[str, Any]:
    return {"required": True, "schema": {"type": "string", "const": value}}


def _schemas(operations: Iterable[Operation], limits: Limits) -> dict[str, Any]:
    named = {one.body for one in operations} | {one.said for one in operations} | {SaidNo}
    made: dict[str, Any] = msgspec.json.schema_components(
        sorted((one for one in named if one is not None), key=lambda one: str(one.__name__)),
        ref_template=_REF,
    )[1]
    sent = made["EventsSent"]
    for name in ("events", "impressions"):
        sent["properties"][name]["maxItems"] = limits.events
    sent["anyOf"] = [
        {"required": [name], "properties": {name: {"minItems": 1}}} for name in ("events", "impressions")
    ]
    return made


def _operation(one: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "parameters": [*_in_path(one), *_in_query(one)],
        "responses": _responses(one),
        "security": [{"bearer": []}, {"key": []}] if one.scope else [],
    }
    about = " ".join(part for part in (one.description, _scope(one)) if part)
    if about:
        made["description"] = about
    if one.body is not None:
        content: dict[str, Any] = {"schema": {"$ref": _REF.format(name=one.body.__name__)}}
        if one.example is not None:
            content["example"] = one.example
        made["requestBody"] = {"required": not one.optional, "content": {"application/json": content}}
    return made


def _scope(one: Operation) -> str:
    return f"Needs a key with the scope `{one.scope}`, where keys are configured." if one.scope else ""


def _in_path(one: Operation) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(Id)
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": "Percent-encoded, slashes included.",
            "schema": schema,
            **({"example": one.given[name]} if name in one.given else {}),
        }
        for name in re.findall(r"{(\w+)}", one.path)
    ]


def _in_query(one: Operation) -> list[dict[str, Any]]:
    if one.query is None:
        return []
    shape = msgspec.json.schema_components([one.query])[1][one.query.__name__]
    return [
        _parameter(name, copy.deepcopy(schema), name in shape["required"])
        for name, schema in shape["properties"].items()
    ]


def _parameter(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    about = schema.pop("description", "")
    if schema.get("default", 0) is None:
        del schema["default"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if kinds:
        # Nothing stands for "null" in a query: it is left out.
        del schema["anyOf"]
        schema.update(kinds[0])
    return {"name": name, "in": "query", "required": required, "description": about, "schema": schema}


def _responses(one: Operation) -> dict[str, Any]:
    fine: dict[str, Any] = {"description": "Done.", "headers": _headers(one.status)}
    if one.said is not None:
        schema = {"$ref": _REF.format(name=one.said.__name__)}
        fine["content"] = {"application/json": {"schema": schema}}
    noes = {status: why for status, why in _NOES.items() if one.scope or status in _OPEN}
    if one.body is not None:
        noes |= _NOES_SENT
    noes |= one.noes
    return {str(one.status): fine} | {str(status): _no(status, noes[status]) for status in sorted(noes)}


def _no(status: int, why: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=SaidNo.__name__)}
    error = {"status": status, "message": why, "field": None}
    return {
        "description": why,
        "headers": _headers(status),
        "content": {"application/json": {"schema": schema, "example": {"error": error}}},
    }


def _headers(status: int) -> dict[str, Any]:
    headers: dict[str, Any] = {name: {"$ref": f"#/components/headers/{name}"} for name in _SAFE}
    if status in _SPECIAL:
        name, about = _SPECIAL[status]
        headers[name] = {"required": True, "description": about, "schema": {"type": "string"}}
    return headers
