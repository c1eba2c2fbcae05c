"""The study's screen: what was tried and spent, by the file that a search writes, in whatever state it is."""

import json
from pathlib import Path

import httpx
import pytest

from matinee.serve.page.study import STATUS, study_values
from matinee.testing.one_server import one_server

CHROMIUM = Path("/usr/bin/chromium")
TOLD = {
    "study": "studies/films",
    "state": "running",
    "budget_dollars": 5.0,
    "budget_s": None,
    "spent_dollars": 1.25,
    "spent_s": 610.0,
    "reserved_dollars": 0.5,
    "trials": [
        {"id": 1, "region": None, "state": "done", "settings": {}, "value": 0.21, "steps": 7, "dollars": 0.5,
         "lost_dollars": 0.0, "attempts": 1},
        {"id": 2, "region": None, "state": "stopped", "settings": {"rate": 0.001, "kind": "<b>deep</b>"},
         "value": None, "steps": 2, "dollars": 0.15, "lost_dollars": 0.05, "attempts": 2},
        {"id": 3, "region": "north", "state": "done", "settings": {"rate": 0.0123456, "kind": "flat"},
         "value": 0.2456, "steps": 7, "dollars": 0.6, "lost_dollars": 0.0, "attempts": 1},
    ],
    "best": {"id": 3, "value": 0.2456, "settings": {"rate": 0.0123456, "kind": "flat"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def studied(bundle, tmp_path_factory):
    """A server that shows a study, its folder, and somebody who looks."""
    folder = tmp_path_factory.mktemp("study")
    with (
        one_server([bundle], folder / "store.db", study=folder) as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
    ):
        yield folder, client


def test_trials_money_and_the_best_are_told(studied):
    folder, client = studied
    (folder / STATUS).write_text(json.dumps(TOLD))
    page = client.get("/study")
    assert page.status_code == 200
    assert "The best so far is trial 3, with .2456." in page.text
    assert "Of $5.00: 25.0 %. $0.5000 more is reserved" in page.text
    assert "2 done, 1 stopped early." in page.text
    assert "$0.0500" in page.text
    assert "&lt;b&gt;deep" in page.text
    assert "<b>deep" not in page.text
    assert 'data-lives="3"' in page.text
    # The newest first.
    assert page.text.index("north") < page.text.index("stopped early</td>")
    (folder / STATUS).write_text(json.dumps({**TOLD, "state": "done"}))
    assert "data-lives" not in client.get("/study").text
    assert 'href="/study"' in client.get("/scoreboard").text


@pytest.mark.parametrize("found", ["", "{", "[1]", '{"trials": 3}'])
def test_a_file_that_no_search_wrote_is_refused_in_a_sentence(studied, found):
    folder, client = studied
    (folder / STATUS).write_text(found)
    page = client.get("/study")
    assert page.status_code == 400
    assert STATUS in page.text
    assert "Traceback" not in page.text
    (folder / STATUS).unlink()
    assert "its search has not begun" in client.get("/study").text


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")
def test_what_runs_is_shown_anew_without_a_hand_on_it(studied):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    folder, client = studied
    (folder / STATUS).write_text(json.dumps({**TOLD, "best": None}))
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page(base_url=str(client.base_url))
        tab.goto("/study")
        assert "No trial has come to its end yet" in tab.inner_text("main")
        (folder / "new").write_text(json.dumps({**TOLD, "state": "done"}))
        (folder / "new").replace(folder / STATUS)
        tab.get_by_text("The best so far is trial 3").wait_for(timeout=60_000)
        browser.close()


def test_without_a_study_nothing_is_there(site):
    assert site.get("/study").status_code == 404
    assert "/study" not in site.get("/scoreboard").text


def test_a_long_study_lists_its_newest_trials_and_says_how_many_it_leaves_out():
    trials = [{**TOLD["trials"][0], "id": number} for number in range(1, 1_202)]
    values = study_values({**TOLD, "trials": trials, "best": {**TOLD["best"], "id": 7}})
    assert values["older"] == 1_001
    assert [row["id"] for row in values["trials"][:2]] == [1_201, 1_200]
    assert "Nothing has been heard of it for 120 s" in study_values(TOLD, 120.0)["verdict"]
    assert "Nothing has been heard" not in study_values({**TOLD, "state": "done"}, 120.0)["verdict"]
    nothing = study_values({**TOLD, "trials": [], "best": None})
    assert "No trial has come to its end yet" in nothing["verdict"]
    assert not nothing["chart"]
