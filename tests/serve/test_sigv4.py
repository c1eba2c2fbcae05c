"""Signatures made by botocore: good ones are let in, and whatever was tampered with is not."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import botocore.auth
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from matinee.core.errors import InputError
from matinee.serve.signers import pair_of
from matinee.serve.sigv4 import BadSignature, Signed, pairs_of, verify
from matinee.serve.store import secret_of
from matinee.testing.one_server import one_server, write_small_bundle

ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CAMPAIGN = "arn:aws:personalize:eu-west-1:1:campaign/default"
BODY = json.dumps({"campaignArn": CAMPAIGN, "userId": "v001", "numResults": 3}).encode()
URL = "http://films.example/recommendations"


def signed(body=BODY, url=URL, key=(ID, SECRET), service="personalize", **headers):
    """A request as botocore signs it."""
    request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json", **headers})
    SigV4Auth(Credentials(*key), service, "eu-west-1").add_auth(request)
    return request


def checked(request, *, body=None, path=None, query=None, drop=(), secrets=None, late_s=0.0, **headers):
    """Verify a request, with changes made on its way."""
    sent = {name.lower(): value for name, value in request.headers.items()} | {"host": "films.example"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    _, _, rest = request.url.partition("films.example")
    found_path, _, found_query = rest.partition("?")
    as_sent = Signed(
        method="POST",
        path=path or found_path,
        query=found_query if query is None else query,
        headers=[(name, value) for name, value in sent.items() if name not in drop],
        body=(request.body or b"") if body is None else body,
    )
    return verify(
        as_sent, {ID: SECRET} if secrets is None else secrets, datetime.now(UTC).timestamp() + late_s
    )


def test_what_botocore_signs_is_right():
    assert checked(signed()) == ID
    assert checked(signed(b"")) == ID
    assert checked(signed(), late_s=290) == checked(signed(), late_s=-290) == ID


@pytest.mark.parametrize(
    "url",
    [
        f"{URL}?b=2&a=1&a=0",
        f"{URL}?a=%20x%2By&empty=",
        "http://films.example/items/",
        "http://films.example/a%20b/%C3%A9",
    ],
)
def test_paths_and_queries_are_canonical(url):
    assert checked(signed(url=url)) == ID


def test_blanks_in_headers_are_folded():
    assert checked(signed(**{"X-Amz-Meta": " a   b "})) == ID


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"body": BODY.replace(b"v001", b"v002")}, "InvalidSignatureException", "does not match"),
        ({"path": "/events"}, "InvalidSignatureException", "does not match"),
        ({"query": "a=1"}, "InvalidSignatureException", "does not match"),
        ({"host": "other.example"}, "InvalidSignatureException", "does not match"),
        ({"content_type": "text/plain"}, "InvalidSignatureException", "does not match"),
        ({"secrets": {ID: SECRET[::-1]}}, "InvalidSignatureException", "does not match"),
        ({"secrets": {}}, "UnrecognizedClientException", "security token"),
        ({"late_s": 301}, "InvalidSignatureException", "expired"),
        ({"late_s": -301}, "InvalidSignatureException", "not yet current"),
        ({"drop": ("authorization",)}, "MissingAuthenticationTokenException", "not signed"),
        ({"drop": ("x-amz-date",)}, "IncompleteSignatureException", "'x-amz-date' is not there"),
        ({"drop": ("host",)}, "IncompleteSignatureException", "'host' is not there"),
        ({"x_amz_date": "yesterday"}, "IncompleteSignatureException", "no moment"),
        ({"x_amz_date": "20200101T000000Z"}, "InvalidSignatureException", "day of the credential"),
        ({"x_amz_content_sha256": "0" * 64}, "InvalidSignatureException", "not the hash"),
        ({"authorization": "Bearer x"}, "IncompleteSignatureException", "Credential"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=é"}, "IncompleteSignatureException", "Credential"),
    ],
)
def test_what_was_changed_on_its_way_is_refused(changes, code, words):
    with pytest.raises(BadSignature, match=words) as refused:
        checked(signed(), **changes)
    assert refused.value.code == code
    assert SECRET not in str(refused.value)


def test_a_signature_that_is_no_text_of_ours_is_refused_quietly():
    request = signed()
    text = request.headers["Authorization"]
    with pytest.raises(BadSignature, match="does not match"):
        checked(request, authorization=text[:-64] + "é" * 64)


def test_a_signature_for_another_service_is_refused():
    with pytest.raises(BadSignature, match="service 'personalize'"):
        checked(signed(service="s3"))


def test_an_old_signature_is_refused(monkeypatch):
    then = datetime.now(UTC) - timedelta(minutes=6)
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *_args, **_more: then.replace(tzinfo=None)
    )
    with pytest.raises(BadSignature, match="expired"):
        checked(signed())


def test_an_unsigned_body_is_refused():
    with pytest.raises(BadSignature, match="not the hash"):
        checked(signed(**{"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}))


def test_pairs_are_read_and_bad_ones_not_repeated():
    assert pairs_of(f"# ours\n{ID}:{SECRET} other:long enough".replace("long enough", "longenough")) == {
        ID: SECRET,
        "other": "longenough",
    }
    assert pairs_of("") == {}
    with pytest.raises(InputError, match="Line 2 of the AWS keys") as refused:
        pairs_of("good:longenough\nsomesecretwithoutcolon")
    assert "somesecret" not in str(refused.value)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_small_bundle(tmp_path_factory.mktemp("bundle") / "films")


def runtime(url, key):
    return boto3.client(
        "personalize-runtime",
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=Config(retries={"max_attempts": 1}),
    )


def ask(url, key):
    client = runtime(url, key)
    try:
        return client.get_recommendations(campaignArn=CAMPAIGN, userId="v001", numResults=3)["itemList"]
    finally:
        client.close()


def test_boto3_with_the_operators_pair(bundle, tmp_path):
    with one_server([bundle], tmp_path / "store.db", aws={ID: SECRET}) as server:
        assert len(ask(server.url, (ID, SECRET))) == 3
        for key, code in (
            ((ID, "another secret"), "InvalidSignatureException"),
            (("AKIDUNKNOWN", SECRET), "UnrecognizedClientException"),
        ):
            with pytest.raises(ClientError) as refused:
                ask(server.url, key)
            assert refused.value.response["Error"]["Code"] == code
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        request = signed(url=f"{server.url}/recommendations")
        whole = httpx.post(f"{server.url}/recommendations", content=BODY, headers=dict(request.headers))
        assert whole.status_code == 200
        altered = httpx.post(
            f"{server.url}/recommendations",
            content=BODY.replace(b"v001", b"v002"),
            headers=dict(request.headers),
        )
        assert (altered.status_code, altered.headers["x-amzn-errortype"]) == (
            403,
            "InvalidSignatureException",
        )
        unsigned = httpx.post(f"{server.url}/recommendations", content=BODY)
        assert unsigned.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"


def test_boto3_with_the_pair_of_an_api_key(bundle, tmp_path):
    with one_server([bundle], tmp_path / "store.db", keyed=True) as server:
        secret = secret_of({"secret": server.do(server.service.store.note("secret"))})
        key, text = server.do(server.keys.make("films", ["read"]))
        pair = pair_of(secret, key)
        assert pair[0] == key.id
        assert pair[1] not in text
        assert len(ask(server.url, pair)) == 3
        events = boto3.client(
            "personalize-events",
            region_name="eu-west-1",
            endpoint_url=server.url,
            aws_access_key_id=pair[0],
            aws_secret_access_key=pair[1],
        )
        with pytest.raises(ClientError) as refused:
            events.put_users(
                datasetArn="arn:aws:personalize:eu-west-1:1:dataset/f/USERS", users=[{"userId": "u"}]
            )
        events.close()
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
        server.do(server.keys.revoke(key.id))
        with pytest.raises(ClientError) as refused:
            ask(server.url, pair)
        assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
