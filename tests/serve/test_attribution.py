from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from pathlib import Path

import pytest

from matinee.serve.attribution import (
    Attribution,
    attribution,
    followed,
    for_everybody,
    is_personal,
    monday_of,
    place_of,
    share_of,
)
from matinee.serve.recommendation_id import Told, make
from matinee.serve.records import Event, Impression
from matinee.serve.sqlite_store import open_sqlite
from matinee.testing.small_store import SmallStore

KEY = b"k" * 32
DAY = 86_400_000
NOW = 1_795_000_000_000


def answer(source: str = "blend", time_ms: int = NOW, placement: str = "home", arm: str = "") -> str:
    told = Told(placement=placement, bundle="b", source=source, arm=arm, time_ms=time_ms)
    return make(KEY, told)


def shown(user: str, id_: str | None, items: str = "abcde", time_ms: int = NOW) -> Impression:
    return Impression(user=user, items=tuple(items), time_ms=time_ms, recommendation_id=id_)


def chose(user: str, item: str, id_: str | None, time_ms: int = NOW + 1, kind: str = "watch") -> Event:
    return Event(user=user, item=item, kind=kind, time_ms=time_ms, recommendation_id=id_)


def look(events: list[Event], impressions: list[Impression], **more) -> Attribution:  # type: ignore[no-untyped-def]
    async def story() -> Attribution:
        store = SmallStore()
        await store.add(events, impressions)
        return await attribution(store, secret=KEY, **more)

    return asyncio.run(story())


def test_a_click_counts_once_at_its_answer_place_and_source() -> None:
    one, two, three = answer(), answer("fallback:popular", placement="title"), answer()
    found = look(
        [chose("u", "b", one), chose("u", "b", one), chose("v", "a", two)],
        [shown("u", one), shown("v", two), shown("w", three)],
    )
    assert found.all is not None
    assert (found.all.shown, found.all.clicked, found.all.viewers) == (3, 2, 3)
    assert [(one.name, one.shown, one.clicked) for one in found.sources] == [
        ("blend", 2, 1),
        ("fallback:popular", 1, 1),
    ]
    assert [(one.name, one.shown) for one in found.placements] == [("home", 2), ("title", 1)]
    assert [(one.name, one.shown, one.clicked) for one in found.positions[:3]] == [
        ("1", 3, 1),
        ("2", 3, 1),
        ("3", 3, 0),
    ]
    assert found.personal is not None
    assert found.for_all is not None
    assert (found.personal.shown, found.for_all.shown) == (2, 1)
    assert found.arms == ()
    assert found.clicks == 2


def test_what_was_not_seen_to_be_shown_is_in_no_share() -> None:
    one, two = answer(), answer("latest")
    found = look([chose("u", "a", one), chose("u", "z", two)], [shown("u", one)])
    assert found.all is not None
    assert (found.all.shown, found.clicks, found.unshown) == (1, 2, 1)
    assert found.unshown_sources == {"latest": 1}
    nobody = look([chose("u", "a", one)], [])
    assert nobody.all is None
    assert nobody.personal is None
    assert (nobody.clicks, nobody.unshown) == (1, 1)


def test_ids_that_were_altered_or_made_elsewhere_tell_nothing() -> None:
    foreign = make(b"x" * 32, Told(source="blend", time_ms=NOW))
    good = answer()
    bent = good[:-1] + ("A" if good[-1] != "A" else "B")
    found = look(
        [chose("u", "a", foreign), chose("u", "a", bent), chose("u", "a", "")],
        [shown("u", foreign), shown("u", None)],
    )
    assert found.all is None
    assert (found.clicks, found.unread, found.nameless) == (0, 4, 1)


def test_an_item_that_was_not_in_the_answer_is_a_stray() -> None:
    one = answer()
    found = look([chose("u", "z", one)], [shown("u", one)])
    assert found.all is not None
    assert (found.all.clicked, found.strays, found.clicks) == (0, 1, 0)


def test_an_answer_shown_piece_by_piece_is_one() -> None:
    one = answer()
    found = look([chose("u", "f", one)], [shown("u", one, "abc"), shown("u", one, "cdef")])
    assert found.all is not None
    assert (found.all.shown, found.all.clicked) == (1, 1)
    assert [(place.name, place.clicked) for place in found.positions][-1] == ("6", 1)


def test_kinds_and_moments_limit_what_is_looked_at() -> None:
    old, new = answer(time_ms=NOW - 9 * DAY), answer()
    events = [chose("u", "a", old, NOW - 9 * DAY), chose("u", "a", new, kind="look"), chose("v", "b", new)]
    found = look(events, [shown("u", old, time_ms=NOW - 9 * DAY), shown("u", new)], since_ms=NOW - DAY)
    assert found.all is not None
    assert (found.all.shown, found.clicks) == (1, 2)
    watched = look(events, [shown("u", new)], kinds=("watch",), since_ms=NOW - DAY)
    assert watched.clicks == 1


def test_merged_viewers_are_one_witness(tmp_path: Path) -> None:
    async def story() -> Attribution:
        store = open_sqlite(tmp_path / "store.db")
        await store.add([], [shown("anonymous", answer()), shown("u", answer())])
        await store.merge("anonymous", "u")
        try:
            return await attribution(store, secret=KEY)
        finally:
            await store.close()

    found = asyncio.run(story())
    assert found.all is not None
    assert (found.all.shown, found.all.viewers) == (2, 1)


def test_weeks_begin_on_monday() -> None:
    assert monday_of(1_795_317_300_000) == "2026-11-16"
    assert monday_of(1_767_398_400_000) == "2025-12-29"
    found = look([], [shown("u", answer()), shown("u", answer(time_ms=NOW - 7 * DAY), time_ms=NOW - 7 * DAY)])
    assert [one.name for one in found.weeks] == [monday_of(NOW - 7 * DAY), monday_of(NOW)]


def test_sources_for_everybody_and_for_one() -> None:
    assert [for_everybody(one) for one in ("fallback:popular", "popular", "latest", "similar", "ease")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [is_personal(one) for one in ("fallback:popular", "similar", "ease")] == [False, False, True]


def test_all_figures_agree_with_a_slow_count() -> None:
    dice = random.Random(5)
    events, impressions = [], []
    want: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number in range(300):
        source = dice.choice(["blend", "popular", "similar"])
        id_, user = answer(source), f"u{number % 40}"
        items = "".join(dice.sample("abcdefgh", 5))
        impressions.append(shown(user, id_, items))
        picks = [item for item in items if dice.random() < 0.1]
        events += [chose(user, item, id_) for item in picks]
        want[source][0] += 1
        want[source][1] += bool(picks)
    found = look(dice.sample(events, len(events)), impressions)
    assert {one.name: [one.shown, one.clicked] for one in found.sources} == want
    for one in found.sources:
        assert one.rate.low <= one.rate.mean <= one.rate.high
        assert one.rate.mean == pytest.approx(one.clicked / one.shown)


def test_intervals_are_over_viewers_and_hold() -> None:
    # One viewer's hundred clicks are one witness, not a hundred.
    few = share_of("few", ["a"] * 100 + ["b"] * 100, [True] * 100 + [False] * 100).rate
    many = share_of("many", list(range(200)), [True] * 100 + [False] * 100).rate
    assert few.high - few.low > 3 * (many.high - many.low)
    nobody = share_of("nobody", list(range(20)), [False] * 20).rate
    assert nobody.low == 0.0
    assert 0.1 < nobody.high < 0.3
    dice, held = random.Random(1), 0
    for _ in range(100):
        users = [viewer for viewer in range(60) for _ in range(5)]
        taste = {viewer: dice.betavariate(2, 6) for viewer in range(60)}
        rate = share_of("x", users, [dice.random() < taste[viewer] for viewer in users]).rate
        held += rate.low <= 0.25 <= rate.high
    assert held >= 88


def test_the_place_of_a_moment_is_found_by_halving() -> None:
    async def story() -> list[int]:
        store = SmallStore()
        await store.add([chose("u", "a", None, time) for time in range(1000, 2000, 10)])
        return [await place_of(store.events, moment) for moment in (0, 1000, 1500, 1505, 1990, 5000)]

    assert asyncio.run(story()) == [0, 0, 50, 51, 99, 100]


def test_followed_keeps_the_first_click_of_an_item() -> None:
    async def story() -> int:
        store, one = SmallStore(), answer()
        await store.add([chose("u", "a", one, NOW + 9), chose("u", "a", one, NOW + 3)], [shown("u", one)])
        found = await followed(store, secret=KEY)
        return next(iter(found.answers.values())).clicks["a"]

    assert asyncio.run(story()) == NOW + 3


def test_clicks_of_others_are_not_the_answers() -> None:
    told = Told(placement="home", bundle="b", source="blend", time_ms=NOW)
    anns, carols, old = make(KEY, told, "ann"), make(KEY, told, "carol"), answer()
    found = look(
        [
            chose("ann", "a", anns),
            chose("bob", "b", anns),
            chose("bob", "c", carols),
            chose("bob", "a", old),
        ],
        [shown("bob", anns), shown("ann", anns), shown("carol", carols), shown("ann", old)],
    )
    assert found.all is not None
    # Carol's was followed by bob alone; of an id that does not say for whom anybody's click counts.
    assert (found.all.shown, found.all.clicked, found.all.viewers, found.others) == (3, 2, 2, 3)
    assert found.clicks == 2
    # Clicks of others on what nobody was seen to be shown are nothing that followed, either.
    unseen = look([chose("bob", "a", anns), chose("ann", "a", anns)], [])
    assert (unseen.unshown, unseen.others) == (1, 1)
    later = look([chose("bob", "a", anns)], [], since_ms=NOW + 1)
    assert (later.unshown, later.others) == (0, 0)


def test_a_viewer_who_was_merged_follows_what_was_made_for_the_visit() -> None:
    async def story() -> Attribution:
        store = SmallStore()
        id_ = make(KEY, Told(source="blend", time_ms=NOW), "cookie")
        await store.add([chose("ann", "a", id_)], [shown("cookie", id_)])
        await store.merge("cookie", "ann")
        return await attribution(store, secret=KEY)

    found = asyncio.run(story())
    assert found.all is not None
    assert (found.all.clicked, found.others) == (1, 0)
