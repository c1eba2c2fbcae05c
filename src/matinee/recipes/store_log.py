"""A store's events as a log that can be fitted on: through Parquet files, in bounded memory.

The store is the truth of who did what; of items and friends it may know less than the bundle in use, whose
table then stands behind the store's own words. Viewers who were deleted are not in the store, so they are in
no such log.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matinee.core.errors import InputError, MissingExtra, SettingsError
from matinee.data.kinds_mean import NOES, KindsMean
from matinee.data.log import InteractionLog, meaning_of
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.serve.deleted_viewers import deleted_since
from matinee.serve.id_key import NOTE as ID_KEY
from matinee.serve.id_key import ids_as_kept
from matinee.serve.records import ItemRecord, Stored
from matinee.serve.store import Store
from matinee.serve.take_in import refuse_unfinished, store_id

T = TypeVar("T")
STORES = ("sqlite:", "postgresql:", "postgres:")

_PAGE = 20_000
_EVENT = pa.schema(
    [
        ("user", pa.large_string()),
        ("item", pa.large_string()),
        ("time", pa.timestamp("ms", "UTC")),
        ("kind", pa.large_string()),
        ("value", pa.float64()),
    ]
)
_COLUMNS = {"user": "user", "item": "item", "time": "time", "kind": "kind", "value": "value"}
_MOMENTS = ("available_from", "available_until")


@dataclass(frozen=True, kw_only=True)
class StoreLog:
    """What a store knows, as a log.

    Attributes:
        log: the log.
        store: what tells the store from every other.
        read_ms: when its events were read.
    """

    log: InteractionLog
    store: str
    read_ms: int


@dataclass(frozen=True, kw_only=True)
class Written:
    """The events of a store in a file.

    Attributes:
        path: Parquet, one row an event, in the order in which they came.
        events: how many.
        kinds: event kind -> how many.
        values: whether any event brings a value.
    """

    path: Path
    events: int
    kinds: Mapping[str, int]
    values: bool


def is_store(words: str) -> bool:
    """Whether a source is a store's URL, and no file."""
    return words.startswith(STORES)


def with_store(url: str, do: Callable[[Store], Awaitable[T]]) -> T:
    """Open a store, do something with it, let go of it.

    Raises:
        InputError: it is no store, or cannot be reached.
        MissingExtra: what it needs is not installed.
    """
    try:
        from matinee.serve.open_store import open_store
    except ImportError as error:
        raise MissingExtra("Working with a server's store", "serve") from error

    async def story() -> T:
        store = await open_store(url)
        try:
            return await do(store)
        finally:
            await store.close()

    return asyncio.run(story())


def read_store_log(url: str, options: LogOptions | None = None, *, scratch: Path | None = None) -> StoreLog:
    """The events of a store as a log.

    Args:
        url: the store.
        options: the LOG options; columns are the store's own.
        scratch: a folder for files that are removed again; None: the system's.

    Raises:
        InputError: there is no such store, no event in it, or a bundle's histories are still going into it.
    """
    refuse_missing(url)

    async def whole(store: Store) -> StoreLog:
        await refuse_unfinished(store)
        return await store_log(store, options, scratch=scratch)

    return with_store(url, whole)


async def store_log(
    store: Store,
    options: LogOptions | None = None,
    *,
    base: InteractionLog | None = None,
    scratch: Path | None = None,
) -> StoreLog:
    """The events of an open store as a log.

    Args:
        store: the store.
        options: the LOG options. Where they say nothing of what events mean, the base's log does; without
            one, kinds that say no wherever people use them do so here.
        base: the log of the bundle in use: its items, friends and meaning hold where nobody says otherwise.
        scratch: a folder for files that are removed again; None: the system's.

    Raises:
        InputError: there is no event in the store, or the options do not fit it.
    """
    options = options or LogOptions()
    if options.columns:
        raise SettingsError("--columns is for files: the columns of a store are known.")
    raw = [f"--{name}" for name in ("viewers", "friends", "aliases") if getattr(options, name)]
    if raw and await store.note(ID_KEY) is not None:
        raise SettingsError(
            f"{' and '.join(raw)}: this store keeps viewers' ids as hashes, the file does not."
        )
    read_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory(prefix="matinee-store-", dir=scratch) as folder:
        place = Path(folder)
        written = await write_events(store, place / "log.parquet")
        if not written.events:
            raise InputError("The store holds no event: nothing can be learnt from it yet.")
        columns = _COLUMNS if written.values else {**_COLUMNS, "value": ""}
        meant = options_of(options, None if base is None else meaning_of(base), written)
        meant = replace(
            meant,
            columns=columns,
            repeats=options.repeats or (base is not None and base.repeats),
            items=options.items or await _write_items(store, base, place / "items.parquet"),
            viewers=options.viewers or await _write_viewers(store, place / "viewers.parquet"),
            friends=options.friends or await _write_friends(store, base, place / "friends.parquet"),
        )
        log = read_log(written.path, meant, cache=False)
    return StoreLog(log=log, store=await store_id(store), read_ms=read_ms)


async def write_events(store: Store, path: Path) -> Written:
    """Write every event of a store that was not withdrawn, in bounded memory; merged viewers are one."""
    events, values = 0, False
    kinds: dict[str, int] = {}
    with pq.ParquetWriter(path, _EVENT, compression="zstd") as file:
        async for page in _pages(store):
            events += len(page)
            values = values or any(one.value is not None for one in page)
            for one in page:
                kinds[one.kind] = kinds.get(one.kind, 0) + 1
            file.write_table(_table(page))
    return Written(path=path, events=events, kinds=kinds, values=values)


def options_of(options: LogOptions, meaning: KindsMean | None, written: Written) -> LogOptions:
    """What a store's events mean: as the options say, or as the base took them, or as people use the words.

    Args:
        options: the LOG options as they were given.
        meaning: what the events of the bundle in use were taken to mean; None: there is none.
        written: which kinds there are.
    """
    said = (options.target, options.weight, options.positive, options.negative, options.session_gap)
    noes = tuple(kind for kind in sorted(written.kinds) if kind in NOES)
    if any(said) or meaning is None:
        # Who says nothing of noes does not mean that a dislike is a liking.
        open_to_noes = not options.negative and len(noes) < len(written.kinds)
        return replace(options, negative=noes) if open_to_noes else options
    gap = meaning.session_gap_ms
    return replace(
        options,
        target=meaning.target,
        weight={kind: weight for kind, weight in meaning.weight.items() if kind in written.kinds},
        negative=tuple(kind for kind in sorted(written.kinds) if meaning.says_no(kind)),
        positive=meaning.positive if written.values else None,
        session_gap=None if gap is None else f"{gap}ms",
    )


async def forgotten_of(
    store: Store, viewers: Sequence[str], read_ms: int, *, at_once: int = 1000
) -> frozenset[str]:
    """The viewers among some whom the store has deleted.

    Args:
        store: the store.
        viewers: their ids.
        read_ms: when their events were read: who was deleted since is among them, even if they began anew.
        at_once: ids that are asked for in one query.
    """
    kept = await ids_as_kept(store, viewers)
    gone: set[str] = set()
    for start in range(0, len(viewers), at_once):
        some = slice(start, start + at_once)
        dead = await deleted_since(store, kept[some], read_ms)
        gone |= {user for user, one in zip(viewers[some], kept[some], strict=True) if one in dead}
    return frozenset(gone)


def refuse_missing(url: str) -> None:
    """Refuse a SQLite file that is not there: opening would make an empty one.

    Raises:
        InputError: there is no such file.
    """
    name = url.removeprefix("sqlite:///")
    if name != url and name and not Path(name).exists():
        raise InputError(
            f"{name}: there is no such store; `matinee serve` makes one, at the place that --store names."
        )


async def _pages(store: Store) -> AsyncIterator[list[Stored]]:
    after = 0
    while page := await store.events(after, _PAGE):
        yield page
        after = page[-1].seq


def _table(page: Sequence[Stored]) -> pa.Table:
    columns = {
        "user": [one.user for one in page],
        "item": [one.item for one in page],
        "time": pa.array([one.time_ms for one in page], pa.int64()),
        "kind": [one.kind for one in page],
        "value": [one.value for one in page],
    }
    return pa.table(
        [
            pa.array(columns["user"], pa.large_string()),
            pa.array(columns["item"], pa.large_string()),
            columns["time"].cast(_EVENT.field("time").type),
            pa.array(columns["kind"], pa.large_string()),
            pa.array(columns["value"], pa.float64()),
        ],
        schema=_EVENT,
    )


async def _write_items(store: Store, base: InteractionLog | None, path: Path) -> str | None:
    """Write what is known of items: the base's rows, and over them the store's; None where nothing is."""
    rows: dict[str, dict[str, Any]] = {}
    if base is not None:
        rows = {row["id"]: row for row in base.item_table.to_pylist()}
    for record in await store.items_since(0):
        rows[record.id] = {**rows.get(record.id, {}), **_said_of(record)}
    if not rows:
        return None
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = {name: _column(name, [row.get(name) for row in rows.values()]) for name in names}
    pq.write_table(pa.table(columns), path)
    return str(path)


def _said_of(record: ItemRecord) -> dict[str, Any]:
    """A record as cells of a table; what a server asks at every answer replaces the base's word."""
    free = {name: one for name, one in record.attributes.items() if isinstance(one, (str, int, float, bool))}
    told = {
        **free,
        "id": record.id,
        "available_from": record.available_from,
        "available_until": record.available_until,
        "regions": list(record.regions),
        "in_stock": record.in_stock,
        "hidden": record.hidden or record.deleted,
    }
    if record.title is not None:
        told["title"] = record.title
    if record.categories:
        told["genres"] = list(record.categories)
    return told


def _column(name: str, cells: list[Any]) -> pa.Array:
    """Cells as a column of one type; cells of several become text."""
    if name in _MOMENTS:
        return pa.array(cells, pa.timestamp("ms", "UTC"))
    if name in ("genres", "regions"):
        return pa.array([[] if one is None else list(one) for one in cells], pa.list_(pa.large_string()))
    kinds = {type(one) for one in cells if one is not None}
    if len(kinds) > 1 and kinds != {int, float}:
        return pa.array([None if one is None else str(one) for one in cells], pa.large_string())
    return pa.array(cells, pa.float64() if kinds == {int, float} else None)


async def _write_viewers(store: Store, path: Path) -> str | None:
    """Write what is known of viewers; None where nothing is."""
    rows: list[dict[str, Any]] = []
    after = ""
    while page := await store.viewers(after, _PAGE):
        after = page[-1].id
        for one in page:
            free = {k: v for k, v in one.attributes.items() if isinstance(v, (str, int, float, bool))}
            if one.region is not None or free:
                rows.append({**free, "id": one.id, "region": one.region})
    if not rows:
        return None
    names = list(dict.fromkeys(name for row in rows for name in row))
    pq.write_table(pa.table({name: _column(name, [row.get(name) for row in rows]) for name in names}), path)
    return str(path)


async def _write_friends(store: Store, base: InteractionLog | None, path: Path) -> str | None:
    """Write the base's friends as pairs of ids, as the store has them; None where it has none."""
    friends = None if base is None else base.friends
    if base is None or friends is None or not len(friends.values):
        return None
    left = np.repeat(np.arange(len(friends), dtype=np.int64), np.diff(friends.offsets))
    once = left < friends.values
    ids = pa.array(await ids_as_kept(store, base.viewers.arrow.to_pylist()), pa.large_string())
    weights = np.ones(len(left), np.float32) if friends.weights is None else friends.weights
    pairs = {
        "user": ids.take(pa.array(left[once])),
        "friend": ids.take(pa.array(friends.values[once])),
        "weight": pa.array(weights[once]),
    }
    pq.write_table(pa.table(pairs), path)
    return str(path)
