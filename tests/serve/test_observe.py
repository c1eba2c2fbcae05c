"""Requests are counted and logged by their route's template; what breaks is told without its values."""

import asyncio
import json

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from matinee.serve.health import Health
from matinee.serve.metrics import Metrics
from matinee.serve.observe import Observed, templates_of
from matinee.serve.request_log import RequestLog


class Kept:
    """Lines, kept."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


async def fine(_request):
    return PlainTextResponse("fine")


async def breaks(request):
    raise KeyError(request.path_params["id"])


def watched(health):
    routes = [Route("/fine/{id}", fine), Mount("/under", routes=[Route("/breaks/{id}", breaks)])]
    kept, metrics = Kept(), Metrics()
    log = RequestLog("json", kept)
    app = Observed(Starlette(routes=routes), templates_of({"gorse": routes}), health, metrics, log)
    return app, kept, metrics, log


def got(app, *paths):
    async def story():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(story())


def test_names_routes_faces_and_defects_and_nobody():
    app, kept, metrics, log = watched(Health())
    answers = got(app, "/fine/anna?token=bertha", "/under/breaks/carla", "/nowhere/dora")
    assert [one.status_code for one in answers] == [200, 500, 404]
    log.close()
    lines = [json.loads(line) for line in kept.data.splitlines()]
    assert [(one["route"], one["face"], one["status"]) for one in lines] == [
        ("/fine/{id}", "gorse", 200),
        ("/under/breaks/{id}", "gorse", 500),
        ("unmatched", "none", 404),
    ]
    assert lines[1]["error"].startswith("KeyError at test_observe.py:")
    text = asyncio.run(metrics.text()).decode()
    assert 'matinee_requests_total{face="gorse",method="GET",route="/fine/{id}",status="200"} 1.0' in text
    for name in ("anna", "bertha", "carla", "dora"):
        assert name not in kept.data.decode() + text


def test_clients_are_asked_to_go_while_the_server_takes_its_leave():
    health = Health()
    app, _, _, log = watched(health)
    assert "connection" not in got(app, "/fine/1")[0].headers
    health.leaving = True
    assert got(app, "/fine/1")[0].headers["connection"] == "close"
    log.close()


def test_placements_of_callers_do_not_become_labels_without_end():
    metrics = Metrics()
    assert metrics.word("home") == "home"
    words = {metrics.word(f"made-up-{number}") for number in range(1000)}
    assert len(words) <= 51
    assert "other" in words
    assert metrics.word("home") == "home"
    assert metrics.word("x" * 1000) == "other"
