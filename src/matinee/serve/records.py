"""What a store keeps: events, impressions, items and viewers as plain records.

Ids are strings as the caller wrote them; times are milliseconds since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# An id longer than this is refused by every face.
LONGEST_ID = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something a viewer did.

    Attributes:
        user: who.
        item: what with.
        kind: view, purchase, like ...
        time_ms: when it happened.
        value: a rating, a price, a share watched; None where it brought none.
        event_id: the sender's own id: the same one again is the same event, stored once;
            None: each is new.
        recommendation_id: the answer that it followed from, as that answer said it.
        position: the place in that answer, from 1.
        session: the visit, where the sender has such.
        properties: anything else, as a JSON object's text.
        sets: whether it overwrites what the same viewer, item and kind have in Gorse's view, which has one
            row for each; otherwise its value is added to it.
    """

    user: str
    item: str
    kind: str
    time_ms: int
    value: float | None = None
    event_id: str | None = None
    recommendation_id: str | None = None
    position: int | None = None
    session: str | None = None
    properties: str | None = None
    sets: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Impression:
    """Items that were really shown to somebody.

    Attributes:
        user: to whom.
        items: which, from the first position on.
        time_ms: when.
        recommendation_id: the answer they are from; None where it was another list.
        event_id: as of an event.
    """

    user: str
    items: tuple[str, ...]
    time_ms: int
    recommendation_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedHistories:
    """What an import tells of some viewers: their whole histories in columns, one after the other.

    Attributes:
        users: each viewer once.
        marks: an event id for each, by which the history is known again; its last event bears it.
        lengths: how many events each has.
        items: of every event, and so on.
        kinds: of every event.
        times_ms: of every event.
        values: of every event; None where it brought none.
        learnt_ms: up to when it can have been learnt: whoever was deleted since is left out.
        profiles: what is known of them beside events.
    """

    users: Sequence[str]
    marks: Sequence[str]
    lengths: Sequence[int]
    items: Sequence[str]
    kinds: Sequence[str]
    times_ms: Sequence[int]
    values: Sequence[float | None]
    learnt_ms: int
    profiles: Sequence[ViewerRecord] = ()


class Seen(NamedTuple):
    """One event of a history, as answering needs it."""

    item: str
    kind: str
    value: float | None
    time_ms: int


class Stored(NamedTuple):
    """One event as it lies in the store, with its place in the log."""

    seq: int
    user: str
    item: str
    kind: str
    value: float | None
    time_ms: int
    event_id: str | None
    recommendation_id: str | None
    position: int | None
    session: str | None
    properties: str | None
    sets: bool


class Shown(NamedTuple):
    """One impression as it lies in the store."""

    seq: int
    user: str
    items: tuple[str, ...]
    time_ms: int
    recommendation_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemRecord:
    """What is known of an item; it overrides what a bundle says of it, at once.

    Attributes:
        id: its id.
        title: what people call it.
        categories: genres, shelves.
        available_from: not shown before; None: always was.
        available_until: not shown from then on; None: no end.
        regions: shown in these only; empty: everywhere.
        in_stock: whether it can be had; None: not said.
        hidden: never shown.
        added_ms: when it came; what `latest` sorts by. None: not said.
        image: address of its picture.
        attributes: anything else, JSON values.
        version: the store's count of changes when this was written: larger is later.
        deleted: whether it was deleted; it is then never shown, and its id is kept so that others
            learn of it.
    """

    id: str
    title: str | None = None
    categories: tuple[str, ...] = ()
    available_from: int | None = None
    available_until: int | None = None
    regions: tuple[str, ...] = ()
    in_stock: bool | None = None
    hidden: bool = False
    added_ms: int | None = None
    image: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0
    deleted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewerRecord:
    """What is known of a viewer beside events.

    Attributes:
        id: who.
        region: where.
        attributes: anything else, JSON values.
        added_ms: when the viewer came; None: not said.
    """

    id: str
    region: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    added_ms: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What was deleted of a viewer.

    Attributes:
        user: who asked.
        ids: every id that meant them, the one that stood for all of them first.
        events: events that are gone.
        impressions: impressions that are gone.
        profile: whether a profile is gone.
        time_ms: when.
    """

    user: str
    ids: tuple[str, ...]
    events: int
    impressions: int
    profile: bool
    time_ms: int
