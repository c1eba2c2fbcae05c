"""The screens over HTTP: what they hold, what their forms do, what they refuse."""

import re
from html.parser import HTMLParser

import httpx
import pytest
from markupsafe import escape

from matinee.serve.page.posters import shown
from matinee.testing.one_server import one_server

SCREENS = [
    "/",
    "/?user=v001",
    "/?user=nobody-yet",
    "/?user=v001&whatif=i010",
    "/title?item=i001",
    "/title?item=i001&user=v001",
    "/scoreboard",
    "/health",
    "/challenge",
    "/?q=v00",
    "/?user=v001&q=the",
]


class Markup(HTMLParser):
    """Every element with its attributes, and the texts between."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def items_of(text, row="cards"):
    part = re.search(rf'<ol class="{row}".*?</ol>', text, re.DOTALL)
    return re.findall(r'data-item="([^"]+)"', part.group(0)) if part else []


@pytest.mark.parametrize("path", SCREENS)
def test_every_screen_is_whole_light_and_shut(site, path):
    answer = site.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
                 "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):  # fmt: skip
        assert rule in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    markup = Markup(answer.text)
    assert all(set(attrs) <= {"src", "defer"} for attrs in markup.all("script"))
    assert not markup.all("style")
    for _, attrs in markup.elements:
        assert not [name for name in attrs if name == "style" or name.startswith("on")]
    weight = len(answer.content) + sum(len(site.get(one).content) for one in files_of(markup))
    assert weight < 60_000


def files_of(markup):
    return [one["href"] for one in markup.all("link")] + [one["src"] for one in markup.all("script")]


def test_files_have_names_that_change_with_them_and_stay_for_a_year(site):
    for path in files_of(Markup(site.get("/").text)):
        answer = site.get(path)
        assert answer.status_code == 200
        assert re.fullmatch(r"/static/\w+-[0-9a-f]{12}\.(css|js|svg)", path)
        assert "immutable" in answer.headers["cache-control"]
        assert b"http://" not in answer.content.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"https://" not in answer.content
    assert site.get("/static/page.css").status_code == 404
    assert site.get("/static/..%2fframe.py").status_code == 404


def test_a_viewer_sees_history_rows_and_a_reason_for_each(site):
    text = site.get("/", user="v002").text
    assert len(items_of(text)) == 10
    assert text.count("because you watched") == 10
    assert "Watched last" in text
    assert "Popular now" in text
    assert not set(items_of(text)) & {seen.item for seen in site.events_of("v002")}


def test_what_was_watched_is_kept_and_changes_the_rows_at_once(site):
    before = site.get("/", user="v003").text
    chosen = items_of(before)[4]
    form = re.search(r'<form method="post" action="/watched".*?</form>', before, re.DOTALL).group(0)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    assert f'name="title" value="5 {chosen}"' in form
    answer = site.post("/watched", {**fields, "title": f"5 {chosen}"})
    assert answer.status_code == 303
    events = site.events_of("v003")
    assert events[-1].item == chosen
    text = site.get(answer.headers["location"]).text
    assert chosen not in items_of(text)
    assert items_of(text) != items_of(before)
    assert "Kept: you watched" in text
    assert re.search(r'class="moved (new|up|down)"', text)
    kept = site.server.do(site.server.service.store.events(0, 1_000, user="v003"))[-1]
    assert (kept.position, kept.recommendation_id) == (5, fields["recommendation_id"])
    # The same form sent again is the same event.
    site.post("/watched", {**fields, "title": f"5 {chosen}"})
    assert len(site.events_of("v003")) == len(events)
    # Taken back, the rows are as they were.
    back = site.post("/unwatched", {"user": "v003", "item": chosen})
    assert items_of(site.get(back.headers["location"]).text) == items_of(before)


def test_what_if_changes_the_rows_and_keeps_nothing(site):
    before, kept = items_of(site.get("/", user="v004").text), site.events_of("v004")
    text = site.get("/", user="v004", whatif=before[0]).text
    assert before[0] not in items_of(text)
    assert "What if you had watched" in text
    assert "What moved:" in text
    assert site.events_of("v004") == kept
    assert items_of(site.get("/", user="v004").text) == before


def test_what_moved_is_told_as_it_is(site):
    before = items_of(site.get("/", user="v005").text)
    text = site.get("/", user="v005", whatif=before[1]).text
    now = items_of(text)
    for place, item in enumerate(now):
        card = re.search(rf'data-item="{item}">.*?</li>', text, re.DOTALL).group(0)
        told = re.search(r'class="moved (\w+)">(?:up |down )?(\w+)<', card)
        if item in before:
            moved = before.index(item) - place
            expected = ("up" if moved > 0 else "down", str(abs(moved))) if moved else None
            assert (told.groups() if told else None) == expected
        else:
            assert told.group(1) in ("new", "up")


def test_a_newcomer_begins_with_what_is_popular_and_is_known_after_one_title(site):
    answer = site.get("/newcomer")
    assert answer.status_code == 303
    text = site.get(answer.headers["location"]).text
    assert "nothing is known yet" in text
    assert "popular now" in text
    user = httpx.URL(answer.headers["location"]).params["user"]
    after = site.post("/watched", {"user": user, "title": f"1 {items_of(text)[0]}", "once": "1"})
    assert "because you watched" in site.get(after.headers["location"]).text


def test_viewers_are_found_by_how_their_id_begins(site):
    text = site.get("/", q="v12").text
    assert "/?user=v120" in text
    assert "/?user=v013" not in text
    assert "Nobody has an id like this" in site.get("/", q="zzz").text


def test_titles_are_found_by_their_words(site):
    record = site.server.do(site.server.service.answers.catalogue()).table.slice(20, 1).to_pylist()[0]
    words = " ".join(reversed(record["title"].lower().split()[:2]))
    assert record["id"] in items_of(site.get("/", user="v001", q=words).text, "strip")
    assert "No title has these words" in site.get("/", user="v001", q="xyzzy plugh").text


def test_a_title_has_a_screen_with_what_is_like_it(site):
    text = site.get("/title", item="i001", user="v001").text
    assert len(items_of(text, "strip")) == 12
    assert "i001" not in items_of(text, "strip")
    assert "I watched this" in text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/title?item=none", 404, "Nobody knows this title"),
        ("/?user=" + "x" * 300, 400, "at most 256 characters"),
        ("/?user=%00", 400, "cannot be kept"),
        ("/challenge/round?id=none", 404, "There is no such round"),
        ("/challenge/friend?link=", 404, "There is no such round"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(site, path, status, words):
    answer = site.get(path)
    assert answer.status_code == status
    assert words in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("path", ["/?user=%ff%fe", "/?user=v001&whatif=none&whatif=&whatif=" + "y" * 200,
                                  "/?user=v001&watched=none", "/title?item=i001&user=nobody"])  # fmt: skip
def test_odd_addresses_are_no_trouble(site, path):
    assert site.get(path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},
    ],
)
@pytest.mark.parametrize(
    "path", ["/watched", "/unwatched", "/challenge", "/challenge/friend", "/challenge/round"]
)
def test_forms_from_elsewhere_are_refused(site, path, headers):
    before = site.events_of("v006")
    answer = site.client.post(path, data={"user": "v006", "title": "1 i001", "item": "i001"}, headers=headers)
    assert answer.status_code == 403
    assert site.events_of("v006") == before


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"user=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=1" for _ in range(300)), "application/x-www-form-urlencoded", 400),
        (b"user=%ff", "application/x-www-form-urlencoded", 400),
        (b"title=1+i001", "application/x-www-form-urlencoded", 400),
        (b"user=v001&title=1+none", "application/x-www-form-urlencoded", 404),
    ],
)
def test_forms_that_are_none_are_refused(site, content, kind, status):
    headers = {"origin": site.server.url, "content-type": kind}
    assert site.client.post("/watched", content=content, headers=headers).status_code == status


def test_hostile_titles_are_words_and_nothing_else(site):
    text = site.get("/", user="nobody", q="").text + site.get("/").text
    for item in ("script", "quotes", "turned", "long", "template", "blank"):
        answer = site.get("/title", item=item)
        assert answer.status_code == 200
        text += answer.text
        assert len(answer.content) < 30_000
    markup = Markup(text)
    assert not [one for one in markup.all("script") if "src" not in one]
    assert not {name for _, attrs in markup.elements for name in attrs if name.startswith("on")}
    assert all(one["src"].startswith(("/", "data:image/gif")) for one in markup.all("img"))
    assert "49" not in re.search(r"<h1>.*?</h1>", site.get("/title", item="template").text).group(0)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x1b]", text)


def test_an_id_that_is_markup_is_an_id(site):
    hostile = 'id"><img src=x onerror=alert(1)>'
    markup = Markup(site.get("/title", item=hostile).text)
    assert not [one for one in markup.all("img") if one["src"] == "x"]
    answer = site.post("/watched", {"user": hostile, "title": f"1 {hostile}"})
    text = site.get(answer.headers["location"]).text
    assert not [one for one in Markup(text).all("img") if one["src"] == "x"]
    assert site.events_of(hostile)[-1].item == hostile


def test_health_says_what_the_model_is_and_costs(site):
    text = site.get("/health").text
    for words in ("trained on", "transitions", "one answer", "the model&#39;s age", "freshness"):
        assert words in text


def test_health_measures_an_answer_for_somebody_with_a_history(site):
    known = site.server.do(site.server.service.store.viewers("", 20))
    first = next(one.id for one in known if site.events_of(one.id))
    assert f"Measured just now, for {escape(shown(first))}." in site.get("/health").text


def test_titles_that_a_model_does_not_know_are_called_that(site):
    text = site.get("/", user="v001", whatif="quotes").text
    assert "1 title of the history is unknown to the model." in text


def test_where_keys_are_asked_for_one_opens_the_page_once(bundle, tmp_path):
    with one_server([bundle], tmp_path / "store.db", keyed=True) as server:
        _, key = server.do(server.keys.make("page", ["admin"]))
        _, weak = server.do(server.keys.make("asking", ["read"]))
        with httpx.Client(base_url=server.url) as client:
            shut = client.get("/?user=v001")
            assert shut.status_code == 401
            assert "A key, please" in shut.text
            assert "v001" not in re.sub(r'name="next" value="[^"]*"', "", shut.text)
            own = {"origin": server.url}
            for wrong in ("nonsense", weak, "ü", ""):
                said = client.post("/key", data={"key": wrong, "next": "/"}, headers=own)
                assert said.status_code == 401
                assert not wrong or wrong not in said.text
            opened = client.post("/key", data={"key": key, "next": "/?user=v001"}, headers=own)
            assert (opened.status_code, opened.headers["location"]) == (303, "/?user=v001")
            cookie = opened.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert client.get("/?user=v001").status_code == 200
            elsewhere = client.post("/key", data={"key": key, "next": "//elsewhere.example"}, headers=own)
            assert elsewhere.headers["location"] == "/"
            began = client.post("/challenge", data={"user": "v001"}, headers=own)
            waiting = client.get(began.headers["location"]).text
            client.cookies.clear()
            # A friend has no key, and needs none.
            link = re.search(r'value="(http[^"]+/challenge/friend\?link=[^"]+)"', waiting).group(1)
            assert client.get(link).status_code == 200
            assert client.get("/challenge").status_code == 401
