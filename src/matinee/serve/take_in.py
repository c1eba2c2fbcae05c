"""What a bundle knows of people goes into the store once: from then on the store alone knows histories.

Every event has an id that is made of the log's fingerprint and its place, so that a run which was broken off,
or one beside it, takes nothing in twice; viewers whom the store or the bundle has deleted are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from matinee.answers.model import Model
from matinee.data.log import meaning_of
from matinee.serve.records import LONGEST_ID, Event, ViewerRecord
from matinee.serve.store import Store

NOTE = "taken_in"
# What was begun: a log's fingerprint and its bundle's name. It goes when the log is in NOTE.
BEGUN_NOTE = "taking_in"
_BATCH = 5_000


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """What was taken in.

    Attributes:
        events: events that were new to the store.
        viewers: profiles written.
        left_out: events of ids that are longer than a store takes.
        already: whether all of it had been there.
    """

    events: int = 0
    viewers: int = 0
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
    log = model.log
    done: list[str] = json.loads(await store.note(NOTE) or "[]")
    own = model.facts.get("from_store")
    if log.fingerprint in done or not len(log.viewers) or (own and own == await store_id(store)):
        return TakenIn(already=True)
    begun = {**await _begun(store), log.fingerprint: name}
    await store.put_notes({BEGUN_NOTE: json.dumps(begun)})
    viewers = await _put_viewers(model, store)
    added = left_out = 0
    for batch in _batches(_events(model, created_ms)):
        short = [one for one in batch if max(len(one.user), len(one.item), len(one.kind)) <= LONGEST_ID]
        left_out += len(batch) - len(short)
        added += await store.add(short, imported=True)
    done = json.loads(await store.note(NOTE) or "[]")
    begun = {one: named for one, named in (await _begun(store)).items() if one != log.fingerprint}
    await store.put_notes({NOTE: json.dumps([*done, log.fingerprint]), BEGUN_NOTE: json.dumps(begun)})
    return TakenIn(events=added, viewers=viewers, left_out=left_out)


async def unfinished(store: Store) -> dict[str, str]:
    """Logs that were begun to be taken in and are not all there: their fingerprints and bundles' names."""
    done: list[str] = json.loads(await store.note(NOTE) or "[]")
    return {one: name for one, name in (await _begun(store)).items() if one not in done}


async def _begun(store: Store) -> dict[str, str]:
    begun: dict[str, str] = json.loads(await store.note(BEGUN_NOTE) or "{}")
    return begun


async def store_id(store: Store) -> str:
    """What tells a store from every other, and nothing else of it; empty where it has no secret yet."""
    secret = await store.note("secret")
    return (
        ""
        if secret is None
        else blake2b(secret.encode(), digest_size=12, person=b"matinee store").hexdigest()
    )


def _events(model: Model, created_ms: int) -> Iterator[Event]:
    """A bundle's events, viewer by viewer and oldest first, then what was turned down."""
    log, mark = model.log, model.log.fingerprint[:32]
    users, items = log.viewers.arrow.to_pylist(), log.items.arrow.to_pylist()
    kinds, kind = log.kinds, meaning_of(log).main_kind()
    histories = log.histories
    for viewer, user in enumerate(users):
        if user in model.deleted:
            continue
        start, end = int(histories.offsets[viewer]), int(histories.offsets[viewer + 1])
        if start == end:
            continue
        # Events without times come one after the other, and before everything that happens from now on.
        made_up = range(created_ms - (end - start), created_ms)
        times = made_up if histories.times is None else histories.times[start:end].tolist()
        values: Sequence[Any] = [None] * (end - start)
        if histories.values is not None:
            values = [None if np.isnan(one) else one for one in histories.values[start:end].tolist()]
        codes = None if histories.kinds is None else histories.kinds[start:end].tolist()
        for place, item in enumerate(histories.items[start:end].tolist()):
            yield Event(
                user=user,
                item=items[item],
                kind=kind if codes is None else kinds[codes[place]],
                time_ms=times[place],
                value=values[place],
                event_id=f"{mark}:{start + place}",
            )
    yield from _noes(model, created_ms)


def _noes(model: Model, created_ms: int) -> Iterator[Event]:
    log = model.log
    if log.negatives is None:
        return
    kind = next(iter(meaning_of(log).negative), "dislike")
    for viewer, user in enumerate(log.viewers.arrow.to_pylist()):
        if user not in model.deleted:
            for place, item in enumerate(log.items.ids(log.negatives.row(viewer))):
                yield Event(
                    user=user,
                    item=item,
                    kind=kind,
                    time_ms=created_ms,
                    event_id=f"{log.fingerprint[:32]}:no:{log.negatives.offsets[viewer] + place}",
                )


async def _put_viewers(model: Model, store: Store) -> int:
    """Write the bundle's profiles of viewers whom nobody deleted and of whom the store knows nothing yet."""
    table = model.log.viewer_table
    names = [] if table is None else [name for name in table.column_names if name != "id"]
    if not names:
        return 0
    written = 0
    for start in range(0, table.num_rows, _BATCH):
        rows = table.slice(start, _BATCH).to_pylist()
        gone = await store.forgotten([row["id"] for row in rows])
        found = [
            _profile(row, names)
            for row, dead in zip(rows, gone, strict=True)
            if not dead and row["id"] not in model.deleted and len(row["id"]) <= LONGEST_ID
        ]
        fresh = [one for one in found if one is not None and await store.viewer(one.id) is None]
        await store.put_viewers(fresh)
        written += len(fresh)
    return written


def _profile(row: dict[str, Any], names: Sequence[str]) -> ViewerRecord | None:
    region = row.get("region")
    known = {name: _plain(row[name]) for name in names if name != "region" and row[name] is not None}
    if region is None and not known:
        return None
    return ViewerRecord(id=row["id"], region=None if region is None else str(region), attributes=known)


def _plain(cell: Any) -> Any:
    """A cell as a JSON value."""
    if isinstance(cell, list):
        return [_plain(one) for one in cell]
    return cell if isinstance(cell, (str, int, float, bool)) else str(cell)


def _batches(events: Iterator[Event]) -> Iterator[list[Event]]:
    batch: list[Event] = []
    for event in events:
        batch.append(event)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
