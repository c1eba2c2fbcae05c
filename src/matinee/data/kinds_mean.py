"""What events mean, kept beside a fitted model: so that events that come later are taken as the log's were.

`matinee.data.meaning` gives a whole log its meaning; this says the same of one event at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from matinee.core.types import Float32, Histories
from matinee.data.option_words import OPERATORS, Condition, parse_gap, parse_positive
from matinee.data.options import LogOptions

# Kinds that say no wherever a log does not say otherwise.
NOES = frozenset(
    {"dislike", "thumbs_down", "thumbsdown", "not_interested", "hide", "block", "return", "downvote"}
)


@dataclass(frozen=True, kw_only=True)
class KindsMean:
    """What the events of a log were taken to mean.

    Attributes:
        kinds: names of the log's kinds; empty: it has no column of kinds.
        target: the kind that is predicted, or None.
        weight: what an event of a kind teaches; others teach 1.
        negative: kinds that say no.
        positive: a condition on the value, such as "rating>=4"; None: there is none.
        judged: kinds that the condition judges; None: whatever brings a value.
        session_gap_ms: the same item again within a session is one event; None: every event counts.
    """

    kinds: tuple[str, ...] = ()
    target: str | None = None
    weight: Mapping[str, float] = field(default_factory=dict)
    negative: tuple[str, ...] = ()
    positive: str | None = None
    judged: tuple[str, ...] | None = None
    session_gap_ms: int | None = None

    def says_no(self, kind: str) -> bool:
        """Whether events of a kind turn items down."""
        return kind in self.negative or (kind in NOES and kind not in self.kinds)

    def main_kind(self) -> str:
        """The kind of an event of which only the item is told: one that teaches without a value."""
        if self.target is not None and self.target in self.kinds and self.teaches(self.target, None):
            return self.target
        return next((kind for kind in self.kinds if self.teaches(kind, None)), "watch")

    def teaches(self, kind: str, value: float | None) -> bool:
        """Whether an event counts as chosen: it says no no, and what judges its value finds it good."""
        if self.says_no(kind):
            return False
        if self.positive is None:
            return True
        judged = value is not None if self._by_value(kind) else kind in (self.judged or ())
        if not judged:
            return True
        condition = self._condition
        if value is None or math.isnan(value):
            return False
        return bool(OPERATORS[condition.sign](np.float32(value), np.float32(condition.bound)))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(self)
        return {**plain, "weight": dict(self.weight)}

    def _by_value(self, kind: str) -> bool:
        """Whether a kind is judged where it brings a value: nobody knows it, or there is only one."""
        return self.judged is None or (kind not in self.kinds and self._condition.name not in self.kinds)

    @cached_property
    def _condition(self) -> Condition:
        return parse_positive(str(self.positive))


def kinds_mean_of(options: LogOptions, kinds: Sequence[str], histories: Histories) -> KindsMean:
    """What the events of a log were taken to mean by its LOG options.

    Args:
        options: the LOG options.
        kinds: names of the log's kinds.
        histories: the events that are left; a kind of which none is left was judged, and none of it good.
    """
    judged = None
    if options.positive is not None and kinds:
        name = parse_positive(options.positive).name
        judged = (name,) if name in kinds else _judged(options, kinds, histories)
    return KindsMean(
        kinds=tuple(kinds),
        target=options.target,
        weight=dict(options.weight),
        negative=tuple(options.negative),
        positive=options.positive,
        judged=judged,
        session_gap_ms=None if options.session_gap is None else parse_gap(options.session_gap),
    )


def kinds_mean_from_json(values: Mapping[str, Any]) -> KindsMean:
    """What `KindsMean.to_json` wrote; what an earlier version did not write has its default."""
    judged = values.get("judged")
    return KindsMean(
        kinds=tuple(values.get("kinds", ())),
        target=values.get("target"),
        weight=dict(values.get("weight", {})),
        negative=tuple(values.get("negative", ())),
        positive=values.get("positive"),
        judged=None if judged is None else tuple(judged),
        session_gap_ms=values.get("session_gap_ms"),
    )


def _judged(options: LogOptions, kinds: Sequence[str], histories: Histories) -> tuple[str, ...]:
    values: Float32 | None = histories.values
    if histories.kinds is None or values is None:
        return tuple(kind for kind in kinds if kind not in options.negative)
    left = np.bincount(histories.kinds, minlength=len(kinds))
    brings = np.bincount(histories.kinds[~np.isnan(values)], minlength=len(kinds))
    return tuple(
        kind
        for code, kind in enumerate(kinds)
        if kind not in options.negative and (brings[code] or not left[code])
    )
