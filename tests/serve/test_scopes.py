"""Who may do what: every path and method of every face, without a key and with one for asking alone."""

import pytest
from starlette.routing import Route
from tests.serve.web_world import world

# What is answered without any key, and what the page's own door, the links of a challenge and the signed
# face answer by themselves.
OPEN = {
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/api/health/live"),
    ("GET", "/api/health/ready"),
    ("GET", "/static/{name}"),
    ("POST", "/key"),
    ("GET", "/challenge/friend"),
    ("POST", "/challenge/friend"),
    ("GET", "/challenge/round"),
    ("POST", "/challenge/round"),
}
# What a key for reading opens beside that: questions, and what is known of items.
ASKING = {
    ("POST", "/v1/recommend"),
    ("POST", "/v1/whatif"),
    ("POST", "/v1/rank"),
    ("GET", "/v1/items/{id}/similar"),
    ("GET", "/v1/popular"),
    ("GET", "/v1/latest"),
    ("GET", "/v1/items/{id}"),
    ("GET", "/v1/bundles"),
    ("GET", "/v1/experiments"),
    ("GET", "/v1/experiments/{name}"),
    ("GET", "/api/recommend/{user}"),
    ("GET", "/api/recommend/{user}/{category}"),
    ("GET", "/api/collaborative-filtering/{user}"),
    ("GET", "/api/intermediate/recommend/{user}"),
    ("GET", "/api/intermediate/recommend/{user}/{category}"),
    ("POST", "/api/session/recommend"),
    ("POST", "/api/session/recommend/{category}"),
    ("GET", "/api/latest"),
    ("GET", "/api/latest/{category}"),
    ("GET", "/api/popular"),
    ("GET", "/api/popular/{category}"),
    ("GET", "/api/non-personalized/{name}"),
    ("GET", "/api/item-to-item/{name}/{item}"),
    ("GET", "/api/item/{item}/neighbors"),
    ("GET", "/api/item/{item}/neighbors/{category}"),
    ("GET", "/api/items"),
    ("GET", "/api/item/{item}"),
}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    with world(tmp_path_factory.mktemp("scopes"), locked=True) as made:
        yield made


def ways(net):
    """Every method and path of the application, those with a slash at their end once."""
    found = {
        (operation.method, resource.path)
        for resource in net.app._table._plain.values()
        for operation in resource.operations.values()
    }
    for face in net.app.faces:
        for route in face.routes:
            assert isinstance(route, Route)
            path = route.path if route.path == "/" else route.path.rstrip("/")
            found |= {(method, path) for method in route.methods if method != "HEAD"}
    return found


def refused(net, method, path, **more):
    for name in ("id", "user", "item", "name", "category", "type"):
        path = path.replace(f"{{{name}}}", "x1")
    return net.ask(method, path, **more).status_code in (401, 403)


def test_without_a_key_nothing_is_answered_but_what_is_open(net):
    everything = ways(net)
    assert len(everything) > 80
    assert OPEN - {("GET", "/metrics")} <= everything
    answered = {way for way in everything if not refused(net, *way)}
    # Who has no round's link, or no key in the form, is refused there in other words.
    assert answered <= OPEN
    heads = {path for method, path in everything if method == "GET"}
    assert {path for path in heads if not refused(net, "HEAD", path)} <= {path for _, path in OPEN}


def test_a_key_for_asking_neither_changes_anything_nor_reads_of_viewers(net):
    key = net.do(net.keys.make("site", ["read"]))[1]
    answered = {way for way in ways(net) if not refused(net, *way, headers={"x-api-key": key})}
    assert answered - OPEN == ASKING


def test_to_write_back_what_was_answered_is_to_write(net):
    read = {"x-api-key": net.do(net.keys.make("shop", ["read"]))[1]}
    both = {"x-api-key": net.do(net.keys.make("shop, too", ["read", "write"]))[1]}
    way = "/api/recommend/v1?n=2&write-back-type=read"
    assert net.ask("GET", way, headers=read).status_code == 403
    assert net.ask("GET", "/api/user/v1/feedback/read", headers=both).json() == []
    for other in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
        assert net.ask("GET", way, headers=both | other).status_code == 403
    assert net.ask("GET", way, headers=both).status_code == 200
    assert len(net.ask("GET", "/api/user/v1/feedback/read", headers=both).json()) == 2


def test_a_viewers_end_is_for_whoever_may_do_everything(net):
    both = {"x-api-key": net.do(net.keys.make("writer", ["read", "write"]))[1]}
    for path in ("/v1/users/v3", "/api/user/v3"):
        assert net.ask("DELETE", path, headers=both).status_code == 403
    admin = {"x-api-key": net.do(net.keys.make("boss", ["admin"]))[1]}
    assert net.ask("DELETE", "/api/user/v3", headers=admin).json() == {"RowAffected": 1}
