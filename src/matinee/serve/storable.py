"""What a store can keep: refused before it is queued, so that one bad event never fails its neighbours."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matinee.serve.records import Event, ImportedHistories, Impression
from matinee.serve.refusals import Refusal

_LARGEST = 2**63 - 1
# What senders add in words of their own is nested so deep at most: whoever reads it, however many calls down,
# must be able to.
MOST_DEEP = 32
_EVENT_TEXTS = ("user", "item", "kind", "event_id", "recommendation_id", "session", "properties")
_IMPRESSION_TEXTS = ("user", "recommendation_id", "event_id")


def check_events(events: Sequence[Event], impressions: Sequence[Impression]) -> None:
    """Refuse texts, numbers and times that no database keeps as they are.

    Raises:
        Refusal: naming the first event and field that is off.
    """
    for place, event in enumerate(events, start=1):
        # One check for all texts: the fields are gone through only where something is off.
        texts = (event.user, event.item, event.kind, event.event_id, event.recommendation_id)
        rest = (event.session, event.properties)
        if not _is_text("".join(text for text in (*texts, *rest) if text)):
            raise _bad_text(f"event {place}", event, _EVENT_TEXTS)
        if event.value is not None and math.isnan(event.value):
            raise Refusal(f"event {place}: value is not a number: leave it out where there is none.")
        _check_number(f"event {place}: time", event.time_ms)
        _check_number(f"event {place}: position", event.position)
    for place, shown in enumerate(impressions, start=1):
        ids = "".join(text for text in (shown.user, shown.recommendation_id, shown.event_id) if text)
        if not _is_text(ids):
            raise _bad_text(f"impression {place}", shown, _IMPRESSION_TEXTS)
        if not _is_text("".join(shown.items)):
            raise Refusal(f"impression {place}: items hold {_UNWRITABLE}.")
        _check_number(f"impression {place}: time", shown.time_ms)


def check_histories(told: ImportedHistories) -> None:
    """Refuse texts, numbers and times that no database keeps as they are.

    Raises:
        Refusal: naming the column that is off.
    """
    for name in ("users", "marks", "items", "kinds"):
        if not _is_text("".join(getattr(told, name))):
            raise Refusal(f"An imported history: {name} hold {_UNWRITABLE}.")
    if any(value is not None and math.isnan(value) for value in told.values):
        raise Refusal("An imported history: a value is not a number: leave it out where there is none.")
    check_times("An imported history: a time", (min(told.times_ms, default=0), max(told.times_ms, default=0)))


def check_texts(what: str, texts: Iterable[str | None]) -> None:
    """Refuse texts that no database keeps.

    Raises:
        Refusal: `what` holds one.
    """
    if not _is_text("".join(text for text in texts if text)):
        raise Refusal(f"{what} holds {_UNWRITABLE}.")


def check_times(what: str, times: Iterable[int | None]) -> None:
    """Refuse times beyond 64 bits.

    Raises:
        Refusal: one is.
    """
    for time_ms in times:
        _check_number(what, time_ms)


def refuse_deep(what: str, value: object) -> None:
    """Refuse lists and objects that are nested too deep.

    Raises:
        Refusal: they are.
    """
    level = [value]
    for _ in range(MOST_DEEP + 1):
        lists = [one for one in level if isinstance(one, (list, tuple, Mapping))]
        if not lists:
            return
        level = [part for one in lists for part in (one.values() if isinstance(one, Mapping) else one)]
    raise Refusal(f"{what}: lists and objects are nested more than {MOST_DEEP} deep: keep them flat.")


def json_text(what: str, value: Mapping[str, Any]) -> str:
    """A value as JSON text.

    Raises:
        Refusal: JSON cannot hold it, or it is nested too deep.
    """
    refuse_deep(what, value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise Refusal(f"{what}: {error}: only JSON's own values can be kept.") from error
    if not _is_text(text):
        raise Refusal(f"{what} holds {_UNWRITABLE}.")
    return text


_UNWRITABLE = "a character that cannot be stored: U+0000, or half of a surrogate pair"


def _is_text(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_text(which: str, record: object, fields: Sequence[str]) -> Refusal:
    bad = next(field for field in fields if not _is_text(getattr(record, field) or ""))
    return Refusal(f"{which}: {bad} holds {_UNWRITABLE}.")


def _check_number(what: str, number: int | None) -> None:
    if number is not None and not -_LARGEST <= number <= _LARGEST:
        raise Refusal(f"{what} is beyond 64 bits: a smaller whole number was expected.")
