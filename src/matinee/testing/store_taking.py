"""The suite of stores: whole histories of an import."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from matinee.serve.records import ImportedHistories, Seen, ViewerRecord
from matinee.serve.refusals import Refusal
from matinee.serve.store import Store
from matinee.testing.store_stories import StoreStories, watched

# After everything that a test does.
LATER = 10**15


def histories(
    *viewers: tuple[str, Sequence[Seen]], profiles: Sequence[ViewerRecord] = (), learnt_ms: int = LATER
) -> ImportedHistories:
    """Some viewers' histories; each one's mark is made of the viewer's id."""
    events = [one for _, seen in viewers for one in seen]
    return ImportedHistories(
        users=[user for user, _ in viewers],
        marks=[f"mark:{user}" for user, _ in viewers],
        lengths=[len(seen) for _, seen in viewers],
        items=[one.item for one in events],
        kinds=[one.kind for one in events],
        times_ms=[one.time_ms for one in events],
        values=[one.value for one in events],
        learnt_ms=learnt_ms,
        profiles=profiles,
    )


A = [Seen("i", "view", None, 1), Seen("j", "rating", 4.5, 2), Seen("i", "view", None, 3)]
B = [Seen("k", "like", None, -7)]


class TakingTests(StoreStories):
    """Histories are taken in as a whole and once, and the deleted stay deleted."""

    def test_whole_histories_are_there_as_they_were_told(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            await one.add([watched("a", "late", 9)])
            told = histories(("b", B), ("nothing", []), ("a", A))
            assert not await other.has_taken("a", "mark:a")
            assert await one.take_histories(told) == 4
            assert await other.history("a", 9) == [*A, Seen("late", "view", None, 9)]
            assert await other.history("b", 9) == B
            assert await other.has_taken("a", "mark:a")
            assert not await other.has_taken("nothing", "mark:nothing")
            assert [(one.user, one.item, one.event_id) for one in (await other.events())[1:]] == [
                ("b", "k", "mark:b"),
                ("a", "i", None),
                ("a", "j", None),
                ("a", "i", "mark:a"),
            ]
            assert await one.take_histories(histories()) == 0

        self.tell_two(url, story)

    def test_a_history_is_taken_once_whoever_is_told_of_it(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            some, all_of_it = histories(("a", A)), histories(("a", A), ("b", B))
            calls = [store.take_histories(some) for store in (one, other) for _ in range(5)]
            assert sorted(await asyncio.gather(*calls)) == [0] * 9 + [3]
            assert await other.withdraw("a", "i") == 2
            assert await other.take_histories(all_of_it) == 1
            assert await one.history("a", 9) == A[1:2]
            assert await one.history("b", 9) == B

        self.tell_two(url, story)

    def test_the_deleted_are_left_out_of_histories(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            for user in ("gone", "anew"):
                await one.forget(user)
            await one.add([watched("anew", "own", 5)])
            late = Seen("x", "view", None, LATER)
            profiles = [ViewerRecord(id=user, region="EU") for user in ("gone", "anew", "b")]
            told = histories(("gone", A), ("anew", [*A, late]), ("b", B), profiles=profiles)
            assert await other.take_histories(told) == 2
            assert await one.history("gone", 9) == []
            assert [seen.item for seen in await one.history("anew", 9)] == ["own", "x"]
            assert [await one.viewer(user) for user in ("gone", "anew")] == [None, None]
            assert await one.viewer("b") == ViewerRecord(id="b", region="EU")
            # Nothing is told of them any more.
            assert [await one.has_taken(user, f"mark:{user}") for user in ("gone", "anew", "b")] == [True] * 3
            assert (await one.forgotten(["gone", "anew"])) == [True, False]
            await other.forget("b")
            assert await one.has_taken("b", "mark:b")
            assert await one.take_histories(told) == 0
            assert await one.viewer("b") is None

        self.tell_two(url, story)

    def test_who_was_deleted_after_it_was_learnt_is_left_out_however_it_is_dated(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            receipt = await one.forget("anew")
            await one.add([watched("anew", "own", 5)])
            late = [Seen("x", "view", None, LATER)]
            for learnt_ms, new in ((0, 0), (receipt.time_ms, 0), (receipt.time_ms + 1, 1)):
                told = histories(("anew", [*A, *late]), learnt_ms=learnt_ms)
                assert await other.take_histories(told) == new
            assert [seen.item for seen in await one.history("anew", 9)] == ["own", "x"]

        self.tell_two(url, story)

    def test_profiles_do_not_replace_those_that_are_there(self, url: str) -> None:
        async def story(store: Store) -> None:
            await store.put_viewers([ViewerRecord(id="a", region="own")])
            await store.merge("cookie", "ann")
            profiles = [
                ViewerRecord(id="a", region="told"),
                ViewerRecord(id="b", attributes={"plan": "basic"}),
                ViewerRecord(id="cookie", region="of both"),
            ]
            assert await store.take_histories(histories(profiles=profiles)) == 0
            assert await store.viewer("a") == ViewerRecord(id="a", region="own")
            assert await store.viewer("b") == profiles[1]
            assert await store.viewer("ann") == ViewerRecord(id="ann", region="of both")
            assert await store.merged(["cookie", "ann", "a", "x"]) == [True, False, False, False]

        self.tell(url, story)

    @pytest.mark.parametrize(
        "bad", [{"users": ["a\0"]}, {"items": ["\ud800"]}, {"times_ms": [2**63]}, {"values": [float("nan")]}]
    )
    def test_histories_that_cannot_be_kept_are_refused_as_a_whole(
        self, url: str, bad: dict[str, Any]
    ) -> None:
        async def story(store: Store) -> None:
            told = dataclasses.replace(histories(("b", B)), **bad)
            with pytest.raises(Refusal) as refused:
                await store.take_histories(told)
            assert refused.value.status == 400
            assert await store.events() == []

        self.tell(url, story)
