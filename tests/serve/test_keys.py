import asyncio
import time
from dataclasses import replace

import pytest
from tests.serve.web_world import NOW_MS, world

from matinee.core.errors import InputError
from matinee.serve.app import make_app
from matinee.serve.keys import NOTE, READ, Keys, browser_key_of, key_of
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


def test_the_first_key_locks_a_server_that_runs_on_every_face(tmp_path):
    with world(tmp_path) as net:
        keys = Keys(net.service.store, lambda: NOW_MS, needed=False)
        other = Keys(net.service.store, lambda: NOW_MS, needed=False)
        open_to_all = replace(net, app=make_app(net.service, keys=keys), keys=keys)
        asked = {"campaignArn": "arn:aws:personalize:eu:1:campaign/default", "userId": "v1"}
        ways = (
            ("POST", "/v1/recommend", {"json": {"user": "v1"}}),
            ("GET", "/api/recommend/v1", {}),
            ("POST", "/recommendations", {"json": asked}),
            ("GET", "/", {}),
        )

        def statuses():
            return [open_to_all.ask(method, path, **more).status_code for method, path, more in ways]

        assert statuses() == [200] * 4
        made, text = net.do(other.make("first", [READ]))
        last = time.monotonic() + 10
        while statuses() != [401, 401, 403, 401]:
            assert time.monotonic() < last
        bearer = {"authorization": f"Bearer {text}"}
        assert open_to_all.ask("GET", "/api/recommend/v1", headers=bearer).status_code == 200
        assert open_to_all.ask("DELETE", "/v1/users/v1", headers=bearer).status_code == 403
        # A server does not open again because its last key was taken away.
        net.do(other.revoke(made.id))
        time.sleep(0.3)
        assert statuses() == [401, 401, 403, 401]
