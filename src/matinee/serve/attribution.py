"""What followed from recommendations: click-through by source, placement, position, bundle, arm and week.

An answer counts as shown once an impression brings its id; a click is an event that brings the id and an item
that was shown under it. Clicks on answers of which nobody said that they were shown are counted apart: they
tell that something followed, and of no share. An answer that was made for a viewer is shown to and followed
by that viewer alone, under whichever of their ids; what others did with its id is counted apart.

Intervals are over viewers, since a viewer's clicks depend on each other. What an id tells is authenticated;
ids that were altered or made elsewhere tell nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from matinee.core.statistics import Interval, bootstrap_means, interval_of
from matinee.serve import recommendation_id
from matinee.serve.recommendation_id import Told
from matinee.serve.records import Shown, Stored
from matinee.serve.store import Store

# What a server reads of itself, it reads in small pages, and answers people between them.
_PAGE = 500
_DRAWS = 400
_DAY_MS = 86_400_000
_NORMAL = 1.96
_FALLBACK = "fallback:"
_SIMILAR = "similar"
# Answers of these sources are the same for everybody.
_FOR_ALL = ("popular", "latest", "popularity", "recent")


@dataclass(kw_only=True, slots=True)
class ShownAnswer:
    """One answer that was shown.

    Attributes:
        user: to whom.
        told: what its id tells.
        time_ms: when it was shown first.
        items: what was shown, in its order.
        clicks: item -> when it was first chosen because of this answer.
    """

    user: str
    told: Told
    time_ms: int
    items: list[str]
    clicks: dict[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class Followed:
    """Everything that was shown and what followed.

    Attributes:
        answers: by recommendation id.
        unshown: clicks of answers of which no impression came: (source, item).
        strays: events that bring the id of a shown answer and an item that was not in it.
        others: events and impressions of another viewer than the one for whom the answer was made.
        unread: events and impressions with an id that tells nothing here.
        nameless: impressions without any id: lists that are not from here.
        events: events that were looked at.
    """

    answers: dict[str, ShownAnswer] = field(default_factory=dict)
    unshown: list[tuple[str, str]] = field(default_factory=list)
    strays: int = 0
    others: int = 0
    unread: int = 0
    nameless: int = 0
    events: int = 0


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Click-through of one kind of answers.

    Attributes:
        name: the source, placement, bundle, week ...
        shown: answers shown; of positions: items shown there.
        clicked: how many of them were followed by a click.
        viewers: to how many viewers.
        rate: clicked / shown, with its 95 % interval over viewers.
    """

    name: str
    shown: int
    clicked: int
    viewers: int
    rate: Interval


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """What followed from recommendations.

    Attributes:
        all: every answer that was shown; None where nothing was.
        personal: those that were made for their viewer; what is like an item is neither this nor the next.
        for_all: those that everybody gets: fallbacks, what is popular, what is new.
        sources, placements, bundles, positions, arms, weeks: the same by each; weeks by their Monday.
        clicks: items that were chosen because of an answer, seen to be shown or not.
        unshown: how many of these clicks were of answers of which no impression came.
        unshown_sources: source -> such clicks.
        strays, others, unread, nameless, events: as of `Followed`.
    """

    all: Rate | None
    personal: Rate | None
    for_all: Rate | None
    sources: tuple[Rate, ...]
    placements: tuple[Rate, ...]
    bundles: tuple[Rate, ...]
    positions: tuple[Rate, ...]
    arms: tuple[Rate, ...]
    weeks: tuple[Rate, ...]
    clicks: int
    unshown: int
    unshown_sources: dict[str, int]
    strays: int
    others: int
    unread: int
    nameless: int
    events: int


async def attribution(
    store: Store, *, secret: bytes, since_ms: int = 0, kinds: Collection[str] = ()
) -> Attribution:
    """Click-through of everything that was shown since a moment.

    Args:
        store: where events and impressions are.
        secret: the store's key, which ids are made with.
        since_ms: what was shown before is not looked at.
        kinds: event kinds that count as clicks; empty: all.
    """
    return told_of(await followed(store, secret=secret, since_ms=since_ms, kinds=kinds))


async def followed(
    store: Store, *, secret: bytes, since_ms: int = 0, kinds: Collection[str] = ()
) -> Followed:
    """What was shown since a moment, and what followed; in memory for each shown answer, not for each event.

    Args:
        store: where events and impressions are.
        secret: the store's key.
        since_ms: answers that were made before are left out.
        kinds: event kinds that count as clicks; empty: all.
    """
    found, ids = Followed(), _Ids(store, secret)
    # An answer is shown after it was made; clocks of senders may be a day off.
    after = await place_of(store.impressions, since_ms - _DAY_MS)
    while page := await store.impressions(after, _PAGE):
        after = page[-1].seq
        for shown in page:
            if await ids.another(shown.recommendation_id, shown.user, since_ms):
                found.others += 1
            else:
                _show(found, shown, ids.read(shown.recommendation_id or ""), since_ms)
        await asyncio.sleep(0)
    after = await place_of(store.events, since_ms)
    while events := await store.events(after, _PAGE):
        after = events[-1].seq
        found.events += len(events)
        for event in events:
            if event.recommendation_id is None or (kinds and event.kind not in kinds):
                continue
            if await ids.another(event.recommendation_id, event.user, since_ms):
                found.others += 1
            else:
                _follow(found, event, ids.read(event.recommendation_id), since_ms)
        await asyncio.sleep(0)
    return found


class _Ids:
    """What ids of answers tell, and whether they were made for somebody."""

    def __init__(self, store: Store, secret: bytes) -> None:
        self._store, self._secret = store, secret
        self._told: dict[str, Told | None] = {}
        self._names: dict[str, list[str]] = {}

    def read(self, id_: str) -> Told | None:
        """What an id tells."""
        if id_ not in self._told:
            self._told[id_] = recommendation_id.read(self._secret, id_)
        return self._told[id_]

    async def another(self, id_: str | None, user: str, since_ms: int) -> bool:
        """Whether an answer since a moment was made for another viewer; who was merged has several names."""
        told = self.read(id_ or "")
        if told is None or told.time_ms < since_ms or recommendation_id.is_for(self._secret, told, user):
            return False
        if user not in self._names:
            self._names[user] = await self._store.ids_of(user)
        return not any(recommendation_id.is_for(self._secret, told, one) for one in self._names[user])


async def place_of(
    read: Callable[[int, int], Awaitable[Sequence[Stored] | Sequence[Shown]]], since_ms: int
) -> int:
    """The place in a log behind which what is of a moment and later lies.

    Found by halving, as if the log were in the order of time: events that came late or early are a little
    off, those of an import that is older than the server lie before.

    Args:
        read: `Store.events` or `Store.impressions`.
        since_ms: the moment.
    """
    low, high = 0, 1
    if since_ms <= 0:
        return 0
    while await read(high, 1):
        high *= 2
    while low < high:
        middle = (low + high) // 2
        page = await read(middle, 1)
        if page and page[0].time_ms < since_ms:
            low = middle + 1
        else:
            high = middle
    return low


def told_of(found: Followed) -> Attribution:
    """The figures of what was shown and followed."""
    answers = list(found.answers.values())
    unshown: dict[str, int] = defaultdict(int)
    for source, _ in found.unshown:
        unshown[source] += 1
    return Attribution(
        all=rate_of("all", answers) if answers else None,
        personal=_some("personal", [one for one in answers if is_personal(one.told.source)]),
        for_all=_some("for everybody", [one for one in answers if for_everybody(one.told.source)]),
        sources=_by(answers, [one.told.source for one in answers]),
        placements=_by(answers, [one.told.placement for one in answers]),
        bundles=_by(answers, [one.told.bundle for one in answers]),
        positions=_positions(answers),
        arms=_by(answers, [one.told.arm for one in answers], empty=False),
        weeks=_by(answers, [monday_of(one.time_ms) for one in answers]),
        clicks=sum(len(one.clicks) for one in answers) + len(found.unshown),
        unshown=len(found.unshown),
        unshown_sources=dict(unshown),
        strays=found.strays,
        others=found.others,
        unread=found.unread,
        nameless=found.nameless,
        events=found.events,
    )


def rate_of(name: str, answers: Sequence[ShownAnswer]) -> Rate:
    """Click-through of some answers: the share that was followed by a click."""
    return share_of(name, [one.user for one in answers], [bool(one.clicks) for one in answers])


def for_everybody(source: str) -> bool:
    """Whether answers of a source are the same for everybody."""
    return source.startswith(_FALLBACK) or source in _FOR_ALL


def is_personal(source: str) -> bool:
    """Whether answers of a source are made for their viewer."""
    return source != _SIMILAR and not for_everybody(source)


def monday_of(time_ms: int) -> str:
    """The Monday of a moment's week, as 2026-11-16."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    year, week, _ = moment.isocalendar()
    return datetime.fromisocalendar(year, week, 1).date().isoformat()


def _show(found: Followed, shown: Shown, told: Told | None, since_ms: int) -> None:
    if shown.recommendation_id is None:
        found.nameless += 1
    elif told is None:
        found.unread += 1
    elif told.time_ms >= since_ms:
        before = found.answers.get(shown.recommendation_id)
        if before is None:
            found.answers[shown.recommendation_id] = ShownAnswer(
                user=shown.user, told=told, time_ms=shown.time_ms, items=list(shown.items)
            )
        else:
            # Shown piece by piece, as a row is that people scroll.
            before.items.extend(item for item in shown.items if item not in before.items)


def _follow(found: Followed, event: Stored, told: Told | None, since_ms: int) -> None:
    if told is None:
        found.unread += 1
    elif told.time_ms >= since_ms:
        answer = found.answers.get(str(event.recommendation_id))
        if answer is None:
            found.unshown.append((told.source, event.item))
        elif event.item in answer.items:
            first = answer.clicks.get(event.item, event.time_ms)
            answer.clicks[event.item] = min(first, event.time_ms)
        else:
            found.strays += 1


def _by(answers: Sequence[ShownAnswer], names: Sequence[str], *, empty: bool = True) -> tuple[Rate, ...]:
    groups: dict[str, list[ShownAnswer]] = defaultdict(list)
    for answer, name in zip(answers, names, strict=True):
        if name or empty:
            groups[name].append(answer)
    return tuple(rate_of(name, groups[name]) for name in sorted(groups))


def _some(name: str, answers: Sequence[ShownAnswer]) -> Rate | None:
    return rate_of(name, answers) if answers else None


def _positions(answers: Iterable[ShownAnswer], most: int = 20) -> tuple[Rate, ...]:
    users: dict[int, list[str]] = defaultdict(list)
    clicked: dict[int, list[bool]] = defaultdict(list)
    for answer in answers:
        for place, item in enumerate(answer.items[:most], 1):
            users[place].append(answer.user)
            clicked[place].append(item in answer.clicks)
    return tuple(share_of(str(place), users[place], clicked[place]) for place in sorted(users))


def share_of(name: str, users: Sequence[Hashable], clicked: Sequence[bool]) -> Rate:
    """A share with its interval: viewers are drawn, not answers.

    Args:
        name: what it is the share of.
        users: whose each case is.
        clicked: whether it is one of those that are counted, for each case; there is at least one.
    """
    codes: dict[Hashable, int] = {}
    owners = np.array([codes.setdefault(user, len(codes)) for user in users], dtype=np.int64)
    hits = np.asarray(clicked, dtype=np.float64)
    sums = np.bincount(owners, weights=hits, minlength=len(codes))[:, None].astype(np.float64)
    counts = np.bincount(owners, minlength=len(codes)).astype(np.int64)
    mean = float(hits.mean())
    interval = interval_of(mean, bootstrap_means(sums, counts, draws=_DRAWS)[:, 0])
    if interval.low == interval.high:
        # Nobody differs from anybody: drawing them again shows no spread, and yet there is one.
        interval = _wilson(mean, len(codes))
    return Rate(
        name=name,
        shown=len(hits),
        clicked=int(hits.sum()),
        viewers=len(codes),
        rate=interval,
    )


def _wilson(mean: float, n: int) -> Interval:
    """The interval of a share that n independent witnesses agree on (Wilson 1927)."""
    square = _NORMAL**2
    middle = (mean + square / (2 * n)) / (1 + square / n)
    half = _NORMAL / (1 + square / n) * math.sqrt(mean * (1 - mean) / n + square / (4 * n * n))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(mean=mean, low=min(low, mean), high=max(high, mean))
