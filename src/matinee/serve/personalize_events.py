"""What Personalize's clients tell: PutEvents, PutItems, PutUsers."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from matinee.serve.foreign import moment_ms
from matinee.serve.known_items import words_of
from matinee.serve.personalize_shapes import (
    PutEvents,
    PutItems,
    PutUsers,
    SentEvent,
    SentItem,
    SentUser,
    name_in,
    properties_of,
    taken_out,
)
from matinee.serve.records import LONGEST_ID, Event, Impression, ItemRecord, ViewerRecord
from matinee.serve.service import Service

# As long as the service models let properties be.
_LONGEST_EVENT, _LONGEST_ITEM, _LONGEST_USER = 1_024, 32_000, 24_000
_CATEGORY_WORDS = ("genres", "genre", "categories", "category", "categoryl1")
_TITLE_WORDS = ("title", "name", "itemtitle", "producttitle")


async def put_events(service: Service, sent: PutEvents) -> dict[str, Any]:
    """Store what happened and what was shown; whoever is not logged in is known by the session."""
    if sent.user_id is not None:
        await _recognise(service, sent.session_id, sent.user_id)
    now, user = service.now_ms(), sent.user_id or sent.session_id
    events = [_event(one, sent, user, now) for one in sent.event_list if one.item_id is not None]
    shown = [_impression(one, sent, user, now) for one in sent.event_list if one.impression]
    if events or shown:
        await service.store.add(events, shown)
    return {}


async def _recognise(service: Service, session: str, user: str) -> None:
    """Make a session's visitor and the user one, if the session began without one.

    A session that others use too stays whose it was: it must never make two users one.
    """
    if session == user or await service.store.stands_for(session) != session:
        return
    first = await service.store.events(0, 1, user=session)
    if first and first[0].session == first[0].user and await service.store.viewer(session) is None:
        await service.store.merge(session, user)


def _event(one: SentEvent, sent: PutEvents, user: str, now_ms: int) -> Event:
    properties = properties_of("properties", one.properties, _LONGEST_EVENT)
    if one.metric_attribution is not None:
        properties["eventAttributionSource"] = one.metric_attribution.event_attribution_source
    shown = one.impression or []
    return Event(
        user=user,
        item=str(one.item_id),
        kind=one.event_type,
        time_ms=_moment(one, now_ms),
        value=one.event_value,
        event_id=_event_id(sent.tracking_id, one.event_id, "event"),
        recommendation_id=one.recommendation_id,
        position=shown.index(str(one.item_id)) + 1 if one.item_id in shown else None,
        session=sent.session_id,
        properties=msgspec.json.encode(properties).decode() if properties else None,
    )


def _impression(one: SentEvent, sent: PutEvents, user: str, now_ms: int) -> Impression:
    return Impression(
        user=user,
        items=tuple(dict.fromkeys(one.impression or ())),
        time_ms=_moment(one, now_ms),
        recommendation_id=one.recommendation_id,
        event_id=_event_id(sent.tracking_id, one.event_id, "impression"),
    )


def _moment(one: SentEvent, now_ms: int) -> int:
    """When it happened, by the sender's clock; a clock that runs ahead cannot put it off."""
    return min(moment_ms("sentAt", str(one.sent_at)) or now_ms, now_ms)


def _event_id(tracking: str, event_id: str | None, what: str) -> str | None:
    """The sender's id, apart from those of other senders and of what else the same event brought."""
    if event_id is None:
        return None
    whole = f"{what}:{tracking}:{event_id}"
    return whole if len(whole) <= LONGEST_ID else f"{what}:{hashlib.sha256(whole.encode()).hexdigest()}"


async def put_items(service: Service, sent: PutItems) -> dict[str, Any]:
    """Write items, each as a whole."""
    name_in("datasetArn", sent.dataset_arn, ("dataset",))
    await service.store.put_items([_item(one) for one in sent.items])
    return {}


def _item(one: SentItem) -> ItemRecord:
    properties = properties_of("properties", one.properties, _LONGEST_ITEM)
    title = taken_out(properties, *_TITLE_WORDS)
    in_stock, hidden = (_truth(taken_out(properties, word)) for word in ("instock", "hidden"))
    image = taken_out(properties, "imageurl", "image", "posterurl", "poster")
    return ItemRecord(
        id=one.item_id,
        title=None if title is None else str(title),
        categories=tuple(words_of(taken_out(properties, *_CATEGORY_WORDS))),
        available_from=_when("availableFrom", taken_out(properties, "availablefrom")),
        available_until=_when("availableUntil", taken_out(properties, "availableuntil")),
        regions=tuple(words_of(taken_out(properties, "regions"))),
        in_stock=in_stock,
        hidden=bool(hidden),
        added_ms=_when("creationTimestamp", taken_out(properties, "creationtimestamp")),
        image=None if image is None else str(image),
        attributes=properties,
    )


async def put_users(service: Service, sent: PutUsers) -> dict[str, Any]:
    """Write users, each as a whole."""
    name_in("datasetArn", sent.dataset_arn, ("dataset",))
    now = service.now_ms()
    await service.store.put_viewers([_user(one, now) for one in sent.users])
    return {}


def _user(one: SentUser, now_ms: int) -> ViewerRecord:
    properties = properties_of("properties", one.properties, _LONGEST_USER)
    region = taken_out(properties, "region")
    return ViewerRecord(
        id=one.user_id,
        region=None if region is None else str(region),
        attributes=properties,
        added_ms=now_ms,
    )


def _when(what: str, value: Any) -> int | None:
    """A moment, which Personalize writes as seconds."""
    return None if value is None else moment_ms(what, str(value))


def _truth(value: Any) -> bool | None:
    if value is None:
        return None
    return (
        value.strip().lower() not in ("", "0", "false", "no", "n", "f")
        if isinstance(value, str)
        else bool(value)
    )
