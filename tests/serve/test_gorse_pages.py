"""A user's and an item's feedback: everything where one answer holds it, pages of it where none does."""

import pytest
from tests.serve.web_world import NOW_MS, world

from matinee.serve import gorse_feedback
from matinee.serve.records import Event


@pytest.fixture
def net(tmp_path):
    with world(tmp_path) as made:
        yield made


def add(net, rows, *, user="u", sets=False, start=0):
    events = [
        Event(user=user.format(n), item=item, kind="read", time_ms=NOW_MS - 1_000 + n, value=1.0, sets=sets)
        for n, item in enumerate(rows, start)
    ]
    net.do(net.service.store.add(events))


def pages(net, path, n):
    """Every page of a path."""
    found, cursor = [], ""
    while True:
        told = net.ask("GET", f"{path}?n={n}&cursor={cursor}")
        assert told.status_code == 200, told.text
        assert len(told.json()) <= n
        found.append(told.json())
        cursor = told.headers.get("x-next-cursor", "")
        if not cursor:
            return found


@pytest.mark.parametrize("path", ["/api/user/u/feedback", "/api/user/u/feedback/read"])
def test_pages_hold_each_row_once_and_together_all_of_them(net, path):
    add(net, [f"x{n % 23}" for n in range(60)])
    whole = net.ask("GET", path)
    assert len(whole.json()) == 23
    assert "x-next-cursor" not in whole.headers
    assert {one["Value"] for one in whole.json()} == {2.0, 3.0}
    for n in (1, 7, 23, 50):
        assert [row for page in pages(net, path, n) for row in page] == whole.json()


def test_an_items_feedback_has_pages_too(net):
    add(net, ["x"] * 31, user="u{}")
    add(net, ["x"] * 5, user="u{}", sets=True, start=3)
    whole = net.ask("GET", "/api/item/x/feedback").json()
    assert len(whole) == 31
    found = pages(net, "/api/item/x/feedback", 8)
    assert [len(page) for page in found[:3]] == [8, 8, 8]
    assert [row for page in found for row in page] == whole
    assert net.ask("GET", "/api/item/x/feedback/other?n=5").json() == []
    assert net.ask("GET", "/api/item/x/feedback?n=0").json() == []


def test_what_no_answer_holds_is_refused_in_words_and_not_cut(net, monkeypatch):
    monkeypatch.setattr(gorse_feedback, "MOST_ROWS", 20)
    add(net, [f"x{n}" for n in range(21)])
    told = net.ask("GET", "/api/user/u/feedback")
    assert told.status_code == 400
    assert "X-Next-Cursor" in told.text
    assert sum(len(page) for page in pages(net, "/api/user/u/feedback", 10)) == 21
    assert net.ask("GET", "/api/user/u/feedback?n=21").status_code == 400
    assert net.ask("GET", "/api/user/u/feedback?n=5&cursor=x").status_code == 400
    # The row of one item is not everything.
    assert len(net.ask("GET", "/api/feedback/u/x3").json()) == 1


def test_events_that_belong_to_few_rows_are_not_looked_at_for_ever(net, monkeypatch):
    monkeypatch.setattr(gorse_feedback, "MOST_EVENTS", 500)
    add(net, ["same"] * 600 + ["last"])
    assert net.ask("GET", "/api/user/u/feedback").status_code == 400
    found = pages(net, "/api/user/u/feedback", 10)
    assert [(row["ItemId"], row["Value"]) for page in found for row in page] == [
        ("same", 600.0),
        ("last", 1.0),
    ]
    assert len(found) > 2
