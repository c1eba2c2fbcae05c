"""Records as rows of a table, and back: the same for every database."""

from __future__ import annotations

import json
from typing import Any

from matinee.serve.records import Event, Impression, ItemRecord, Shown, Stored, ViewerRecord
from matinee.serve.storable import check_texts, check_times, json_text

EVENT_COLUMNS = (
    '"user", item, kind, time_ms, value, event_id, recommendation_id, position, session, properties, sets'
)
EVENT_WIDTH = EVENT_COLUMNS.count(",") + 1
IMPRESSION_COLUMNS = '"user", items, time_ms, recommendation_id, event_id'
IMPRESSION_WIDTH = IMPRESSION_COLUMNS.count(",") + 1

Row = tuple[Any, ...]


def event_row(event: Event) -> Row:
    """An event's columns, in the order of `EVENT_COLUMNS`."""
    return (
        event.user,
        event.item,
        event.kind,
        event.time_ms,
        event.value,
        event.event_id,
        event.recommendation_id,
        event.position,
        event.session,
        event.properties,
        int(event.sets),
    )


def impression_row(shown: Impression) -> Row:
    """An impression's columns, in the order of `IMPRESSION_COLUMNS`."""
    items = json.dumps(shown.items, ensure_ascii=False, separators=(",", ":"))
    return (shown.user, items, shown.time_ms, shown.recommendation_id, shown.event_id)


def stored_of(row: Row) -> Stored:
    """An event from (seq, user, item, kind, value, time_ms, event_id ... properties, sets)."""
    return Stored._make((*row[:-1], bool(row[-1])))


def shown_of(row: Row) -> Shown:
    """An impression from (seq, user, items, time_ms, recommendation_id)."""
    seq, user, items, time_ms, recommendation_id = row
    return Shown(seq, user, tuple(json.loads(items)), time_ms, recommendation_id)


def item_text(record: ItemRecord) -> str:
    """An item as JSON, without what the store itself says of it.

    Raises:
        Refusal: an id, a time or an attribute cannot be stored.
    """
    check_texts("An item's id", [record.id])
    times = (record.available_from, record.available_until, record.added_ms)
    check_times(f"item {record.id!r}: time", times)
    told = {
        "title": record.title,
        "categories": list(record.categories),
        "available_from": record.available_from,
        "available_until": record.available_until,
        "regions": list(record.regions),
        "in_stock": record.in_stock,
        "hidden": record.hidden,
        "added_ms": record.added_ms,
        "image": record.image,
        "attributes": dict(record.attributes),
    }
    # What says nothing is left out: a catalogue of a million plain items is a quarter of the size.
    said = {name: value for name, value in told.items() if value is not None and value not in ([], {})}
    if not record.hidden:
        del said["hidden"]
    return json_text(f"item {record.id!r}", said)


def item_of(row: Row) -> ItemRecord:
    """An item from (id, record, version, deleted)."""
    identity, text, version, deleted = row
    said = json.loads(text)
    for name in ("categories", "regions"):
        said[name] = tuple(said.get(name, ()))
    return ItemRecord(id=identity, version=version, deleted=bool(deleted), **said)


def viewer_row(viewer: ViewerRecord) -> Row:
    """A viewer from a record: (id, region, attributes, added_ms).

    Raises:
        Refusal: an id, a time or an attribute cannot be stored.
    """
    check_texts("A viewer's id or region", [viewer.id, viewer.region])
    check_times("A viewer's time", [viewer.added_ms])
    return (viewer.id, viewer.region, json_text("A viewer's attributes", viewer.attributes), viewer.added_ms)


def viewer_of(row: Row) -> ViewerRecord:
    """A viewer from (id, region, attributes, added_ms)."""
    return ViewerRecord(id=row[0], region=row[1], attributes=json.loads(row[2]), added_ms=row[3])
