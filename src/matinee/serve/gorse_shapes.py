"""Gorse's words: what its clients send and expect, and the records that they stand for.

Keys are in PascalCase, fields that nobody knows are ignored, and null counts as not said, as in Gorse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from matinee.serve.asking import Answer
from matinee.serve.foreign import checked_id, moment_ms, moment_text
from matinee.serve.records import Event, ItemRecord, Seen, ViewerRecord
from matinee.serve.refusals import Refusal

# Attributes under which Gorse's fields are kept.
LABELS, COMMENT = "Labels", "Comment"
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNIT_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_LONGEST_DELAY_MS = 366 * 24 * 3_600_000


class User(msgspec.Struct, rename="pascal", kw_only=True):
    """A user as Gorse's clients write one."""

    user_id: str
    labels: Any = None
    comment: str | None = None


class UserPatch(msgspec.Struct, rename="pascal", kw_only=True):
    """What is to be changed of a user; null leaves it as it is."""

    labels: Any = None
    comment: str | None = None


class Item(msgspec.Struct, rename="pascal", kw_only=True):
    """An item as Gorse's clients write one."""

    item_id: str
    is_hidden: bool | None = None
    categories: list[str] | None = None
    timestamp: str | None = None
    labels: Any = None
    comment: str | None = None


class ItemPatch(msgspec.Struct, rename="pascal", kw_only=True):
    """What is to be changed of an item; null leaves it as it is."""

    is_hidden: bool | None = None
    categories: list[str] | None = None
    timestamp: str | None = None
    labels: Any = None
    comment: str | None = None


class Feedback(msgspec.Struct, rename="pascal", kw_only=True):
    """A feedback as Gorse's clients write one."""

    feedback_type: str
    user_id: str
    item_id: str
    value: float | None = None
    timestamp: str | None = None
    comment: str | None = None


class SessionFeedback(msgspec.Struct, rename="pascal", kw_only=True):
    """A feedback of a session: whose it is does not matter, and nobody need say it."""

    feedback_type: str
    item_id: str
    value: float | None = None
    timestamp: str | None = None


def event_of(feedback: Feedback, now_ms: int, *, sets: bool) -> Event:
    """The event that a feedback tells; without a moment, or with one still to come, it happens now.

    Clients write local times without a zone: what was acknowledged counts at once all the same.

    Raises:
        Refusal: an id or the moment is unusable.
    """
    moment = moment_ms("Timestamp", feedback.timestamp)
    return Event(
        user=checked_id("UserId", feedback.user_id),
        item=checked_id("ItemId", feedback.item_id),
        kind=checked_id("FeedbackType", feedback.feedback_type),
        time_ms=now_ms if moment is None else min(moment, now_ms),
        value=feedback.value,
        properties=msgspec.json.encode({COMMENT: feedback.comment}).decode() if feedback.comment else None,
        sets=sets,
    )


def seen_of(feedback: SessionFeedback, now_ms: int) -> Seen:
    """A feedback as an event of a session that is not stored.

    Raises:
        Refusal: an id or the moment is unusable.
    """
    moment = moment_ms("Timestamp", feedback.timestamp)
    return Seen(
        checked_id("ItemId", feedback.item_id),
        checked_id("FeedbackType", feedback.feedback_type),
        feedback.value,
        now_ms if moment is None else min(moment, now_ms),
    )


def viewer_of(user: User, before: ViewerRecord | None, now_ms: int) -> ViewerRecord:
    """The viewer that a user stands for; region and whatever else was known stay.

    Raises:
        Refusal: the id is unusable.
    """
    record = before or ViewerRecord(id=checked_id("UserId", user.user_id), added_ms=now_ms)
    return replace(record, attributes=_attributes(record.attributes, user.labels, user.comment or ""))


def patched_viewer(record: ViewerRecord, patch: UserPatch) -> ViewerRecord:
    """A viewer with what a patch says."""
    return replace(record, attributes=_patched(record.attributes, patch.labels, patch.comment))


def user_of(record: ViewerRecord) -> dict[str, Any]:
    """A viewer as Gorse shows one."""
    return {
        "UserId": record.id,
        LABELS: _labels(record.attributes),
        COMMENT: record.attributes.get(COMMENT, ""),
    }


def record_of(item: Item, before: ItemRecord | None) -> ItemRecord:
    """The record that an item stands for; what Gorse has no word for stays as it was.

    Raises:
        Refusal: the id or the moment is unusable.
    """
    record = before or ItemRecord(id=checked_id("ItemId", item.item_id))
    comment = item.comment or ""
    return replace(
        record,
        title=comment or record.title,
        hidden=bool(item.is_hidden),
        categories=_categories(item.categories or []),
        added_ms=moment_ms("Timestamp", item.timestamp),
        attributes=_attributes(record.attributes, item.labels, comment),
    )


def patched_item(record: ItemRecord, patch: ItemPatch) -> ItemRecord:
    """An item with what a patch says.

    Raises:
        Refusal: the moment is unusable.
    """
    moment = moment_ms("Timestamp", patch.timestamp)
    return replace(
        record,
        title=patch.comment or record.title,
        hidden=record.hidden if patch.is_hidden is None else patch.is_hidden,
        categories=record.categories if patch.categories is None else _categories(patch.categories),
        added_ms=record.added_ms if moment is None else moment,
        attributes=_patched(record.attributes, patch.labels, patch.comment),
    )


def item_of(record: ItemRecord) -> dict[str, Any]:
    """An item as Gorse shows one; a title stands for a comment that nobody wrote."""
    return {
        "ItemId": record.id,
        "IsHidden": record.hidden,
        "Categories": list(record.categories),
        "Timestamp": moment_text(record.added_ms),
        LABELS: _labels(record.attributes),
        COMMENT: record.attributes.get(COMMENT, record.title or ""),
    }


def scores_of(answer: Answer) -> list[dict[str, Any]]:
    """An answer as Gorse's scored ids; what nothing scored has 0."""
    return [{"Id": one.item, "Score": 0.0 if one.score is None else one.score} for one in answer.items]


def delay_ms(text: str | None) -> int:
    """Milliseconds of a duration as Go writes it: `10m`, `1h30m0s`.

    Raises:
        Refusal: it is none, or longer than a year.
    """
    words = (text or "").strip()
    if words in ("", "0"):
        return 0
    found = sum(float(number) * _UNIT_MS[unit] for number, unit in _PART.findall(words))
    if len(words) > 60 or not _DURATION.fullmatch(words) or found > _LONGEST_DELAY_MS:
        raise Refusal(
            f"write-back-delay is {words[:40]!r}: expected a duration up to a year such as 10m or 1h30m."
        )
    return int(found)


def _categories(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(checked_id("A category", name) for name in names))


def _attributes(before: Mapping[str, Any], labels: Any, comment: str) -> dict[str, Any]:
    return {**before, LABELS: labels, COMMENT: comment}


def _patched(before: Mapping[str, Any], labels: Any, comment: str | None) -> dict[str, Any]:
    said = {name: value for name, value in ((LABELS, labels), (COMMENT, comment)) if value is not None}
    return {**before, **said}


def _labels(attributes: Mapping[str, Any]) -> Any:
    """What was written as labels; where nobody wrote any, everything else that is known."""
    if LABELS in attributes:
        return attributes[LABELS]
    return {name: value for name, value in attributes.items() if name != COMMENT} or None
