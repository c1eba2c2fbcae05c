"""What an experiment and the days of a server show on the page."""

import pytest

from matinee.serve.records import Event, Impression


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
