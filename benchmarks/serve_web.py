"""What the web layer costs a request: everything but the answer, which is a ready one here.

    python benchmarks/serve_web.py

Two figures for each request: the application alone, called as an ASGI server calls it, with the cheapest
`receive` and `send` there are, which is what the bar is for; and the whole process behind uvicorn (httptools,
uvloop), whose CPU-seconds are divided by the requests that wrk made of it (4 connections, so that it is never
idle), beside the same server with an application that says nothing but two letters. The answer holds ten
items with titles. The least of several rounds counts, since a busy machine only adds. Results go to
results/serve_web.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from matinee.serve.app import App, make_app
from matinee.serve.asking import Answer, Ask, Recommended
from matinee.serve.service import Answers, Bundles, Limits, Service, Watch
from matinee.testing.small_store import SmallStore
from stamp import one_thread, stamp, write_result

BAR_US = 100.0
REQUESTS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "GET /livez": ("GET", "/livez", None),
    "GET /v1/popular": ("GET", "/v1/popular?k=10", None),
    "GET /v1/items/{id}/similar": ("GET", "/v1/items/a%2Fb/similar?k=10", None),
    "POST /v1/recommend": ("POST", "/v1/recommend", {"user": "u-1", "k": 10, "placement": "home"}),
    "POST /v1/recommend, history 50": (
        "POST",
        "/v1/recommend",
        {"history": [f"item-{n}" for n in range(50)], "k": 10},
    ),
}
_ANSWER = Answer(
    items=tuple(
        Recommended(item=f"item-{n}", title=f"A title of some length {n}", score=1 / n) for n in range(1, 11)
    ),
    source="blend",
    recommendation_id="A" * 60,
    bundle="monday",
)


class Ready:
    """Answers that cost nothing."""

    async def recommend(self, _ask: Ask) -> Answer:
        """The ready one."""
        return _ANSWER

    async def popular(self, _ask: Ask) -> Answer:
        """The ready one."""
        return _ANSWER

    async def similar(self, _item: str, _ask: Ask) -> Answer:
        """The ready one."""
        return _ANSWER

    def names(self) -> dict[str, str]:
        """One bundle."""
        return {"default": "monday"}


def application() -> App:
    """The application over answers that cost nothing."""
    ready = Ready()
    service = Service(
        answers=cast(Answers, ready),
        bundles=cast(Bundles, ready),
        store=SmallStore(),
        watch=cast(Watch, ready),
        limits=Limits(),
        now_ms=lambda: 0,
    )
    return make_app(service)


def alone_us(app: App, method: str, path: str, body: dict[str, Any] | None, rounds: int = 15) -> float:
    """Microseconds of the application alone."""
    sent = b"" if body is None else json.dumps(body).encode()
    way, _, query = path.partition("?")
    headers = [(b"host", b"127.0.0.1:8000"), (b"user-agent", b"wrk"), (b"accept", b"*/*")]
    if body is not None:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(sent)).encode())]
    statuses = set()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        statuses.add(message.get("status", 200))

    async def some(count: int) -> float:
        begun = time.process_time()
        for _ in range(count):
            scope = {
                "type": "http",
                "method": method,
                "path": way,
                "raw_path": way.encode(),
                "query_string": query.encode(),
                "headers": headers,
            }
            await app(scope, receive, send)
        return (time.process_time() - begun) / count * 1e6

    async def all_rounds() -> float:
        return min([await some(1000) for _ in range(rounds)])

    import uvloop

    best = uvloop.run(all_rounds())
    if statuses != {200}:
        raise SystemExit(f"{method} {path} answered {sorted(statuses)}: expected 200 alone.")
    return best


async def two_letters(scope: Any, _receive: Any, send: Any) -> None:
    """The least that an application can do."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


def _serve(bound: socket.socket, bare: bool) -> None:
    import uvicorn

    config = uvicorn.Config(
        two_letters if bare else application(),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
    )
    asyncio.Runner(loop_factory=config.get_loop_factory()).run(uvicorn.Server(config).serve([bound]))


def served_us(
    method: str, path: str, body: dict[str, Any] | None, seconds: int, *, bare: bool = False, rounds: int = 3
) -> float:
    """Microseconds of CPU a request of the whole server process."""
    bound = socket.create_server(("127.0.0.1", 0))
    server = multiprocessing.get_context("fork").Process(target=_serve, args=(bound, bare))
    server.start()
    try:
        with TemporaryDirectory() as name:
            script = Path(name) / "ask.lua"
            script.write_text(_script(method, body), encoding="utf-8")
            address = f"http://127.0.0.1:{bound.getsockname()[1]}{path}"
            return min(_round(server.pid or 0, script, address, seconds) for _ in range(rounds))
    finally:
        server.terminate()
        server.join()
        bound.close()


def _round(pid: int, script: Path, address: str, seconds: int) -> float:
    wrk = ["wrk", "--threads", "1", "--connections", "4", "--script", str(script)]
    subprocess.run([*wrk, "--duration", "1s", address], check=True, capture_output=True)
    before = _cpu_s(pid)
    told = subprocess.run(
        [*wrk, "--duration", f"{seconds}s", address], check=True, capture_output=True, text=True
    ).stdout
    spent = _cpu_s(pid) - before
    made = re.search(r"(\d+) requests in", told)
    if made is None or "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(told)
    return spent / int(made[1]) * 1e6


def _script(method: str, body: dict[str, Any] | None) -> str:
    sent = "" if body is None else f"wrk.body = [[{json.dumps(body)}]]\n"
    return f'wrk.method = "{method}"\nwrk.headers["Content-Type"] = "application/json"\n{sent}'


def _cpu_s(pid: int) -> float:
    """User and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=4, help="of each round of wrk")
    given = options.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    one_thread()
    app = application()
    rows: list[dict[str, Any]] = []
    bare = served_us("GET", "/", None, given.seconds, bare=True)
    print(f"A server whose application says two letters: {bare:.1f} us a request.", flush=True)
    for name, (method, path, body) in REQUESTS.items():
        row = {
            "request": name,
            "application_us": round(alone_us(app, method, path, body), 1),
            "server_us": round(served_us(method, path, body, given.seconds), 1),
        }
        rows.append(row)
        print(row, flush=True)
    fine = all(row["application_us"] < BAR_US for row in rows if "history" not in row["request"])
    result = {"bar_us": BAR_US, "passed": fine, "two_letters_us": round(bare, 1), "rows": rows}
    write_result("serve_web", {**result, "load": os.getloadavg()[0], **stamp()})
    if not fine:
        sys.exit(f"A request costs more than {BAR_US:g} us.")


if __name__ == "__main__":
    main()
