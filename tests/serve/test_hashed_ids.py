"""Ids as keyed hashes, over all faces: the store holds none as it was sent, and answers stay the same."""

import asyncio
import hmac
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
from tests.serve.asked_world import bundle, serve, the_log
from tests.serve.web_world import NOW_MS, the_bundle, world

from matinee.core.errors import InputError, SettingsError
from matinee.data.options import LogOptions
from matinee.recipes.store_log import forgotten_of, store_log
from matinee.recommenders.friends import Friends
from matinee.serve import id_key, taking_in
from matinee.serve.asking import Ask
from matinee.serve.hashed_ids import HashedStore, hashing
from matinee.serve.id_key import IdKey, agree, ids_as_kept, looks_hashed, read_id_key
from matinee.serve.records import Event
from matinee.serve.refusals import Refusal
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.start import start_service
from matinee.serve.store import Store
from matinee.serve.take_in import take_in
from matinee.serve.taking_in import TakingIn
from matinee.testing.small_store import SmallStore

KEY, OTHER = IdKey(b"k" * 32), IdKey(b"o" * 32)
# Ids that are found wherever they are written.
ANN, BOB, VISIT = "ann@example.org", "bob@example.org", "visit-of-ann@example.org"
ARN = "arn:aws:personalize:eu:1:campaign/default"


@pytest.fixture
def net(tmp_path):
    with world(tmp_path, key=KEY) as made:
        yield made


def raw_in(folder: Path) -> set[str]:
    """The files below a folder that hold a raw id."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return {one.name for one in files if b"example.org" in one.read_bytes()}


def watch(net, user, *items, **more):
    events = [{"user": user, "item": item, "kind": "watch", **more} for item in items]
    assert net.ask("POST", "/v1/events", json={"events": events}).status_code == 200


def test_a_hash_stands_for_itself_and_no_other_text_does():
    one = KEY.hashed(ANN)
    assert looks_hashed(one)
    assert KEY.hashed(one) == one == KEY.hashed(ANN)
    assert len({KEY.hashed(ANN), KEY.hashed(BOB), OTHER.hashed(ANN)}) == 3
    # A text of the same form that the key has not made is an id like any other.
    made_up = "h-" + 40 * "0"
    assert KEY.hashed(made_up) != made_up
    assert OTHER.hashed(one) != one
    assert looks_hashed(KEY.hashed("\ud800"))
    assert KEY.hashed_event(ANN) != KEY.hashed(ANN)[2:34]


@pytest.mark.parametrize("length", [32, 64, 65, 200])
def test_a_hash_is_the_standards_hmac(length):
    secret = bytes(range(length))
    told = hmac.digest(secret, b"viewer\0" + ANN.encode(), "sha256")
    assert IdKey(secret).hashed(ANN)[2:34] == told[:16].hex()


def test_no_raw_id_is_on_disk_whichever_face_it_came_by(net, tmp_path):
    watch(net, ANN, "i1", "i2", event_id=f"{ANN}:1", session=ANN)
    shown = {"user": ANN, "items": ["i1"], "event_id": f"shown:{ANN}"}
    assert net.ask("POST", "/v1/events", json={"impressions": [shown]}).json()["new"] == 1
    assert net.ask("PUT", f"/v1/users/{ANN}", json={"region": "NO"}).status_code == 200
    merged = net.ask("POST", "/v1/users/merge", json={"user": VISIT, "into": ANN})
    assert merged.json() == {"user": VISIT, "into": ANN}
    feedback = [{"FeedbackType": "like", "UserId": BOB, "ItemId": "i3"}]
    assert net.ask("POST", "/api/feedback", json=feedback).json() == {"RowAffected": 1}
    assert net.ask("POST", "/api/user", json={"UserId": BOB, "Comment": "c"}).status_code == 200
    event = {"eventType": "watch", "sentAt": NOW_MS // 1000, "itemId": "i4", "eventId": BOB}
    sent = {"trackingId": "t", "sessionId": f"new-{VISIT}", "eventList": [event]}
    assert net.ask("POST", "/events", json=sent).status_code == 200
    assert (
        net.ask(
            "POST",
            "/users",
            json={
                "datasetArn": ARN.replace("campaign", "dataset"),
                "users": [{"userId": f"x{BOB}", "properties": "{}"}],
            },
        ).status_code
        == 200
    )
    here = {"origin": "http://127.0.0.1"}
    page = net.ask("POST", "/watched", data={"user": BOB, "title": "1 i5", "once": "1"}, headers=here)
    assert page.status_code == 303
    assert net.ask("POST", "/challenge", data={"user": ANN}, headers=here).status_code == 303
    assert raw_in(tmp_path) == set()
    users = net.ask("GET", "/api/users?n=100").json()["Users"]
    assert all(looks_hashed(one["UserId"]) for one in users)
    assert KEY.hashed(ANN) in {one["UserId"] for one in users}


def test_an_id_means_the_same_viewer_on_every_face(net):
    watch(net, ANN, "i1", "i2")
    asked = [
        [one["item"] for one in net.ask("POST", "/v1/recommend", json={"user": ANN}).json()["items"]],
        net.ask("GET", f"/api/recommend/{ANN}?n=10").json(),
        [
            one["itemId"]
            for one in net.ask(
                "POST", "/recommendations", json={"campaignArn": ARN, "userId": ANN, "numResults": 10}
            ).json()["itemList"]
        ],
        [
            one["item"]
            for one in net.ask("POST", "/v1/recommend", json={"user": KEY.hashed(ANN)}).json()["items"]
        ],
    ]
    assert asked[0] == asked[1] == asked[2] == asked[3]
    assert not {"i1", "i2"} & set(asked[0])
    told = net.ask("GET", f"/v1/users/{ANN}").json()
    assert told["id"] == ANN
    assert [one["item"] for one in told["history"]] == ["i1", "i2"]
    assert net.ask("GET", f"/api/user/{ANN}").json()["UserId"] == ANN
    rows = net.ask("GET", f"/api/user/{ANN}/feedback").json()
    assert {(one["UserId"], one["ItemId"]) for one in rows} == {
        (KEY.hashed(ANN), one) for one in ("i1", "i2")
    }
    assert "Film 1" in net.ask("GET", f"/?user={ANN}").text
    # The same event again is known, though nothing tells whose it was.
    again = {"events": [{"user": ANN, "item": "i9", "kind": "watch", "event_id": "e"}]}
    assert [net.ask("POST", "/v1/events", json=again).json()["new"] for _ in range(2)] == [1, 0]
    watch(net, BOB, "i1", "i2")
    assert net.ask("GET", f"/api/user/{ANN}/neighbors").json()[0]["Id"] == KEY.hashed(BOB)


def test_merging_deletion_and_export_go_by_raw_ids(net):
    watch(net, VISIT, "i1")
    watch(net, ANN, "i2")
    net.ask("POST", "/v1/users/merge", json={"user": VISIT, "into": ANN})
    told = net.ask("GET", f"/v1/users/{VISIT}/export").json()
    assert told["user"] == VISIT
    assert [one["item"] for one in told["events"]] == ["i1", "i2"]
    ring = net.ask("POST", "/v1/users/merge", json={"user": ANN, "into": VISIT})
    assert ring.status_code == 409
    assert ANN in ring.json()["error"]["message"]
    receipt = net.ask("DELETE", f"/v1/users/{ANN}").json()
    assert (receipt["user"], receipt["events"]) == (ANN, 2)
    assert net.ask("GET", f"/v1/users/{VISIT}").status_code == 404
    # Of a viewer of the bundle it says which bundles were trained with them, by the id that the bundle has.
    assert net.ask("DELETE", "/v1/users/v1").json()["bundles"] == ["monday"]


def test_a_receipt_names_bundles_by_a_hash_and_by_every_merged_id(net):
    assert net.ask("DELETE", f"/v1/users/{KEY.hashed('v2')}").json()["bundles"] == ["monday"]
    net.ask("POST", "/v1/users/merge", json={"user": "v3", "into": ANN})
    assert net.ask("DELETE", f"/v1/users/{ANN}").json()["bundles"] == ["monday"]
    assert net.ask("DELETE", f"/v1/users/{KEY.hashed(BOB)}").json()["bundles"] == []


def test_a_session_is_recognised_once_its_visitor_logs_in(net):
    def put(item, **user):
        event = {"eventType": "watch", "sentAt": NOW_MS // 1000, "itemId": item}
        sent = {"trackingId": "t", "sessionId": "s-1", "eventList": [event], **user}
        assert net.ask("POST", "/events", json=sent).status_code == 200

    put("i1")
    put("i2", userId=ANN)
    assert [one["item"] for one in net.ask("GET", f"/v1/users/{ANN}").json()["history"]] == ["i1", "i2"]


def test_texts_that_cannot_be_kept_are_refused_as_without_hashes(net):
    with pytest.raises(Refusal, match="cannot be stored"):
        net.do(net.service.store.forget("\ud800"))
    bad = Event(user="a\0b", item="i", kind="k", time_ms=1)
    with pytest.raises(Refusal, match="event 1: user holds"):
        net.do(net.service.store.add([bad]))
    assert net.ask("POST", "/v1/events", json={"events": [{"user": "\0", "item": "i"}]}).status_code == 400


def test_a_bundle_of_raw_ids_knows_its_viewers(tmp_path):
    """Their friends, regions and histories count as if nothing were hashed."""

    async def story():
        plain = await serve(bundle("friends"), store=SmallStore(NOW_MS))
        inner = SmallStore(NOW_MS)
        hashed = await serve(bundle("friends"), store=HashedStore(inner, KEY))
        for user in ("v0", "v5", "v39"):
            found = [await one.answers.recommend(Ask(user=user, k=20)) for one in (plain, hashed)]
            assert found[0].items == found[1].items
            assert await hashed.store.history(user, 99) == await plain.store.history(user, 99)
        assert (await hashed.store.viewer("v0")).region == "north"
        assert all(looks_hashed(one.user) for one in await inner.events(most=10_000))
        assert all(looks_hashed(one.id) for one in await inner.viewers())
        assert await hashed.bundles.trained_with(["v0"]) == ["friends"]

    asyncio.run(story())


def test_whatever_names_a_viewer_is_hashed_on_its_way():
    naming = {"user", "users", "into", "viewers", "events", "impressions", "told"}
    asked = {
        name
        for name, method in inspect.getmembers(Store, inspect.isfunction)
        if not name.startswith("_") and naming & inspect.signature(method).parameters.keys()
    }
    assert asked
    assert asked <= vars(HashedStore).keys()


def test_while_a_bundle_of_raw_ids_is_taken_in_its_viewers_are_known_by_them(tmp_path, monkeypatch):
    monkeypatch.setattr(taking_in, "_SMALL", 0)

    async def story():
        whole, inner = SmallStore(NOW_MS), open_sqlite(tmp_path / "store.db")
        await take_in((await serve(bundle(), store=whole)).bundles.ready()[0].model, whole, created_ms=1)
        taking = TakingIn(inner, lambda words: None)
        store = hashing(taking, KEY)
        service = await start_service([bundle()], store, now_ms=lambda: NOW_MS, histories=False)
        await taking.begin(service.bundles.ready(), first=True)
        assert await inner.events() == []
        await store.add([Event(user="v6", item="i1", kind="watch", time_ms=NOW_MS)])
        await store.merge("v7", ANN)
        await store.forget("v8")
        for _ in range(2):
            for user in ("v5", "v9"):
                assert await store.history(user, 999) == await whole.history(user, 999)
            assert (await store.viewer("v3")) == (await whole.viewer("v3"))
            assert len(await store.history("v6", 999)) == 1 + len(await whole.history("v6", 999))
            assert await store.history(ANN, 999) == await whole.history("v7", 999)
            assert await store.merged(["v7", "v9"]) == [True, False]
            assert await store.history("v8", 999) == []
            assert (await store.void_until_ms(["v8", "v9"]))[1] == -1
            assert (await service.answers.recommend(Ask(user="v5"))).source == "transitions"
            await taking.go_on()
        assert await taking.status() == "ready"
        assert all(looks_hashed(one.user) for one in await inner.events(most=10_000))
        assert all(looks_hashed(one.id) for one in await inner.viewers(most=10_000))
        await service.watch.close()
        await inner.close()

    asyncio.run(story())


def test_histories_that_are_taken_in_by_raw_ids_are_kept_as_hashes():
    async def story():
        inner, whole = SmallStore(NOW_MS), SmallStore(NOW_MS)
        store = HashedStore(inner, KEY)
        model = (await serve(bundle(), store=whole)).bundles.ready()[0].model
        await take_in(model, store, created_ms=NOW_MS)
        assert await store.history("v5", 999) == await whole.history("v5", 999)
        assert await store.viewer("v0") == await whole.viewer("v0")
        assert all(looks_hashed(one.user) for one in await inner.events(most=10_000))
        assert all(looks_hashed(one.id) for one in await inner.viewers(most=10_000))
        mark = f"{model.log.fingerprint[:32]}:v{model.log.viewers.code('v5')}"
        assert await store.has_taken("v5", mark)
        assert not await inner.has_taken("v5", mark)

    asyncio.run(story())


def test_a_process_that_begins_beside_another_agrees_with_it():
    class Beside(SmallStore):
        async def events(self, *args, **more):
            await self.put_notes({id_key.NOTE: KEY.check})
            await self.add([Event(user=KEY.hashed(ANN), item="i", kind="k", time_ms=1)])
            return await super().events(*args, **more)

    async def story():
        store = Beside()
        await agree(store, KEY)
        with pytest.raises(InputError, match="not the key"):
            await agree(store, OTHER)

    asyncio.run(story())


def test_a_fit_from_the_store_learns_from_hashes_and_serves_on(tmp_path, monkeypatch):
    async def story():
        inner = open_sqlite(tmp_path / "store.db")
        try:
            store = HashedStore(inner, KEY)
            base = the_log()
            late = replace(base.histories, times=base.histories.times + 1_700_000_000_000)
            base = replace(base, histories=late)
            Friends().fit(base).save(tmp_path / "raw")
            await serve(tmp_path / "raw", store=store)
            await store.add(
                [Event(user=ANN, item=f"i{n}", kind="watch", time_ms=NOW_MS + n) for n in range(9)]
            )
            with pytest.raises(InputError, match="MATINEE_ID_KEY"):
                await store_log(inner, base=base)
            path = written(tmp_path / "id.key", "k" * 32)
            monkeypatch.setenv("MATINEE_ID_KEY", str(path))
            for option in ("viewers", "friends", "aliases"):
                with pytest.raises(SettingsError, match=f"--{option}"):
                    await store_log(inner, LogOptions(**{option: "people.csv"}))
            told = await store_log(inner, base=base)
            assert all(map(looks_hashed, told.log.viewers.arrow.to_pylist()))
            Friends().fit(told.log).save(tmp_path / "fresh")
            assert raw_in(tmp_path / "fresh") == set()
            again = await serve(tmp_path / "fresh", store=store)
            ready = again.bundles.ready()[0]
            assert ready.viewer(KEY.hashed(ANN)) >= 0
            # What the bundle in use knows of friends, by their own ids, is not lost.
            friends = ready.model.log.friends.row(ready.viewer(KEY.hashed("v0")))
            assert ready.viewer(KEY.hashed("v1")) in friends
            await store.forget("v3")
            assert await forgotten_of(inner, ["v3", "v4"], NOW_MS) == {"v3"}
        finally:
            await inner.close()

    asyncio.run(story())


def written(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_private_and_long(tmp_path):
    good = written(tmp_path / "key", "k" * 32 + "\n")
    assert read_id_key(good).check == KEY.check
    with pytest.raises(InputError, match=r"may be read by others \(mode 640\): chmod 600"):
        read_id_key(written(tmp_path / "open", "k" * 32, 0o640))
    with pytest.raises(InputError, match="has 5 characters, expected 32"):
        read_id_key(written(tmp_path / "short", "short"))
    with pytest.raises(InputError, match=r"No such file.*openssl rand"):
        read_id_key(tmp_path / "none")
    with pytest.raises(InputError, match="directory"):
        read_id_key(tmp_path)
    for path in ("open", "short"):
        with pytest.raises(InputError) as refused:
            read_id_key(tmp_path / path)
        assert "kkkk" not in str(refused.value)


def test_a_store_goes_with_the_key_that_it_was_begun_with():
    async def story():
        store, raw = SmallStore(), SmallStore()
        await agree(store, KEY)
        await agree(store, KEY)
        with pytest.raises(InputError, match="keeps ids as hashes"):
            await agree(store, None)
        with pytest.raises(InputError, match="not the key"):
            await agree(store, OTHER)
        noted = await store.note(id_key.NOTE)
        assert noted == KEY.check
        assert "k" * 8 not in noted
        await agree(raw, None)
        await raw.add([Event(user="u", item="i", kind="k", time_ms=1)])
        with pytest.raises(InputError, match="holds ids as they were sent"):
            await agree(raw, KEY)
        assert await ids_as_kept(raw, ["u"]) == ["u"]

    asyncio.run(story())


def test_a_server_refuses_before_it_takes_anything_in(tmp_path):
    async def story():
        with pytest.raises(InputError, match="not the key"):
            await serve(the_bundle()[0], store=HashedStore(store, OTHER))
        with pytest.raises(InputError, match="keeps ids as hashes"):
            await serve(the_bundle()[0], store=store)
        assert await store.events() == []

    store = SmallStore()
    asyncio.run(agree(store, KEY))
    asyncio.run(story())
