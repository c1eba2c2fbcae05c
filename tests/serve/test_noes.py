"""A no is a page in a browser and JSON for a program, with the same sentence; on Gorse's paths it is text."""

import re

import pytest
from markupsafe import escape
from tests.serve.web_world import world

from matinee.serve.replies import prefers_page

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
NOES = [
    ("GET", "/nowhere", 404, "There is nothing at this path"),
    ("GET", "/v1/nowhere", 404, "There is nothing at this path"),
    ("GET", "/v1/items/none", 404, "'none'"),
    ("GET", "/v1/recommend", 405, "/v1/recommend does not know GET: it knows OPTIONS, POST."),
    ("POST", "/health", 405, "This path does not know POST: it knows GET, HEAD."),
    ("PUT", "/challenge", 405, "This path does not know PUT: it knows GET, HEAD, POST."),
    ("GET", "/recommendations", 405, "This path does not know GET: it knows POST."),
    ("GET", "/v1/popular?k=0", 400, "k is 0: expected a whole number from 1 to 500."),
    ("GET", "/api/user/none", 404, "There is no user 'none'"),
    ("PUT", "/api/user/none", 405, "This path does not know PUT: it knows DELETE, GET, HEAD, PATCH."),
    ("GET", "/api/nowhere", 404, "There is nothing at this path"),
    ("GET", "/api/popular?n=x", 400, "n is 'x', and was expected to be a whole number"),
]


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    with world(tmp_path_factory.mktemp("noes")) as made:
        yield made


@pytest.mark.parametrize(("method", "path", "status", "words"), NOES)
def test_a_browser_is_shown_a_page_with_a_way_back(net, method, path, status, words):
    answer = net.ask(method, path, headers={"accept": BROWSER})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert str(escape(words)) in answer.text
    assert 'href="/">To the beginning</a>' in answer.text
    assert answer.text.count("<h1") == 1
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "style-src 'self'" in policy[0]
    style = re.search(r'<link rel="stylesheet" href="([^"]+)"', answer.text).group(1)
    assert net.ask("GET", style).status_code == 200


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json, text/html", "text/html;q=0.5, application/json"]
)
@pytest.mark.parametrize(("method", "path", "status", "words"), NOES)
def test_a_program_is_told_the_same_in_its_own_way(net, method, path, status, words, accept):
    answer = net.ask(method, path, headers={} if accept is None else {"accept": accept})
    assert answer.status_code == status
    if path.startswith("/api"):
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert words in answer.text
        return
    assert answer.headers["content-type"] == "application/json"
    assert words in answer.json()["error"]["message"]


def test_where_a_key_is_needed_a_browser_is_told_so(tmp_path):
    with world(tmp_path, locked=True) as net:
        shown = net.ask("GET", "/v1/popular", headers={"accept": BROWSER})
        told = net.ask("GET", "/v1/popular")
        assert shown.status_code == told.status_code == 401
        assert str(escape(told.json()["error"]["message"])) in shown.text
        assert shown.headers["www-authenticate"] == told.headers["www-authenticate"]
        gorse = net.ask("GET", "/api/popular", headers={"x-api-key": "none"})
        assert (gorse.status_code, gorse.headers["content-type"]) == (401, "text/plain; charset=utf-8")


def test_a_mistake_of_ours_is_a_page_too(net):
    async def broken(*_asked):
        raise ZeroDivisionError

    object.__setattr__(net.service.answers, "popular", broken)
    try:
        shown = net.ask("GET", "/v1/popular", headers={"accept": BROWSER})
        told = net.ask("GET", "/v1/popular")
        screen = net.ask("GET", "/", headers={"accept": BROWSER})
    finally:
        del net.service.answers.popular
    assert shown.status_code == told.status_code == screen.status_code == 500
    assert "the server's log says what" in told.json()["error"]["message"]
    for page in (shown, screen):
        assert "the server&#39;s log says what" in page.text
        assert "ZeroDivision" not in page.text


def test_a_no_to_head_has_no_body(net):
    answer = net.ask("HEAD", "/v1/items/none", headers={"accept": BROWSER})
    assert (answer.status_code, answer.content) == (404, b"")


def test_the_way_back_is_this_servers_own_screen(net):
    def back(referer):
        headers = {"referer": referer, "accept": BROWSER}
        answer = net.ask("GET", "/title?item=none", headers=headers)
        assert answer.status_code == 404
        return re.findall(r'href="([^"]+)">Back<', answer.text)

    assert back("http://127.0.0.1/?user=v1&whatif=i2") == ["/?user=v1&amp;whatif=i2"]
    for referer in (
        "http://elsewhere.example/x",
        "http://127.0.0.1//elsewhere.example",
        "nonsense",
        "http://[",
    ):
        assert back(referer) == []


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML;q=0.9, application/json;q=0.1", True),
        ("text/html;q=0", False),
        ("text/html;q=high", False),
        ("text/html, application/json", False),
        ("text/plain, text/html", False),
        ("*/*", False),
        ("", False),
        (",;,;=", False),
    ],
)
def test_what_accept_prefers(accept, page):
    assert prefers_page(accept) is page
