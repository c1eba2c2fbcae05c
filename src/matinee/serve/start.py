"""A service put together: bundles, store and engine."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from matinee.serve.bundle_shelf import BundleShelf
from matinee.serve.engine import Engine
from matinee.serve.hashed_ids import HashedAnswers, apart
from matinee.serve.id_key import agree
from matinee.serve.placements import Rules
from matinee.serve.self_watch import SelfWatch
from matinee.serve.service import Answers, Limits, Service
from matinee.serve.store import Store, secret_of
from matinee.serve.take_in import take_in

_SECRET = "secret"  # noqa: S105 (a note's name)
_log = logging.getLogger("matinee.serve")


def clock() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


async def start_service(
    bundles: Sequence[Path],
    store: Store,
    limits: Limits | None = None,
    *,
    now_ms: Callable[[], int] = clock,
    placements: Mapping[str, Rules] | None = None,
    histories: bool = True,
) -> Service:
    """Load the bundles in use, take their histories into the store once, and answer.

    Args:
        bundles: folders that are bundles, or that hold bundles.
        store: an open store; a `HashedStore` where viewers' ids are to be kept as hashes.
        limits: what comes in at most.
        now_ms: the clock.
        placements: rules of placements, as `read_placements` reads them.
        histories: whether the bundles' histories go into the store.

    Raises:
        InputError: there is no bundle at a place, or the store was begun with another key, or with none.
        Refusal: the default's bundle cannot be read.
        StoreError: the store cannot be reached.
    """
    limits = limits or Limits()
    outer, (store, key) = store, apart(store)
    await agree(store, key)
    secret = await _secret(store)
    shelf = BundleShelf([Path(one) for one in bundles], store, key)
    await shelf.open()
    if histories:
        for ready in shelf.ready():
            taken = await take_in(ready.model, store, created_ms=ready.created_ms, name=ready.name)
            if not taken.already:
                _log.info("took %d events of %s in", taken.events, ready.name)
    engine = Engine(shelf, store, limits, secret, now_ms=now_ms, placements=placements)
    watch = SelfWatch(shelf, store, engine.shadows, now_ms)
    service = Service(answers=engine, bundles=shelf, store=store, watch=watch, limits=limits, now_ms=now_ms)
    if key is None:
        return service
    return replace(service, answers=cast(Answers, HashedAnswers(engine, key)), store=outer)


async def _secret(store: Store) -> bytes:
    """The store's key; a store without one is given one."""
    noted = await store.note(_SECRET)
    if noted is None:
        await store.put_notes({_SECRET: secrets.token_hex(32)})
        noted = await store.note(_SECRET)
    return secret_of({_SECRET: str(noted)})
