"""Experiments over HTTP: begun, split as they are told to, and ended; with bundles that differ."""

import asyncio
import shutil

import httpx
import pytest
from tests.serve.asked_world import NOW, bundle, serve
from tests.serve.web_world import World

from matinee.serve.app import make_app
from matinee.serve.keys import Keys
from matinee.serve.sqlite_store import open_sqlite
from matinee.testing.small_store import SmallStore

ARMS = {"arms": {"now": "transitions", "new": "user_knn"}}


@pytest.fixture
def net():
    with asyncio.Runner() as runner:

        class Here(World):
            def do(self, coroutine):
                return runner.run(coroutine)

        async def made():
            service = await serve(bundle().parent, store=SmallStore(NOW))
            await service.bundles.activate("transitions")
            return service

        service = runner.run(made())
        yield Here(service, make_app(service), Keys(service.store, lambda: NOW), runner.get_loop())
        runner.run(service.watch.close())


def answers(net, many=40):
    """What so many viewers are answered: (experiment, bundle)."""
    asked = [net.ask("POST", "/v1/recommend", json={"user": f"v{n}", "k": 3}) for n in range(many)]
    assert {one.status_code for one in asked} == {200}
    return [(one.json()["experiment"], one.json()["bundle"]) for one in asked]


def test_viewers_are_split_between_both_bundles_and_keep_their_arm(net):
    assert set(answers(net)) == {("", "transitions")}
    begun = net.ask("PUT", "/v1/experiments/home", json=ARMS)
    assert begun.status_code == 200
    assert begun.json()["shares"] == {"now": 0.5, "new": 0.5}
    assert begun.json()["since"] == NOW
    # At once: who began it sees it with the next answer.
    first = answers(net)
    assert set(first) == {("home/now", "transitions"), ("home/new", "user_knn")}
    assert answers(net) == first
    told = net.ask("GET", "/v1/experiments").json()["experiments"]
    assert [(one["name"], one["running"]) for one in told] == [("home", True)]
    assert net.ask("POST", "/v1/experiments/home/stop").json()["running"] is False
    assert set(answers(net)) == {("", "transitions")}
    assert net.ask("GET", "/v1/experiments/home").json()["experiment"]["running"] is False


def test_the_same_again_changes_nothing_and_another_of_its_name_is_refused(net):
    begun = net.ask("PUT", "/v1/experiments/home", json=ARMS).json()
    assert net.ask("PUT", "/v1/experiments/home", json=ARMS).json() == begun
    other = {"arms": {"now": "transitions", "new": "friends"}}
    again = net.ask("PUT", "/v1/experiments/home", json=other)
    assert again.status_code == 409
    second = net.ask("PUT", "/v1/experiments/second", json=other)
    assert second.status_code == 422
    assert "one alias at a time" in second.json()["error"]["message"]
    assert len(net.ask("GET", "/v1/experiments").json()["experiments"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"arms": {"now": "transitions", "new": "nowhere"}}, 404, "There is no bundle 'nowhere': there are"),
        ({"shadow": "nowhere"}, 404, "There is no bundle 'nowhere'"),
        ({**ARMS, "alias": "other"}, 404, "No bundle has the alias 'other'"),
        ({**ARMS, "shares": {"now": 0.5, "new": 0.2}}, 422, "add up to 1"),
        ({**ARMS, "shares": {"now": 1}}, 422, "shares are of"),
        ({}, 422, "neither arms nor a shadow"),
        ({"arms": {"a/b": "transitions"}}, 422, "without '/'"),
        ({"arms": ["transitions"]}, 400, "arms"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_of_it_kept(net, body, status, words):
    told = net.ask("PUT", "/v1/experiments/home", json=body)
    assert told.status_code == status
    assert words in told.json()["error"]["message"]
    assert net.ask("GET", "/v1/experiments").json() == {"experiments": []}


def test_a_bundle_that_cannot_be_read_is_in_no_experiment(net):
    broken = bundle().parent / "broken"
    shutil.copytree(bundle("friends"), broken)
    try:
        table = next(broken.rglob("*.parquet"))
        table.write_bytes(table.read_bytes()[:-9])
        told = net.ask("PUT", "/v1/experiments/home", json={"arms": {"now": "transitions", "new": "broken"}})
    finally:
        shutil.rmtree(broken)
    assert told.status_code == 409
    assert "cannot be used" in told.json()["error"]["message"]
    assert net.ask("GET", "/v1/experiments").json() == {"experiments": []}


def test_an_unknown_experiment_is_named(net):
    for method, path in (("GET", "/v1/experiments/none"), ("POST", "/v1/experiments/none/stop")):
        told = net.ask(method, path)
        assert told.status_code == 404
        assert told.json()["error"]["message"] == "There is no experiment 'none': there are none."


def test_a_shadow_answers_nobody_and_is_compared(net):
    net.ask("PUT", "/v1/experiments/quiet", json={"shadow": "user_knn"})
    assert set(answers(net, 10)) == {("", "transitions")}
    told = net.ask("GET", "/v1/experiments/quiet").json()
    assert told["shadow"]["answers"] == 10
    assert 0 <= told["shadow"]["overlap"] <= 1
    assert told["arms"] == []


def test_results_are_of_the_arms_that_people_were_in_and_at_most_a_minute_old(net):
    net.ask("PUT", "/v1/experiments/home", json=ARMS)
    viewers = {"now": 0, "new": 0}

    def show(user):
        told = net.ask("POST", "/v1/recommend", json={"user": user, "k": 1}).json()
        id_, item = told["recommendation_id"], told["items"][0]["item"]
        shown = {"user": user, "items": [item], "recommendation_id": id_, "time": NOW}
        assert net.ask("POST", "/v1/events", json={"impressions": [shown]}).status_code == 200
        return told["experiment"].removeprefix("home/")

    for n in range(30):
        viewers[show(f"v{n}")] += 1
    found = net.ask("GET", "/v1/experiments/home").json()
    assert {one["name"]: one["viewers"] for one in found["arms"]} == viewers
    assert [one["settled"] for one in found["arms"]] == [0, 0]
    assert found["trusted"]
    assert found["arms"][0]["difference"] is None
    assert found["arms"][1]["difference"]["mean"] is None
    show("v30")
    assert net.ask("GET", "/v1/experiments/home").json() == found
    # What changes an experiment is seen at once.
    net.ask("POST", "/v1/experiments/home/stop")
    over = net.ask("GET", "/v1/experiments/home").json()
    assert sum(one["viewers"] for one in over["arms"]) == 31


def test_two_who_begin_at_once_both_have_their_way(tmp_path):
    """Two processes on one store: the same experiment is begun once, others are all kept."""

    async def story():
        stores = [open_sqlite(tmp_path / "store.db") for _ in range(2)]
        try:
            services = [await serve(bundle().parent, store=store) for store in stores]
            await services[0].bundles.activate("transitions")
            for n in range(4):
                await services[0].bundles.activate("user_knn", f"alias-{n}")
            await services[1].bundles.caught_up()
            clients = [
                httpx.AsyncClient(transport=httpx.ASGITransport(make_app(one)), base_url="http://here")
                for one in services
            ]
            same = [one.put("/v1/experiments/home", json=ARMS) for one in clients * 3]
            others = [
                clients[n % 2].put(f"/v1/experiments/e{n}", json={**ARMS, "alias": f"alias-{n}"})
                for n in range(4)
            ]
            rivals = [
                one.put("/v1/experiments/rival", json={"arms": {"a": name}, "alias": "alias-9"})
                for one, name in zip(clients, ("transitions", "user_knn"), strict=True)
            ]
            await services[0].bundles.activate("user_knn", "alias-9")
            await services[1].bundles.caught_up()
            found = await asyncio.gather(*same, *others, *rivals)
            assert [one.status_code for one in found[:-2]] == [200] * 10
            assert len({one.text for one in found[:6]}) == 1
            assert sorted(one.status_code for one in found[-2:]) == [200, 409]
            told = (await clients[1].get("/v1/experiments")).json()["experiments"]
            assert sorted(one["name"] for one in told) == ["e0", "e1", "e2", "e3", "home", "rival"]
            ended = await asyncio.gather(*(one.post("/v1/experiments/home/stop") for one in clients))
            assert [one.json()["running"] for one in ended] == [False, False]
            for service in services:
                await service.watch.close()
        finally:
            for store in stores:
                await store.close()

    asyncio.run(story())
