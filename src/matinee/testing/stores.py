"""The conformance suite of stores: every sentence of `matinee.serve.store` as tests.

A store's test file is a class:

    from matinee.testing.stores import StoreTests

    class TestMine(StoreTests):
        @pytest.fixture
        def url(self, tmp_path):
            return f"mine:///{tmp_path}"

        @staticmethod
        async def open(url):
            return await open_mine(url)

`url` names an empty store that no other test uses; opened twice it is opened by two at once. The suite needs
pytest.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from matinee.core.errors import InputError
from matinee.serve.records import Impression, ItemRecord
from matinee.serve.refusals import Refusal, StoreError
from matinee.serve.store import Store, secret_of
from matinee.testing.store_adding import AddingTests
from matinee.testing.store_log import LogTests
from matinee.testing.store_model import ModelStore, Step, everything, steps
from matinee.testing.store_stories import watched
from matinee.testing.store_taking import TakingTests
from matinee.testing.store_viewers import ViewersTests


class StoreTests(AddingTests, LogTests, TakingTests, ViewersTests):
    """Tests that hold one store to its promise."""

    # Items

    def test_items_are_written_as_a_whole(self, url: str) -> None:
        full = ItemRecord(
            id="a",
            title="A <b>",
            categories=("x", "y"),
            available_from=0,
            available_until=5,
            regions=("EU",),
            in_stock=False,
            hidden=True,
            added_ms=0,
            image="/a.png",
            attributes={"year": 1999, "cast": ["é"], "none": None},
        )

        async def story(one: Store, other: Store) -> None:
            assert await one.item("a") is None
            assert await one.items_version() == 0
            await one.put_items([full, ItemRecord(id="b", in_stock=True)])
            version = await other.items_version()
            assert version > 0
            assert await other.item("a") == dataclasses.replace(full, version=version)
            assert await other.item("b") == ItemRecord(id="b", in_stock=True, version=version)
            await other.put_items([ItemRecord(id="a")])
            later = await one.items_version()
            assert later > version
            assert await one.item("a") == ItemRecord(id="a", version=later)
            assert [item.id for item in await one.items_since(version)] == ["a"]
            assert [item.id for item in await one.items_since(0)] == ["b", "a"]
            assert await one.items_since(later) == []

        self.tell_two(url, story)

    def test_a_deleted_item_is_told_of_and_not_found(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            await one.put_items([ItemRecord(id=f"{n}") for n in range(5)])
            before = await one.items_version()
            assert await one.delete_item("2") is True
            assert await other.item("2") is None
            assert [item.id for item in await other.items()] == ["0", "1", "3", "4"]
            assert [(item.id, item.deleted) for item in await other.items_since(before)] == [("2", True)]
            between = await one.items_version()
            assert await other.delete_item("2") is False
            assert await one.items_version() == between
            # A bundle may know an item that the store does not.
            assert await one.delete_item("from a bundle") is False
            assert [(item.id, item.deleted) for item in await other.items_since(between)] == [
                ("from a bundle", True)
            ]
            await other.put_items([ItemRecord(id="2", title="back")])
            assert (await one.item("2") or ItemRecord(id="?")).title == "back"
            assert [item.id for item in await one.items("1", 2)] == ["2", "3"]

        self.tell_two(url, story)

    # Notes

    def test_no_change_of_a_note_is_lost(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            def more(note: str | None) -> str:
                return f"{note or ''}+"

            def refuse(_note: str | None) -> str:
                raise InputError("no.")

            await asyncio.gather(*(store.change_note("n", more) for _ in range(20) for store in (one, other)))
            assert await one.note("n") == 40 * "+"
            version = await one.notes_version()
            with pytest.raises(InputError, match="no"):
                await other.change_note("n", refuse)
            with pytest.raises(Refusal):
                await other.change_note("secret", more)
            assert (await one.note("n"), await one.notes_version()) == (40 * "+", version)

        self.tell_two(url, story)

    def test_notes_are_shared_and_counted(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            assert await one.note("alias") is None
            first = await one.notes_version()
            await one.put_notes({"alias": "a", "other": "b"})
            second = await other.notes_version()
            assert second > first
            assert (await other.note("alias"), await other.note("other")) == ("a", "b")
            await other.put_notes({"alias": ""})
            assert await one.note("alias") == ""
            assert await one.notes_version() > second

        self.tell_two(url, story)

    def test_the_secret_is_made_once(self, url: str) -> None:
        secrets = []

        async def story(one: Store, other: Store) -> None:
            secret = await one.note("secret")
            assert secret is not None
            assert len(secret_of({"secret": secret})) == 32
            with pytest.raises(Refusal) as refused:
                await other.put_notes({"alias": "a", "secret": "00" * 32})
            assert secret not in str(refused.value)
            assert "00" * 32 not in str(refused.value)
            assert await one.note("alias") is None
            assert await other.note("secret") == secret
            secrets.append(secret)

        self.tell_two(url, story)
        self.tell_two(url, story)
        assert secrets[0] == secrets[1]

    # Keeping and closing

    def test_what_is_too_old_is_deleted(self, url: str) -> None:
        async def story(one: Store, other: Store) -> None:
            await one.add([watched("u", f"{n}", n) for n in range(100)])
            await one.add([watched("u", "late", 3)])
            await one.add([], [Impression(user="u", items=(), time_ms=n) for n in range(10)])
            assert await one.retain(0) == 0
            assert await one.retain(7) == 8 + 7
            assert (await other.history("u", 999))[0].item == "7"
            assert len(await other.events()) == 93
            assert len(await other.impressions()) == 3
            assert await one.retain(10**15) == 93 + 3
            assert await other.viewers() == []

        self.tell_two(url, story)

    def test_closing_finishes_what_was_taken_in(self, url: str) -> None:
        async def story(_: Store) -> None:
            store = await self.open(url)
            calls = [asyncio.ensure_future(store.add([watched("u", f"{n}", n)])) for n in range(50)]
            await asyncio.sleep(0)
            await store.close()
            await store.close()
            assert await asyncio.gather(*calls) == [1] * 50
            with pytest.raises(StoreError, match="closed"):
                await store.add([watched("u", "i")])
            with pytest.raises(StoreError):
                await store.history("u", 9)

        self.tell(url, story)
        self.tell(url, self.holds(events=50, impressions=0))

    def test_a_caller_who_gives_up_harms_nobody(self, url: str) -> None:
        async def story(store: Store) -> None:
            calls = [asyncio.ensure_future(store.add([watched("u", f"{n}", n)])) for n in range(30)]
            await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert found[1::2] == [1] * 15
            assert {f"{n}" for n in range(1, 30, 2)} <= {seen.item for seen in await store.history("u", 99)}

        self.tell(url, story)

    # A slow, obvious second store

    @pytest.mark.parametrize("seed", range(3))
    def test_any_story_ends_as_in_a_store_of_lists(self, url: str, seed: int) -> None:
        async def story(one: Store, other: Store) -> None:
            model = ModelStore()
            for n, step in enumerate(steps(seed)):
                await self._same_outcome(model, (one, other)[n % 2], step)
                if n % 10 == 9:
                    assert await everything(model) == await everything(one)

        self.tell_two(url, story)

    @staticmethod
    async def _same_outcome(model: ModelStore, store: Store, step: Step) -> None:
        outcomes: list[Any] = []
        for one in (model, store):
            try:
                outcome = await getattr(one, step.call)(*step.given, **step.named)
            except InputError:
                outcome = InputError
            outcomes.append(dataclasses.replace(outcome, time_ms=0) if step.call == "forget" else outcome)
        assert outcomes[0] == outcomes[1], step
