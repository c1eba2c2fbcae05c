"""The suite of stores: viewers who are merged, written and deleted."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from matinee.core.errors import InputError
from matinee.serve.open_rounds import OPEN_ROUNDS, opened, viewer_in
from matinee.serve.records import Impression, ViewerRecord
from matinee.serve.store import FOR_EVER, Store
from matinee.testing.store_stories import StoreStories, watched


class ViewersTests(StoreStories):
    """Viewers are merged, written and deleted as a whole."""

    def test_merged_viewers_are_one(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            await one.add([watched("cookie", "before", 1), watched("ann", "own", 2)])
            await one.merge("cookie", "ann")
            for store in (one, other):
                for name in ("cookie", "ann"):
                    assert [seen.item for seen in await store.history(name, 9)] == ["before", "own"]
                    assert await store.stands_for(name) == "ann"
                    assert {event.user for event in await store.events(user=name)} == {"ann"}
                assert {event.user for event in await store.events()} == {"ann"}
                assert [viewer.id for viewer in await store.viewers()] == ["ann"]
            await other.add([watched("cookie", "after", 3)])
            assert [seen.item for seen in await one.history("ann", 2)] == ["own", "after"]
            assert await one.withdraw("cookie", "own") == 1
            assert await one.withdraw("ann", "before") == 1
            assert [seen.item for seen in await other.history("cookie", 9)] == ["after"]
            assert await one.stands_for("stranger") == "stranger"
            assert await one.ids_of("ann") == await other.ids_of("cookie") == ["ann", "cookie"]
            assert await one.ids_of("stranger") == ["stranger"]

        self.tell_two(url, story)

    def test_merging_again_changes_nothing_and_rings_are_refused(self, url: str) -> None:
        async def story(store: Store) -> None:
            await store.add([watched(name, name) for name in "abcde"])
            await store.merge("a", "b")
            await store.merge("a", "b")
            await store.merge("b", "c")
            await store.merge("a", "c")
            await store.merge("d", "a")
            assert [await store.stands_for(name) for name in "abcde"] == ["c", "c", "c", "c", "e"]
            for user, into in (("c", "a"), ("c", "d"), ("c", "c"), ("a", "a"), ("x", "x")):
                with pytest.raises(InputError):
                    await store.merge(user, into)
            await store.merge("e", "d")
            assert [seen.item for seen in await store.history("e", 9)] == list("abcde")
            await store.merge("a", "later")
            assert {await store.stands_for(name) for name in "abcde"} == {"later"}
            assert [viewer.id for viewer in await store.viewers()] == ["later"]

        self.tell(url, story)

    def test_profiles_of_merged_viewers(self, url: str) -> None:
        async def story(store: Store) -> None:
            await store.put_viewers(
                [ViewerRecord(id="cookie", region="EU"), ViewerRecord(id="old", region="US")]
            )
            await store.merge("cookie", "ann")
            assert await store.viewer("ann") == ViewerRecord(id="ann", region="EU")
            await store.merge("old", "ann")
            assert await store.viewer("old") == ViewerRecord(id="ann", region="EU")
            await store.put_viewers([ViewerRecord(id="cookie", region="JP")])
            assert await store.viewer("ann") == ViewerRecord(id="ann", region="JP")
            assert await store.viewers() == [ViewerRecord(id="ann", region="JP")]

        self.tell(url, story)

    def test_viewers_are_written_as_a_whole_and_listed_with_those_of_the_log(self, url: str) -> None:
        ann = ViewerRecord(
            id="ann", region="EU", attributes={"age": 7, "likes": ["a", {"b": None}]}, added_ms=0
        )

        async def story(store: Store) -> None:
            assert await store.viewer("ann") is None
            await store.put_viewers([ann, ViewerRecord(id="zoe")])
            await store.add([watched(name, "i") for name in ("bob", "é", "ann", "Zed", "😀", "\uffff")])
            assert await store.viewer("ann") == ann
            assert await store.viewer("bob") is None
            ids = ["Zed", "ann", "bob", "zoe", "é", "\uffff", "😀"]
            assert [viewer.id for viewer in await store.viewers()] == ids
            assert (await store.viewers())[1] == ann
            found, after = [], ""
            while some := await store.viewers(after, 2):
                found += [viewer.id for viewer in some]
                after = found[-1]
            assert found == ids
            await store.put_viewers([ViewerRecord(id="ann")])
            assert await store.viewer("ann") == ViewerRecord(id="ann")

        self.tell(url, story)

    def test_a_viewer_who_is_deleted_is_gone(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            await one.add(
                [watched("cookie", "a"), watched("ann", "b"), watched("ann", "c"), watched("bob", "b")]
            )
            await one.add([], [Impression(user=name, items=("a",), time_ms=1) for name in ("cookie", "bob")])
            await one.put_viewers([ViewerRecord(id="ann", region="EU"), ViewerRecord(id="bob")])
            await one.merge("cookie", "ann")
            await one.withdraw("ann", "c")
            before = time.time_ns() // 1_000_000
            receipt = await one.forget("cookie")
            assert (receipt.user, receipt.events, receipt.impressions, receipt.profile) == (
                "cookie",
                3,
                1,
                True,
            )
            assert receipt.ids == ("ann", "cookie")
            assert before <= receipt.time_ms <= time.time_ns() // 1_000_000
            for name in ("ann", "cookie"):
                assert await other.history(name, 9) == []
                assert await other.events(user=name) == []
                assert await other.viewer(name) is None
                assert await other.stands_for(name) == name
            assert [event.user for event in await other.events()] == ["bob"]
            assert [one.user for one in await other.impressions()] == ["bob"]
            assert [viewer.id for viewer in await other.viewers()] == ["bob"]
            assert await other.popular(0, 9) == [("b", 1)]
            assert await other.forgotten(["ann", "bob", "cookie", "ann"]) == [True, False, True, True]
            assert await other.void_until_ms(["ann", "bob", "cookie"]) == [FOR_EVER, -1, FOR_EVER]
            await one.add([watched("cookie", "a")])
            assert await other.void_until_ms(["ann", "cookie"]) == [FOR_EVER, receipt.time_ms]
            again = await other.forget("ann")
            assert (again.ids, again.events, again.impressions, again.profile) == (("ann",), 0, 0, False)

        self.tell_two(url, story)

    def test_a_viewer_who_is_deleted_leaves_the_rounds_that_friends_pick_for(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            for n, user in enumerate(("cookie", "ann", "bob")):
                await one.change_note(OPEN_ROUNDS, partial(opened, round_id=f"{n}", user=user, now_ms=n))
            await one.merge("cookie", "ann")
            version = await other.notes_version()
            await one.forget("ann")
            note = await other.note(OPEN_ROUNDS)
            assert [viewer_in(note, f"{n}", 5) for n in range(4)] == ["", "", "bob", ""]
            assert await other.notes_version() > version
            await one.forget("stranger")
            assert await other.note(OPEN_ROUNDS) == note

        self.tell_two(url, story)

    def test_no_import_brings_a_deleted_viewer_back(self, url: str) -> None:
        async def story(store: Store) -> None:
            old = [watched("ann", "old", event_id="e"), watched("bob", "old", event_id="f")]
            await store.add(old)
            receipt = await store.forget("ann")
            shown = [Impression(user=name, items=("x",), time_ms=1) for name in ("ann", "bob")]
            assert await store.add(old, shown, imported=True) == 1
            future = receipt.time_ms + 1000
            assert await store.add([watched("ann", "even later", future)], imported=True) == 0
            assert await store.history("ann", 9) == []
            assert await store.forgotten(["ann"]) == [True]
            # Their own next event is a new beginning, and imports may add to it, but nothing from before.
            assert await store.add([watched("ann", "new", receipt.time_ms)]) == 1
            assert await store.forgotten(["ann"]) == [False]
            assert await store.void_until_ms(["bob", "ann"]) == [-1, receipt.time_ms]
            assert await store.add([*old, watched("ann", "later", future)], imported=True) == 1
            assert [seen.item for seen in await store.history("ann", 9)] == ["new", "later"]
            await store.forget("ann")
            assert await store.forgotten(["ann"]) == [True]
            mixed = store.add([watched("ann", "again")]), store.add(old, imported=True)
            assert list(await asyncio.gather(*mixed)) == [1, 0]

        self.tell(url, story)

    def test_places_in_the_log_are_not_given_twice(self, url: str) -> None:
        async def story(store: Store) -> None:
            await store.add([watched("ann", "a")], [Impression(user="ann", items=("a",), time_ms=1)])
            (event,), (shown,) = await store.events(), await store.impressions()
            await store.forget("ann")
            await store.add([watched("bob", "b")], [Impression(user="bob", items=("b",), time_ms=1)])
            assert [one.user for one in await store.events(event.seq)] == ["bob"]
            assert [one.user for one in await store.impressions(shown.seq)] == ["bob"]

        self.tell(url, story)
