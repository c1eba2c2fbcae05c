"""A real server in a thread, on a port of its own: for tests with clients that nobody here wrote."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from matinee.serve.app import make_app
from matinee.serve.keys import Keys
from matinee.serve.service import Service
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.start import clock, start_service

T = TypeVar("T")
_BEGINS_IN_S = 30


@dataclass(frozen=True, kw_only=True)
class OneServer:
    """A server that runs.

    Attributes:
        url: where.
        service: what it asks and tells.
        keys: its keys; None where it takes any.
        do: runs something in the server's own loop, and returns what comes of it.
    """

    url: str
    service: Service
    keys: Keys | None
    do: Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def one_server(
    bundles: Sequence[Path],
    store: Path,
    *,
    keyed: bool = False,
    aws: Mapping[str, str] | None = None,
    now_ms: Callable[[], int] = clock,
    study: Path | None = None,
) -> Iterator[OneServer]:
    """Serve bundles from a SQLite store until the block ends.

    Args:
        bundles: folders of bundles.
        store: the store's file.
        keyed: whether API keys are asked for.
        aws: access key ids and their secrets.
        now_ms: the clock.
        study: the folder of a search that the page shows; None: none.
    """
    import uvicorn

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="one server", daemon=True)
    thread.start()

    def do(story: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(story, loop).result(_BEGINS_IN_S)

    kept = open_sqlite(store)
    place = socket.socket()
    try:
        place.bind(("127.0.0.1", 0))
        place.listen()
        service = replace(do(start_service(bundles, kept, now_ms=now_ms)), study=study)
        keys = Keys(kept, now_ms) if keyed else None
        app = make_app(service, keys=keys, aws=aws)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        ends = asyncio.run_coroutine_threadsafe(server.serve(sockets=[place]), loop)
        url = f"http://127.0.0.1:{place.getsockname()[1]}"
        try:
            yield OneServer(url=url, service=service, keys=keys, do=do)
        finally:
            server.should_exit = True
            ends.result(_BEGINS_IN_S)
    finally:
        do(kept.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_BEGINS_IN_S)
        loop.close()
        place.close()


def write_small_bundle(folder: Path) -> Path:
    """Write a bundle of viewers v001 to v600 of items i001 to i200, who can be predicted."""
    from matinee.recommenders.transitions import Transitions
    from matinee.simulate.small import predictable

    Transitions().fit(predictable()).save(folder)
    return folder
