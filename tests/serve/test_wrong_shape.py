"""Wrong bodies of many kinds are refused in plain words, whatever face they are sent to."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serve.web_world import world

from matinee.serve.body import Malformed, decoded
from matinee.serve.personalize_shapes import PutEvents
from matinee.serve.schemas import EventsSent, ExperimentSent, ItemSent, RecommendAsk

MOMENT = "a moment with its offset such as 2024-05-01T12:00:00Z, or milliseconds since 1970"
SENTENCES = [
    ("/v1/recommend", b'{"k": "ten"}', "k is 'ten': expected a whole number from 1 to 500."),
    ("/v1/recommend", b'{"k": 0}', "k is 0: expected a whole number from 1 to 500."),
    ("/v1/recommend", b'{"k": null}', "k is null: expected a whole number from 1 to 500."),
    ("/v1/recommend", b'{"k": 1e999}', "k is a number out of range: expected a whole number from 1 to 500."),
    ("/v1/recommend", b'{"k": ' + b"9" * 70 + b"}",
     "k is a number of 70 digits: expected a whole number from 1 to 500."),
    ("/v1/recommend", b'{"user": ""}', "user is '': expected a text of 1 to 256 characters."),
    ("/v1/recommend", json.dumps({"user": "x" * 300}).encode(),
     "user is a text of 300 characters: expected a text of 1 to 256 characters."),
    ("/v1/recommend", b'{"user": 7}', "user is 7: expected a text of 1 to 256 characters."),
    ("/v1/recommend", b'{"user": ["a", "b"]}',
     "user is a list of 2: expected a text of 1 to 256 characters."),
    ("/v1/recommend", b'{"reasons": "yes"}', "reasons is 'yes': expected true or false."),
    ("/v1/recommend", b'{"diversity": 1.5}', "diversity is 1.5: expected a number from 0 to 1."),
    ("/v1/recommend", b'{"now": "tomorrow"}', f"now is 'tomorrow': expected {MOMENT}."),
    ("/v1/recommend", b'{"now": "2024-05-01T12:00:00"}', f"now is '2024-05-01T12:00:00': expected {MOMENT}."),
    ("/v1/recommend", b'{"exclude": "i1"}', "exclude is 'i1': expected a list of at most 10,000 entries."),
    ("/v1/recommend", b'{"exclude": ["i1", {}]}',
     "exclude[1] is an empty object: expected a text of 1 to 256 characters."),
    ("/v1/recommend", b'{"most": {"series": 1, "year": 0}}',
     "A value of most is 0: expected a whole number from 1 to 500."),
    ("/v1/recommend", b'{"history": [{"item": "i1"}, 5]}',
     "history[1] is 5: expected a text of 1 to 256 characters or an object."),
    ("/v1/recommend", b'{"pined": []}', "Nothing here is called 'pined': perhaps 'pinned' is meant."),
    ("/v1/rank", b'{"items": []}', "items is an empty list: expected a list of 1 to 500 entries."),
    ("/v1/rank", b"{}",
     "'items' is missing: found an empty object, expected a list of 1 to 500 entries there."),
    ("/v1/events", b'{"events": [{"user": "u", "item": "i"}]}',
     "'events[0].kind' is missing: found only 'user', 'item', expected a text of 1 to 128 characters there."),
    ("/v1/events", b'{"events": [{"user": "u", "item": "i", "kind": "k", "colour": 1}]}',
     "Nothing here is called 'events[0].colour': expected some of event_id, item, kind, position, "
     "properties, recommendation_id, session, time, user, value."),
    ("/v1/events", b"[]", "The body is an empty list: expected an object."),
    ("/v1/events", b"", "Expected a body of JSON, found nothing."),
    ("/v1/events", b'{"events": [', "Expected a body of JSON, found one that ends too early."),
    ("/v1/events", b"{'events': []}",
     "Expected a body of JSON, found a name that is not in double quotes (byte 1)."),
    ("/api/feedback", b'[{"FeedbackType": 1}]', "[0].FeedbackType is 1: expected a text."),
    ("/api/feedback", b"{}", "The body is an empty object: expected a list."),
    ("/api/user", b'{"Labels": []}',
     "'UserId' is missing: found only 'Labels', expected a text there."),
    ("/api/item", b"{", "Expected a body of JSON, found one that ends too early."),
    ("/events", b'{"trackingId": "t", "sessionId": "s", "eventList": []}',
     "eventList is an empty list: expected a list of 1 to 10 entries."),
    ("/events", b'{"trackingId": "t", "sessionId": "s", "eventList": [{"eventType": "watch", "sentAt": []}]}',
     "eventList[0].sentAt is an empty list: expected a number or a text."),
    ("/recommendations", b'{"numResults": "5"}', "numResults is '5': expected a whole number of at least 0."),
    ("/recommendations", b'{"promotions": [{"name": "_"}]}',
     "promotions[0].name is '_': expected a text of at most 63 letters, digits, - and _, the first no sign."),
]  # fmt: skip
QUERIES = [
    ("k=0", "k is 0: expected a whole number from 1 to 500."),
    ("user=", "user is '': expected a text of 1 to 256 characters."),
    ("k=ten", "k is 'ten': expected a whole number."),
    ("categories=&categories=a", "categories[0] is '': expected a text of 1 to 128 characters."),
]
# Words of the library that reads JSON, and of Python.
JARGON = ("`", "$", "got ", " str", "array", "RFC3339", "regex", "null |", "dict", "NoneType", "length >=")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    with world(tmp_path_factory.mktemp("wrong")) as made:
        yield made


def said(answer):
    if answer.headers["content-type"].startswith("text/plain"):
        return answer.text
    told = answer.json()
    return told["message"] if "message" in told else told["error"]["message"]


@pytest.mark.parametrize(("path", "body", "sentence"), SENTENCES)
def test_a_wrong_body_is_told_in_a_sentence(net, path, body, sentence):
    answer = net.ask("POST", path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, said(answer)) == (400, sentence)


@pytest.mark.parametrize(("query", "sentence"), QUERIES)
def test_a_wrong_query_is_told_in_the_same_words(net, query, sentence):
    answer = net.ask("GET", f"/v1/popular?{query}")
    assert (answer.status_code, said(answer)) == (400, sentence)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SHAPES = [RecommendAsk, EventsSent, ItemSent, ExperimentSent, PutEvents]
PLAIN = st.text(st.sampled_from("abc xyz"), max_size=8)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SHAPES), st.data())
def test_any_wrong_value_at_any_field_is_told_without_jargon(shape, data):
    names = [field.encode_name for field in msgspec.structs.fields(shape)]
    plain = VALUES.map(lambda value: json.loads(json.dumps(value)))
    sent = data.draw(st.dictionaries(st.sampled_from(names) | PLAIN, plain, max_size=4))
    try:
        decoded(msgspec.json.Decoder(shape), json.dumps(sent).encode())
    except Malformed as refusal:
        words = str(refusal)
        assert words.endswith(".")
        assert len(words) < 600
        # What was sent may say anything in its own quotes.
        if "'" not in words and '"' not in words:
            assert not [one for one in JARGON if one in words], words


@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_name_that_looks_like_a_place_does_no_harm(name):
    for body in ({f"{name}!": 1}, {"most": {name: 0}}, {"history": [{f"{name}!": 1}]}):
        with pytest.raises(Malformed, match=r"\.$"):
            decoded(msgspec.json.Decoder(RecommendAsk), json.dumps(body).encode())


@pytest.mark.parametrize("name", ["x` - at `$.k", "x` - at `key` in `$.most", "` - at `$.k[9999999999]`"])
def test_a_name_made_to_mislead_is_refused_all_the_same(name):
    with pytest.raises(Malformed, match=r"(Nothing here is called|expected).*\.$"):
        decoded(msgspec.json.Decoder(RecommendAsk), json.dumps({name: 1}).encode())
