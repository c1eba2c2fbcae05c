"""The LOG options: which columns a log has, which files stand beside it, and what its events mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """Everything a person may say of a log; the defaults are what a plain list of views needs.

    Attributes:
        columns: which is what: keys user, item, time, order, value, kind; values a column's name or its
            position from 0 in a file without a header. Empty: guessed by content.
        skip_bad: leave malformed rows out and count them, instead of stopping at the first.
        items: file of items (id, title, genres, availability, free columns), or None.
        viewers: file of viewers, or None.
        friends: file of pairs of viewers, with a weight where given, or None.
        vectors: file of items' content vectors, or None.
        target: the kind of event to predict, "rating" to predict the value, None for every kind.
        weight: how much an event of each kind teaches; kinds left out count 1.
        positive: a condition on the value such as "rating>=4": what meets it not is no positive event.
        negative: kinds that say no: never recommended again to that viewer, and taught as such.
        repeats: whether the same item again is a fair answer.
        aliases: file of pairs (old id, new id) of viewers who merged, or None.
        session_gap: a pause that ends a session, such as "30min"; the same item again within a session is one
            event; None: every event counts.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    skip_bad: bool = False
    items: str | None = None
    viewers: str | None = None
    friends: str | None = None
    vectors: str | None = None
    target: str | None = None
    weight: Mapping[str, float] = field(default_factory=dict)
    positive: str | None = None
    negative: tuple[str, ...] = ()
    repeats: bool = False
    aliases: str | None = None
    session_gap: str | None = None
