"""Viewers of like taste: the cosine between histories as sets, among a bounded number of candidates.

Candidates are those who did something with the same items: by the bundle's histories where it has any, and by
the store's events of the viewer's latest items. Likeness is reckoned from the store's histories alone, so
that it is as new as they are and knows nobody who was deleted.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from matinee.core.types import Int32
from matinee.serve.deleted_viewers import deleted_since
from matinee.serve.due import due_history
from matinee.serve.ready_bundle import ReadyBundle
from matinee.serve.store import Store

# Events of an item, items of a viewer, and viewers that are looked at, at most.
_EVENTS = 200
_ITEMS = 20
_CANDIDATES = 100
_HISTORY = 500
_WATCHERS = 200_000


async def near_viewers(
    store: Store, ready: ReadyBundle, user: str, most: int, now_ms: int
) -> list[tuple[str, float]]:
    """Viewers with the nearest taste, the nearest first, and how near: above 0, at most 1.

    Args:
        store: where histories are.
        ready: the bundle whose histories name candidates, and which says what events mean.
        user: whose taste.
        most: how many.
        now_ms: the moment.
    """
    own = await _liked(store, ready, user, now_ms)
    if not own:
        return []
    known = _of_bundle(ready, own)
    gone = await deleted_since(store, list(known), ready.learnt_ms)
    met = Counter({one: n for one, n in known.items() if one not in gone})
    for item in list(own)[-_ITEMS:]:
        met.update({one.user for one in await store.events(item=item, most=_EVENTS)})
    me = await store.stands_for(user)
    nearest = sorted(met.items(), key=lambda pair: (-pair[1], pair[0]))
    candidates = dict.fromkeys([await store.stands_for(one) for one, _ in nearest[: _CANDIDATES + 1]])
    candidates.pop(me, None)
    found = []
    for other in list(candidates)[:_CANDIDATES]:
        theirs = await _liked(store, ready, other, now_ms)
        common = len(own.keys() & theirs.keys())
        if common:
            found.append((other, common / (len(own) * len(theirs)) ** 0.5))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[: max(most, 0)]


async def _liked(store: Store, ready: ReadyBundle, user: str, now_ms: int) -> dict[str, None]:
    """The items that somebody chose, in the order of time, each once."""
    meaning = ready.reading.meaning
    history = await due_history(store, user, _HISTORY, now_ms)
    return {one.item: None for one in history if meaning.teaches(one.kind, one.value)}


def _of_bundle(ready: ReadyBundle, own: dict[str, None]) -> dict[str, int]:
    """Viewers of the bundle with the most items in common, and how many those are."""
    watchers, starts = ready.watchers
    codes = [code for code in map(ready.model.log.items.code, own) if code >= 0]
    # Items that nearly everybody has tell least, and cost most.
    codes.sort(key=lambda code: int(starts[code + 1] - starts[code]))
    rows: list[Int32] = []
    room = _WATCHERS
    for code in codes:
        row = np.unique(watchers[starts[code] : starts[code + 1]])
        if len(row) > room:
            break
        room -= len(row)
        rows.append(row)
    if not rows:
        return {}
    who, counts = np.unique(np.concatenate(rows), return_counts=True)
    best = np.argsort(-counts, kind="stable")[: _CANDIDATES + 1]
    names = ready.model.log.viewers.ids(who[best])
    return {name: int(n) for name, n in zip(names, counts[best], strict=True)}
