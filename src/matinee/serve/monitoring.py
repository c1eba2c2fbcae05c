"""What is worth looking at: fallbacks, coverage of the catalogue, drift, unknown items, the model's age."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from matinee.answers.model import Model
from matinee.core.types import Int32
from matinee.data.log import meaning_of
from matinee.serve.attribution import Followed, Rate, ShownAnswer, followed, place_of, share_of
from matinee.serve.drift import Drift, Events, drift_of
from matinee.serve.ready_bundle import created_of
from matinee.serve.records import ItemRecord, Stored
from matinee.serve.store import Store, secret_of

_PAGE = 500
DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much of the catalogue people get to see.

    Attributes:
        items: items that can be shown.
        shown: different items that were shown because of an answer.
        watched: different items of the catalogue that were chosen, for whatever reason.
        half: the fewest items that half of all choices fall on.
    """

    items: int
    shown: int | None
    watched: int
    half: int

    @property
    def share_shown(self) -> float | None:
        """The share of the catalogue that was shown; None where nobody said what was."""
        return None if self.shown is None else self.shown / max(self.items, 1)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is worth looking at.

    Attributes:
        since_ms: what the figures are of lies after this.
        events: events since then.
        viewers: viewers with an event since then.
        fallbacks: of the answers shown, those with nothing personal in them; None where none was shown.
        coverage: of the catalogue.
        drift_items: of the items that are watched; None where nothing can be compared.
        drift_categories: of their categories; None where nothing is known of them.
        unknown: events on items that the bundle does not know; None without events.
        age_days: days since the bundle was fitted.
        new_events: events since then.
        followed: what was shown and what followed: `matinee.serve.attribution.told_of` tells of it.
    """

    since_ms: int
    events: int
    viewers: int
    fallbacks: Rate | None
    coverage: Coverage
    drift_items: Drift | None
    drift_categories: Drift | None
    unknown: Rate | None
    age_days: float
    new_events: int
    followed: Followed


@dataclass(kw_only=True)
class _Recent:
    """Events since a moment, viewer by viewer: the items that were chosen."""

    chosen: dict[str, list[str]] = field(default_factory=dict)
    events: int = 0
    after_fit: int = 0


async def figures(
    store: Store,
    model: Model,
    *,
    now_ms: int,
    days: float = 28.0,
    records: Mapping[str, ItemRecord] | None = None,
) -> Figures:
    """Everything that is worth looking at, of the last days.

    It reads the store's latest events once, so it takes seconds where there are millions: ask seldom. It
    reads in small pages and reckons in a thread, so that others are answered meanwhile.

    Args:
        store: where events and impressions are.
        model: the bundle in use.
        now_ms: the moment of asking.
        days: how far it looks back.
        records: what the store says of items, where that is known already.
    """
    since_ms = max(0, int(now_ms - days * DAY_MS))
    created_ms = created_of(model.facts)
    recent = await _recent(store, model, since_ms, created_ms)
    secret = await store.note("secret")
    found = Followed()
    if secret is not None:
        found = await followed(store, secret=secret_of({"secret": secret}), since_ms=since_ms)
    if records is None:
        records = {one.id: one for one in await store.items_since(0)}
    return await asyncio.to_thread(_reckoned, model, records, recent, found, _Moments(now_ms, since_ms))


class _Moments(NamedTuple):
    now_ms: int
    since_ms: int


def _reckoned(
    model: Model, records: Mapping[str, ItemRecord], recent: _Recent, found: Followed, at: _Moments
) -> Figures:
    answers = list(found.answers.values())
    return Figures(
        since_ms=at.since_ms,
        events=recent.events,
        viewers=len(recent.chosen),
        fallbacks=_fallbacks(answers),
        coverage=_coverage(model, records, recent, answers),
        drift_items=_drift_items(model, recent),
        drift_categories=_drift_categories(model, records, recent),
        unknown=_unknown(model, recent),
        age_days=max(0.0, (at.now_ms - created_of(model.facts)) / DAY_MS),
        new_events=recent.after_fit,
        followed=found,
    )


async def _recent(store: Store, model: Model, since_ms: int, created_ms: int) -> _Recent:
    found, meaning = _Recent(), meaning_of(model.log)
    after = await place_of(store.events, since_ms)
    while page := await store.events(after, _PAGE):
        after = page[-1].seq
        for event in page:
            if event.time_ms >= since_ms:
                _note(found, event, created_ms, teaches=meaning.teaches(event.kind, event.value))
        await asyncio.sleep(0)
    return found


def _note(found: _Recent, event: Stored, created_ms: int, *, teaches: bool) -> None:
    found.events += 1
    found.after_fit += event.time_ms > created_ms
    if teaches:
        found.chosen.setdefault(event.user, []).append(event.item)


def _fallbacks(answers: Sequence[ShownAnswer]) -> Rate | None:
    """The share of answers with nothing personal, among those that were to be personal."""
    users = [one.user for one in answers]
    said = [one.told.source.startswith("fallback:") for one in answers]
    return share_of("fallbacks", users, said) if answers else None


def _coverage(
    model: Model, records: Mapping[str, ItemRecord], recent: _Recent, answers: Sequence[ShownAnswer]
) -> Coverage:
    gone = {one.id for one in records.values() if one.deleted or one.hidden}
    catalogue = ({*model.log.items.arrow.to_pylist(), *records}) - gone
    shown = {item for one in answers for item in one.items}
    counts: dict[str, int] = {}
    for items in recent.chosen.values():
        for item in items:
            counts[item] = counts.get(item, 0) + 1
    heavy = np.cumsum(sorted(counts.values(), reverse=True))
    return Coverage(
        items=len(catalogue),
        shown=len(shown & catalogue) if answers else None,
        watched=len(counts.keys() & catalogue),
        half=int(np.searchsorted(heavy, heavy[-1] / 2) + 1) if len(heavy) else 0,
    )


def _drift_items(model: Model, recent: _Recent) -> Drift | None:
    if not len(model.log):
        return None
    now = _coded(recent, {item: code for code, item in enumerate(model.log.items.arrow.to_pylist())})
    histories = model.log.histories
    learnt = Events(groups=histories.items, offsets=histories.offsets)
    return drift_of(now, learnt, model.log.n_items)


def _drift_categories(model: Model, records: Mapping[str, ItemRecord], recent: _Recent) -> Drift | None:
    """By the first category of each item; items of which none is known are left out."""
    table = model.log.item_table
    name = next((one for one in ("genres", "categories") if one in table.column_names), None)
    if name is None or not len(model.log):
        return None
    first = [(row or [None])[0] for row in table.column(name).to_pylist()]
    words = {word: place for place, word in enumerate(sorted({one for one in first if one is not None}))}
    if not words:
        return None
    codes = np.array([-1 if one is None else words[one] for one in first], dtype=np.int32)
    places = dict(zip(model.log.items.arrow.to_pylist(), codes.tolist(), strict=True))
    for record in records.values():
        if record.categories and record.categories[0] in words:
            places.setdefault(record.id, words[record.categories[0]])
    histories = model.log.histories
    learnt = _without(codes[histories.items], histories.rows(), len(histories))
    return drift_of(_coded(recent, places), learnt, len(words))


def _unknown(model: Model, recent: _Recent) -> Rate | None:
    """The share of choices that the bundle knows nothing of."""
    items = sorted({item for chosen in recent.chosen.values() for item in chosen})
    if not items:
        return None
    known = dict(zip(items, (model.log.items.codes(items) >= 0).tolist(), strict=True))
    users = [user for user, chosen in recent.chosen.items() for _ in chosen]
    return share_of(
        "unknown", users, [not known[item] for chosen in recent.chosen.values() for item in chosen]
    )


def _coded(recent: _Recent, places: Mapping[str, int]) -> Events:
    """Recent choices as codes, without what has none."""
    rows = [
        [places[item] for item in chosen if places.get(item, -1) >= 0] for chosen in recent.chosen.values()
    ]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(row) for row in rows], dtype=np.int64)])
    return Events(groups=np.array([code for row in rows for code in row], dtype=np.int32), offsets=offsets)


def _without(codes: Int32, rows: Int32, n: int) -> Events:
    kept = codes >= 0
    counts = np.bincount(rows[kept], minlength=n)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    return Events(groups=codes[kept], offsets=offsets)
