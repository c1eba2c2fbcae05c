"""Whether this process answers, whether it should be asked, and how it does: /livez, /readyz, /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from matinee.core.errors import MatineeError
from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.service import Service

# A store that takes longer to say a number is not ready.
_STORE_S = 2.0


@dataclass
class Health:
    """What this process says of itself.

    Attributes:
        leaving: whether it takes its leave: it answers whoever is connected, and asks others to go elsewhere.
    """

    leaving: bool = False

    async def why_not_ready(self, service: Service) -> str:
        """Why nobody should ask here now; empty where nothing speaks against it."""
        if self.leaving:
            return "it is about to end"
        if DEFAULT_ALIAS not in service.bundles.names():
            return f"no bundle has the alias {DEFAULT_ALIAS}"
        try:
            await asyncio.wait_for(service.store.notes_version(), _STORE_S)
        except TimeoutError:
            return "the store does not answer"
        except MatineeError as error:
            return str(error)
        return ""


def routes(service: Service, health: Health, metrics: Callable[[], Awaitable[bytes]]) -> list[Route]:
    """`/livez`, `/readyz` and `/metrics`.

    Args:
        service: what is asked.
        health: of this process.
        metrics: the text that Prometheus reads.
    """

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        why = await health.why_not_ready(service)
        return PlainTextResponse(f"not ready: {why}\n", 503) if why else PlainTextResponse("ok\n")

    async def prometheus(_request: Request) -> Response:
        return Response(await metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [
        Route("/livez", livez, name="livez"),
        Route("/readyz", readyz, name="readyz"),
        Route("/metrics", prometheus, name="metrics"),
    ]
