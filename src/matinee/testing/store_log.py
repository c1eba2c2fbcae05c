"""The suite of stores: what is asked of the log."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from matinee.serve.records import Event, Impression, Seen
from matinee.serve.store import Store
from matinee.testing.store_stories import StoreStories, watched


class LogTests(StoreStories):
    """Histories, pages, popularity; what is withdrawn or too old is in none of them."""

    def test_a_history_is_the_latest_events_oldest_first(self, url: str) -> None:
        async def story(store: Store) -> None:
            await store.add([watched("u", f"{n}", 100 * ((n * 7) % 10), value=n) for n in range(10)])
            await store.add([watched("u", "late", 450), watched("v", "other", 2000)])
            items = [seen.item for seen in await store.history("u", 99)]
            assert items == ["0", "3", "6", "9", "2", "late", "5", "8", "1", "4", "7"]
            assert [seen.item for seen in await store.history("u", 3)] == ["1", "4", "7"]
            assert await store.history("u", 1) == [Seen("7", "view", 7.0, 900)]
            assert await store.history("u", 0) == []

        self.tell(url, story)

    def test_events_of_one_moment_stay_in_their_order(self, url: str) -> None:
        async def story(store: Store) -> None:
            await store.add([watched("u", f"{9 - n}") for n in range(10)])
            await store.add([watched("anonymous", "last")])
            await store.merge("anonymous", "u")
            items = [seen.item for seen in await store.history("u", 11)]
            assert items == [*(f"{9 - n}" for n in range(10)), "last"]
            assert [seen.item for seen in await store.history("u", 3)] == ["1", "0", "last"]

        self.tell(url, story)

    def test_what_is_withdrawn_counts_nowhere(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            await one.add(
                [watched("u", "i", event_id="e"), watched("u", "i", kind="like"), watched("u", "j")]
            )
            await one.add([watched("v", "i"), watched("w", "only")])
            assert await other.withdraw("u", "i", "view") == 1
            assert [(seen.item, seen.kind) for seen in await one.history("u", 9)] == [
                ("i", "like"),
                ("j", "view"),
            ]
            assert await other.withdraw("u", "i") == 1
            assert await other.withdraw("u", "i") == 0
            assert [event.item for event in await one.events(user="u")] == ["j"]
            assert await one.popular(0, 9) == [("i", 1), ("j", 1), ("only", 1)]
            assert await one.withdraw("w", "only") == 1
            assert [viewer.id for viewer in await one.viewers()] == ["u", "v"]
            # The sender's repetition is the event that was withdrawn; a new one is new.
            assert await one.add([watched("u", "i", event_id="e")]) == 0
            assert await one.add([watched("u", "i")]) == 1
            assert [seen.item for seen in await other.history("u", 9)] == ["j", "i"]

        self.tell_two(url, story)

    def test_events_by_viewer_item_and_kind_in_pages(self, url: str) -> None:
        async def story(store: Store) -> None:
            events = [watched(f"u{n % 3}", f"i{n % 4}", n, kind=("view", "like")[n % 2]) for n in range(48)]
            await store.add(events)
            asked: Sequence[tuple[dict[str, str], Callable[[Event], bool]]] = (
                ({}, lambda _: True),
                ({"user": "u1"}, lambda event: event.user == "u1"),
                ({"item": "i2"}, lambda event: event.item == "i2"),
                ({"kind": "like"}, lambda event: event.kind == "like"),
                ({"user": "u1", "item": "i1"}, lambda event: (event.user, event.item) == ("u1", "i1")),
                ({"user": "u0", "kind": "view"}, lambda event: (event.user, event.kind) == ("u0", "view")),
                ({"item": "nothing"}, lambda _: False),
            )
            for wish, fits in asked:
                found, after = [], 0
                while some := await store.events(after, 5, **wish):
                    assert len(some) <= 5
                    found += [event.time_ms for event in some]
                    after = some[-1].seq
                assert found == [event.time_ms for event in events if fits(event)], wish

        self.tell(url, story)

    def test_impressions_in_pages_and_of_one_viewer(self, url: str) -> None:
        async def story(store: Store) -> None:
            shown = [Impression(user=f"u{n % 2}", items=(f"{n}",), time_ms=n) for n in range(9)]
            await store.add([], [*shown, Impression(user="u0", items=(), time_ms=9)])
            first = await store.impressions(most=4)
            rest = await store.impressions(first[-1].seq)
            assert [one.time_ms for one in first + rest] == list(range(10))
            assert rest[-1].items == ()
            assert [one.time_ms for one in await store.impressions(user="u1")] == [1, 3, 5, 7]
            await store.merge("u1", "u0")
            assert len(await store.impressions(user="u1")) == 10
            assert {one.user for one in await store.impressions()} == {"u0"}

        self.tell(url, story)

    def test_popular_counts_viewers_not_events(self, url: str) -> None:
        async def story(store: Store) -> None:
            await store.add([watched("u", "a", 5) for _ in range(9)])
            await store.add([watched(f"u{n}", "b", 5 + n) for n in range(3)])
            await store.add([watched("u0", "b", 9, kind="like"), watched("u0", "c", 9, kind="like")])
            assert await store.popular(0, 9) == [("b", 3), ("a", 1), ("c", 1)]
            assert await store.popular(0, 1) == [("b", 3)]
            assert await store.popular(6, 9) == [("b", 3), ("c", 1)]
            assert await store.popular(7, 9, ["view"]) == [("b", 1)]
            assert await store.popular(0, 9, ["like"]) == [("b", 1), ("c", 1)]
            assert await store.popular(0, 9, ["like", "view"]) == [("b", 3), ("a", 1), ("c", 1)]
            assert await store.popular(10, 9) == []
            await store.merge("u0", "u1")
            assert await store.popular(0, 9) == [("b", 2), ("a", 1), ("c", 1)]

        self.tell(url, story)

    def test_popular_of_a_long_log_is_counted_as_by_hand(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            rng = random.Random(3)
            events = [
                watched(
                    f"u{int(rng.random() ** 2 * 90)}",
                    f"i{int(rng.random() ** 3 * 70)}",
                    rng.randrange(100_000),
                    kind=rng.choice(("view", "view", "like", "skip")),
                )
                for _ in range(4000)
            ]
            await one.add(events)
            gone = {("u0", "i0"), ("u1", "i3"), ("u2", "i1")}
            for user, item in gone:
                await one.withdraw(user, item)
            into = {f"u{n}": f"u{n + 20}" for n in range(10, 20)}
            for user, root in into.items():
                await one.merge(user, root)
            await one.forget("u5")
            await one.retain(1_000)
            left = [
                event
                for event in events
                if (event.user, event.item) not in gone and event.user != "u5" and event.time_ms >= 1_000
            ]
            for since_ms in (0, 1_000, 50_000, 98_000, 99_990):
                for kinds in ((), ("view",), ("like", "skip"), ("none",)):
                    who: dict[str, set[str]] = {}
                    for event in left:
                        if event.time_ms >= since_ms and (not kinds or event.kind in kinds):
                            who.setdefault(event.item, set()).add(into.get(event.user, event.user))
                    counted = sorted((-len(users), item) for item, users in who.items())
                    found = await other.popular(since_ms, 30, kinds)
                    assert found == [(item, -n) for n, item in counted][:30]

        self.tell_two(url, story)
