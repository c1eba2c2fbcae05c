"""The suite of stores: adding events."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import pytest

from matinee.serve.records import Event, Impression, ItemRecord, Seen, ViewerRecord
from matinee.serve.refusals import Refusal
from matinee.serve.store import Store
from matinee.testing.store_stories import StoreStories, watched

ODD_IDS = (
    "",
    " ",
    "a/b?c=%s&%d",
    "'; DROP TABLE event; --",
    '"',
    "\\",
    "naïve",
    "名前",
    "😀",
    "\n",
    "x" * 256,
)


class AddingTests(StoreStories):
    """What is added is kept, once, in its order, and seen at once."""

    def test_what_was_added_is_read_back_as_it_was(self, url: str) -> None:
        full = Event(
            user="u",
            item="i",
            kind="purchase",
            time_ms=1_700_000_000_123,
            value=0.1,
            event_id="e",
            recommendation_id="r",
            position=3,
            session="s",
            properties='{"a": [1, "\\u0000"]}',
            sets=True,
        )
        plain = watched("u", "j", -5)
        shown = Impression(user="u", items=("a", "b"), time_ms=7, recommendation_id="r", event_id="e")

        async def story(store: Store) -> None:
            assert await store.add([full, plain], [shown]) == 3
            found = await store.events()
            for event, stored in zip((full, plain), found, strict=True):
                told = stored._asdict()
                del told["seq"]
                assert told == dataclasses.asdict(event)
            (seen,) = await store.impressions()
            assert seen[1:] == ("u", ("a", "b"), 7, "r")

        self.tell(url, story)
        self.tell(url, self.holds(events=2, impressions=1))

    def test_numbers_at_their_ends(self, url: str) -> None:
        values = [0.1, 1 / 3, 1e308, 5e-324, -0.0, float("inf"), 123456789.123456789, None]

        async def story(store: Store) -> None:
            await store.add([watched("u", f"{n}", n, value=value) for n, value in enumerate(values)])
            assert [seen.value for seen in await store.history("u", 99)] == values
            await store.add([watched("v", "i", 2**63 - 1, position=2**63 - 1)])
            (event,) = await store.events(user="v")
            assert (event.time_ms, event.position) == (2**63 - 1, 2**63 - 1)

        self.tell(url, story)

    @pytest.mark.parametrize("odd", ODD_IDS)
    def test_ids_are_any_text(self, url: str, odd: str) -> None:
        async def story(store: Store) -> None:
            event = Event(user=odd, item=odd, kind=odd, time_ms=1, event_id=odd, session=odd)
            assert await store.add([event], [Impression(user=odd, items=(odd, odd), time_ms=1)]) == 2
            assert await store.add([event]) == 0
            assert await store.history(odd, 9) == [Seen(odd, odd, None, 1)]
            assert (await store.impressions(user=odd))[0].items == (odd, odd)
            await store.put_items([ItemRecord(id=odd, title=odd, attributes={odd: odd})])
            assert (await store.item(odd) or ItemRecord(id="?")).title == odd
            await store.put_viewers([ViewerRecord(id=odd, region=odd)])
            await store.put_notes({f"note {odd}": odd})
            assert await store.note(f"note {odd}") == odd
            assert await store.popular(0, 9, [odd]) == [(odd, 1)]
            assert await store.withdraw(odd, odd, odd) == 1
            assert (await store.forget(odd)).events == 1

        self.tell(url, story)

    @pytest.mark.parametrize(
        "bad",
        [
            {"user": "a\0b"},
            {"item": "\ud800"},
            {"event_id": "\udfff"},
            {"properties": "\0"},
            {"time_ms": 2**63},
            {"position": -(2**63) - 1},
            {"value": float("nan")},
        ],
    )
    def test_what_cannot_be_kept_is_refused_alone(self, url: str, bad: dict[str, Any]) -> None:
        async def story(store: Store) -> None:
            good = [store.add([watched("u", f"{n}")]) for n in range(4)]
            both = store.add(
                [watched("u", "with the bad one"), dataclasses.replace(watched("u", "i"), **bad)]
            )
            found = await asyncio.gather(*good, both, return_exceptions=True)
            assert found[:4] == [1, 1, 1, 1]
            assert isinstance(found[4], Refusal)
            assert found[4].status == 400
            assert next(iter(bad)).removesuffix("_ms") in str(found[4])
            assert len(await store.history("u", 99)) == 4

        self.tell(url, story)

    @pytest.mark.parametrize("bad", ["\ud800", "a\0b"])
    def test_asking_for_what_cannot_be_is_no_failure(self, url: str, bad: str) -> None:
        async def story(store: Store) -> None:
            asked = [
                store.history(bad, 5),
                store.viewer(bad),
                store.item(bad),
                store.note(bad),
                store.events(user=bad),
                store.viewers(bad),
                store.forgotten([bad]),
                store.withdraw(bad, "i"),
                store.merge(bad, "u"),
                store.forget(bad),
                store.delete_item(bad),
                store.put_items([ItemRecord(id="i", title=bad)]),
                store.put_viewers([ViewerRecord(id="u", attributes={"a": [bad]})]),
                store.put_notes({"note": bad}),
            ]
            for answer in await asyncio.gather(*asked, return_exceptions=True):
                assert not isinstance(answer, Exception) or isinstance(answer, Refusal), answer
                assert getattr(answer, "status", 400) == 400
            await store.add([watched("u", "i")])

        self.tell(url, story)

    def test_the_same_event_is_stored_once(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            event = watched("u", "i", event_id="e")
            assert await one.add([event, event]) == 1
            assert await other.add([event]) == 0
            assert (
                await one.add([dataclasses.replace(event, item="other"), watched("u", "j", event_id="f")])
                == 1
            )
            assert await one.add([watched("u", "k"), watched("u", "k")]) == 2
            shown = Impression(user="u", items=("i",), time_ms=1, event_id="e")
            assert await one.add([], [shown, shown]) == 1
            assert await other.add([], [shown]) == 0
            assert [seen.item for seen in await other.history("u", 9)] == ["i", "j", "k", "k"]

        self.tell_two(url, story)

    def test_the_same_event_from_many_at_once_is_stored_once(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            calls = [
                store.add([watched("u", f"{n}", n, event_id=f"{n}")])
                for n in range(40)
                for store in (one, other, one)
            ]
            assert sum(await asyncio.gather(*calls)) == 40
            assert [seen.item for seen in await one.history("u", 99)] == [f"{n}" for n in range(40)]

        self.tell_two(url, story)

    def test_adding_nothing(self, url: str) -> None:
        async def story(store: Store) -> None:
            assert await store.add([]) == 0
            assert await store.events() == []
            assert await store.impressions() == []
            assert await store.history("nobody", 9) == []
            assert await store.popular(0, 9) == []
            assert await store.viewers() == []
            assert await store.items() == []

        self.tell(url, story)

    def test_one_call_is_in_the_log_in_its_order(self, url: str) -> None:
        async def story(store: Store) -> None:
            await store.add([watched("u", f"{n}", 9000 - n) for n in range(1500)])
            found = await store.events(most=2000)
            assert [event.item for event in found] == [f"{n}" for n in range(1500)]
            places = [event.seq for event in found]
            assert places == sorted(set(places))
            assert places[0] > 0

        self.tell(url, story)

    def test_what_one_was_told_every_other_sees_at_once(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            for n in range(30):
                writer, reader = (one, other) if n % 2 else (other, one)
                await writer.add([watched("u", f"{n}", n)])
                assert (await reader.history("u", 1))[0].item == f"{n}"

        self.tell_two(url, story)

    def test_who_follows_the_log_misses_nothing(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            async def write(store: Store, name: str) -> None:
                for n in range(60):
                    await store.add([watched(name, f"{n}")])

            async def follow(store: Store) -> list[tuple[str, str]]:
                seen: list[tuple[str, str]] = []
                after = 0
                end = time.monotonic() + 60
                while len(seen) < 480 and time.monotonic() < end:
                    some = await store.events(after, 7)
                    after = some[-1].seq if some else after
                    seen += [(event.user, event.item) for event in some]
                    await asyncio.sleep(0)
                return seen

            writers = [write((one, other)[n % 2], f"u{n}") for n in range(8)]
            follower = asyncio.ensure_future(follow(one))
            await asyncio.gather(*writers)
            seen = await follower
            assert len(seen) == len(set(seen)) == 480

        self.tell_two(url, story)
