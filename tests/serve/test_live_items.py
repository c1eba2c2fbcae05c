from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from matinee.answers.rules import available, windows_of
from matinee.serve.live_items import LiveItems
from matinee.serve.records import ItemRecord
from matinee.testing.made_logs import log_of

TABLE = pa.table(
    {
        "id": ["i0", "i1", "i2", "i3"],
        "title": ["Zero", None, "Two", "Three"],
        "genres": [["Crime"], ["Crime", "Comedy"], [], None],
        "available_from": pa.array([None, 100, None, None], pa.int64()),
        "available_until": pa.array([None, None, 200, None], pa.int64()),
        "regions": [[], [], [], ["north"]],
        "hidden": [False, False, False, None],
        "series": ["s", "s", None, "t"],
    }
)


@pytest.fixture
def live():
    log = log_of([[0, 1], [2, 0]], times=[[50, 60], [70, 80]], n_items=4)
    return LiveItems(replace(log, item_table=TABLE), created_ms=1000)


@pytest.mark.parametrize("now", [0, 99, 100, 199, 200, 10_000])
def test_windows_as_the_rules_have_them(live, now):
    for moment in (now, 150, now):
        shown = available(TABLE, moment)
        assert live.struck(moment).tolist() == [code for code in range(4) if not shown[code]]
    assert windows_of(TABLE).since[1] == 100


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": True},
        {"in_stock": False},
        {"available_from": 500},
        {"available_until": 150},
        {"deleted": True},
    ],
)
def test_a_record_overrides_at_once_and_back(live, change):
    assert 0 not in live.struck(150)
    live.update([ItemRecord(id="i0", version=1, **change)])
    assert 0 in live.struck(150)
    live.update([ItemRecord(id="i0", version=2)])
    assert 0 not in live.struck(150)


def test_a_record_lifts_what_the_bundle_says(live):
    assert 1 in live.struck(50)
    live.update([ItemRecord(id="i1", version=1)])
    assert 1 not in live.struck(50)


def test_regions(live):
    assert live.regional
    assert live.shut("north").tolist() == []
    assert live.shut("south").tolist() == [3]
    live.update([ItemRecord(id="i3", version=1), ItemRecord(id="i0", version=2, regions=("south",))])
    assert live.shut("south").tolist() == []
    assert live.shut("north").tolist() == [0]
    live.update([ItemRecord(id="i0", version=3)])
    assert not live.regional


def test_titles_and_categories_are_replaced_where_something_is_said(live):
    assert (live.title(0), live.title(1), live.categories(1)) == ("Zero", None, ("Crime", "Comedy"))
    live.update(
        [ItemRecord(id="i0", version=1), ItemRecord(id="i1", version=2, title="One", categories=("New",))]
    )
    assert (live.title(0), live.title(1), live.categories(1)) == ("Zero", "One", ("New",))
    assert live.of_categories(["Crime"]).tolist() == [True, False, False, False]
    assert live.of_categories(["New", "Crime"]).tolist() == [True, True, False, False]
    assert live.of_categories([]).sum() == 0


def test_items_that_only_the_store_knows_come_behind(live):
    live.update([ItemRecord(id="new", version=1, title="Fresh", categories=("Crime",))])
    assert (live.known, live.size, live.code("new"), live.id(4), live.title(4)) == (4, 5, 4, "new", "Fresh")
    assert live.of_categories(["Crime"]).tolist() == [True, True, False, False, True]
    assert live.code("nobody") == -1
    assert live.codes(["i2", "new", "nobody"]) == [2, 4, -1]
    assert len(live.keys) == 5
    live.update([ItemRecord(id="new", version=2, hidden=True), ItemRecord(id="newer", version=3)])
    assert 4 in live.struck(150)
    assert 5 not in live.struck(150)


def test_who_came_when(live):
    live.update([ItemRecord(id="new", version=3), ItemRecord(id="i2", version=4, added_ms=5000)])
    # When it could first be had, else when it was first chosen; what the bundle lacks came after it.
    assert live.arrived.tolist()[:3] == [50, 100, 5000]
    assert live.arrived[4] == 1003
    newest = live.newness.argsort()[::-1].tolist()
    assert newest[:4] == [2, 4, 1, 0]
    assert (live.newness.max(), live.newness.min()) == (1.0, 0.0)


def test_values_of_a_column(live):
    live.update([ItemRecord(id="i2", version=1, attributes={"series": "u", "cast": ["a", "b"]})])
    assert [live.values("series", code) for code in range(4)] == [("s",), ("s",), ("u",), ("t",)]
    assert live.values("cast", 2) == ("a", "b")
    assert live.values("categories", 1) == ("Crime", "Comedy")
    assert live.has_column("cast")
    assert not live.has_column("crew")


def test_an_empty_catalogue_of_categories():
    plain = LiveItems(log_of([[0, 1]]))
    assert plain.of_categories(["x"]).tolist() == [False, False]
    assert plain.categories(0) == ()
    assert plain.title(0) is None


def test_an_older_word_never_goes_before_a_newer_one(live):
    live.update([ItemRecord(id="i0", hidden=True, version=6), ItemRecord(id="new", hidden=True, version=6)])
    live.update([ItemRecord(id="i0", version=5), ItemRecord(id="new", version=4)])
    assert {0, live.code("new")} <= set(live.struck(0).tolist())
    live.update([ItemRecord(id="i0", version=7)])
    assert 0 not in live.struck(0).tolist()


def test_whatever_askers_call_regions_and_categories_takes_no_room(live):
    live.update([ItemRecord(id="new", categories=("Crime",), regions=("south",))])
    for n in range(1000):
        assert live.shut(f"region {n}").tolist() == [3, live.code("new")]
        assert not live.of_categories([f"category {n}"]).any()
    assert live.shut("south").tolist() == [3]
    assert np.flatnonzero(live.of_categories(["Crime"])).tolist() == [0, 1, live.code("new")]
    assert len(live._shut) == 2
    assert len(live._masks) == 1
    live.update([ItemRecord(id=f"one {n}", categories=(f"category {n}",)) for n in range(200)])
    for n in range(200):
        assert live.of_categories([f"category {n}"]).sum() == 1
    assert len(live._masks) < 100
