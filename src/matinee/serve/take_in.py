"""What a bundle knows of people goes into the store once: from then on the store alone knows histories.

A viewer's history goes in as a whole, and its last event bears an id that is made of the log's fingerprint
and the viewer: a run that was broken off, or one beside it, takes nothing in twice. Viewers whom the store
or the bundle has deleted are left out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import blake2b

from matinee.answers.model import Model
from matinee.core.errors import InputError
from matinee.serve.aliases import ALIASES_NOTE, aliases_of
from matinee.serve.bundle_histories import BundleHistories
from matinee.serve.store import Store

NOTE = "taken_in"
# What was begun: a log's fingerprint and its bundle's name. It goes when the log is in NOTE.
BEGUN_NOTE = "taking_in"
# Events of one transaction. Others who write wait for it; but each transaction writes most pages of the index
# of items again, so that many small ones are many times the work of the disk.
AT_ONCE = 20_000


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """What was taken in.

    Attributes:
        events: events that were new to the store.
        left_out: events of ids that are longer than a store takes.
        already: whether all of it had been there.
    """

    events: int = 0
    left_out: int = 0
    already: bool = False


async def take_in(model: Model, store: Store, *, created_ms: int, name: str = "") -> TakenIn:
    """Take histories, noes and profiles of a bundle into the store, unless that was done before.

    A bundle that was fitted on this very store has nothing to tell it.

    Args:
        model: the bundle, as it was loaded.
        store: where they go.
        created_ms: when the bundle was written: the time of events of a log without times.
        name: the bundle's name, for whoever asks what is not finished.
    """
    if await is_taken_in(model, store):
        return TakenIn(already=True)
    histories = BundleHistories(model, created_ms)
    taken = TakenIn(left_out=histories.left_out)
    async for some in taking_in(model.log.fingerprint, histories, store, name):
        taken = TakenIn(events=taken.events + some.events, left_out=taken.left_out + some.left_out)
    return taken


async def is_taken_in(model: Model, store: Store) -> bool:
    """Whether the store has all that a bundle has to tell it."""
    own = model.facts.get("from_store")
    if not len(model.log.viewers) or (own and own == await store_id(store)):
        return True
    return model.log.fingerprint in await finished(store)


async def taking_in(
    fingerprint: str, histories: BundleHistories, store: Store, name: str
) -> AsyncIterator[TakenIn]:
    """Take in one piece after the other; when it ends without an error, all of it is there and noted.

    Args:
        fingerprint: of the log.
        histories: what goes in.
        store: where to.
        name: the bundle's name.
    """
    await store.change_note(BEGUN_NOTE, lambda note: json.dumps({**_read(note), fingerprint: name}))
    for codes in histories.pieces(AT_ONCE):
        told = await asyncio.to_thread(histories.of, codes)
        added = await store.take_histories(told)
        yield TakenIn(events=added, left_out=histories.size(codes) - len(told.items))
    await store.change_note(NOTE, lambda note: json.dumps([*json.loads(note or "[]"), fingerprint]))
    await store.change_note(BEGUN_NOTE, lambda note: json.dumps(_without(_read(note), fingerprint)))


async def finished(store: Store) -> set[str]:
    """Fingerprints of the logs that are all there."""
    return set(json.loads(await store.note(NOTE) or "[]"))


async def unfinished(store: Store) -> dict[str, str]:
    """Logs that were begun to be taken in and are not all there: their fingerprints and bundles' names."""
    done = await finished(store)
    return {one: name for one, name in _read(await store.note(BEGUN_NOTE)).items() if one not in done}


async def refuse_unfinished(store: Store) -> None:
    """Refuse a store into which the histories of a bundle that its server answers from are still going.

    Raises:
        InputError: they are; the sentence says what to wait for.
    """
    begun = await unfinished(store)
    if not begun:
        return
    used = {names[0] for names in aliases_of(await store.note(ALIASES_NOTE)).values() if names}
    for name in begun.values():
        if name in used:
            raise InputError(unfinished_words(name))


def unfinished_words(name: str) -> str:
    """What to tell whoever wants to learn from a store that is not whole."""
    return (
        f"The histories of the bundle {name!r} are not all in this store yet: wait until /readyz of the "
        "server that takes them in says no more of it (start it again if it was ended), and do this again."
    )


async def store_id(store: Store) -> str:
    """What tells a store from every other, and nothing else of it; empty where it has no secret yet."""
    secret = await store.note("secret")
    return (
        ""
        if secret is None
        else blake2b(secret.encode(), digest_size=12, person=b"matinee store").hexdigest()
    )


def _read(note: str | None) -> dict[str, str]:
    begun: dict[str, str] = json.loads(note or "{}")
    return begun


def _without(begun: dict[str, str], fingerprint: str) -> dict[str, str]:
    return {one: name for one, name in begun.items() if one != fingerprint}
