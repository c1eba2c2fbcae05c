"""Gorse's view of the log: one row for each kind, viewer and item, folded from the events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from matinee.serve.records import Stored


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """What a viewer's events of one kind with one item amount to.

    Attributes:
        kind: view, purchase, like ...
        user: who.
        item: what with.
        value: the sum of their values since one of them last set it.
        time_ms: when the first of those happened.
        updated_ms: when the last of them happened.
    """

    kind: str
    user: str
    item: str
    value: float
    time_ms: int
    updated_ms: int


def with_event(before: Feedback | None, event: Stored) -> Feedback:
    """A row with one event more, the next one in the order of the log; None: there is no row yet.

    An event that `sets` takes the place of everything before it; any other adds its value, which is 0 where
    it brought none.
    """
    before = None if event.sets else before
    value = event.value or 0.0
    return Feedback(
        kind=event.kind,
        user=event.user,
        item=event.item,
        value=value if before is None else before.value + value,
        time_ms=event.time_ms if before is None else min(before.time_ms, event.time_ms),
        updated_ms=event.time_ms if before is None else max(before.updated_ms, event.time_ms),
    )


def fold(events: Iterable[Stored]) -> list[Feedback]:
    """Fold events, in the order of the log, into rows in the order in which they first appear."""
    rows: dict[tuple[str, str, str], Feedback] = {}
    for event in events:
        key = (event.kind, event.user, event.item)
        rows[key] = with_event(rows.get(key), event)
    return list(rows.values())
