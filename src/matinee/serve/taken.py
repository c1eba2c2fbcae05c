"""A history as one bundle takes it: the events that teach as codes, the noes, and everything seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from matinee.answers.event_context import KIND, VALUE
from matinee.core.types import Askers, Float32, Histories, Int8, Int64
from matinee.data.kinds_mean import KindsMean
from matinee.data.meaning import RATING
from matinee.serve.live_items import LiveItems
from matinee.serve.records import Seen

NO_CODES: Int64 = np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What a history comes to.

    Attributes:
        asker: one asker, with the latest events that teach and that the bundle knows.
        kinds: the kind of each of them.
        seen: int64: codes of everything chosen, those that only the store knows included.
        noes: int64: codes of everything turned down.
        unknown: how many of the items chosen the bundle does not know.
    """

    asker: Askers
    kinds: list[str]
    seen: Int64
    noes: Int64
    unknown: int

    def at(self, region: str | None) -> Taken:
        """The same, asked from a region; None: nobody says from where."""
        return self if region is None else replace(self, asker=self.asker.at(region))


class Reading:
    """How one bundle takes events.

    Args:
        meaning: what the events of its log were taken to mean.
        order: what the order of a viewer's events means to it: "time", "order" or "none".
        reads: what it reads beside items (`Model.reads`).
    """

    def __init__(self, meaning: KindsMean, order: str, reads: frozenset[str] = frozenset()) -> None:
        self.meaning, self._timed, self._set = meaning, order == "time", order == "none"
        self._valued = meaning.target == RATING or VALUE in reads
        self._codes = {kind: code for code, kind in enumerate(meaning.kinds)} if KIND in reads else None
        # kind -> whether it says no, whether its values are judged, what it teaches.
        self._kinds: dict[str, tuple[bool, bool, float]] = {}

    def take(self, history: Sequence[Seen], live: LiveItems, viewer: int, most: int) -> Taken:
        """Take a history.

        Args:
            history: oldest first.
            live: the items as they are now.
            viewer: the asker's code in the bundle's log, or -1.
            most: of so many events, the latest, the bundle learns.
        """
        chosen, noes = self._sorted(history)
        if self.meaning.session_gap_ms is not None:
            chosen = _folded(chosen, self.meaning.session_gap_ms, self._strength)
        if self._set:
            first: dict[tuple[str, str], Seen] = {}
            for one in chosen:
                first.setdefault((one.item, one.kind), one)
            chosen = list(first.values())
        codes = seen = live.codes([one.item for one in chosen])
        learnt, known = chosen, live.known
        if codes and not (min(codes) >= 0 and max(codes) < known):
            learnt = [one for one, code in zip(chosen, codes, strict=True) if 0 <= code < known]
            seen = [code for code in seen if code >= 0]
            codes = [code for code in seen if code < known]
        learnt, kinds = learnt[-most:], [one.kind for one in learnt[-most:]]
        return Taken(
            asker=Askers(
                histories=Histories(
                    items=np.array(codes[-most:], dtype=np.int32),
                    offsets=np.array([0, len(learnt)], dtype=np.int64),
                    times=np.array([one.time_ms for one in learnt], dtype=np.int64) if self._timed else None,
                    kinds=self._kind_codes(kinds),
                    values=_values(learnt) if self._valued else None,
                    weights=self._weights(kinds),
                ),
                viewers=np.array([viewer], dtype=np.int64),
            ),
            kinds=kinds,
            seen=np.array(seen, dtype=np.int64),
            noes=_codes_of(noes, live),
            unknown=len(chosen) - len(codes),
        )

    def _kind_codes(self, kinds: list[str]) -> Int8 | None:
        """Each event's kind as the bundle numbers it, -1 where it knows none; None where it does not look."""
        if self._codes is None:
            return None
        return np.array([self._codes.get(kind, -1) for kind in kinds], dtype=np.int8)

    def _weights(self, kinds: list[str]) -> Float32 | None:
        """What each event teaches; None where all teach the same, as most histories' do."""
        if not self.meaning.weight or all(self._rule(kind)[2] == 1.0 for kind in set(kinds)):
            return None
        return np.array([self._rule(kind)[2] for kind in kinds], dtype=np.float32)

    def _sorted(self, history: Sequence[Seen]) -> tuple[list[Seen], list[str]]:
        """The events that teach, each once, and the items turned down."""
        once = list(history)
        if len({one.item for one in once}) < len(once):
            once = list(dict.fromkeys(once))
        rules = {kind: self._rule(kind) for kind in {one.kind for one in once}}
        if not any(no or judged for no, judged, _ in rules.values()):
            return once, []
        chosen, noes = [], []
        for one in once:
            no, judged, _ = rules[one.kind]
            if no:
                noes.append(one.item)
            elif not judged or self.meaning.teaches(one.kind, one.value):
                chosen.append(one)
        return chosen, noes

    def _strength(self, kind: str) -> float:
        """How much a kind says: one to be predicted more than any other."""
        return math.inf if kind == self.meaning.target else self._rule(kind)[2]

    def _rule(self, kind: str) -> tuple[bool, bool, float]:
        rule = self._kinds.get(kind)
        if rule is None:
            meaning = self.meaning
            rule = (meaning.says_no(kind), meaning.positive is not None, meaning.weight.get(kind, 1.0))
            # Kinds come from outside: what they may take up is bounded.
            if len(self._kinds) < 1000:
                self._kinds[kind] = rule
        return rule


def _values(events: Sequence[Seen]) -> Float32:
    """What each event brought; nan where it brought nothing."""
    return np.array([math.nan if one.value is None else one.value for one in events], dtype=np.float32)


def _codes_of(items: Sequence[str], live: LiveItems) -> Int64:
    """The codes of the items that anybody knows: int64."""
    if not items:
        return NO_CODES
    return np.array([code for code in live.codes(items) if code >= 0], dtype=np.int64)


def _folded(events: Sequence[Seen], gap_ms: int, strength: Callable[[str], float]) -> list[Seen]:
    """The same item again within a session is one event: it stands where the first did, as the strongest."""
    kept: list[Seen] = []
    places: dict[str, int] = {}
    last = None
    for one in events:
        if last is not None and one.time_ms - last > gap_ms:
            places.clear()
        last = one.time_ms
        place = places.get(one.item)
        if place is None:
            places[one.item] = len(kept)
            kept.append(one)
        elif strength(one.kind) > strength(kept[place].kind):
            kept[place] = kept[place]._replace(kind=one.kind, value=one.value)
    return kept
