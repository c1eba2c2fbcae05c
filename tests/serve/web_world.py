"""The real application over a real bundle and a real store, in an event loop of its own."""

import asyncio
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pyarrow as pa
import uvicorn

from matinee.recommenders.transitions import Transitions
from matinee.serve.app import App, make_app
from matinee.serve.hashed_ids import hashing
from matinee.serve.keys import Keys
from matinee.serve.service import Limits, Service
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.start import start_service
from matinee.testing.made_logs import random_log

NOW_MS = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000
ITEMS = 30


@cache
def the_bundle():
    """A small bundle, written once a process."""
    folder = TemporaryDirectory()
    # Kept from the collector, and so from the broom, until the process ends.
    return write_bundle(Path(folder.name) / "monday"), folder


def write_bundle(folder, seed=1):
    """A small bundle whose items have titles and series; its viewers are v0, v1 ..., its items i0, i1 ..."""
    log = random_log(seed, n_items=ITEMS)
    table = pa.table(
        {
            "id": [f"i{code}" for code in range(ITEMS)],
            "title": [f"Film {code}" for code in range(ITEMS)],
            "series": [f"series {code % 3}" for code in range(ITEMS)],
        }
    )
    Transitions().fit(replace(log, item_table=table)).save(folder)
    return folder


@dataclass
class World:
    """A service, its application, and the loop in which both live."""

    service: Service
    app: App
    keys: Keys
    loop: asyncio.AbstractEventLoop

    def do(self, coroutine) -> Any:
        """What a coroutine returns, run where the service lives."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, past any socket."""

        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **more)

        return self.do(sent())

    @contextmanager
    def on_a_port(self):
        """The application behind a real server; its address."""
        bound = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(self.app, lifespan="on", log_level="error", access_log=False, http="httptools")
        )
        serving = asyncio.run_coroutine_threadsafe(server.serve([bound]), self.loop)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            serving.result(30)
            bound.close()


@contextmanager
def world(folder, *, locked=False, limits=None, key=None, **more):
    """The whole, for the time of a test.

    Args:
        folder: an empty one.
        locked: whether keys are asked for.
        limits: what comes in at most.
        key: what makes hashes of ids, where they are kept as such.
        **more: of the application.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = None
    try:

        async def made_in_loop() -> World:
            store = hashing(open_sqlite(folder / "store.db"), key)
            service = await start_service([the_bundle()[0]], store, limits or Limits(), now_ms=lambda: NOW_MS)
            keys = Keys(store, lambda: NOW_MS)
            app = make_app(service, keys=keys if locked else None, **more)
            return World(service, app, keys, loop)

        made = asyncio.run_coroutine_threadsafe(made_in_loop(), loop).result(60)
        yield made
    finally:
        if made is not None:
            made.do(made.service.store.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
