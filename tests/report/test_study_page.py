"""A study's page: what it says of best, costs and ledger, and that nothing in it can hurt."""

import re
from xml.etree import ElementTree

import pytest

from matinee.report.plots import Mark, plot
from matinee.report.study_page import frontier, study_page


def trial(number, value, dollars, **more):
    usual = {"region": None, "state": "done", "settings": {"rate": 0.01}, "steps": 3, "lost_dollars": 0.0}
    usual |= {"attempts": 1, "seconds": 2.0, "why": "model", "repeats": None, "reason": None, "curve": []}
    return {"id": number, "value": value, "dollars": dollars, **usual, **more}


TRIALS = [
    trial(1, 0.21, 0.5, why="given", settings={}),
    trial(2, None, 0.15, state="failed", lost_dollars=0.05, reason="It said <script>no</script>."),
    trial(3, 0.25, 0.6, settings={"rate": 0.02, "kind": "<b>deep</b>"}),
    trial(4, 0.24, 0.1),
    trial(5, 0.2, 0.09),
    trial(6, 0.26, 0.7, why="repeat", repeats=3),
]
TOLD = {
    "study": "films", "state": "done", "reason": "Spent.", "budget_dollars": 3.0, "budget_s": None,
    "spent_dollars": 2.2, "spent_s": 61.0, "asking_dollars": 0.06, "trials": TRIALS, "metric": "ndcg@10",
    "best": {"id": 6, "value": 0.26, "settings": {"rate": 0.02, "kind": "<b>deep</b>"}},
}  # fmt: skip


def test_the_frontier_is_made_of_what_nothing_beats_at_its_price():
    done = [one for one in TRIALS if one["value"] is not None]
    assert [one["id"] for one in frontier(done)] == [5, 4, 3, 6]
    assert frontier([]) == []


def test_the_page_says_what_it_came_to_and_what_it_cost():
    page = study_page(TOLD, {"rate": 0.8, "kind": 0.25})
    assert "ndcg@10 .2600 at best, by trial 6, where the first settings have .2100" in page
    assert "5 of 6 trials are done, for $2.20" in page
    assert "$2.20</b><span>spent of $3.00" in page
    assert "trial 3 again" in page
    assert "and $0.0600 while it was thought" in page
    assert "share of the value" in page
    assert "&lt;script&gt;no" in page
    for hostile in ("<script>", "<b>deep"):
        assert hostile not in page
    assert "http" not in re.sub(r'xmlns="[^"]*"|<meta http-equiv', "", page)


def test_a_study_without_a_result_has_a_page_too():
    page = study_page({**TOLD, "trials": [TRIALS[1]], "best": None}, {})
    assert "No trial came to its end." in page
    assert "Too few trials are done to tell." in page
    assert "<svg" not in page


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [0.1, 0.5, 0.52, 0.55, -1e9], [-3.0, -2.0]])
def test_marks_lie_within_the_plot_whatever_their_range(values, log):
    for scale in (1e-5, 1.0, 3e4):
        marks = [Mark(x=scale * (place + 1), y=y, words="a & b") for place, y in enumerate(values)]
        steps = [(mark.x, mark.y) for mark in marks]
        picture = ElementTree.fromstring(plot(marks, "x < y", "value", steps=steps, log=log))  # noqa: S314
        circles = [one.attrib for one in picture.iter() if one.tag.endswith("circle")]
        assert len(circles) == len(values)
        for one in circles:
            assert 64 <= float(one["cx"]) <= 700
            assert 12 <= float(one["cy"]) <= 254
        ticks = [one for one in picture.iter() if one.tag.endswith("text")]
        assert 4 <= len(ticks) <= 20
    # The one that is far below does not press the others together.
    if len(values) == 5:
        heights = [float(one["cy"]) for one in circles]
        assert heights[0] - heights[3] > 50


def test_nothing_is_drawn_of_nothing():
    assert plot([], "x", "y") == ""
