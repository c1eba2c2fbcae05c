"""What is written for later counts nowhere before its time, and hides nothing that happened."""

import asyncio

import pytest
from tests.serve.web_world import NOW_MS, world

from matinee.serve.due import LONGEST, SKEW_MS, due, due_history
from matinee.serve.personalize_select import put_filters
from matinee.serve.records import Event, Seen
from matinee.testing.small_store import SmallStore

HOUR_MS = 3_600_000


@pytest.fixture
def net(tmp_path):
    with world(tmp_path) as made:
        yield made


def events(user, *items, start):
    return [Event(user=user, item=item, kind="watch", time_ms=start + n) for n, item in enumerate(items)]


def test_what_is_a_little_ahead_is_a_clocks_doing():
    seen = [Seen("i", "watch", None, time) for time in (0, SKEW_MS, SKEW_MS + 1)]
    assert due(seen, 0) == seen[:2]
    assert due(seen[:2], 0) is not None
    assert len(due(seen[:2], 0)) == 2
    assert due([], 0) == []


def test_the_future_takes_no_ones_place():
    async def story():
        store = SmallStore()
        await store.add(events("u", *"abcdef", start=0))
        await store.add(events("u", *"xyz", start=HOUR_MS))
        assert [one.item for one in await due_history(store, "u", 4, 0)] == list("cdef")
        assert [one.item for one in await due_history(store, "u", 2, 0)] == list("ef")
        assert [one.item for one in await due_history(store, "u", 99, 0)] == list("abcdef")
        assert [one.item for one in await due_history(store, "u", 2, HOUR_MS)] == list("yz")
        assert list(await due_history(store, "u", 0, 0)) == []

    asyncio.run(story())


def test_who_asks_for_more_than_is_usually_looked_at_is_told_it():
    async def story():
        store = SmallStore()
        await store.add(events("u", *["i"] * (LONGEST + 3), start=-2 * LONGEST))
        await store.add(events("u", "x", start=HOUR_MS))
        assert len(await due_history(store, "u", LONGEST + 2, 0)) == LONGEST + 1

    asyncio.run(story())


def test_no_face_shows_what_is_not_due(net):
    net.do(net.service.store.add(events("later", "i3", start=NOW_MS - HOUR_MS)))
    net.do(net.service.store.add(events("later", *["i7"] * 30, start=NOW_MS + HOUR_MS)))
    told = net.ask("GET", "/v1/users/later?history=5").json()
    assert [one["item"] for one in told["history"]] == ["i3"]
    page = net.ask("GET", "/?user=later").text
    assert "1 event in the history" in page
    feedback = net.ask("GET", "/api/user/later/feedback").json()
    assert [one["ItemId"] for one in feedback] == ["i3"]
    # Neither is it read, as Gorse's lists without what was read have it.
    latest = net.ask("GET", "/api/latest?n=30&user-id=later").json()
    assert "i7" in {one["Id"] for one in latest}
    assert "i3" not in {one["Id"] for one in latest}
    # Nor is it an interaction of which a filter speaks.
    unseen = {"unseen": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")'}
    net.do(put_filters(net.service.store, unseen))
    arn = "arn:aws:personalize:eu:1:"
    asked = {"campaignArn": f"{arn}campaign/default", "filterArn": f"{arn}filter/unseen"}
    found = net.ask("POST", "/recommendations", json={**asked, "userId": "later", "numResults": 30})
    assert found.status_code == 200, found.text
    shown = {one["itemId"] for one in found.json()["itemList"]}
    assert "i7" in shown
    assert "i3" not in shown
    # All that is stored of a viewer is theirs to have.
    exported = net.ask("GET", "/v1/users/later/export").json()
    assert len(exported["events"]) == 31


def test_nobody_is_known_by_the_future_alone(net):
    net.do(net.service.store.add(events("tomorrow", "i3", start=NOW_MS + HOUR_MS)))
    told = net.ask("GET", "/v1/users/tomorrow").json()
    assert told["history"] == []
    assert net.ask("GET", "/api/user/tomorrow/neighbors").json() == []
