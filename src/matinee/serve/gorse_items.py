"""Gorse's items: those that were put here, and those that the bundle knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request

from matinee.serve.foreign import body_of, checked_id, decoded, whole_number
from matinee.serve.gorse_feedback import MOST_ROWS, cursor_of, feedback_answer
from matinee.serve.gorse_shapes import Item, ItemPatch, item_of, patched_item, record_of
from matinee.serve.gorse_users import refuse_many
from matinee.serve.known_items import IdsInOrder, ids_holding, known_item
from matinee.serve.records import ItemRecord
from matinee.serve.refusals import NotFound
from matinee.serve.service import Catalogue, Service

_DEFAULT_N = 10
_IN_ORDER = IdsInOrder()


async def put_item(service: Service, request: Request) -> Any:
    """Write one item."""
    return await _put(service, [decoded(await body_of(request, service.limits), Item)])


async def put_items(service: Service, request: Request) -> Any:
    """Write several items."""
    return await _put(service, decoded(await body_of(request, service.limits), list[Item] | None) or [])


async def _put(service: Service, items: list[Item]) -> dict[str, int]:
    refuse_many(service, len(items), "items")
    catalogue = await service.answers.catalogue()
    records = [record_of(one, known_item(catalogue, one.item_id)) for one in items]
    if records:
        await service.store.put_items(records)
    return {"RowAffected": len(records)}


async def list_items(service: Service, request: Request) -> Any:
    """A page of items and the cursor of the next; with `q`, the first whose id or title holds these words."""
    most, words = whole_number(request, "n", _DEFAULT_N, MOST_ROWS), request.query_params.get("q", "").strip()
    catalogue = await service.answers.catalogue()
    if words:
        found = [known_item(catalogue, one) for one in ids_holding(catalogue, words, most)]
        return {"Cursor": "", "Items": [item_of(one) for one in found if one is not None]}
    shown: list[ItemRecord] = []
    after, more = cursor_of(request), True
    while more and len(shown) < most:
        page, after, more = await _page(service, catalogue, after, most - len(shown))
        shown.extend(page)
    return {"Cursor": after if more else "", "Items": [item_of(one) for one in shown]}


async def _page(
    service: Service, catalogue: Catalogue, after: str, most: int
) -> tuple[list[ItemRecord], str, bool]:
    """Items of bundle and store by their ids, the last id looked at, and whether more follow it."""
    from_store = [one.id for one in await service.store.items(after, most + 1)]
    from_bundle = _IN_ORDER.after(catalogue, after, most + 1)
    ids = sorted({*from_store, *from_bundle}, key=str.encode)
    records = [known_item(catalogue, one) for one in ids[:most]]
    return (
        [one for one in records if one is not None],
        ids[:most][-1] if ids else after,
        len(ids) > most,
    )


async def get_item(service: Service, request: Request) -> Any:
    """One item."""
    return item_of(await _known(service, request))


async def patch_item(service: Service, request: Request) -> Any:
    """Change what is said of an item."""
    patch = decoded(await body_of(request, service.limits), ItemPatch)
    await service.store.put_items([patched_item(await _known(service, request), patch)])
    return {"RowAffected": 1}


async def delete_item(service: Service, request: Request) -> Any:
    """Delete an item: nobody is shown it any more."""
    item = _item(request)
    known = known_item(await service.answers.catalogue(), item) is not None
    stored = await service.store.delete_item(item)
    return {"RowAffected": int(known or stored)}


async def add_category(service: Service, request: Request) -> Any:
    """Put an item into a category."""
    record, name = await _known(service, request), checked_id("category", request.path_params["category"])
    categories = tuple(dict.fromkeys((*record.categories, name)))
    await service.store.put_items([replace(record, categories=categories)])
    return {"RowAffected": 1}


async def drop_category(service: Service, request: Request) -> Any:
    """Take an item out of a category."""
    record, name = await _known(service, request), request.path_params["category"]
    categories = tuple(one for one in record.categories if one != name)
    await service.store.put_items([replace(record, categories=categories)])
    return {"RowAffected": 1}


async def feedback_of_item(service: Service, request: Request) -> Any:
    """An item's feedback, of one type where one is named."""
    return await feedback_answer(service, request, item=_item(request), kind=request.path_params.get("type"))


async def _known(service: Service, request: Request) -> ItemRecord:
    item = _item(request)
    record = known_item(await service.answers.catalogue(), item)
    if record is None:
        raise NotFound(f"There is no item {item!r}: insert one with POST /api/item.")
    return record


def _item(request: Request) -> str:
    return checked_id("The item", request.path_params["item"])
