"""Everything behind the door of one process: store, service, app, log and figures."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from matinee.core.errors import InputError, MatineeError, MissingExtra
from matinee.serve.health import Health
from matinee.serve.request_log import RequestLog, ToFile, ToStream
from matinee.serve.retention import retain_daily
from matinee.serve.store import Store
from matinee.serve.work import Work

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from matinee.serve.app import App
    from matinee.serve.bind import Listening
    from matinee.serve.bundle_shelf import BundleShelf
    from matinee.serve.keys import Keys
    from matinee.serve.metrics import Metrics
    from matinee.serve.service import Service
    from matinee.serve.taking_in import TakingIn

# Pairs of access key id and secret, for clients of Amazon Personalize; never told to anybody.
AWS_KEYS = "MATINEE_AWS_KEYS"

_NEEDED = ("starlette", "uvicorn", "httptools", "uvloop", "msgspec", "prometheus_client")

# How often memory, processor time and ages are looked at, and whether old events are to be deleted.
_LOOK_S = 2.0
_RETAIN_LOOK_S = 3600.0

_log = logging.getLogger("matinee.serve")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What one process answers with.

    Attributes:
        app: what answers.
        health: what it says of itself.
        service: what is asked.
        metrics: what is counted.
        log: what is written down.
        taking: what is to be taken into the store, where this process sees to it.
        retain: how long events are kept, where this process sees to it.
    """

    app: ASGIApp
    health: Health
    service: Service
    metrics: Metrics
    log: RequestLog
    taking: TakingIn | None
    retain: str | None

    def facts(self) -> dict[str, Any]:
        """What is served: plain JSON values."""
        names = self.service.bundles.names()
        aliases = {name: [alias for alias in names if names[alias] == name] for name in names.values()}
        return {
            "bundles": [
                {"name": one.name, "aliases": aliases.get(one.name, []), "recommender": one.recommender}
                | {"items": one.items, "viewers": one.viewers, "events": one.events, "created": one.created}
                for one in self.service.bundles.facts()
            ]
        }

    def chores(self, connections: Callable[[], int]) -> list[Coroutine[Any, Any, None]]:
        """What is to be done now and then while it answers."""
        chores = [self._look(connections)]
        if self.taking is not None:
            chores.append(self.taking.go_on())
        return [*chores, self._retain(self.retain)] if self.retain else chores

    async def close(self) -> None:
        """Let everything go."""
        await self.service.watch.close()
        await self.service.store.close()
        self.log.close()

    async def _look(self, connections: Callable[[], int]) -> None:
        while True:
            try:
                await self.metrics.look(self.service, connections())
            except MatineeError as error:
                _log.warning("the figures could not be brought up to date: %s", error)
            await asyncio.sleep(_LOOK_S)

    async def _retain(self, words: str) -> None:
        if self.taking is not None:
            # Of a history that is not there yet nothing could be deleted.
            await self.taking.ended()
        while True:
            try:
                gone = await retain_daily(self.service.store, words, self.service.now_ms())
                if gone is not None:
                    _log.info("%d events and impressions older than %s were deleted", gone, words)
            except MatineeError as error:
                _log.warning("old events could not be deleted: %s", error)
            await asyncio.sleep(_RETAIN_LOOK_S)


async def open_desk(work: Work, listening: Listening, say: Callable[[str], None]) -> Desk:
    """Open everything; what is unusable is said before anybody is let in.

    Args:
        work: what is to be served.
        listening: where clients will come in.
        say: told what takes its time.

    Raises:
        MatineeError: one sentence says what is unusable.
    """
    require_extra()
    from matinee.serve.metrics import Metrics
    from matinee.serve.open_store import open_store
    from matinee.serve.taking_in import TakingIn

    log = RequestLog(work.log, ToFile(Path(work.log_file)) if work.log_file else ToStream())
    _to(log)
    store = await open_store(work.store)
    try:
        keys, aws = await _keys_of(store, listening)
        taking = TakingIn(store, say)
        service = await _service_of(work, taking)
        metrics, health = Metrics(), Health()
        app = await _app_of(service, metrics, health, listening, keys, aws)
        observed = _observed(app, health, metrics, log)
    except BaseException:
        await store.close()
        raise
    return Desk(
        app=observed,
        health=health,
        service=service,
        metrics=metrics,
        log=log,
        taking=taking if work.first else None,
        retain=work.retain if work.first else None,
    )


def require_extra() -> None:
    """Refuse to begin without what serving needs.

    Raises:
        MissingExtra: something is not installed.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        raise MissingExtra("Serving", "serve")


async def _keys_of(store: Store, listening: Listening) -> tuple[Keys, dict[str, str] | None]:
    """Who may ask: whoever has a key; on this machine alone, as long as there is none, anybody."""
    from matinee.serve.keys import Keys
    from matinee.serve.sigv4 import pairs_of
    from matinee.serve.start import clock

    aws = pairs_of(os.environ.get(AWS_KEYS, ""))
    keys = Keys(store, clock, needed=bool(aws) or listening.beyond_loopback)
    if aws or await keys.listed():
        return keys, aws
    if listening.beyond_loopback:
        raise InputError(
            f"{listening.address} is reached by other machines, and there is no key: make one with "
            "`matinee keys add NAME --store URL --scope read`, or leave --host out."
        )
    return keys, None


async def _service_of(work: Work, taking: TakingIn) -> Service:
    from matinee.serve.hashed_ids import hashing
    from matinee.serve.id_key import read_id_key
    from matinee.serve.personalize_filters import read_filters
    from matinee.serve.personalize_select import put_filters
    from matinee.serve.placements import read_placements
    from matinee.serve.start import start_service

    placements = read_placements(Path(work.placements)) if work.placements else None
    filters = read_filters(Path(work.filters)) if work.filters else {}
    bundles = [Path(one) for one in work.bundles]
    told = cast(Store, taking)
    kept = hashing(told, read_id_key(Path(work.id_key)) if work.id_key else None)
    service = await start_service(bundles, kept, work.limits, placements=placements, histories=False)
    if work.first:
        await put_filters(told, filters)
    await taking.begin(cast("BundleShelf", service.bundles).ready(), first=work.first)
    return replace(service, status=taking.status, study=Path(work.study) if work.study else None)


async def _app_of(
    service: Service,
    metrics: Metrics,
    health: Health,
    listening: Listening,
    keys: Keys,
    aws: dict[str, str] | None,
) -> App:
    from matinee.serve.app import make_app
    from matinee.serve.metrics import counted

    answers, store = counted(service, metrics)
    # Anybody may ask here; a page of another site whose name was made to lead here may not.
    host = listening.socket.getsockname()[0]
    hosts = None if await keys.asked_for() else {"localhost", "127.0.0.1", "::1", host}
    return make_app(
        replace(service, answers=answers, store=store),
        keys=keys,
        aws=aws,
        ready=lambda: health.why_not_ready(service),
        metrics=metrics.text,
        hosts=hosts,
    )


def _observed(app: App, health: Health, metrics: Metrics, log: RequestLog) -> ASGIApp:
    from matinee.serve.observe import Observed, templates_of

    templates = templates_of({face.name: list(face.routes) for face in app.faces})
    return Observed(app, templates, health, metrics, log)


class _Handler(logging.Handler):
    """Python's own log records, as lines of ours: without values of an exception, which may name somebody."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        from matinee.serve.observe import where

        error = record.exc_info[1] if record.exc_info else None
        facts = {"error": where(error)} if isinstance(error, Exception) else {}
        self._log.say(record.getMessage(), level=record.levelname.lower(), **facts)


def _to(log: RequestLog) -> None:
    ours = logging.getLogger("matinee")
    ours.handlers[:] = [_Handler(log)]
    ours.setLevel(logging.INFO)
    ours.propagate = False
    # What uvicorn has to say of a request repeats its values; what is worth knowing is in its line.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
