"""What an experiment and the days of a server show on the page."""

import re
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
from tests.serve.page.conftest import site_of

from matinee.serve.records import Event, Impression
from matinee.testing.one_server import one_server, write_small_bundle

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def ran(site):
    """An experiment in which people of one arm follow what they are shown, a day later."""
    service, do = site.server.service, site.server.do
    name = service.bundles.facts()[0].name
    asked = {"arms": {"old": name, "<b>new": name}}
    assert site.client.put("/v1/experiments/home%20row", json=asked).status_code == 200
    arms = {"old": 0, "<b>new": 0}
    for place in range(60):
        user = f"v{place + 100}"
        told = site.client.post("/v1/recommend", json={"user": user, "k": 1}).json()
        arm = told["experiment"].partition("/")[2]
        arms[arm] += 1
        item, moment = told["items"][0]["item"], service.now_ms()
        shown = Impression(
            user=user, items=(item,), time_ms=moment, recommendation_id=told["recommendation_id"]
        )
        click = Event(
            user=user, item=item, kind="watch", time_ms=moment, recommendation_id=told["recommendation_id"]
        )
        do(service.store.add([click] if arm == "<b>new" else [], [shown]))
    return arms


def test_the_scoreboard_counts_as_the_programs_interface_does(site, ran):
    text = site.get("/scoreboard").text
    assert min(ran.values()) > 10
    for count in ran.values():
        assert f"<td>{count}</td>" in text
    told = site.client.get("/v1/experiments/home%20row").json()
    assert {one["name"]: one["viewers"] for one in told["arms"]} == ran
    # Nobody's first day is over: nothing is said, and nobody is told apart.
    assert "says nothing yet" in told["sentence"]
    assert "says nothing yet" in text
    assert "<b>new" not in text
    assert "&lt;b&gt;new" in text


def test_health_says_what_it_cannot_tell_yet(site, ran):
    text = site.get("/health").text
    assert "The last four weeks" in text
    assert "new events" in text
    # Thirty clicks are no ground for an alarm, whatever they are of.
    assert text.count("too few to tell") >= 3
    assert "drift of titles" in text
    assert "Worth a look: drift" not in text


@dataclass
class Clock:
    """A clock that goes on when it is told to."""

    now: int = 1_800_000_000_000

    def __call__(self):
        return self.now


@contextmanager
def with_two_bundles(folder, clock):
    names = ("monday", "tuesday")
    folders = [write_small_bundle(folder / name) for name in names]
    with one_server(folders, folder / "store.db", now_ms=clock) as server:
        made = site_of(server)
        yield made
        made.client.close()


@pytest.fixture(scope="module")
def clock():
    return Clock()


@pytest.fixture(scope="module")
def two(tmp_path_factory, clock):
    with with_two_bundles(tmp_path_factory.mktemp("two"), clock) as made:
        yield made


def split(**more):
    fields = {"kind": "split", "name": "", "alias": "default", "first": "monday", "second": "tuesday"}
    return {**fields, "share": "50", **more}


def known(site):
    told = site.client.get("/v1/experiments").json()["experiments"]
    return {one["name"]: one for one in told}


def test_a_form_begins_and_ends_a_split(two):
    begun = two.post("/experiments", split(name="by hand", share="20"))
    assert (begun.status_code, begun.headers["location"]) == (303, "/scoreboard#experiments")
    told = known(two)["by hand"]
    assert told["running"]
    assert told["arms"] == {"now": "monday", "new": "tuesday"}
    assert told["shares"] == {"now": 0.8, "new": 0.2}
    text = two.get("/scoreboard").text
    assert re.search(r'<bdi>by hand</bdi> <span class="state">running', text)
    assert two.client.post("/v1/recommend", json={"user": "v001"}).json()["experiment"].startswith("by hand/")
    # The same form sent again changes nothing.
    assert two.post("/experiments", split(name="by hand", share="20")).status_code == 303
    ended = two.post("/experiments/end", {"name": "by hand"})
    assert (ended.status_code, ended.headers["location"]) == (303, "/scoreboard#experiments")
    assert not known(two)["by hand"]["running"]
    assert re.search(r'<bdi>by hand</bdi> <span class="state off">over', two.get("/scoreboard").text)
    assert two.client.post("/v1/recommend", json={"user": "v001"}).json()["experiment"] == ""


def test_a_form_asks_a_bundle_in_the_shadow(two):
    sent = {"kind": "shadow", "name": "quietly", "alias": "default", "shadow": "tuesday"}
    assert two.post("/experiments", sent).status_code == 303
    assert "No answer has been compared yet." in two.get("/scoreboard").text
    for _ in range(3):
        two.client.post("/v1/recommend", json={"user": "v002", "k": 5})
    text = two.get("/scoreboard").text
    assert re.search(r"tuesday would have shown 100(\.0)? % of what was shown, in 3 answers; ", text), text
    assert two.post("/experiments/end", {"name": "quietly"}).status_code == 303


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        (split(), 400, "has no name"),
        (split(name="a/b"), 400, "without &#39;/&#39;"),
        (split(name="x" * 50), 400, "at most"),
        (split(name="s", share="0"), 400, "The share is &#39;0&#39;: expected a whole number from 1 to 99"),
        (split(name="s", share="100"), 400, "from 1 to 99"),
        (split(name="s", share="half"), 400, "from 1 to 99"),
        (split(name="s", first=""), 400, "No bundle was chosen"),
        (split(name="s", second="friday"), 404, "friday"),
        (split(name="s", alias="nobody"), 404, "nobody"),
        (split(name="taken"), 409, "There has been an experiment &#39;taken&#39;"),
        ({"kind": "shadow", "name": "s", "alias": "default", "shadow": "friday"}, 404, "friday"),
    ],
)
def test_a_form_that_makes_no_sense_comes_back_with_what_is_wrong(two, fields, status, words):
    two.client.put("/v1/experiments/taken", json={"shadow": "monday"})
    two.client.post("/v1/experiments/taken/stop")
    before = known(two)
    answer = two.post("/experiments", fields)
    assert answer.status_code == status
    assert "Nothing was begun." in answer.text
    assert words in answer.text
    assert known(two) == before
    if fields["name"]:
        assert f'value="{fields["name"]}"' in answer.text
    assert answer.text.count('<details class="panel" open>') == 1


def test_nobody_ends_what_is_not_there(two):
    assert two.post("/experiments/end", {"name": "never"}).status_code == 404


@pytest.mark.parametrize(
    "headers", [{"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}, {}]
)
@pytest.mark.parametrize("path", ["/experiments", "/experiments/end"])
def test_forms_of_other_sites_begin_and_end_nothing(two, path, headers):
    before = known(two)
    answer = two.client.post(path, data=split(name="foreign"), headers=headers)
    assert answer.status_code == 403
    assert known(two) == before


def test_only_a_key_that_may_do_everything_begins_one(bundle, tmp_path):
    with one_server([bundle], tmp_path / "store.db", keyed=True) as server:
        for scopes, status in ((["read", "write"], 401), (["admin"], 303)):
            key = server.do(server.keys.make("page", scopes))[1]
            with httpx.Client(base_url=server.url, cookies={"matinee_key": key}) as client:
                sent = {"kind": "shadow", "name": "mine", "alias": "default", "shadow": bundle.name}
                answer = client.post("/experiments", data=sent, headers={"origin": server.url})
                assert answer.status_code == status
        assert len(server.do(server.service.store.note("experiments"))) > 10


def test_a_server_of_one_bundle_says_what_is_needed(site):
    text = site.get("/scoreboard").text
    assert "a second bundle is needed" in text
    assert 'action="/experiments"' not in text


def follow(site, clock, name, rates, viewers=400):
    """People are shown answers of an experiment, and so many of each arm follow one."""
    service, do = site.server.service, site.server.do
    shown, clicks, seen = [], [], dict.fromkeys(rates, 0)
    for place in range(viewers):
        user = f"{name} {place}"
        told = site.client.post("/v1/recommend", json={"user": user, "k": 1}).json()
        arm, answer = told["experiment"].partition("/")[2], told["recommendation_id"]
        item = told["items"][0]["item"]
        shown.append(Impression(user=user, items=(item,), time_ms=clock.now, recommendation_id=answer))
        seen[arm] += 1
        if int(seen[arm] * rates[arm]) > int((seen[arm] - 1) * rates[arm]):
            clicks.append(
                Event(user=user, item=item, kind="watch", time_ms=clock.now, recommendation_id=answer)
            )
    do(service.store.add(clicks, shown))
    clock.now += 2 * DAY_MS


def test_what_runs_is_told_with_intervals_and_in_plain_words(two, clock):
    two.post("/experiments", split(name="decided"))
    follow(two, clock, "decided", {"now": 0.1, "new": 0.6})
    # Ending it has everything counted anew.
    two.post("/experiments/end", {"name": "decided"})
    told = two.client.get("/v1/experiments/decided").json()
    text = re.search(r"<bdi>decided</bdi>.*?</article>", two.get("/scoreboard").text, re.DOTALL).group(0)
    assert "new brings more clicks than now" in told["sentence"]
    assert told["sentence"] in text
    difference = told["arms"][1]["difference"]
    assert difference["low"] > 0
    shown = (
        f"{100 * difference['mean']:.1f} ({100 * difference['low']:.1f} to {100 * difference['high']:.1f})"
    )
    assert f"<td>{shown}</td>" in text
    assert text.count("<svg") == 2
    assert "with 95 % certainty, on whatever day you look" in text
