"""The native face: every operation in one table, with health and its own description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec
from starlette.routing import Route

from matinee.serve import (
    native_asks,
    native_bundles,
    native_events,
    native_experiments,
    native_items,
    native_viewers,
)
from matinee.serve.openapi import described
from matinee.serve.operations import Call, Operation, Resource
from matinee.serve.refusals import Busy
from matinee.serve.replies import Reply, said
from matinee.serve.schemas_said import SaidHealth
from matinee.serve.service import Limits, Service

# Why a process should not be asked now; empty where nothing speaks against it.
Ready = Callable[[], Awaitable[str]]

OPERATIONS: tuple[Operation, ...] = (
    *native_asks.OPERATIONS,
    *native_events.OPERATIONS,
    *native_viewers.OPERATIONS,
    *native_items.OPERATIONS,
    *native_bundles.OPERATIONS,
    *native_experiments.OPERATIONS,
)


def routes(service: Service, ready: Ready | None = None) -> list[Route]:
    """Every path of the native face.

    The endpoints are `Resource`s: `matinee.serve.app` finds them by the path as it was sent, so that an id
    may hold an encoded slash.

    Args:
        service: what is asked and told.
        ready: why this process should not be asked now; None: what bundles and store say.
    """
    return [Route(one.path, one) for one in resources(service, ready)]


def resources(service: Service, ready: Ready | None = None) -> list[Resource]:
    """Every path of the native face, as what answers it."""
    operations = _all(ready or (lambda: _why_not(service)))
    body = msgspec.json.encode(described(operations, service.limits))

    async def openapi(_call: Call) -> Reply:
        return Reply(body)

    by_path: dict[str, list[Operation]] = {}
    for one in (*operations, _description(openapi)):
        by_path.setdefault(one.path, []).append(one)
    return [Resource(service, some) for some in by_path.values()]


def description(limits: Limits | None = None) -> dict[str, object]:
    """The OpenAPI description, as `/openapi.json` answers it; `python -m matinee.serve.native` prints it."""
    return described(_all(_never), limits or Limits())


def _all(ready: Ready) -> tuple[Operation, ...]:
    return (*OPERATIONS, *_health(ready))


def _health(ready: Ready) -> Iterable[Operation]:
    async def livez(_call: Call) -> Reply:
        return said(SaidHealth(status="alive"))

    async def readyz(call: Call) -> Reply:
        why = await ready()
        if why:
            raise Busy(f"This process should not be asked now: {why}.")
        return said(SaidHealth(status=await call.service.status()))

    return (
        Operation(
            method="GET",
            path="/livez",
            handler=livez,
            tag="Health",
            summary="Whether the process lives",
            scope="",
            said=SaidHealth,
        ),
        Operation(
            method="GET",
            path="/readyz",
            handler=readyz,
            tag="Health",
            summary="Whether the process should be asked",
            description="A bundle is loaded, the store answers, and the process is not about to end.",
            scope="",
            said=SaidHealth,
            noes={503: "It should not be asked now."},
        ),
    )


def _description(openapi: Callable[[Call], Awaitable[Reply]]) -> Operation:
    return Operation(
        method="GET",
        path="/openapi.json",
        handler=openapi,
        tag="Health",
        summary="This description",
        scope="",
    )


async def _why_not(service: Service) -> str:
    await service.store.notes_version()
    return "" if service.bundles.names() else "no bundle is loaded"


async def _never() -> str:
    return ""


if __name__ == "__main__":
    import sys

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(description()), indent=2).decode() + "\n")
