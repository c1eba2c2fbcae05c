"""Gorse's paths and shapes, one by one, over a real engine and a real store."""

import asyncio
from pathlib import Path

import httpx
import pytest

from matinee.serve.app import make_app
from matinee.serve.gorse import routes
from matinee.serve.gorse_shapes import delay_ms
from matinee.serve.refusals import Refusal, StoreError
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.start import start_service
from matinee.testing.one_server import write_small_bundle

NOW = 1_750_000_000_000
AT = "2024-05-01T12:00:00Z"
# Method, path, body, status: every path of the API, with names that are there.
PATHS = [
    ("GET", "/health/live", None, 200),
    ("GET", "/health/ready", None, 200),
    ("POST", "/user", {"UserId": "u1"}, 200),
    ("POST", "/users", [{"UserId": "u1"}], 200),
    ("GET", "/users", None, 200),
    ("GET", "/user/u1", None, 200),
    ("PATCH", "/user/u1", {"Comment": "x"}, 200),
    ("POST", "/item", {"ItemId": "n1", "Comment": "New"}, 200),
    ("POST", "/items", [{"ItemId": "n1"}, {"ItemId": "n2"}], 200),
    ("GET", "/items", None, 200),
    ("GET", "/item/n1", None, 200),
    ("PATCH", "/item/n1", {"IsHidden": True}, 200),
    ("PUT", "/item/n1/category/new", None, 200),
    ("DELETE", "/item/n1/category/new", None, 200),
    ("POST", "/feedback", [{"FeedbackType": "watch", "UserId": "u1", "ItemId": "i025"}], 200),
    ("PUT", "/feedback", [{"FeedbackType": "watch", "UserId": "u1", "ItemId": "i025"}], 200),
    ("GET", "/feedback", None, 200),
    ("GET", "/feedback/watch", None, 200),
    ("GET", "/feedback/u1/i025", None, 200),
    ("GET", "/feedback/watch/u1/i025", None, 200),
    ("GET", "/user/u1/feedback", None, 200),
    ("GET", "/user/u1/feedback/watch", None, 200),
    ("GET", "/item/i025/feedback", None, 200),
    ("GET", "/item/i025/feedback/watch", None, 200),
    ("GET", "/recommend/u1", None, 200),
    ("GET", "/recommend/u1/Crime", None, 200),
    ("GET", "/collaborative-filtering/u1", None, 200),
    ("GET", "/intermediate/recommend/u1", None, 200),
    ("GET", "/intermediate/recommend/u1/Crime", None, 200),
    ("POST", "/session/recommend", [], 200),
    ("POST", "/session/recommend/Crime", [], 200),
    ("GET", "/latest", None, 200),
    ("GET", "/latest/Crime", None, 200),
    ("GET", "/popular", None, 200),
    ("GET", "/popular/Crime", None, 200),
    ("GET", "/non-personalized/latest", None, 200),
    ("GET", "/non-personalized/most_starred_weekly", None, 200),
    ("GET", "/item-to-item/neighbors/i025", None, 200),
    ("GET", "/item/i025/neighbors", None, 200),
    ("GET", "/item/i025/neighbors/Crime", None, 200),
    ("GET", "/user-to-user/neighbors/v001", None, 200),
    ("GET", "/user/v001/neighbors", None, 200),
    ("DELETE", "/feedback/watch/u1/i025", None, 200),
    ("DELETE", "/feedback/u1/i025", None, 200),
    ("DELETE", "/item/n1", None, 200),
    ("DELETE", "/user/u1", None, 200),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_small_bundle(tmp_path_factory.mktemp("films") / "films")


class Clock:
    """A clock that stands where it is put."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def ask(bundle, tmp_path):
    """Asks the face: method and path, and what httpx takes; `ask.clock` is its clock."""
    with asyncio.Runner() as runner:
        store, clock = open_sqlite(Path(tmp_path / "store.db")), Clock()
        service = runner.run(start_service([bundle], store, now_ms=clock, histories=False))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(service)), base_url="http://matinee"
        )

        def call(method, path, **more):
            return runner.run(client.request(method, "/api" + path, **more))

        call.clock, call.service = clock, service
        yield call
        runner.run(client.aclose())
        runner.run(store.close())


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_is_answered_with_and_without_a_slash_at_its_end(ask, slash):
    for method, path, body, status in PATHS:
        more = {} if body is None else {"json": body}
        answer = ask(method, path + slash, **more)
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/json"
        if method in ("POST", "PUT", "PATCH", "DELETE") and "session" not in path:
            assert list(answer.json()) == ["RowAffected"], path


def test_no_path_of_the_face_is_left_untried(ask):
    untried = [
        (route.methods, route.path)
        for route in routes(ask.service)
        if not any(
            method in route.methods and route.path_regex.match(f"/api{path}{slash}")
            for method, path, _, _ in PATHS
            for slash in ("", "/")
        )
    ]
    assert not untried


def test_ids_alone_or_with_scores_by_the_version_that_is_asked_for(ask):
    ids = ask("GET", "/recommend/u?n=3").json()
    scored = ask("GET", "/recommend/u?n=3", headers={"X-API-Version": "2"}).json()
    assert [one["Id"] for one in scored] == ids
    assert all(isinstance(one["Score"], float) for one in scored)
    assert ask("GET", "/recommend/u?n=0").json() == []


def test_categories_stand_in_the_path_or_more_than_once_in_the_query(ask):
    crime = ask("GET", "/recommend/u/Crime?n=5").json()
    assert ask("GET", "/recommend/u?category=Crime&n=5").json() == crime
    both = ask("GET", "/recommend/u?category=Crime&category=Comedy&n=50").json()
    assert set(crime) < set(both)


def test_what_was_read_is_left_out_of_lists_for_everybody(ask):
    popular = [one["Id"] for one in ask("GET", "/popular?n=3").json()]
    ask("POST", "/feedback", json=[{"FeedbackType": "watch", "UserId": "r", "ItemId": popular[0]}])
    left = [one["Id"] for one in ask("GET", "/popular?n=3&user-id=r").json()]
    assert popular[0] in [one["Id"] for one in ask("GET", "/popular?n=3").json()]
    assert popular[0] not in left


def test_what_is_written_back_for_later_counts_from_then_on(ask):
    first = ask("GET", "/recommend/w?n=3&write-back-type=read&write-back-delay=1h").json()
    assert ask("GET", "/recommend/w?n=3").json() == first
    assert ask("GET", "/user/w/feedback/read").json() == []
    ask.clock.now += 3_601_000
    assert not set(ask("GET", "/recommend/w?n=3").json()) & set(first)
    assert [one["ItemId"] for one in ask("GET", "/user/w/feedback/read").json()] == first


def test_put_overwrites_and_post_adds(ask):
    row = {"FeedbackType": "star", "UserId": "s", "ItemId": "i001", "Value": 2, "Timestamp": AT}
    ask("POST", "/feedback", json=[row])
    ask("POST", "/feedback", json=[{**row, "Value": 3, "Timestamp": "2024-05-02T00:00:00Z"}])
    told = ask("GET", "/feedback/star/s/i001").json()
    assert (told["Value"], told["Timestamp"], told["Updated"]) == (5.0, AT, "2024-05-02T00:00:00Z")
    ask("PUT", "/feedback", json=[{**row, "Value": 1, "Timestamp": "2024-05-03T00:00:00Z"}])
    told = ask("GET", "/feedback/star/s/i001").json()
    assert (told["Value"], told["Timestamp"]) == (1.0, "2024-05-03T00:00:00Z")


def test_a_time_without_a_zone_that_is_still_to_come_counts_at_once(ask):
    row = {"FeedbackType": "watch", "UserId": "ahead", "ItemId": "i025", "Timestamp": "2030-01-01 10:00:00"}
    ask("POST", "/feedback", json=[row])
    assert ask("GET", "/recommend/ahead?n=1").json() == ["i026"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2024-05-01", "2024-05-01T00:00:00Z"),
        ("2024-05-01T12:00:00.5+02:00", "2024-05-01T10:00:00.5Z"),
        ("2024-05-01 12:00:00 UTC", "2024-05-01T12:00:00Z"),
        ("1714564800", "2024-05-01T12:00:00Z"),
        ("2024/05/01 12:00:00", "2024-05-01T12:00:00Z"),
        ("May 1, 2024", "2024-05-01T00:00:00Z"),
        ("", "0001-01-01T00:00:00Z"),
        (None, "0001-01-01T00:00:00Z"),
    ],
)
def test_times_may_be_written_in_many_ways(ask, written, shown):
    ask("POST", "/item", json={"ItemId": "t", "Timestamp": written})
    assert ask("GET", "/item/t").json()["Timestamp"] == shown


def test_an_item_that_the_bundle_knows_can_be_changed_and_deleted(ask):
    before = ask("GET", "/item/i026").json()
    assert before["Comment"] == "Young Umbrella: Episode 2"
    assert ask("PUT", "/item/i026/category/Cult").json() == {"RowAffected": 1}
    assert ask("GET", "/item/i026").json()["Categories"] == [*before["Categories"], "Cult"]
    assert ask("DELETE", "/item/i026").json() == {"RowAffected": 1}
    assert ask("GET", "/item/i026").status_code == 404
    assert ask("DELETE", "/item/i026").json() == {"RowAffected": 0}
    near = ask("GET", "/item/i025/neighbors?n=200").json()
    assert "i026" not in [one["Id"] for one in near]


@pytest.mark.parametrize("whose", [{}, {"UserId": ""}, {"UserId": None}, {"UserId": "u"}])
def test_a_session_may_be_nobodys(ask, whose):
    sent = [{"FeedbackType": "watch", "ItemId": "i025", **whose}]
    answer = ask("POST", "/session/recommend?n=5", json=sent)
    assert answer.status_code == 200
    assert answer.json() == ask("POST", "/session/recommend?n=5", json=[{**sent[0], "UserId": "v"}]).json()
    assert answer.json() != ask("POST", "/session/recommend?n=5", json=[]).json()


def test_a_hidden_item_is_not_shown_from_the_next_answer_on(ask):
    (best,) = ask("GET", "/recommend/h?n=1").json()
    ask("PATCH", f"/item/{best}", json={"IsHidden": True})
    assert best not in ask("GET", "/recommend/h?n=200").json()


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/recommend/u?n=x", {}, 400),
        ("GET", "/recommend/u?offset=-1", {}, 400),
        ("GET", "/recommend/%20", {}, 400),
        ("GET", "/item/" + "x" * 300, {}, 400),
        ("POST", "/feedback", {"content": b"{"}, 400),
        ("POST", "/feedback", {"content": b"[" * 50_000}, 400),
        ("POST", "/feedback", {"json": {"UserId": "u"}}, 400),
        ("POST", "/item", {"json": {"ItemId": "a\x00"}}, 422),
        ("POST", "/session/recommend", {"json": [{"FeedbackType": "a", "UserId": "u"}]}, 400),
        ("GET", "/feedback?cursor=-1", {}, 400),
    ],
)
def test_a_no_is_plain_text(ask, method, path, more, status):
    answer = ask(method, path, **more)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.endswith(".")
    assert "\n" not in answer.text


def test_health_says_when_the_store_is_away(ask, monkeypatch):
    async def away():
        raise StoreError("The store cannot be reached: try again.")

    monkeypatch.setattr(ask.service.store, "notes_version", away)
    live = ask("GET", "/health/live")
    assert (live.status_code, live.json()["DataStoreConnected"]) == (200, False)
    ready = ask("GET", "/health/ready")
    assert ready.status_code == 503
    assert '"Ready":false' in ready.text


def test_durations_as_go_writes_them():
    assert [delay_ms(text) for text in (None, "", "0", "10m", "1h30m0s", "1.5h", "250ms")] == [
        *(0, 0, 0),
        *(600_000, 5_400_000, 5_400_000, 250),
    ]
    for text in ("10", "soon", "-5m", "9000h", "1h" * 40):
        with pytest.raises(Refusal, match="write-back-delay"):
            delay_ms(text)
