"""Clients of Gorse that nobody here wrote, unmodified, against a real server."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from gorse import AsyncGorse, Gorse, GorseException

from matinee.testing.one_server import one_server, write_small_bundle

STORY = Path(__file__).with_name("gorse_story.cjs")
AT = "2024-05-01T12:00:00Z"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    place = tmp_path_factory.mktemp("gorse")
    with one_server([write_small_bundle(place / "films")], place / "store.db", keyed=True) as running:
        yield running


@pytest.fixture(scope="module")
def key(server):
    return server.do(server.keys.make("tests", ["admin"]))[1]


@pytest.fixture
def client(server, key):
    return Gorse(server.url, key, timeout=30)


def ids(answer):
    return [one.id for one in answer]


def test_pygorse_users(client):
    assert client.insert_user({"UserId": "bob", "Labels": {"age": 24}, "Comment": "a friend"}) == {
        "RowAffected": 1
    }
    assert client.get_user("bob") == {"UserId": "bob", "Labels": {"age": 24}, "Comment": "a friend"}
    assert client.insert_users([{"UserId": "carl"}, {"UserId": "dora", "Labels": ["x"]}]) == {
        "RowAffected": 2
    }
    assert client.get_user("carl") == {"UserId": "carl", "Labels": None, "Comment": ""}
    assert client.delete_user("carl") == {"RowAffected": 1}
    with pytest.raises(GorseException) as refused:
        client.get_user("carl")
    assert refused.value.status_code == 404
    assert refused.value.message == "There is no user 'carl': insert one with POST /api/user."


def test_pygorse_pages_through_every_user_once(client):
    seen, cursor = [], ""
    while True:
        users, cursor = client.get_users(97, cursor)
        seen.extend(one["UserId"] for one in users)
        if not cursor:
            break
    assert len(seen) == len(set(seen)) >= 600
    assert {"v001", "v600"} <= set(seen)


def test_pygorse_items(client):
    item = {
        "ItemId": "gorse:new",
        "IsHidden": False,
        "Categories": ["Crime", "New"],
        "Timestamp": "2024-02-03T04:05:06.5Z",
        "Labels": {"year": 2024, "tags": ["a"]},
        "Comment": "A new film",
    }
    assert client.insert_item(item) == {"RowAffected": 1}
    assert client.get_item("gorse:new") == item
    assert client.update_item("gorse:new", is_hidden=True, comment="Renamed") == {"RowAffected": 1}
    assert client.get_item("gorse:new") == {**item, "IsHidden": True, "Comment": "Renamed"}
    assert [one["ItemId"] for one in client.search_items("renAMed")] == ["gorse:new"]
    assert client.delete_item("gorse:new") == {"RowAffected": 1}
    with pytest.raises(GorseException, match="404"):
        raise_with_status(client.get_item, "gorse:new")


def raise_with_status(call, *args):
    try:
        return call(*args)
    except GorseException as error:
        raise GorseException(error.status_code, f"{error.status_code} {error.message}") from error


def test_pygorse_knows_the_bundles_items_and_pages_through_each_once(client):
    client.insert_item({"ItemId": "i1000", "Comment": "between"})
    seen, cursor = [], ""
    while True:
        items, cursor = client.get_items(33, cursor)
        seen.extend(one["ItemId"] for one in items)
        if not cursor:
            break
    assert seen == sorted(set(seen))
    assert {f"i{n:03d}" for n in range(1, 201)} | {"i1000"} <= set(seen)
    assert client.get_item("i026")["Comment"] == "Young Umbrella: Episode 2"


def test_pygorse_one_event_changes_the_next_answer(client):
    before = ids(client.get_recommend("newcomer", n=10))
    assert client.insert_feedback("watch", "newcomer", "i025", AT, 1.0) == {"RowAffected": 1}
    after = ids(client.get_recommend("newcomer", n=10))
    assert before != after
    assert after[0] == "i026"
    assert "i025" not in after
    assert client.delete_feedback("newcomer", "i025") == {"RowAffected": 1}
    assert ids(client.get_recommend("newcomer", n=10)) == before


def test_pygorse_pages_categories_and_scores(client):
    whole = client.get_recommend("v001", n=12)
    assert [one.score for one in whole] == sorted((one.score for one in whole), reverse=True)
    paged = [one for offset in (0, 4, 8) for one in ids(client.get_recommend("v001", n=4, offset=offset))]
    assert paged == ids(whole)
    crime = ids(client.get_recommend("v001", category="Crime", n=5))
    assert len(crime) == 5
    assert all("Crime" in client.get_item(one)["Categories"] for one in crime)


def test_pygorse_writes_back_what_it_gave(client):
    given = ids(client.get_recommend("written", n=3, write_back_type="read"))
    assert [(one["ItemId"], one["FeedbackType"]) for one in client.list_feedbacks("read", "written")] == [
        (item, "read") for item in given
    ]
    assert not set(given) & set(ids(client.get_recommend("written", n=3)))


def test_pygorse_feedback_is_added_up_and_taken_back(client):
    rows = [
        {"FeedbackType": "star", "UserId": "erna", "ItemId": "i001", "Value": 2, "Timestamp": AT},
        {
            "FeedbackType": "star",
            "UserId": "erna",
            "ItemId": "i001",
            "Value": 3.5,
            "Timestamp": AT,
            "Comment": "!",
        },
        {"FeedbackType": "watch", "UserId": "erna", "ItemId": "i002", "Timestamp": "2024-05-02"},
    ]
    assert client.insert_feedbacks(rows) == {"RowAffected": 3}
    assert client.list_feedbacks("star", "erna") == [
        {
            "FeedbackType": "star",
            "UserId": "erna",
            "ItemId": "i001",
            "Value": 5.5,
            "Timestamp": AT,
            "Updated": AT,
            "Comment": "!",
        }
    ]
    assert client.delete_feedback("erna", "i001") == {"RowAffected": 1}
    assert client.list_feedbacks("star", "erna") == []
    assert client.delete_feedback("erna", "i001") == {"RowAffected": 0}


def test_pygorse_pages_through_every_row_once(client):
    client.insert_feedbacks(
        [
            {"FeedbackType": "paged", "UserId": f"p{n % 7}", "ItemId": f"i{n % 5:03d}", "Timestamp": AT}
            for n in range(100)
        ]
    )
    rows, cursor = [], ""
    while True:
        page, cursor = client.get_feedbacks(997, cursor)
        rows.extend((one["FeedbackType"], one["UserId"], one["ItemId"]) for one in page)
        if not cursor:
            break
    assert len(rows) == len(set(rows))
    assert sum(kind == "paged" for kind, _, _ in rows) == 35


def test_pygorse_session_and_neighbours(client):
    session = client.session_recommend(
        [{"FeedbackType": "watch", "UserId": "x", "ItemId": "i025", "Timestamp": AT}], n=3
    )
    assert len(session) == 3
    assert session[0]["Id"] == "i026"
    near = client.get_neighbors("i025", n=4)
    assert [set(one) for one in near] == [{"Id", "Score"}] * 4
    assert client.get_neighbors("i025", n=2, offset=2) == near[2:]
    assert client.get_neighbors("nobody knows") == []


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (lambda c: c.insert_feedback("", "u", "i", AT), 400, "FeedbackType is empty"),
        (lambda c: c.insert_feedback("k", "u" * 300, "i", AT), 400, "UserId has 300 characters"),
        (lambda c: c.insert_feedback("k", "u", "i", "tomorrow"), 400, "Timestamp is 'tomorrow'"),
        (lambda c: c.insert_feedbacks([{"UserId": "u"}]), 400, "FeedbackType"),
        (lambda c: c.insert_user({"Comment": "nobody"}), 400, "UserId"),
        (lambda c: c.get_recommend("u", n=-1), 400, "n is '-1'"),
        (lambda c: c.get_recommend("u", n=100_000), 400, "from 0 to 500"),
        (
            lambda c: c.get_recommend("u", write_back_type="r", write_back_delay="soon"),
            400,
            "write-back-delay",
        ),
        (lambda c: c.get_feedbacks(3, "there"), 400, "cursor is 'there'"),
        (lambda c: c.update_item("nowhere", comment="x"), 404, "There is no item 'nowhere'"),
        (lambda c: c.insert_users([{"UserId": str(n)} for n in range(1001)]), 413, "1,001 users"),
    ],
)
def test_pygorse_is_told_in_plain_text_what_is_wrong(client, call, status, words):
    with pytest.raises(GorseException) as refused:
        call(client)
    assert refused.value.status_code == status
    assert words in refused.value.message


def test_a_key_is_needed_and_must_be_good_for_what_is_asked(server, key):
    with pytest.raises(GorseException) as refused:
        Gorse(server.url, "guessed").get_user("v001")
    assert refused.value.status_code == 401
    assert "guessed" not in refused.value.message
    reading = server.do(server.keys.make("reader", ["read"]))[1]
    assert Gorse(server.url, reading).get_recommend("v001", n=1)
    with pytest.raises(GorseException) as refused:
        Gorse(server.url, reading).insert_user({"UserId": "x"})
    assert refused.value.status_code == 403


def test_the_asynchronous_pygorse(server, key):
    async def story():
        client = AsyncGorse(server.url, key)
        await client.insert_user({"UserId": "async"})
        await client.insert_item({"ItemId": "aitem", "Comment": "later"})
        await client.insert_feedback("watch", "async", "i025", AT)
        recommended = await client.get_recommend("async", n=2)
        rows, _ = await client.get_feedbacks(5)
        try:
            await client.get_item("no such")
        except GorseException as error:
            status = error.status_code
        await client.update_item("aitem", comment="sooner")
        item = await client.get_item("aitem")
        return recommended[0].id, len(rows), status, item["Comment"], await client.delete_user("async")

    assert asyncio.run(story()) == ("i026", 5, 404, "sooner", {"RowAffected": 1})


@pytest.fixture(scope="module")
def gorsejs():
    """A folder in which npm has installed gorsejs 0.4.8, and tslib, which it needs and does not name."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not installed")
    folder = (
        Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "matinee-tests" / "gorsejs-0.4.8"
    )
    if not (folder / "node_modules/gorsejs/package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        words = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(
            [*words, "gorsejs@0.4.8", "tslib@2"], capture_output=True, text=True, timeout=240, check=False
        )
        if done.returncode:
            pytest.skip(f"npm cannot install gorsejs: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture(scope="module")
def told(server, key, gorsejs):
    """What gorsejs was told, call by call."""
    done = subprocess.run(
        ["node", str(STORY)],
        env={
            **os.environ,
            "NODE_PATH": str(gorsejs / "node_modules"),
            "GORSE_ENDPOINT": server.url,
            "GORSE_SECRET": key,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_gorsejs_users(told):
    assert (told["insertUser"], told["insertUsers"], told["updateUser"], told["deleteUser"]) == (1, 2, 1, 1)
    assert told["getUser"] == {"UserId": "js1", "Labels": ["a", "b"], "Comment": "one"}
    assert told["userAfter"] == {"UserId": "js1", "Labels": ["a", "b"], "Comment": "changed"}
    users = [one["UserId"] for page in ("getUsers", "usersNext") for one in told[page]["Users"]]
    assert len(set(users)) == 4
    assert users == sorted(users)


def test_gorsejs_items(told):
    assert (told["upsertItem"], told["upsertItems"], told["updateItem"], told["deleteItem"]) == (1, 2, 1, 1)
    assert (told["insertItemCategory"], told["deleteItemCategory"]) == (1, 1)
    assert told["getItem"] == {
        "ItemId": "jsitem",
        "IsHidden": False,
        "Categories": ["d", "e"],
        "Timestamp": "2024-08-07T00:26:46Z",
        "Labels": ["x"],
        "Comment": "An item",
    }
    assert told["itemDate"]["Timestamp"] == "2024-08-07T00:26:46Z"
    assert told["itemAfter"] == {**told["getItem"], "IsHidden": True, "Categories": ["e", "f"]}
    assert len(told["getItems"]["Items"]) == 3
    assert told["getItems"]["Cursor"] == told["getItems"]["Items"][-1]["ItemId"]


def test_gorsejs_answers(told):
    assert told["before"] != told["after"]
    assert told["after"][0] == "i027"
    assert told["page2"] == told["after"][2:5]
    assert told["category"]
    assert told["session"][0]["Id"] == "i027"
    for name in ("neighbors", "userNeighbors", "popular", "latest"):
        assert [set(one) for one in told[name]] == [{"Id", "Score"}] * 4, name


def test_gorsejs_feedback(told):
    like = {
        "FeedbackType": "like",
        "UserId": "js1",
        "ItemId": "i001",
        "Value": 0,
        "Timestamp": "2024-08-07T00:26:46Z",
        "Updated": "2024-08-07T00:26:46Z",
        "Comment": "",
    }
    assert (told["insertFeedbacks"], told["upsertFeedbacks"]) == (1, 1)
    assert told["getFeedback"] == like
    assert told["getUserFeedbackByType"] == told["getItemFeedbackByType"] == [like]
    assert [one["FeedbackType"] for one in told["getUserFeedback"]] == ["watch", "like"]
    assert [one["FeedbackType"] for one in told["getItemFeedback"]] == ["watch"]
    assert told["getFeedbacksByType"] == {"Cursor": "", "Feedback": [like]}
    assert len(told["getFeedbacks"]["Feedback"]) == 2
    assert told["deleteFeedback"] == {"RowAffected": 1}


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        ("itemGone", 404, "There is no item 'jsitem3'"),
        ("userGone", 404, "There is no user 'js2'"),
        ("feedbackGone", 404, "no feedback of type 'like'"),
        ("badTime", 400, "Timestamp is 'someday'"),
        ("badKey", 401, "key"),
    ],
)
def test_gorsejs_is_told_what_is_wrong(told, call, code, words):
    assert (told[call]["name"], told[call]["code"]) == ("GorseException", code)
    assert words in told[call]["message"]
