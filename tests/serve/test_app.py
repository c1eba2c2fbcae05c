"""What every request meets, whatever it asks: methods, limits, keys, hosts, headers, and mistakes of ours."""

import asyncio
import json
import time

import httpx
import pytest
from tests.serve.web_world import world

from matinee.serve.refusals import Busy, StoreFull
from matinee.serve.replies import SECURITY
from matinee.serve.service import Limits


@pytest.fixture
def net(tmp_path):
    with world(tmp_path, limits=Limits(body_bytes=2000, body_s=0.3)) as made:
        yield made


def sentence(response, status):
    error = response.json()["error"]
    assert response.status_code == status == error["status"]
    assert response.headers["content-type"] == "application/json"
    return error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/recommend", "OPTIONS, POST"),
        ("PATCH", "/v1/items/i1", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("POST", "/v1/popular", "GET, HEAD, OPTIONS"),
        ("HEAD", "/v1/events", "OPTIONS, POST"),
        ("TRACE", "/livez", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_a_path_does_not_know_is_405_with_those_that_it_knows(net, method, path, allow):
    response = net.ask(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allow
    if method != "HEAD":
        assert allow in sentence(response, 405)


def test_options_names_the_methods(net):
    response = net.ask("OPTIONS", "/v1/users/u")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert "access-control-allow-origin" not in response.headers


def test_head_is_get_without_its_body(net):
    get, head = net.ask("GET", "/v1/popular"), net.ask("HEAD", "/v1/popular")
    assert (head.status_code, head.content) == (200, b"")
    assert abs(int(head.headers["content-length"]) - len(get.content)) < 100
    assert net.ask("HEAD", "/v1/items/none").status_code == 404


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/recommend/", "/v2/recommend", "/v1/users/a/b", "//v1/recommend"]
)
def test_nothing_is_at_a_path_that_nobody_described(net, path):
    assert "/openapi.json" in sentence(net.ask("GET", path), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/popular"),
        ("GET", "/none"),
        ("OPTIONS", "/v1/items"),
        ("GET", "/api/popular"),
        ("GET", "/"),
    ],
)
def test_every_answer_bears_the_headers_of_safety(net, method, path):
    headers = net.ask(method, path).headers
    for name, value in SECURITY:
        assert name.decode() in headers
        if path not in ("/", "/api/popular"):
            assert headers[name.decode()] == value.decode()
    assert len(headers.get_list("content-security-policy")) == 1


def test_a_body_above_the_limit_is_refused_by_its_length_and_by_its_bytes(net):
    head = {"content-type": "application/json"}

    async def dripping():
        for _ in range(3):
            yield b" " * 900

    by_length = net.ask("POST", "/v1/recommend", content=b" " * 2001, headers=head)
    assert "2,000 bytes" in sentence(by_length, 413)
    assert by_length.headers["connection"] == "close"
    assert "2,000 bytes" in sentence(net.ask("POST", "/v1/recommend", content=dripping(), headers=head), 413)
    assert net.ask("POST", "/v1/recommend", content=b"{}" + b" " * 1998, headers=head).status_code == 200
    assert net.ask("POST", "/api/feedback", content=b" " * 2001, headers=head).status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for(net):
    async def slowly(address):
        host, port = address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/recommend HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 9\r\n\r\n{")
        begun = time.monotonic()
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answer, time.monotonic() - begun

    with net.on_a_port() as address:
        answer, took = asyncio.run(slowly(address))
        assert httpx.get(address + "/livez").json() == {"status": "alive"}
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"0.3 seconds" in answer
    assert took >= 0.3


def test_a_sender_who_goes_away_leaves_no_trace(net):
    async def gone():
        sent = []
        messages = [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        head = [(b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/recommend",
            "query_string": b"",
            "headers": head,
        }
        await net.app(scope, receive, send)
        return sent

    assert net.do(gone()) == []


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://127.0.0.1"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://["}, False),
    ],
)
@pytest.mark.parametrize("path", ["/v1/recommend", "/api/session/recommend"])
def test_pages_of_other_sites_change_nothing(net, path, headers, allowed):
    sent = {} if path.startswith("/v1") else []
    response = net.ask("POST", path, json=sent, headers=headers)
    if allowed:
        assert response.status_code == 200
    else:
        assert response.status_code == 403
        assert "another site" in response.text


def test_the_server_answers_to_its_names_alone(tmp_path):
    with world(tmp_path, hosts={"localhost", "127.0.0.1", "::1"}) as net:
        for host in ("localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"):
            assert net.ask("GET", "/livez", headers={"host": host}).status_code == 200
        for host in ("evil.example", "localhost.evil.example", ""):
            assert "address" in sentence(net.ask("GET", "/livez", headers={"host": host}), 421)


def test_a_key_is_asked_for_and_must_be_good_for_what_is_asked(tmp_path):
    with world(tmp_path, locked=True) as net:
        read = net.do(net.keys.make("site", ["read"]))[1]
        write = net.do(net.keys.make("events", ["write"]))[1]
        admin = net.do(net.keys.make("boss", ["admin"]))[1]
        event = {"events": [{"user": "u", "item": "i1", "kind": "view"}]}

        def status(method, path, key, **more):
            return net.ask(method, path, headers={"authorization": f"Bearer {key}"}, **more).status_code

        nobody = net.ask("POST", "/v1/recommend", json={})
        assert "Bearer" in sentence(nobody, 401)
        assert nobody.headers["www-authenticate"].startswith("Bearer")
        # Who may not ask learns nothing of what would have been wrong.
        assert net.ask("POST", "/v1/recommend", content=b"nonsense").status_code == 401
        assert net.ask("POST", "/v1/recommend", json={}, headers={"x-api-key": read}).status_code == 200
        assert status("POST", "/v1/recommend", "mat_0_0", json={}) == 401
        assert status("POST", "/v1/events", read, json=event) == 403
        assert status("POST", "/v1/events", write, json=event) == 200
        assert status("POST", "/v1/recommend", write, json={}) == 403
        assert status("DELETE", "/v1/users/u", write) == 403
        assert status("GET", "/v1/users/u/export", read) == 403
        for method, path in (("GET", "/v1/bundles"), ("DELETE", "/v1/users/u"), ("GET", "/api/popular")):
            assert status(method, path, admin) == 200
        assert net.ask("GET", "/api/popular").status_code == 401
        assert net.ask("POST", "/recommendations", json={"userId": "u"}).status_code == 403
        assert net.ask("GET", "/").status_code == 401
        for path in ("/livez", "/readyz", "/openapi.json"):
            assert net.ask("GET", path).status_code == 200
        net.do(net.keys.revoke("site"))
        assert status("POST", "/v1/recommend", read, json={}) == 401


def test_the_page_takes_a_key_as_a_password_or_a_cookie(tmp_path):
    with world(tmp_path, locked=True) as net:
        read = net.do(net.keys.make("site", ["read"]))[1]
        admin = net.do(net.keys.make("boss", ["admin"]))[1]
        assert net.ask("GET", "/", auth=("", admin)).status_code == 200
        assert net.ask("GET", "/", headers={"cookie": f"a=b; matinee_key={admin}"}).status_code == 200
        assert net.ask("GET", "/", auth=("", read)).status_code == 401
        assert net.ask("GET", "/", headers={"authorization": "Basic !!"}).status_code == 401


class Broken:
    """A store that fails in a way of one's choice."""

    def __init__(self, store, error):
        self._store, self._error = store, error

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def add(self, *_given, **_more):
        raise self._error

    async def notes_version(self):
        raise self._error


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreFull("The disk is full."), 507), (Busy("Too much."), 503), (ValueError("of user u-secret"), 500)],
)
def test_what_fails_here_is_told_in_a_sentence_without_what_it_failed_on(net, error, status):
    from dataclasses import replace

    from matinee.serve.app import make_app

    net.app = make_app(replace(net.service, store=Broken(net.service.store, error)))
    response = net.ask("POST", "/v1/events", json={"events": [{"user": "u", "item": "i", "kind": "v"}]})
    words = sentence(response, status)
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert words == str(error) if status != 500 else "log" in words
    if status == 503:
        assert response.headers["retry-after"] == "1"


def test_a_mistake_of_ours_goes_on_to_whoever_logs_it(net):
    from dataclasses import replace

    from matinee.serve.app import make_app

    app = make_app(replace(net.service, store=Broken(net.service.store, ValueError("broken"))))

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as client:
            await client.get("/readyz")

    with pytest.raises(ValueError, match="broken"):
        net.do(ask())


def test_a_process_says_whether_it_should_be_asked_and_how_it_does(tmp_path):
    why = ["it is about to end"]

    async def ready():
        return why[0]

    async def figures():
        return b"matinee_requests_total 7\n"

    with world(tmp_path, ready=ready, metrics=figures) as net:
        assert "about to end" in sentence(net.ask("GET", "/readyz"), 503)
        assert net.ask("GET", "/livez").status_code == 200
        why[0] = ""
        assert net.ask("GET", "/readyz").json() == {"status": "ready"}
        told = net.ask("GET", "/metrics")
        assert told.text == "matinee_requests_total 7\n"
        assert told.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_without_figures_there_is_no_such_path(net):
    assert net.ask("GET", "/metrics").status_code == 404
    assert net.ask("GET", "/readyz").status_code == 200


def test_whoever_counts_finds_the_route_and_no_id(net):
    seen = {}

    async def outer(scope, receive, send):
        await net.app(scope, receive, send)
        seen.update(scope)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://a") as client:
            await client.get("/v1/users/secret")

    net.do(ask())
    assert seen["matinee.route"] == ("/v1/users/{id}", "native")


def test_a_socket_is_closed_and_a_life_acknowledged(net):
    async def other(kind, messages):
        sent = []

        async def receive():
            return {"type": messages.pop(0)}

        async def send(message):
            sent.append(message["type"])

        await net.app({"type": kind, "path": "/"}, receive, send)
        return sent

    assert net.do(other("websocket", ["websocket.connect"])) == ["websocket.close"]
    told = net.do(other("lifespan", ["lifespan.startup", "lifespan.shutdown"]))
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_real_server_answers_each_face(net):
    with net.on_a_port() as address, httpx.Client(base_url=address) as client:
        native = client.post("/v1/recommend", json={"user": "v2", "k": 3}).json()
        assert client.get("/api/recommend/v2?n=3").json() == [one["item"] for one in native["items"]]
        personalize = client.post(
            "/recommendations",
            json={
                "userId": "v2",
                "numResults": 3,
                "campaignArn": "arn:aws:personalize:eu-north-1:1:campaign/default",
            },
        )
        assert [one["itemId"] for one in personalize.json()["itemList"]] == [
            one["item"] for one in native["items"]
        ]
        assert "<html" in client.get("/").text
        assert client.put("/v1/items/a%2Fb", json={}).json()["id"] == "a/b"
        assert json.loads(client.get("/openapi.json").text)["openapi"] == "3.1.0"
