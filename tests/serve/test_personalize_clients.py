"""boto3, unmodified but for its endpoint_url, against a real server; answers held to the service models."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session
from botocore.validate import ParamValidator

from matinee.serve.personalize_select import NOTE
from matinee.testing.one_server import one_server, write_small_bundle

ARN = "arn:aws:personalize:eu-west-1:123456789012:"
CAMPAIGN, ITEMS, USERS = f"{ARN}campaign/default", f"{ARN}dataset/films/ITEMS", f"{ARN}dataset/films/USERS"
FILTERS = {
    "crime": 'INCLUDE ItemID WHERE Items.GENRES IN ("Crime")',
    "not-these": "EXCLUDE ItemID WHERE Items.GENRES IN ($GENRES)",
    "only-these": "INCLUDE ItemID WHERE Items.CATEGORY IN ($GENRES)",
    "unclicked": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click", "hover")',
    "same-genre": "INCLUDE ItemID WHERE Items.GENRES IN CurrentItem.GENRES",
    "grown-up": 'EXCLUDE ItemID WHERE Items.GENRES IN ("Crime") IF CurrentUser.AGE < 18',
    "house": 'INCLUDE ItemID WHERE Items.STUDIO = "in-house"',
    "odd": "INCLUDE ItemID WHERE Items.GENRES LIKE 5",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    place = tmp_path_factory.mktemp("personalize")
    with one_server([write_small_bundle(place / "films")], place / "store.db") as running:
        notes = {NOTE + name: text for name, text in FILTERS.items()}
        running.do(running.service.store.put_notes(notes))
        yield running


def client_of(server, name):
    return boto3.client(
        name,
        region_name="eu-west-1",
        endpoint_url=server.url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="any will do",  # noqa: S106
        config=Config(retries={"max_attempts": 1}),
    )


@pytest.fixture(scope="module")
def runtime(server):
    client = client_of(server, "personalize-runtime")
    yield client
    client.close()


@pytest.fixture(scope="module")
def events(server):
    client = client_of(server, "personalize-events")
    yield client
    client.close()


def told(answer):
    """The items of an answer, which is as the service model says."""
    return [one["itemId"] for one in answer["itemList"]]


def event(item, kind="watch", **more):
    return {"eventType": kind, "itemId": item, "sentAt": datetime.now(UTC), **more}


def put(events, user, *some, session=None):
    words = {"trackingId": "t", "sessionId": session or f"session of {user}", "eventList": list(some)}
    if user is not None:
        words["userId"] = user
    answer = events.put_events(**words)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def genres(runtime, items):
    answer = runtime.get_personalized_ranking(
        campaignArn=CAMPAIGN, inputList=items, userId="x", metadataColumns={"ITEMS": ["GENRES"]}
    )
    return [set(one["metadata"]["GENRES"].split("|")) for one in answer["personalizedRanking"]]


def test_recommendations_with_reasons_metadata_and_an_id(runtime):
    answer = runtime.get_recommendations(
        campaignArn=CAMPAIGN,
        userId="v001",
        numResults=5,
        metadataColumns={"ITEMS": ["TITLE", "GENRES", "NONE"]},
    )
    assert len(told(answer)) == 5
    assert len(answer["recommendationId"]) > 10
    for one in answer["itemList"]:
        assert set(one["metadata"]) == {"TITLE", "GENRES"}
        assert one["reason"]
        assert isinstance(one["score"], float)
    assert any(
        reason.startswith("because you watched") for one in answer["itemList"] for reason in one["reason"]
    )


def test_the_number_of_results(runtime):
    assert len(told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="v001"))) == 25
    assert told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="v001", numResults=0)) == []
    assert len(told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="v001", numResults=500))) > 100


def test_an_event_changes_the_next_answer(runtime, events):
    before = told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="one event", numResults=5))
    put(events, "one event", event("i025"))
    after = told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="one event", numResults=5))
    assert before != after
    assert after[0] == "i026"
    assert "i025" not in after


def test_the_same_event_twice_is_one(server, events):
    for _ in range(2):
        put(events, "twice", event("i025", eventId="e-1", impression=["i003", "i025"]))
    assert len(server.do(server.service.store.history("twice", 10))) == 1
    shown = server.do(server.service.store.impressions(0, 10, user="twice"))
    assert [one.items for one in shown] == [("i003", "i025")]


def test_whatever_an_event_brings_is_kept(server, runtime, events):
    answer = runtime.get_recommendations(campaignArn=CAMPAIGN, userId="full", numResults=3)
    at = datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    put(
        events,
        "full",
        event(
            told(answer)[1],
            "click",
            sentAt=at,
            eventValue=4.5,
            recommendationId=answer["recommendationId"],
            impression=told(answer),
            properties=json.dumps({"device": "tv"}),
            metricAttribution={"eventAttributionSource": "home"},
        ),
    )
    (stored,) = server.do(server.service.store.events(0, 10, user="full"))
    assert (stored.kind, stored.value, stored.position, stored.session) == (
        "click",
        4.5,
        2,
        "session of full",
    )
    assert abs(stored.time_ms - at.timestamp() * 1000) < 1000
    assert stored.recommendation_id == answer["recommendationId"]
    assert json.loads(stored.properties) == {"device": "tv", "eventAttributionSource": "home"}


def test_whoever_logs_in_brings_the_session_along(runtime, events):
    put(events, None, event("i025"), session="visit 1")
    assert (
        told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="visit 1", numResults=3))[0] == "i026"
    )
    put(events, "logged in", event("i150"), session="visit 1")
    answer = told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="logged in", numResults=200))
    assert not {"i025", "i150"} & set(answer)


def test_a_session_that_several_share_does_not_make_them_one(server, events):
    put(events, None, event("i001"), session="shared")
    put(events, "first", event("i002"), session="shared")
    put(events, "second", event("i003"), session="shared")
    put(events, "v002", event("i004"), session="v003")

    def seen(user):
        return {one.item for one in server.do(server.service.store.history(user, 500))}

    assert seen("first") == {"i001", "i002"}
    assert seen("second") == {"i003"}
    assert server.do(server.service.store.stands_for("v003")) == "v003"


def test_similar_items_and_what_is_popular_beside_an_unknown_one(runtime):
    answer = told(runtime.get_recommendations(recommenderArn=f"{ARN}recommender/default", itemId="i025"))
    assert answer[0] == "i026"
    assert "i025" not in answer
    assert len(told(runtime.get_recommendations(campaignArn=CAMPAIGN, itemId="no such item"))) == 25


def test_a_ranking_is_the_list_in_the_users_order(runtime, events):
    put(events, "ranks", event("i025"))
    answer = runtime.get_personalized_ranking(
        campaignArn=CAMPAIGN, inputList=["i100", "unheard of", "i026", "i100"], userId="ranks"
    )
    ranked = answer["personalizedRanking"]
    assert [one["itemId"] for one in ranked] == ["i026", "i100", "unheard of"]
    assert "score" not in ranked[2]
    assert ranked[0]["score"] > ranked[1]["score"]
    left = runtime.get_personalized_ranking(
        campaignArn=CAMPAIGN, inputList=["i100", "i026"], userId="ranks", filterArn=f"{ARN}filter/crime"
    )
    kept = [one["itemId"] for one in left["personalizedRanking"]]
    assert kept == [one for one in ("i026", "i100") if "Crime" in genres(runtime, [one])[0]]


def filtered(runtime, name, user="v001", values=None, n=20):
    words = {"filterArn": f"{ARN}filter/{name}", **({"filterValues": values} if values else {})}
    return told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId=user, numResults=n, **words))


def test_filters_on_items(runtime):
    crime = genres(runtime, filtered(runtime, "crime"))
    assert crime
    assert all("Crime" in one for one in crime)
    some = genres(runtime, filtered(runtime, "only-these", values={"GENRES": '"Crime","Animation"'}))
    assert all(one & {"Crime", "Animation"} for one in some)
    assert any("Crime" not in one for one in some)
    others = genres(runtime, filtered(runtime, "not-these", values={"GENRES": '"Crime","Animation"'}))
    assert others
    assert not any(one & {"Crime", "Animation"} for one in others)
    # An EXCLUDE without its values is left out.
    assert filtered(runtime, "not-these") == told(
        runtime.get_recommendations(campaignArn=CAMPAIGN, userId="v001", numResults=20)
    )


def test_filters_on_what_the_user_did_and_is(runtime, events):
    plain = told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="filters", numResults=3))
    put(events, "filters", event(plain[0], "CLICK"), event("i025"))
    assert plain[0] not in filtered(runtime, "unclicked", "filters")
    events.put_users(
        datasetArn=USERS,
        users=[
            {"userId": "young", "properties": json.dumps({"age": 12})},
            {"userId": "old", "properties": json.dumps({"age": 40})},
        ],
    )
    young, old = (filtered(runtime, "grown-up", user, n=500) for user in ("young", "old"))
    assert not any("Crime" in one for one in genres(runtime, young))
    assert any("Crime" in one for one in genres(runtime, old))


def test_filters_on_the_item_beside_which_others_stand(runtime):
    (own,) = genres(runtime, ["i025"])
    words = {"itemId": "i025", "filterArn": f"{ARN}filter/same-genre"}
    answer = told(runtime.get_recommendations(campaignArn=CAMPAIGN, numResults=20, **words))
    assert answer
    assert all(one & own for one in genres(runtime, answer))


def test_items_put_are_obeyed_at_once(runtime, events):
    events.put_items(
        datasetArn=ITEMS,
        items=[
            {
                "itemId": "house-1",
                "properties": json.dumps(
                    {
                        "title": "Ours",
                        "genres": "Crime|Drama",
                        "studio": "in-house",
                        "creationTimestamp": 1.7e9,
                    }
                ),
            },
            {"itemId": "house-2", "properties": json.dumps({"STUDIO": "in-house", "price": 3})},
            {"itemId": "i048", "properties": json.dumps({"hidden": True})},
        ],
    )
    answer = runtime.get_personalized_ranking(
        campaignArn=CAMPAIGN,
        userId="anybody",
        inputList=["house-1", "i001", "house-2"],
        filterArn=f"{ARN}filter/house",
        metadataColumns={"ITEMS": ["TITLE", "GENRES", "STUDIO", "CREATION_TIMESTAMP", "price"]},
    )
    found = {one["itemId"]: one["metadata"] for one in answer["personalizedRanking"]}
    assert set(found) == {"house-1", "house-2"}
    assert found["house-1"] == {
        "TITLE": "Ours",
        "GENRES": "Crime|Drama",
        "STUDIO": "in-house",
        "CREATION_TIMESTAMP": "1700000000",
    }
    assert found["house-2"] == {"STUDIO": "in-house", "price": "3"}
    everything = told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId="anybody", numResults=500))
    assert "i048" not in everything


def test_a_promotion_takes_its_share(runtime):
    promotion = {
        "name": "spring",
        "percentPromotedItems": 30,
        "filterArn": f"{ARN}filter/only-these",
        "filterValues": {"GENRES": '"Crime"'},
    }
    answer = runtime.get_recommendations(
        campaignArn=CAMPAIGN, userId="v001", numResults=10, promotions=[promotion]
    )
    promoted = [one for one in answer["itemList"] if one.get("promotionName") == "spring"]
    assert len(told(answer)) == len(set(told(answer))) == 10
    assert len(promoted) == 3
    assert all(one["reason"][0] == "Promoted item" for one in promoted)
    assert all("Crime" in one for one in genres(runtime, [one["itemId"] for one in promoted]))
    assert [one["score"] for one in promoted] == sorted((one["score"] for one in promoted), reverse=True)


def test_a_campaign_is_an_alias(server, runtime):
    (facts,) = server.service.bundles.facts()
    server.do(server.service.bundles.activate(facts.name, "second"))
    answer = runtime.get_recommendations(campaignArn=f"{ARN}campaign/second", userId="v001", numResults=1)
    assert len(told(answer)) == 1


BAD = [
    ("get_recommendations", {"campaignArn": f"{ARN}campaign/nobody", "userId": "u"}, 404, "ResourceNotFound"),
    ("get_recommendations", {"userId": "u"}, 400, "campaignArn or recommenderArn"),
    (
        "get_recommendations",
        {"campaignArn": CAMPAIGN, "recommenderArn": CAMPAIGN, "userId": "u"},
        400,
        "either",
    ),
    ("get_recommendations", {"campaignArn": "default", "userId": "u"}, 400, "expected an ARN"),
    ("get_recommendations", {"campaignArn": f"{ARN}filter/default", "userId": "u"}, 400, "campaign/NAME"),
    ("get_recommendations", {"campaignArn": CAMPAIGN, "userId": "u" * 257}, 400, "userId"),
    ("get_recommendations", {"campaignArn": CAMPAIGN, "userId": "u", "numResults": 501}, 400, "at most 500"),
    (
        "get_recommendations",
        {"campaignArn": CAMPAIGN, "filterArn": f"{ARN}filter/none"},
        404,
        "no filter 'none'",
    ),
    (
        "get_recommendations",
        {"campaignArn": CAMPAIGN, "filterArn": f"{ARN}filter/only-these"},
        400,
        "lacks $GENRES",
    ),
    (
        "get_recommendations",
        {"campaignArn": CAMPAIGN, "filterArn": f"{ARN}filter/crime", "filterValues": {"X": "1"}},
        400,
        "filterValues has 'X'",
    ),
    (
        "get_recommendations",
        {"campaignArn": CAMPAIGN, "filterArn": f"{ARN}filter/odd"},
        400,
        "expected IN, NOT IN",
    ),
    (
        "get_recommendations",
        {"campaignArn": CAMPAIGN, "metadataColumns": {"USERS": ["AGE"]}},
        400,
        "ITEMS alone",
    ),
    (
        "get_recommendations",
        {"campaignArn": CAMPAIGN, "promotions": [{"name": "x"}]},
        400,
        "needs a filterArn",
    ),
    (
        "get_personalized_ranking",
        {"campaignArn": CAMPAIGN, "inputList": ["i"] * 501, "userId": "u"},
        400,
        "inputList",
    ),
    ("get_action_recommendations", {"campaignArn": CAMPAIGN, "userId": "u"}, 400, "no actions"),
]


@pytest.mark.parametrize(("operation", "words", "status", "message"), BAD)
def test_what_is_wrong_is_an_error_of_the_model(runtime, operation, words, status, message):
    with pytest.raises(ClientError) as refused:
        getattr(runtime, operation)(**words)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    family = {
        400: runtime.exceptions.InvalidInputException,
        404: runtime.exceptions.ResourceNotFoundException,
    }
    assert isinstance(refused.value, family[status])
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("operation", "words", "message"),
    [
        ("put_events", {"trackingId": "t", "sessionId": "s", "eventList": [event("i")] * 11}, "eventList"),
        ("put_events", {"trackingId": "t", "sessionId": "s", "eventList": [event("i" * 257)]}, "itemId"),
        (
            "put_events",
            {"trackingId": "t", "sessionId": "s", "eventList": [event("i", impression=["x"] * 26)]},
            "impression",
        ),
        ("put_items", {"datasetArn": ITEMS, "items": [{"itemId": str(n)} for n in range(11)]}, "items"),
        ("put_items", {"datasetArn": "films", "items": [{"itemId": "i"}]}, "datasetArn"),
        ("put_items", {"datasetArn": ITEMS, "items": [{"itemId": "i", "properties": "5"}]}, "JSON object"),
        ("put_users", {"datasetArn": USERS, "users": [{"userId": "u", "properties": '"x"'}]}, "JSON object"),
    ],
)
def test_events_items_and_users_that_are_wrong(events, operation, words, message):
    with pytest.raises(events.exceptions.InvalidInputException, match=message):
        getattr(events, operation)(**words)


def test_answers_are_those_of_the_service_model(server):
    model = get_session().get_service_model("personalize-runtime")
    asked = {
        "GetRecommendations": (
            "/recommendations",
            {
                "campaignArn": CAMPAIGN,
                "userId": "v001",
                "numResults": 10,
                "metadataColumns": {"ITEMS": ["GENRES"]},
                "promotions": [{"name": "p", "percentPromotedItems": 10, "filterArn": f"{ARN}filter/crime"}],
            },
        ),
        "GetPersonalizedRanking": (
            "/personalize-ranking",
            {"campaignArn": CAMPAIGN, "userId": "v001", "inputList": ["i001", "i002", "nobody knows"]},
        ),
    }
    for name, (path, words) in asked.items():
        for slash in ("", "/"):
            answer = httpx.post(server.url + path + slash, json=words)
            assert answer.status_code == 200
            shape = model.operation_model(name).output_shape
            assert not ParamValidator().validate(answer.json(), shape).has_errors()
            assert set(answer.json()) == set(shape.members)
            items = next(value for value in answer.json().values() if isinstance(value, list))
            known = set(
                shape.members[next(key for key in shape.members if key != "recommendationId")].member.members
            )
            assert all(set(one) <= known for one in items)


def test_what_is_no_json_and_what_is_too_much(server):
    answer = httpx.post(f"{server.url}/events", content=b"{")
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "SerializationException")
    assert answer.json()["message"].startswith("Expected a body of JSON, found one that ends")
    deep = httpx.post(f"{server.url}/recommendations", content=b"[" * 100_000)
    assert deep.status_code == 400
    nul = httpx.post(f"{server.url}/recommendations", json={"campaignArn": CAMPAIGN, "userId": "a\x00"})
    assert nul.status_code in (400, 422)


def test_clocks_that_run_ahead_do_not_put_an_event_off(runtime, events):
    user = uuid.uuid4().hex
    put(events, user, event("i025", sentAt=datetime.now(UTC) + timedelta(hours=3)))
    assert told(runtime.get_recommendations(campaignArn=CAMPAIGN, userId=user, numResults=1)) == ["i026"]
