"""What Amazon Personalize's clients send, field by field as its service models say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from matinee.data.columns import plain_name
from matinee.serve.known_items import column_named
from matinee.serve.refusals import Refusal
from matinee.serve.storable import refuse_deep

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Column = Annotated[str, msgspec.Meta(max_length=150)]
Values = Annotated[
    dict[
        Annotated[str, msgspec.Meta(max_length=50)],
        Annotated[str, msgspec.Meta(max_length=1000)],
    ],
    msgspec.Meta(max_length=25),
]
Context = Annotated[
    dict[
        Annotated[str, msgspec.Meta(max_length=150)],
        Annotated[str, msgspec.Meta(max_length=1000)],
    ],
    msgspec.Meta(max_length=150),
]
Columns = Annotated[
    dict[str, Annotated[list[Column], msgspec.Meta(max_length=99)]], msgspec.Meta(max_length=1)
]
_ARN = re.compile(r"arn:[a-z\d-]+:personalize:[^:]*:[^:]*:([A-Za-z-]+)/(.+)")
_LONGEST_ARN = 256


class Promotion(msgspec.Struct, rename="camel", kw_only=True):
    """A share of the answer that a filter chooses."""

    name: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=63,
                pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*$",
                extra={"words": "a text of at most 63 letters, digits, - and _, the first no sign"},
            ),
        ]
        | None
    ) = None
    percent_promoted_items: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    filter_arn: str | None = None
    filter_values: Values | None = None


class GetRecommendations(msgspec.Struct, rename="camel", kw_only=True):
    """POST /recommendations."""

    campaign_arn: str | None = None
    recommender_arn: str | None = None
    user_id: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    item_id: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    num_results: Annotated[int, msgspec.Meta(ge=0)] | None = None
    context: Context | None = None
    filter_arn: str | None = None
    filter_values: Values | None = None
    promotions: Annotated[list[Promotion], msgspec.Meta(max_length=1)] | None = None
    metadata_columns: Columns | None = None


class GetPersonalizedRanking(msgspec.Struct, rename="camel", kw_only=True):
    """POST /personalize-ranking."""

    campaign_arn: str
    input_list: Annotated[list[Annotated[str, msgspec.Meta(max_length=256)]], msgspec.Meta(max_length=500)]
    user_id: Annotated[str, msgspec.Meta(max_length=256)]
    context: Context | None = None
    filter_arn: str | None = None
    filter_values: Values | None = None
    metadata_columns: Columns | None = None


class Attribution(msgspec.Struct, rename="camel", kw_only=True):
    """Where an event came from, in the sender's words."""

    event_attribution_source: Annotated[str, msgspec.Meta(max_length=1024)]


class SentEvent(msgspec.Struct, rename="camel", kw_only=True):
    """One event of a call."""

    event_type: Id
    sent_at: float | str
    event_id: Id | None = None
    event_value: float | None = None
    item_id: Id | None = None
    properties: Any = None
    recommendation_id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None
    impression: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=25)] | None = None
    metric_attribution: Attribution | None = None


class PutEvents(msgspec.Struct, rename="camel", kw_only=True):
    """POST /events."""

    tracking_id: Id
    session_id: Id
    event_list: Annotated[list[SentEvent], msgspec.Meta(min_length=1, max_length=10)]
    user_id: Id | None = None


class SentItem(msgspec.Struct, rename="camel", kw_only=True):
    """One item of a call."""

    item_id: Id
    properties: Any = None


class PutItems(msgspec.Struct, rename="camel", kw_only=True):
    """POST /items."""

    dataset_arn: str
    items: Annotated[list[SentItem], msgspec.Meta(min_length=1, max_length=10)]


class SentUser(msgspec.Struct, rename="camel", kw_only=True):
    """One user of a call."""

    user_id: Id
    properties: Any = None


class PutUsers(msgspec.Struct, rename="camel", kw_only=True):
    """POST /users."""

    dataset_arn: str
    users: Annotated[list[SentUser], msgspec.Meta(min_length=1, max_length=10)]


def name_in(what: str, arn: str, kinds: tuple[str, ...]) -> str:
    """The name at the end of an ARN such as arn:aws:personalize:eu-west-1:1:campaign/default.

    Args:
        what: the field, for the error.
        arn: the ARN.
        kinds: what it may name, such as `campaign`.

    Raises:
        Refusal: it is none, or names something else.
    """
    found = _ARN.fullmatch(arn) if len(arn) <= _LONGEST_ARN else None
    if found is None or found[1] not in kinds:
        expected = f"arn:aws:personalize:REGION:ACCOUNT:{kinds[0]}/NAME"
        raise Refusal(f"{what} is {arn[:100]!r}: expected an ARN such as {expected}.")
    return found[2]


def properties_of(what: str, sent: Any, longest: int) -> dict[str, Any]:
    """Properties, which come as the text of a JSON object.

    Raises:
        Refusal: they are none, or longer or nested deeper than they may be.
    """
    if sent is None:
        return {}
    found = sent
    # A client that encodes what its library encodes as well sends the text of a text.
    for _ in range(2):
        if isinstance(found, str):
            if len(found) > longest:
                raise Refusal(f"{what} has {len(found):,} characters: at most {longest:,} are taken.")
            try:
                found = msgspec.json.decode(found)
            except (msgspec.DecodeError, RecursionError) as error:
                raise Refusal(f"{what} is no JSON: expected the text of a JSON object.") from error
    if not isinstance(found, dict):
        raise Refusal(f"{what}: expected the text of a JSON object.")
    refuse_deep(what, found)
    return found


def taken_out(properties: dict[str, Any], *names: str) -> Any:
    """The first property that has one of some names, whatever case and underscores; it is taken out."""
    for name in list(properties):
        if plain_name(name) in names:
            return properties.pop(name)
    return None


def texts_of(row: Mapping[str, Any], columns: list[str]) -> dict[str, str]:
    """What an item has in some columns, by any way of writing their names, as the texts that metadata has."""
    found = {}
    for column in columns:
        value = row.get(column_named(row, plain_name(column)) or "")
        if value is not None and value != []:
            found[column] = _text(value)[:20_000]
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "|".join(_text(one) for one in value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
