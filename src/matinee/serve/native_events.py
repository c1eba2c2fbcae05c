"""The native face's ears: what viewers did and were shown, and which of them are one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from matinee.core.errors import InputError
from matinee.serve.body import Contradiction, Malformed
from matinee.serve.moments import past_ms
from matinee.serve.operations import Call, Operation
from matinee.serve.records import Event, Impression
from matinee.serve.refusals import Conflict, TooBig
from matinee.serve.replies import Reply, said
from matinee.serve.schemas import LARGEST_OBJECT, EventSent, EventsSent, ImpressionSent, MergeSent
from matinee.serve.schemas_said import SaidMerge, SaidNew
from matinee.serve.storable import refuse_deep

_ENCODER = msgspec.json.Encoder()


async def events(call: Call) -> Reply:
    """Keep what happened; durable when it is answered."""
    sent: EventsSent = call.body
    received, most = len(sent.events) + len(sent.impressions), call.service.limits.events
    larger = max(len(sent.events), len(sent.impressions))
    if not received:
        raise Malformed("Neither events nor impressions came: expected at least one of them.", "events")
    if larger > most:
        raise TooBig(f"{larger:,} events or impressions came: expected at most {most:,} of each at once.")
    now_ms = call.service.now_ms()
    new = await call.service.store.add(
        [_event(one, place, now_ms) for place, one in enumerate(sent.events)],
        [_impression(one, place, now_ms) for place, one in enumerate(sent.impressions)],
    )
    return said(SaidNew(new=new, received=received))


async def merge(call: Call) -> Reply:
    """Make two viewers one."""
    sent: MergeSent = call.body
    try:
        await call.service.store.merge(sent.user, sent.into)
    except InputError as error:
        raise Conflict(str(error)) from None
    return said(SaidMerge(user=sent.user, into=sent.into))


def text_of(value: Mapping[str, Any] | None, field: str) -> str | None:
    """What a sender added in words of their own, as JSON.

    Raises:
        Contradiction: it is larger than is kept.
        Refusal: it is nested deeper than is kept.
    """
    if value is None:
        return None
    refuse_deep(field, value)
    text = _ENCODER.encode(value)
    if len(text) > LARGEST_OBJECT:
        raise Contradiction(
            f"{field} is {len(text):,} bytes of JSON: expected at most {LARGEST_OBJECT:,}.", field
        )
    return text.decode()


def _event(sent: EventSent, place: int, now_ms: int) -> Event:
    return Event(
        user=sent.user,
        item=sent.item,
        kind=sent.kind,
        time_ms=past_ms(sent.time, f"events[{place}].time", now_ms),
        value=sent.value,
        event_id=sent.event_id,
        recommendation_id=sent.recommendation_id,
        position=sent.position,
        session=sent.session,
        properties=text_of(sent.properties, f"events[{place}].properties"),
    )


def _impression(sent: ImpressionSent, place: int, now_ms: int) -> Impression:
    return Impression(
        user=sent.user,
        items=tuple(sent.items),
        time_ms=past_ms(sent.time, f"impressions[{place}].time", now_ms),
        recommendation_id=sent.recommendation_id,
        event_id=sent.event_id,
    )


OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/events",
        handler=events,
        tag="Tell",
        summary="Keep events and impressions",
        description="All of them, or, where one cannot be kept, none: the answer then names it. They are on "
        "disk when this answers, and count in every answer from then on. An event_id that was sent before is "
        "the same event: sending again is safe.",
        scope="write",
        body=EventsSent,
        said=SaidNew,
        noes={507: "The disk is full: nothing was kept."},
        example={
            "events": [{"user": "u-1", "item": "i-7", "kind": "view", "event_id": "e-1"}],
            "impressions": [{"user": "u-1", "items": ["i-7", "i-9"]}],
        },
    ),
    Operation(
        method="POST",
        path="/v1/users/merge",
        handler=merge,
        tag="Tell",
        summary="Make two viewers one",
        description="Such as an anonymous visit and the account that logged in: both histories count from "
        "the next answer on. Merging again changes nothing.",
        scope="write",
        body=MergeSent,
        said=SaidMerge,
        noes={409: "Both are the same, or it would close a ring.", 507: "The disk is full."},
        example={"user": "visit-9", "into": "u-1"},
    ),
)
