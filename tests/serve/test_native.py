"""What the native face takes in, answers and refuses: the real application over a real bundle and store."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from tests.serve.web_world import DAY_MS, NOW_MS, world

from matinee.serve.records import Event
from matinee.serve.service import Limits


@pytest.fixture
def net(tmp_path):
    with world(tmp_path, limits=Limits(events=5)) as made:
        yield made


def items_of(answer):
    return [one["item"] for one in answer["items"]]


def no(response, status, field=None):
    """The sentence of a refusal, whose shape is always the same."""
    error = response.json()["error"]
    assert response.status_code == status == error["status"], error
    assert set(error) == {"status", "message", "field"}
    assert error["field"] == field
    assert error["message"].endswith(".")
    return error["message"]


def post_event(net, **event):
    return net.ask("POST", "/v1/events", json={"events": [{"kind": "view", **event}]})


def test_a_viewer_a_newcomer_and_a_history_are_answered(net):
    known = net.ask("POST", "/v1/recommend", json={"user": "v1", "k": 3, "reasons": True}).json()
    assert known["source"] == "transitions"
    assert known["bundle"] == "monday"
    assert known["user"] == "v1"
    assert len(known["items"]) == 3
    assert known["items"][0]["title"].startswith("Film ")
    assert any(one["reasons"] for one in known["items"])
    newcomer = net.ask("POST", "/v1/recommend", json={"user": "nobody", "k": 3}).json()
    assert newcomer["source"] == "fallback:popular"
    sent = [{"item": "i3", "kind": "view"}, "i9", "what is that"]
    history = net.ask("POST", "/v1/recommend", json={"history": sent, "k": 3}).json()
    assert history["source"] == "transitions"
    assert history["unknown"] == 1
    assert history["user"] is None
    assert not {"i3", "i9"} & set(items_of(history))


def test_pages_fit_each_other_and_rules_are_obeyed(net):
    ask = {"user": "v1", "k": 6}
    whole = items_of(net.ask("POST", "/v1/recommend", json=ask).json())
    first = items_of(net.ask("POST", "/v1/recommend", json={**ask, "k": 3}).json())
    second = items_of(net.ask("POST", "/v1/recommend", json={**ask, "k": 3, "offset": 3}).json())
    assert whole == first + second
    without = items_of(net.ask("POST", "/v1/recommend", json={**ask, "exclude": whole[:2]}).json())
    assert not set(whole[:2]) & set(without)
    only = items_of(net.ask("POST", "/v1/recommend", json={**ask, "only": whole[:2]}).json())
    assert set(only) == set(whole[:2])
    pinned = net.ask("POST", "/v1/recommend", json={**ask, "pinned": [whole[5]]}).json()["items"]
    assert (pinned[0]["item"], pinned[0]["pinned"]) == (whole[5], True)
    most = items_of(net.ask("POST", "/v1/recommend", json={**ask, "most": {"series": 1}}).json())
    assert len(most) == 3


def test_an_event_is_kept_once_and_counts_in_the_next_answer(net):
    event = {"user": "a/b c?", "item": "i4", "event_id": "e1"}
    assert post_event(net, **event).json() == {"new": 1, "received": 1}
    assert post_event(net, **event).json() == {"new": 0, "received": 1}
    answer = net.ask("POST", "/v1/recommend", json={"user": "a/b c?", "k": 30}).json()
    assert answer["source"] == "transitions"
    assert "i4" not in items_of(answer)
    viewer = net.ask("GET", f"/v1/users/{quote('a/b c?', safe='')}").json()
    assert viewer["history"] == [{"item": "i4", "kind": "view", "value": None, "time": NOW_MS}]


def test_an_event_says_which_answer_it_followed_from_and_impressions_what_was_shown(net):
    answer = net.ask("POST", "/v1/recommend", json={"user": "u", "k": 2, "placement": "home"}).json()
    shown = items_of(answer)
    named = {"recommendation_id": answer["recommendation_id"]}
    sent = {
        "events": [{"user": "u", "item": shown[0], "kind": "buy", "position": 1, "value": 9.5, **named}],
        "impressions": [{"user": "u", "items": shown, "event_id": "x", **named}],
    }
    sent["events"][0] |= {"session": "s", "properties": {"deep": {"er": [1, None]}}}
    assert net.ask("POST", "/v1/events", json=sent).json() == {"new": 2, "received": 2}
    told = net.ask("GET", "/v1/users/u/export").json()
    assert told["events"][0]["recommendation_id"] == answer["recommendation_id"]
    assert told["events"][0]["position"] == 1
    assert json.loads(told["events"][0]["properties"]) == {"deep": {"er": [1, None]}}
    assert told["impressions"] == [{"items": shown, "time": NOW_MS, **named}]


@pytest.mark.parametrize(
    ("time", "ms"),
    [
        (1_700_000_000_123, 1_700_000_000_123),
        (1_700_000_000_000.0, 1_700_000_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-15T00:13:20.5+02:00", 1_700_000_000_500),
        (NOW_MS + DAY_MS, NOW_MS + DAY_MS),
        (100_000_000_000, 100_000_000_000),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_times_are_iso_8601_or_milliseconds(net, time, ms):
    assert post_event(net, user="u", item="i1", time=time).json()["new"] == 1
    assert net.ask("GET", "/v1/users/u/export").json()["events"][0]["time"] == ms


@pytest.mark.parametrize(
    ("time", "status", "words"),
    [
        (NOW_MS + DAY_MS + 1, 422, "ahead of this server's clock, 2027-01-15T08:00:00Z"),
        (1_700_000_000, 422, "is 1970-01-20; milliseconds are expected: is it in seconds?"),
        (0, 422, "is 1970-01-01; milliseconds"),
        ("9999-12-31T23:59:59Z", 422, "ahead of"),
        ("1969-12-31T23:59:59Z", 422, "from 1970 on"),
        ("2023-11-14T22:13:20", 400, "with its offset"),
        ("yesterday", 400, "is 'yesterday': expected a moment"),
        (-1, 400, "is -1: expected a moment"),
        (1.5, 400, "is 1.5: expected a moment"),
    ],
)
def test_times_that_cannot_be_are_refused_by_name(net, time, status, words):
    good = {"user": "u", "item": "i1", "kind": "view"}
    response = net.ask("POST", "/v1/events", json={"events": [good, {**good, "time": time}]})
    assert words in no(response, status, "events[1].time")
    assert net.ask("GET", "/v1/users/u").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field", "words"),
    [
        ({}, 400, "events", "Neither"),
        ({"events": [{"user": "u", "kind": "v"}]}, 400, "events[0].item", "missing"),
        (
            {"events": [{"user": "u", "kind": "v", "item": ""}]},
            400,
            "events[0].item",
            "is '': expected a text of 1",
        ),
        (
            {"events": [{"user": "u" * 257, "kind": "v", "item": "i"}]},
            400,
            "events[0].user",
            "of 257 characters",
        ),
        ({"events": [{"user": "u", "kind": "v", "item": "i", "itme": 1}]}, 400, "events[0].itme", "itme"),
        ({"events": [{"user": "u", "kind": "v", "item": "a\0b"}]}, 422, "events[0].item", "U+0000"),
        ({"events": [{"user": 7, "kind": "v", "item": "i"}]}, 400, "events[0].user", "is 7: expected a text"),
        ({"events": [{"user": "u", "kind": "v", "item": "i"}] * 6}, 413, None, "at most 5"),
        ({"impressions": [{"user": "u", "items": []}]}, 400, "impressions[0].items", "an empty list"),
        ([], 400, None, "expected an object"),
    ],
)
def test_what_is_not_described_is_refused_and_nothing_of_it_kept(net, body, status, field, words):
    assert words in no(net.ask("POST", "/v1/events", json=body), status, field)
    assert net.do(net.service.store.events(user="u")) == []


def test_words_of_their_own_are_bounded(net):
    response = post_event(net, user="u", item="i", properties={"a": "x" * 16_400})
    assert "at most 16,384" in no(response, 422, "events[0].properties")
    assert post_event(net, user="u", item="i", properties={"a": "x" * 16_000}).status_code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "found nothing"),
        (b"{", "ends too early"),
        (b'{"user": NaN}', "does not belong there (byte 9)"),
        (b'{"user": "\xff"}', "not UTF-8"),
        (b'{"user": "\\ud800"}', "JSON"),
        (b'{"history": ' + b"[" * 100_000, "history[0] is a list: expected a text"),
        (b'{"most": {"a": 1e999}}', "out of range"),
    ],
)
def test_no_json_is_told_so(net, body, words):
    response = net.ask("POST", "/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert words in response.json()["error"]["message"]
    assert response.status_code == 400


def test_json_that_is_nested_too_deep_is_refused(net):
    body = b'{"attributes": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    response = net.ask("PUT", "/v1/users/u", content=body, headers={"content-type": "application/json"})
    assert "deeper" in no(response, 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_taken_since_a_page_of_another_site_can_send_anything_else(net, kind):
    response = net.ask("POST", "/v1/recommend", content=b"{}", headers={"content-type": kind} if kind else {})
    assert "application/json" in no(response, 415, "Content-Type")
    fine = net.ask("POST", "/v1/recommend", content=b"{}", headers={"content-type": "Application/JSON; x=y"})
    assert fine.status_code == 200


def test_whole_numbers_may_bear_a_point(net):
    assert len(net.ask("POST", "/v1/recommend", json={"k": 3.0, "offset": 0.0}).json()["items"]) == 3
    assert "k is 3.5: expected a whole number" in no(
        net.ask("POST", "/v1/recommend", json={"k": 3.5}), 400, "k"
    )


def test_what_if_says_what_moves_and_stores_nothing(net):
    ask = {"user": "v1", "k": 10}
    before = items_of(net.ask("POST", "/v1/recommend", json=ask).json())
    told = net.ask("POST", "/v1/whatif", json={**ask, "what_if": [before[2]]}).json()
    was, will = items_of(told["before"]), items_of(told["after"])
    assert was == before
    assert before[2] not in will
    assert {(one["item"], one["rank"]) for one in told["went"]} == {
        (item, rank) for rank, item in enumerate(was, 1) if item not in will
    }
    assert {(one["item"], one["rank"]) for one in told["came"]} == {
        (item, rank) for rank, item in enumerate(will, 1) if item not in was
    }
    assert {(one["item"], one["before"], one["after"]) for one in told["moved"]} == {
        (item, was.index(item) + 1, rank)
        for rank, item in enumerate(will, 1)
        if item in was and was.index(item) + 1 != rank
    }
    assert items_of(net.ask("POST", "/v1/recommend", json=ask).json()) == before
    no(net.ask("POST", "/v1/whatif", json={"user": "v1"}), 400, "what_if")


def test_a_list_is_ranked_and_what_nobody_knows_comes_last(net):
    ask = {"user": "v1", "items": ["nobody's", "i7", "i26", "i7"]}
    ranked = net.ask("POST", "/v1/rank", json=ask).json()["items"]
    assert sorted(one["item"] for one in ranked) == ["i26", "i7", "nobody's"]
    assert (ranked[-1]["item"], ranked[-1]["score"]) == ("nobody's", None)


def test_similar_popular_and_latest_lists(net):
    similar = net.ask("GET", "/v1/items/i3/similar", params={"k": 4, "reasons": "true"}).json()
    assert similar["source"] == "similar"
    assert len(similar["items"]) == 4
    assert "i3" not in items_of(similar)
    assert "i-none" in no(net.ask("GET", "/v1/items/i-none/similar"), 404)
    assert net.ask("GET", "/v1/popular?k=2").json()["source"] == "popular"
    net.ask("PUT", "/v1/items/fresh", json={"title": "Fresh", "added": NOW_MS})
    assert items_of(net.ask("GET", "/v1/latest?k=1").json()) == ["fresh"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("k=0", "k"),
        ("k=501", "k"),
        ("k=ten", "k"),
        ("k=1.5", "k"),
        ("k=1&k=2", "k"),
        ("reasons=1", "reasons"),
        ("reasons=True", "reasons"),
        ("colour=red", "colour"),
        ("user=", "user"),
        ("user=a%00b", "user"),
        ("user=%FF", "query"),
        ("offset=-1", "offset"),
        ("k=1%0A", "k"),
    ],
)
def test_a_query_is_read_as_strictly_as_a_body(net, query, field):
    no(net.ask("GET", f"/v1/popular?{query}"), 400, field)


def test_no_query_is_taken_where_none_is_described(net):
    assert "no query" in no(net.ask("GET", "/v1/bundles?x=1"), 400, "x")


def test_two_ids_become_one_viewer(net):
    post_event(net, user="visit", item="i1")
    post_event(net, user="account", item="i2")
    body = {"user": "visit", "into": "account"}
    assert net.ask("POST", "/v1/users/merge", json=body).json() == body
    assert net.ask("POST", "/v1/users/merge", json=body).status_code == 200
    seen = net.ask("GET", "/v1/users/account").json()["history"]
    assert {one["item"] for one in seen} == {"i1", "i2"}
    no(net.ask("POST", "/v1/users/merge", json={"user": "account", "into": "visit"}), 409)
    no(net.ask("POST", "/v1/users/merge", json={"user": "x", "into": "x"}), 409)


def test_a_viewer_is_written_read_exported_and_forgotten(net):
    sent = {"region": "NO", "attributes": {"plan": "family"}, "added": "2023-11-14T22:13:20Z"}
    put = net.ask("PUT", "/v1/users/v1", json=sent).json()
    assert put == {**sent, "id": "v1", "added": 1_700_000_000_000}
    read = net.ask("GET", "/v1/users/v1", params={"history": 2}).json()
    assert read["region"] == "NO"
    assert len(read["history"]) == 2
    assert net.ask("GET", "/v1/users/v1", params={"history": 0}).json()["history"] == []
    events = net.ask("GET", "/v1/users/v1/export").json()["events"]
    receipt = net.ask("DELETE", "/v1/users/v1").json()
    assert receipt["events"] == len(events) > 2
    assert receipt["profile"] is True
    assert receipt["bundles"] == ["monday"]
    no(net.ask("GET", "/v1/users/v1"), 404)
    no(net.ask("GET", "/v1/users/v1/export"), 404)
    assert net.ask("DELETE", "/v1/users/nobody").json()["bundles"] == []


def test_a_receipt_names_the_bundles_of_every_id_that_was_merged(net):
    net.ask("POST", "/v1/users/merge", json={"user": "v2", "into": "logged-in"})
    assert net.ask("DELETE", "/v1/users/logged-in").json()["bundles"] == ["monday"]


def test_an_export_is_sent_in_parts_and_whole(net):
    many = [Event(user="u", item=f"i{n % 30}", kind="view", time_ms=n) for n in range(2003)]
    assert net.do(net.service.store.add(many)) == 2003
    response = net.ask("GET", "/v1/users/u/export")
    assert "content-length" not in response.headers
    assert [one["time"] for one in response.json()["events"]] == list(range(2003))


def test_an_item_is_obeyed_at_once(net):
    first = items_of(net.ask("POST", "/v1/recommend", json={"user": "v1", "k": 1}).json())[0]
    net.ask("PUT", f"/v1/items/{first}", json={"hidden": True})
    assert first not in items_of(net.ask("POST", "/v1/recommend", json={"user": "v1", "k": 30}).json())
    sent = {"title": "Nå", "categories": ["drama"], "regions": ["NO"], "in_stock": True, "image": "/a.png"}
    put = net.ask("PUT", f"/v1/items/{first}", json={**sent, "attributes": {"a": [1, {"b": None}]}}).json()
    assert {name: put[name] for name in sent} == sent
    assert net.ask("GET", f"/v1/items/{first}").json() == put
    assert net.ask("DELETE", f"/v1/items/{first}").json() == {"item": first, "stored": True}
    no(net.ask("GET", f"/v1/items/{first}"), 404)
    assert first not in items_of(net.ask("POST", "/v1/recommend", json={"user": "v1", "k": 30}).json())


def test_an_item_that_only_the_bundle_knows_is_told_until_it_is_deleted(net):
    told = net.ask("GET", "/v1/items/i3").json()
    assert told["id"] == "i3"
    assert told["title"].startswith("Film ")
    assert net.ask("DELETE", "/v1/items/i3").status_code == 200
    no(net.ask("GET", "/v1/items/i3"), 404)


def test_items_are_written_all_or_none(net):
    sent = [{"id": "a", "title": "A"}, {"id": "b", "available_from": 5, "available_until": 4}]
    no(net.ask("PUT", "/v1/items", json={"items": sent}), 422, "items[1].available_until")
    no(net.ask("PUT", "/v1/items", json={"items": [{"id": "a"}, {"id": "a"}]}), 422, "items[1].id")
    no(net.ask("GET", "/v1/items/a"), 404)
    assert net.ask("PUT", "/v1/items", json={"items": [sent[0], {"id": "b"}]}).json() == {"items": 2}
    assert net.ask("GET", "/v1/items/a").json()["title"] == "A"


@pytest.mark.parametrize("image", ["javascript:alert(1)", "data:text/html,x", "//x", "ftp://x"])
def test_a_picture_has_an_address_that_is_one(net, image):
    response = net.ask("PUT", "/v1/items/a", json={"image": image})
    if image == "//x":
        assert response.status_code == 200
    else:
        no(response, 400, "image")


def test_bundles_are_listed_activated_and_rolled_back(net):
    told = net.ask("GET", "/v1/bundles").json()
    assert [one["name"] for one in told["bundles"]] == ["monday"]
    assert told["aliases"] == {"default": "monday"}
    no(net.ask("POST", "/v1/bundles/sunday/activate"), 404)
    no(net.ask("POST", "/v1/bundles/rollback"), 409)
    again = net.ask("POST", "/v1/bundles/monday/activate", json={"alias": "second"}).json()
    assert set(again["aliases"]) == {"default", "second"}
    answer = net.ask("POST", "/v1/recommend", json={"alias": "second"}).json()
    assert answer["bundle"] == "monday"
    no(net.ask("POST", "/v1/recommend", json={"alias": "third"}), 404)
    no(net.ask("POST", "/v1/bundles/monday/activate", json={"alias": ""}), 400, "alias")


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "..", ".", "a b", "ø/ü", "x/similar", "100%", "\n", "😀"])
def test_an_id_in_a_path_may_hold_anything(net, name):
    path = f"/v1/items/{quote(name, safe='').replace('.', '%2E')}"
    assert net.ask("PUT", path, json={"title": name}).json()["id"] == name
    assert net.ask("GET", path).json()["title"] == name
    assert net.ask("GET", f"{path}/similar").status_code in (200, 404)


@pytest.mark.parametrize("path", ["/v1/items/%FF", "/v1/items/%00", "/v1/items/" + "x" * 257, "/v1/items/"])
def test_an_id_in_a_path_that_is_none_is_refused(net, path):
    no(net.ask("GET", path), 400, "path")


def test_the_moment_of_an_answer_may_be_chosen(net):
    first = items_of(net.ask("POST", "/v1/recommend", json={"user": "v1", "k": 1}).json())[0]
    net.ask("PUT", f"/v1/items/{first}", json={"title": "Gone", "available_until": NOW_MS + DAY_MS})
    moment = datetime.fromtimestamp((NOW_MS + 2 * DAY_MS) / 1000, UTC).isoformat()
    later = net.ask("POST", "/v1/recommend", json={"user": "v1", "k": 30, "now": moment}).json()
    assert first not in items_of(later)
    assert first in items_of(net.ask("POST", "/v1/recommend", json={"user": "v1", "k": 30}).json())


@pytest.mark.parametrize("levels", [33, 300, 960, 966, 968, 970, 972, 980])
def test_what_is_nested_deep_is_not_kept_and_so_keeps_nobody_from_an_answer(net, levels):
    for inmost in ("1", r'"\u0000"'):
        deep = '{"a":' * levels + inmost + "}" * levels
        for method, path, body in (
            ("PUT", "/v1/items/i1", f'{{"attributes": {{"q": {deep}}}}}'),
            ("PUT", "/v1/users/v1", f'{{"attributes": {{"q": {deep}}}}}'),
            (
                "POST",
                "/v1/events",
                f'{{"events": [{{"user": "v1", "item": "i1", "kind": "view", "properties": {deep}}}]}}',
            ),
            ("PATCH", "/api/item/i1", f'{{"Labels": {{"q": {deep}}}}}'),
        ):
            sent = net.ask(method, path, content=body, headers={"content-type": "application/json"})
            assert sent.status_code in (400, 422)
    assert net.ask("POST", "/v1/recommend", json={"user": "v1"}).status_code == 200
