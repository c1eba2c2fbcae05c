"""The native face's items: what is known of them, at once and before what a bundle says."""

from __future__ import annotations

from matinee.serve.body import Contradiction
from matinee.serve.known_items import known_item
from matinee.serve.moments import ms_of
from matinee.serve.native_events import text_of
from matinee.serve.operations import Call, Operation
from matinee.serve.records import ItemRecord
from matinee.serve.refusals import NotFound
from matinee.serve.replies import Reply, said
from matinee.serve.schemas import ItemSent, ItemsSent
from matinee.serve.schemas_said import SaidDeleted, SaidItemRecord, SaidItems


async def item(call: Call) -> Reply:
    """What was put under an id; else what the bundle in use says of it."""
    name = call.path["id"]
    found = await call.service.store.item(name)
    if found is None:
        found = known_item(await call.service.answers.catalogue(), name)
    if found is None:
        raise NotFound(f"Nobody knows the item {name!r}, or it was deleted.")
    return said(_said(found))


async def put_item(call: Call) -> Reply:
    """Write an item as a whole."""
    record = _record(call.path["id"], call.body, "")
    await call.service.store.put_items([record])
    return said(_said(record))


async def put_items(call: Call) -> Reply:
    """Write many items, each as a whole."""
    sent: ItemsSent = call.body
    places: dict[str, int] = {}
    for place, one in enumerate(sent.items):
        if places.setdefault(one.id, place) != place:
            raise Contradiction(
                f"items[{place}].id is {one.id!r}, as is that of items[{places[one.id]}]: give each once.",
                f"items[{place}].id",
            )
    records = [_record(one.id, one, f"items[{place}].") for place, one in enumerate(sent.items)]
    await call.service.store.put_items(records)
    return said(SaidItems(items=len(records)))


async def delete_item(call: Call) -> Reply:
    """Never show an item again, until it is put again."""
    name = call.path["id"]
    return said(SaidDeleted(item=name, stored=await call.service.store.delete_item(name)))


def _record(name: str, sent: ItemSent, field: str) -> ItemRecord:
    text_of(sent.attributes, f"{field}attributes")
    begin = ms_of(sent.available_from, f"{field}available_from")
    end = ms_of(sent.available_until, f"{field}available_until")
    if begin is not None and end is not None and end < begin:
        raise Contradiction(
            f"{field}available_until is before {field}available_from: expected a moment after it.",
            f"{field}available_until",
        )
    return ItemRecord(
        id=name,
        title=sent.title,
        categories=tuple(sent.categories),
        available_from=begin,
        available_until=end,
        regions=tuple(sent.regions),
        in_stock=sent.in_stock,
        hidden=sent.hidden,
        added_ms=ms_of(sent.added, f"{field}added"),
        image=sent.image,
        attributes=sent.attributes,
    )


def _said(record: ItemRecord) -> SaidItemRecord:
    return SaidItemRecord(
        id=record.id,
        title=record.title,
        categories=list(record.categories),
        available_from=record.available_from,
        available_until=record.available_until,
        regions=list(record.regions),
        in_stock=record.in_stock,
        hidden=record.hidden,
        added=record.added_ms,
        image=record.image,
        attributes=dict(record.attributes),
    )


_FULL = {507: "The disk is full: nothing was kept."}
_EXAMPLE = {
    "title": "The Long Rain",
    "categories": ["drama"],
    "regions": ["NO", "SE"],
    "available_until": "2030-01-01T00:00:00Z",
}
OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/items/{id}",
        handler=item,
        tag="Items",
        summary="What is known of an item",
        description="What was put under its id as it was put; else what the bundle in use says of it.",
        said=SaidItemRecord,
        noes={404: "Nobody knows an item of this id, or it was deleted."},
        given={"id": "i-1"},
    ),
    Operation(
        method="PUT",
        path="/v1/items/{id}",
        handler=put_item,
        tag="Items",
        summary="Write an item, as a whole",
        description="It goes before what a bundle says of it, and counts from the next answer on.",
        scope="write",
        body=ItemSent,
        said=SaidItemRecord,
        noes=_FULL,
        example=_EXAMPLE,
        given={"id": "i-1"},
    ),
    Operation(
        method="DELETE",
        path="/v1/items/{id}",
        handler=delete_item,
        tag="Items",
        summary="Never show an item again",
        description="Until it is put again; also one that only a bundle knows.",
        scope="write",
        said=SaidDeleted,
        noes={507: "The disk is full: nothing was deleted."},
        given={"id": "i-1"},
    ),
    Operation(
        method="PUT",
        path="/v1/items",
        handler=put_items,
        tag="Items",
        summary="Write many items, each as a whole",
        scope="write",
        body=ItemsSent,
        said=SaidItems,
        noes=_FULL,
        example={"items": [{"id": "i-1", **_EXAMPLE}, {"id": "i-2", "hidden": True}]},
    ),
)
