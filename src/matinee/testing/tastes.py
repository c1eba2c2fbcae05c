"""Small made-up logs for tests: one that can be foretold from what viewers did, and one that cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matinee.core.seeds import generator
from matinee.core.types import Bool, Int64
from matinee.data.log import InteractionLog
from matinee.testing.made_logs import log_of, ragged

DAY_MS = 86_400_000
_TASTES = 6
_ITEMS_A_TASTE = 12
_FRIENDS = 5
# Of one taste is who has so many of its items.
_FEWEST = 3


def friendly_log(
    rows: Sequence[Sequence[int]], n_items: int, friends: Sequence[Sequence[int]], order: str = "time"
) -> InteractionLog:
    """A log from plain lists of item codes, an event a day, and of friends' viewer codes.

    Args:
        rows: each viewer's items, oldest first.
        n_items: size of the catalogue; items without an event are fine.
        friends: each viewer's friends.
        order: "time", or "none" for a log without times whose order means nothing.
    """
    times = [[1_600_000_000_000 + day * DAY_MS for day in range(len(row))] for row in rows]
    return log_of(
        rows,
        times=times if order == "time" else None,
        n_items=n_items,
        order=order,
        friends=ragged(friends),
    )


def predictable_log(n_viewers: int = 400, *, seed: int = 0, order: str = "time") -> InteractionLog:
    """Viewers of six tastes, twelve items each, who walk through their taste's items in one order.

    Nine of ten events are the next item of the viewer's own taste, the tenth is any item; nine of ten friends
    share the taste. All items are about equally popular, so popularity foretells nothing; nobody watched
    the last three items of the catalogue.
    """
    random = generator(seed, "predictable")
    tastes = random.integers(_TASTES, size=n_viewers)
    lists = [_walk(int(taste), random) for taste in tastes]
    friends = _links(tastes, random.random((n_viewers, _FRIENDS)) < 0.9, random)
    return friendly_log(lists, _TASTES * _ITEMS_A_TASTE + 3, friends, order)


def disliked_log(item: int, n_viewers: int = 200, *, seed: int = 0) -> InteractionLog:
    """A predictable log in which whoever shares an item's taste, and does not have it, turned it down."""
    log = predictable_log(n_viewers, seed=seed)
    rows = [log.histories.row(viewer) for viewer in range(n_viewers)]
    alike = [(row // _ITEMS_A_TASTE == item // _ITEMS_A_TASTE).sum() >= _FEWEST for row in rows]
    noes = [[item] if like and item not in row else [] for like, row in zip(alike, rows, strict=True)]
    return replace(log, negatives=ragged(noes))


def weighted_log(n_viewers: int = 200, *, seed: int = 0) -> InteractionLog:
    """A predictable log whose events weigh 1/4, 1 or 3, and whose every other viewer ends as they began.

    Every viewer has turned down two items of the first taste.
    """
    random = generator(seed, "weighted")
    log = predictable_log(n_viewers, seed=seed)
    rows = [log.histories.row(viewer).tolist() for viewer in range(n_viewers)]
    rows = [row + row[: viewer % 2] for viewer, row in enumerate(rows)]
    friends = [] if log.friends is None else [log.friends.row(v).tolist() for v in range(n_viewers)]
    made = friendly_log(rows, log.n_items, friends)
    weights = random.choice(np.array([0.25, 1.0, 3.0], np.float32), len(made))
    noes = ragged([random.choice(_ITEMS_A_TASTE, 2, replace=False).tolist() for _ in rows])
    return replace(made, histories=replace(made.histories, weights=weights), negatives=noes)


def rated_log(log: InteractionLog, *, seed: int = 0, noise: float = 0.3) -> InteractionLog:
    """The same log with values from 1 to 5: a viewer likes the items of their taste, some items are better.

    Args:
        log: one of the logs of this file; a viewer's taste is the one that most of their items are of.
        seed: of what is drawn.
        noise: standard deviation of what nobody can foretell.
    """
    random = generator(seed, "rated")
    histories, tastes = log.histories, -(-log.n_items // _ITEMS_A_TASTE)
    rows, kinds = histories.rows(), histories.items // _ITEMS_A_TASTE
    counts = np.zeros((len(histories), tastes))
    np.add.at(counts, (rows, kinds), 1.0)
    own = counts.argmax(axis=1)[rows] == kinds
    lean = 0.5 * random.standard_normal(log.n_items)
    values = 2.5 + 1.5 * own + lean[histories.items] + noise * random.standard_normal(len(rows))
    told = np.clip(values, 1.0, 5.0).astype(np.float32)
    return replace(log, histories=replace(histories, values=told), target="rating")


def camps_log(n_viewers: int = 120, *, seed: int = 0) -> InteractionLog:
    """Viewers of two camps who rate 25 of 40 items: about 4 for even ones and 2 for odd, or the reverse.

    No item and no viewer is better or kinder than another; an event an hour.
    """
    random = generator(seed, "camps")
    rows = [random.choice(40, 25, replace=False).tolist() for _ in range(n_viewers)]
    times = [[1_600_000_000_000 + hour * DAY_MS // 24 for hour in range(25)] for _ in rows]
    log = log_of(rows, times=times, n_items=40, target="rating")
    camps = np.where(log.histories.rows() % 2 == log.histories.items % 2, 1.0, -1.0)
    values = np.clip(3 + camps + 0.3 * random.standard_normal(len(log)), 1.0, 5.0).astype(np.float32)
    return replace(log, histories=replace(log.histories, values=values))


def patternless_log(n_viewers: int = 400, *, seed: int = 0, order: str = "time") -> InteractionLog:
    """Viewers who draw items by popularity alone, each item once: nothing else is to be learned.

    Friends are drawn at random. The sizes are those of `predictable_log`.
    """
    random = generator(seed, "patternless")
    n_items = _TASTES * _ITEMS_A_TASTE
    shares = 1.0 / np.arange(2, n_items + 2)
    shares /= shares.sum()
    codes = random.permutation(n_items)
    lists = [
        codes[random.choice(n_items, size=random.integers(5, 9), replace=False, p=shares)].tolist()
        for _ in range(n_viewers)
    ]
    friends = _links(np.zeros(n_viewers, np.int64), np.zeros((n_viewers, _FRIENDS), np.bool_), random)
    return friendly_log(lists, n_items + 3, friends, order)


def drifting_log(n_viewers: int = 400, *, seed: int = 0, drift: bool = True) -> InteractionLog:
    """Viewers who draw from what is popular that day, over a year; all of them end in its last weeks.

    Tastes do not differ. With `drift` every item has its season of some weeks, and all are about equally
    popular over the year; without it the same items are popular all year.
    """
    random = generator(seed, "drifting")
    n_items, days = _TASTES * _ITEMS_A_TASTE, 380
    rows, times = [], []
    for _ in range(n_viewers):
        when = np.append(np.sort(random.uniform(0, days - 20, random.integers(5, 9))), days - 10)
        row: list[int] = []
        for day in when:
            season = np.exp(-(((np.arange(n_items) / n_items * days - day) / 15) ** 2))
            odds = season if drift else 1.0 / np.arange(2, n_items + 2)
            odds = np.where(np.isin(np.arange(n_items), row), 0.0, odds + 1e-6)
            row.append(int(random.choice(n_items, p=odds / odds.sum())))
        rows.append(row)
        times.append([1_600_000_000_000 + int(day * DAY_MS) for day in when])
    return log_of(rows, times=times, n_items=n_items + 3, order="time")


def _walk(taste: int, random: np.random.Generator) -> list[int]:
    """One viewer's items: steps along the ring of a taste's items, now and then any item; none twice."""
    place = int(random.integers(_ITEMS_A_TASTE))
    walked: list[int] = []
    for _ in range(int(random.integers(5, 9))):
        item = taste * _ITEMS_A_TASTE + place % _ITEMS_A_TASTE
        if random.random() < 0.1:
            item = int(random.integers(_TASTES * _ITEMS_A_TASTE))
        else:
            place += 1
        if item not in walked:
            walked.append(item)
    return walked


def _links(tastes: Int64, alike: Bool, random: np.random.Generator) -> list[list[int]]:
    """Friends of each viewer: of the same taste where `alike`, else anybody; never oneself."""
    friends = []
    for viewer, flags in enumerate(alike):
        same = np.flatnonzero(tastes == tastes[viewer])
        drawn = {int(random.choice(same) if flag else random.integers(len(tastes))) for flag in flags}
        friends.append(sorted(drawn - {viewer}))
    return friends
