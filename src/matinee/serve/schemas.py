"""What is sent to the native face: every field with its bounds, and nothing beside them.

What a Struct says is what is taken in, and what `/openapi.json` describes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from matinee.serve.asking import DEFAULT_ALIAS, FARTHEST, MOST_ITEMS
from matinee.serve.records import LONGEST_ID

# Ids that one list of an ask holds at most.
MOST_IDS = 10_000
# The last millisecond of the year 9999.
LAST_MS = 253_402_300_799_999
# Bytes, as JSON, of what senders may add in words of their own.
LARGEST_OBJECT = 16 * 2**10

# The pattern is enforced by `matinee.serve.body.decoded`, for a whole body at once.
_NO_NUL = {"pattern": r"^[^\u0000]*$"}
Id = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID, extra_json_schema=_NO_NUL)]
Word = Annotated[str, Meta(min_length=1, max_length=128, extra_json_schema=_NO_NUL)]
Text = Annotated[str, Meta(max_length=2000, extra_json_schema=_NO_NUL)]
AnswerId = Annotated[str, Meta(min_length=1, max_length=1024, extra_json_schema=_NO_NUL)]
Amount = Annotated[float, Meta(ge=-1e15, le=1e15)]
Share = Annotated[float, Meta(ge=0, le=1)]
# A moment: ISO 8601 with an offset, or milliseconds since 1970, UTC.
When = Annotated[datetime, Meta(tz=True)] | Annotated[int, Meta(ge=0, le=LAST_MS)]
Object = Annotated[dict[str, Any], Meta(max_length=64)]


class HistoryEntry(Struct, forbid_unknown_fields=True, kw_only=True):
    """One event of a history that comes with an ask."""

    item: Annotated[Id, Meta(description="What with.")]
    kind: Annotated[Word, Meta(description="What was done.")] = "view"
    value: Annotated[Amount | None, Meta(description="A rating, a price, a share watched.")] = None
    time: Annotated[
        When | None, Meta(description="When; without it the order of the list is what counts.")
    ] = None


class Asker(Struct, forbid_unknown_fields=True, kw_only=True):
    """Who asks, and what of."""

    user: Annotated[
        Id | None, Meta(description="Who asks; the id of a visit will do. Nobody in particular without it.")
    ] = None
    history: Annotated[
        Annotated[list[Id | HistoryEntry], Meta(max_length=1000)] | None,
        Meta(
            description="What was done, oldest first, instead of what is stored: item ids, or events. "
            "Nothing of it is stored."
        ),
    ] = None
    alias: Annotated[Word, Meta(description="Which bundle answers, by its alias.")] = DEFAULT_ALIAS
    bundle: Annotated[
        Id | None, Meta(description="Which bundle answers, by its name; goes before alias and experiments.")
    ] = None
    placement: Annotated[
        Annotated[str, Meta(max_length=128, extra_json_schema=_NO_NUL)],
        Meta(description='Where the answer is shown, such as "home": figures are kept by it.'),
    ] = ""
    region: Annotated[
        Word | None, Meta(description="Where the asker is; what the profile says without it.")
    ] = None
    repeats: Annotated[
        bool | None,
        Meta(description="Whether what was chosen before may come again; as the bundle says without it."),
    ] = None
    reasons: Annotated[bool, Meta(description="Whether the answer says why.")] = False
    now: Annotated[When | None, Meta(description="The moment of the answer; the clock's without it.")] = None


class RecommendAsk(Asker, forbid_unknown_fields=True, kw_only=True):
    """A wish for items."""

    what_if: Annotated[
        list[Id],
        Meta(
            max_length=100,
            description="Items that are taken as if they had just been chosen; nothing is stored.",
        ),
    ] = []
    k: Annotated[int, Meta(ge=1, le=MOST_ITEMS, description="How many items.")] = 10
    offset: Annotated[
        int, Meta(ge=0, le=FARTHEST, description="How many to leave out at the beginning: pages.")
    ] = 0
    exclude: Annotated[list[Id], Meta(max_length=MOST_IDS, description="Items that are not wanted.")] = []
    only: Annotated[
        Annotated[list[Id], Meta(max_length=MOST_IDS)] | None,
        Meta(description="Items to choose from; all without it."),
    ] = None
    categories: Annotated[
        list[Word], Meta(max_length=100, description="Items of any of these only; all where it is empty.")
    ] = []
    pinned: Annotated[
        list[Id],
        Meta(
            max_length=MOST_ITEMS,
            description="Items put first, in this order, where they may be shown at all.",
        ),
    ] = []
    most: Annotated[
        dict[str, Annotated[int, Meta(ge=1, le=MOST_ITEMS)]],
        Meta(
            max_length=16,
            description="At most so many items for each value of a column of the items, "
            'such as {"series": 1}.',
        ),
    ] = {}
    diversity: Annotated[
        Share,
        Meta(description="From 0, the best items, to 1, items as unlike each other as can be."),
    ] = 0.0
    freshness: Annotated[
        Share, Meta(description="From 0, no matter how old, to 1, new items before all others.")
    ] = 0.0


class WhatIfAsk(RecommendAsk, forbid_unknown_fields=True, kw_only=True):
    """What would be answered after something that did not happen."""

    what_if: Annotated[
        list[Id],
        Meta(
            min_length=1,
            max_length=100,
            description="Items that are taken as if they had just been chosen; nothing is stored.",
        ),
    ]


class RankAsk(Asker, forbid_unknown_fields=True, kw_only=True):
    """A list to be put into the order of somebody's liking."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=MOST_ITEMS, description="The list.")]


class ListQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """What may be asked of a list that is read."""

    user: Annotated[
        Id | None, Meta(description="Who asks: what they chose is left out, their region counts.")
    ] = None
    k: Annotated[int, Meta(ge=1, le=MOST_ITEMS, description="How many items.")] = 10
    offset: Annotated[
        int, Meta(ge=0, le=FARTHEST, description="How many to leave out at the beginning: pages.")
    ] = 0
    categories: Annotated[
        list[Word], Meta(max_length=5, description="Items of any of these only; say it once for each.")
    ] = []
    alias: Annotated[Word, Meta(description="Which bundle answers, by its alias.")] = DEFAULT_ALIAS
    bundle: Annotated[Id | None, Meta(description="Which bundle answers, by its name.")] = None
    placement: Annotated[Word | None, Meta(description="Where the answer is shown.")] = None
    region: Annotated[Word | None, Meta(description="Where the asker is.")] = None
    reasons: Annotated[bool, Meta(description="Whether the answer says why.")] = False


class EventSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """Something a viewer did."""

    user: Annotated[Id, Meta(description="Who.")]
    item: Annotated[Id, Meta(description="What with.")]
    kind: Annotated[Word, Meta(description="What was done: view, purchase, like ...")]
    time: Annotated[
        When | None, Meta(description="When, not in the future and not before 1970; now without it.")
    ] = None
    value: Annotated[Amount | None, Meta(description="A rating, a price, a share watched.")] = None
    event_id: Annotated[
        Id | None,
        Meta(
            description="The sender's own id: the same one again is the same event, stored once. Without it "
            "each is new."
        ),
    ] = None
    recommendation_id: Annotated[AnswerId | None, Meta(description="The answer that it followed from.")] = (
        None
    )
    position: Annotated[
        Annotated[int, Meta(ge=1, le=FARTHEST + MOST_ITEMS)] | None,
        Meta(description="The place in that answer, from 1."),
    ] = None
    session: Annotated[Id | None, Meta(description="The visit.")] = None
    properties: Annotated[
        Object | None, Meta(description=f"Anything else; at most {LARGEST_OBJECT:,} bytes as JSON.")
    ] = None


class ImpressionSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """Items that were really shown to somebody."""

    user: Annotated[Id, Meta(description="To whom.")]
    items: Annotated[
        list[Id],
        Meta(min_length=1, max_length=MOST_ITEMS, description="Which, from the first position on."),
    ]
    time: Annotated[
        When | None, Meta(description="When, not in the future and not before 1970; now without it.")
    ] = None
    recommendation_id: Annotated[AnswerId | None, Meta(description="The answer that they are from.")] = None
    event_id: Annotated[Id | None, Meta(description="As of an event.")] = None


class EventsSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """What happened: all of it is kept, or, where one of it cannot be, nothing."""

    events: Annotated[list[EventSent], Meta(description="What viewers did.")] = []
    impressions: Annotated[list[ImpressionSent], Meta(description="What viewers were shown.")] = []


class MergeSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """Two ids of one viewer."""

    user: Annotated[Id, Meta(description="The id that is to stand for the other, such as that of a visit.")]
    into: Annotated[Id, Meta(description="The id that remains, such as that of an account.")]


class ViewerSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is known of a viewer beside events."""

    region: Annotated[Word | None, Meta(description="Where.")] = None
    attributes: Annotated[
        Object, Meta(description=f"Anything else; at most {LARGEST_OBJECT:,} bytes as JSON.")
    ] = {}
    added: Annotated[When | None, Meta(description="When the viewer came.")] = None


class ItemSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is known of an item; it goes before what a bundle says of it, at once."""

    title: Annotated[Text | None, Meta(description="What people call it.")] = None
    categories: Annotated[list[Word], Meta(max_length=100, description="Genres, shelves.")] = []
    available_from: Annotated[When | None, Meta(description="It is not shown before.")] = None
    available_until: Annotated[When | None, Meta(description="It is not shown from then on.")] = None
    regions: Annotated[
        list[Word], Meta(max_length=300, description="It is shown in these only; everywhere where empty.")
    ] = []
    in_stock: Annotated[bool | None, Meta(description="Whether it can be had.")] = None
    hidden: Annotated[bool, Meta(description="Whether it is never shown.")] = False
    added: Annotated[When | None, Meta(description="When it came; the newest are the latest.")] = None
    image: Annotated[
        Annotated[
            str,
            Meta(
                max_length=2000,
                pattern=r"^(https?://|/)",
                extra_json_schema={"pattern": r"^(https?://|/)[^\u0000]*$"},
                extra={"words": "an address that begins with http://, https:// or /"},
            ),
        ]
        | None,
        Meta(description="Address of its picture: http, https, or a path."),
    ] = None
    attributes: Annotated[
        Object, Meta(description=f"Anything else; at most {LARGEST_OBJECT:,} bytes as JSON.")
    ] = {}


class NamedItemSent(ItemSent, forbid_unknown_fields=True, kw_only=True):
    """An item of many."""

    id: Annotated[Id, Meta(description="Its id.")]


class ItemsSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """Items, each written as a whole."""

    items: Annotated[
        list[NamedItemSent],
        Meta(min_length=1, max_length=1000, description="The items; each id once."),
    ]


class AliasSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which alias is meant."""

    alias: Annotated[Word, Meta(description="The alias.")] = DEFAULT_ALIAS


class ExperimentSent(Struct, forbid_unknown_fields=True, kw_only=True):
    """A comparison of bundles on living people."""

    alias: Annotated[Word, Meta(description="Whom it concerns: askers of this alias.")] = DEFAULT_ALIAS
    arms: Annotated[
        dict[Word, Id],
        Meta(
            max_length=8,
            description="Name of an arm and the bundle that answers there; the others are compared with the "
            "first. Empty where only a shadow is wanted.",
        ),
    ] = {}
    shares: Annotated[
        Annotated[dict[Word, Share], Meta(max_length=8)] | None,
        Meta(description="The share of the viewers of each arm; equal ones without it. They add up to 1."),
    ] = None
    shadow: Annotated[
        Id | None,
        Meta(description="A bundle that is asked too, whose answers nobody sees: only how far it differs."),
    ] = None


class HistoryQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """How much of a viewer's history is read."""

    history: Annotated[int, Meta(ge=0, le=1000, description="The latest so many events, oldest first.")] = 20
