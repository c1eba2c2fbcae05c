import asyncio

import pytest

from matinee.core.errors import InputError
from matinee.serve.keys import NOTE, Keys, browser_key_of, key_of
from matinee.serve.refusals import Forbidden, NotFound, StoreError, Unauthorised
from matinee.testing.small_store import SmallStore


def run(story):
    """A story told of two processes' keys and their one store."""

    async def told():
        store = SmallStore()
        await story(store, Keys(store, lambda: 5), Keys(store, lambda: 6))

    asyncio.run(told())


def test_a_key_opens_what_it_is_good_for_in_every_process():
    async def story(_store, here, there):
        made, text = await here.make(" shop ", ["write", "read"])
        assert (made.name, made.scopes, made.made_ms) == ("shop", ("read", "write"), 5)
        for keys in (here, there):
            assert await keys.check(text, "read") == made
            assert await keys.check(text, "write") == made
            with pytest.raises(Forbidden, match="'shop' is good for read, write: this needs admin"):
                await keys.check(text, "admin")
        _, all_doors = await there.make("boss", ["admin"])
        assert (await here.check(all_doors, "write")).name == "boss"
        assert [one.name for one in await here.listed()] == ["shop", "boss"]

    run(story)


def test_no_other_text_opens_anything():
    async def story(_store, here, _there):
        made, text = await here.make("a")
        other = (await here.make("b"))[1]
        wrong = [
            None,
            "",
            " ",
            text[:-1],
            text + "a",
            text.upper(),
            f"mat_{made.id}_" + other[21:],
            "ø",
            "\udcff",
        ]
        for one in [*wrong, text + "\n", " " + text]:
            with pytest.raises(Unauthorised):
                await here.check(one, "read")

    run(story)


def test_a_revoked_key_is_worthless_everywhere_at_once():
    async def story(_store, here, there):
        made, text = await here.make("a")
        await there.check(text, "read")
        assert (await here.revoke(made.id)).name == "a"
        with pytest.raises(Unauthorised, match="revoked"):
            await there.check(text, "read")
        with pytest.raises(NotFound):
            await here.revoke("a")
        await here.make("twin")
        await here.make("twin")
        with pytest.raises(InputError, match="Several keys"):
            await here.revoke("twin")

    run(story)


def test_keys_that_are_made_and_revoked_at_once_are_all_made_and_revoked():
    async def story(_store, here, there):
        old = [(await here.make(f"old {n}"))[0] for n in range(5)]
        await asyncio.gather(
            *(there.revoke(one.id) for one in old), *(here.make(f"new {n}") for n in range(5))
        )
        assert sorted(one.name for one in await here.listed()) == [f"new {n}" for n in range(5)]

    run(story)


def test_the_store_holds_nothing_that_opens():
    async def story(store, here, _there):
        made, text = await here.make("a", ["admin"])
        kept = await store.note(NOTE)
        secret = text.removeprefix(f"mat_{made.id}_")
        assert len(secret) == 43
        assert secret not in kept
        assert secret not in repr(made)
        assert secret not in repr(here)
        assert len({(await here.make("a"))[1] for _ in range(20)}) == 20

    run(story)


def test_a_wish_that_makes_no_sense_is_refused():
    async def story(store, here, _there):
        for scopes in ([], ["read", "root"]):
            with pytest.raises(InputError, match="read, write, admin"):
                await here.make("a", scopes)
        for name in ("", "  ", "x" * 101, "a\0"):
            with pytest.raises(InputError, match="1 to 100"):
                await here.make(name)
        await store.put_notes({NOTE: '[{"id": 1}]'})
        with pytest.raises(StoreError, match="not what this version"):
            await here.check("mat_0123456789abcdef_" + "x" * 43, "read")

    run(story)


def test_where_a_request_brings_its_key():
    assert key_of({b"authorization": b"bearer  abc "}) == "abc"
    assert key_of({b"x-api-key": b"abc"}) == "abc"
    assert key_of({b"authorization": b"Basic abc"}) is None
    assert key_of({}) is None
    assert browser_key_of({b"authorization": b"Basic YTpiOmM="}) == "b:c"
    assert browser_key_of({b"authorization": b"Basic !"}) is None
    assert browser_key_of({b"cookie": b"x=1; matinee_key=abc"}) == "abc"
    assert browser_key_of({b"cookie": b"x=1", b"x-api-key": b"abc"}) == "abc"
