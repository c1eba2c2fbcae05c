"""The native face's viewers: what is known of one, all that is stored of one, and its end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from matinee.serve.due import due_history
from matinee.serve.moments import ms_of
from matinee.serve.native_events import text_of
from matinee.serve.operations import Call, Operation
from matinee.serve.records import ViewerRecord
from matinee.serve.refusals import NotFound
from matinee.serve.replies import Reply, said
from matinee.serve.schemas import HistoryQuery, ViewerSent
from matinee.serve.schemas_said import (
    ExportedEvent,
    ExportedImpression,
    SaidEvent,
    SaidExport,
    SaidProfile,
    SaidReceipt,
    SaidViewer,
)
from matinee.serve.store import Store

_PAGE = 1000
_ENCODER = msgspec.json.Encoder()


async def viewer(call: Call) -> Reply:
    """What is known of a viewer."""
    user, most = call.path["id"], call.query.history
    store = call.service.store
    found = await store.viewer(user)
    seen = await due_history(store, user, most, call.service.now_ms())
    if found is None and not await store.history(user, 1):
        raise _unknown(user)
    known = found or ViewerRecord(id=user)
    return said(
        SaidViewer(
            id=user,
            region=known.region,
            attributes=dict(known.attributes),
            added=known.added_ms,
            history=[
                SaidEvent(item=one.item, kind=one.kind, value=one.value, time=one.time_ms) for one in seen
            ],
        )
    )


async def put_viewer(call: Call) -> Reply:
    """Write what is known of a viewer, as a whole."""
    sent: ViewerSent = call.body
    text_of(sent.attributes, "attributes")
    record = ViewerRecord(
        id=call.path["id"],
        region=sent.region,
        attributes=sent.attributes,
        added_ms=ms_of(sent.added, "added"),
    )
    await call.service.store.put_viewers([record])
    return said(_profile(record))


async def forget_viewer(call: Call) -> Reply:
    """Delete a viewer."""
    user = call.path["id"]
    receipt = await call.service.store.forget(user)
    bundles = await call.service.bundles.trained_with([user, *receipt.ids])
    return said(
        SaidReceipt(
            user=receipt.user,
            events=receipt.events,
            impressions=receipt.impressions,
            profile=receipt.profile,
            time=receipt.time_ms,
            bundles=bundles,
        )
    )


async def export_viewer(call: Call) -> Reply:
    """Everything that is stored of a viewer."""
    user, store = call.path["id"], call.service.store
    found = await store.viewer(user)
    # The first page is read before anything is sent: a store that fails then still gets its status.
    events = await _events(store, user, 0)
    shown = await _impressions(store, user, 0)
    if found is None and not events[0] and not shown[0]:
        raise _unknown(user)
    profile = None if found is None else _profile(found)
    begin = b'{"user":%b,"profile":%b,"events":[' % (_ENCODER.encode(user), _ENCODER.encode(profile))
    return Reply(begin, more=_rest(store, user, events, shown))


Page = tuple[list[bytes], int]


async def _rest(store: Store, user: str, events: Page, shown: Page) -> AsyncIterator[bytes]:
    first = True
    while events[0]:
        yield (b"" if first else b",") + b",".join(events[0])
        first = False
        events = await _events(store, user, events[1])
    yield b'],"impressions":['
    first = True
    while shown[0]:
        yield (b"" if first else b",") + b",".join(shown[0])
        first = False
        shown = await _impressions(store, user, shown[1])
    yield b"]}"


async def _events(store: Store, user: str, after: int) -> Page:
    found = await store.events(after, _PAGE, user=user)
    rows = [
        ExportedEvent(
            item=one.item,
            kind=one.kind,
            time=one.time_ms,
            value=one.value,
            event_id=one.event_id,
            recommendation_id=one.recommendation_id,
            position=one.position,
            session=one.session,
            properties=one.properties,
        )
        for one in found
    ]
    return [_ENCODER.encode(row) for row in rows], found[-1].seq if found else after


async def _impressions(store: Store, user: str, after: int) -> Page:
    found = await store.impressions(after, _PAGE, user=user)
    rows = [
        ExportedImpression(items=list(one.items), time=one.time_ms, recommendation_id=one.recommendation_id)
        for one in found
    ]
    return [_ENCODER.encode(row) for row in rows], found[-1].seq if found else after


def _profile(record: ViewerRecord) -> SaidProfile:
    return SaidProfile(
        id=record.id,
        region=record.region,
        attributes=dict(record.attributes),
        added=record.added_ms,
    )


def _unknown(user: str) -> NotFound:
    return NotFound(f"Nothing is stored of a viewer {user!r}.")


_UNKNOWN = {404: "Nothing is stored of this viewer."}
OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/users/{id}",
        handler=viewer,
        tag="Viewers",
        summary="What is known of a viewer",
        scope="write",
        query=HistoryQuery,
        said=SaidViewer,
        noes=_UNKNOWN,
        given={"id": "u-1"},
    ),
    Operation(
        method="PUT",
        path="/v1/users/{id}",
        handler=put_viewer,
        tag="Viewers",
        summary="Write what is known of a viewer, as a whole",
        scope="write",
        body=ViewerSent,
        said=SaidProfile,
        noes={507: "The disk is full: nothing was kept."},
        example={"region": "NO", "attributes": {"plan": "family"}},
        given={"id": "u-1"},
    ),
    Operation(
        method="DELETE",
        path="/v1/users/{id}",
        handler=forget_viewer,
        tag="Viewers",
        summary="Delete a viewer",
        description="Events, impressions, profile and merges are gone when this answers; a keyed hash stays, "
        "so that an import cannot bring the viewer back. The receipt names the bundles that were trained "
        "with the viewer: the next fit leaves them out.",
        scope="admin",
        said=SaidReceipt,
        noes={507: "The disk is full: nothing was deleted."},
        given={"id": "u-1"},
    ),
    Operation(
        method="GET",
        path="/v1/users/{id}/export",
        handler=export_viewer,
        tag="Viewers",
        summary="Everything that is stored of a viewer",
        scope="admin",
        said=SaidExport,
        noes=_UNKNOWN,
        given={"id": "u-1"},
    ),
)
