import numpy as np
import pytest

from matinee.data.kinds_mean import KindsMean
from matinee.serve.live_items import LiveItems
from matinee.serve.records import ItemRecord, Seen
from matinee.serve.taken import Reading
from matinee.testing.made_logs import log_of

MIN = 60_000


@pytest.fixture
def live():
    found = LiveItems(log_of([[0, 1, 2, 3, 4, 5]]))
    found.update([ItemRecord(id="new", version=1)])
    return found


def seen(*events, start=1_000_000):
    """Events as (item, kind, value) a minute apart."""
    full = [(*one, *(None,) * (3 - len(one))) for one in events]
    return [Seen(item, kind or "watch", value, start + n * MIN) for n, (item, kind, value) in enumerate(full)]


def items(taken):
    return taken.asker.histories.items.tolist()


def test_codes_in_order_and_what_nobody_knows_is_counted(live):
    taken = Reading(KindsMean(), "time").take(seen(("i3",), ("ghost",), ("i0",), ("new",)), live, 7, 200)
    assert items(taken) == [3, 0]
    assert taken.asker.viewers.tolist() == [7]
    assert taken.asker.histories.times.tolist() == [1_000_000, 1_000_000 + 2 * MIN]
    assert taken.unknown == 2
    assert sorted(taken.seen.tolist()) == [0, 3, 6]


def test_only_the_latest_teach_but_all_are_seen(live):
    taken = Reading(KindsMean(), "time").take(seen(("i1",), ("i2",), ("i3",)), live, -1, 2)
    assert items(taken) == [2, 3]
    assert sorted(taken.seen.tolist()) == [1, 2, 3]


def test_noes_teach_nothing_and_are_kept_apart(live):
    reading = Reading(KindsMean(kinds=("view", "skip"), negative=("skip",)), "time")
    taken = reading.take(seen(("i1", "view"), ("i2", "skip"), ("i3", "dislike")), live, -1, 200)
    assert items(taken) == [1]
    assert sorted(taken.noes.tolist()) == [2, 3]
    assert taken.seen.tolist() == [1]


def test_what_is_not_good_enough_is_left_out(live):
    reading = Reading(KindsMean(positive="rating>=4"), "time")
    taken = reading.take(seen(("i1", "rating", 5.0), ("i2", "rating", 2.0), ("i3", "watch")), live, -1, 200)
    assert items(taken) == [1, 3]


def test_kinds_weigh_as_in_the_log(live):
    reading = Reading(KindsMean(kinds=("view", "buy"), weight={"view": 0.25}), "time")
    taken = reading.take(seen(("i1", "view"), ("i2", "buy"), ("i3", "else")), live, -1, 200)
    np.testing.assert_array_equal(taken.asker.histories.weights, np.float32([0.25, 1.0, 1.0]))
    assert taken.kinds == ["view", "buy", "else"]


def test_the_very_same_event_counts_once(live):
    twice = seen(("i1",))[0]
    assert items(Reading(KindsMean(), "time").take([twice, twice], live, -1, 200)) == [1]


def test_a_set_has_an_item_once_and_no_times(live):
    taken = Reading(KindsMean(), "none").take(seen(("i1",), ("i2",), ("i1",)), live, -1, 200)
    assert items(taken) == [1, 2]
    assert taken.asker.histories.times is None


def test_sessions_are_folded_to_the_strongest(live):
    meaning = KindsMean(kinds=("view", "buy"), weight={"view": 0.1}, session_gap_ms=30 * MIN)
    events = seen(("i1", "view"), ("i2", "view"), ("i1", "buy"))
    later = seen(("i1", "view"), start=1_000_000 + 100 * MIN)
    taken = Reading(meaning, "time").take([*events, *later], live, -1, 200)
    assert items(taken) == [1, 2, 1]
    assert taken.kinds == ["buy", "view", "view"]
    assert taken.asker.histories.times[0] == 1_000_000


def test_a_deluge_of_kinds_takes_no_memory(live):
    reading = Reading(KindsMean(), "time")
    taken = reading.take(seen(*(("i1", f"kind {n}") for n in range(3000))), live, -1, 5000)
    assert len(items(taken)) == 3000
    assert len(reading._kinds) <= 1000


def test_values_come_along_where_they_are_what_is_predicted(live):
    events = seen(("i1", "rating", 5.0), ("ghost", "rating", 2.0), ("i3", "watch"))
    taken = Reading(KindsMean(target="rating"), "time").take(events, live, -1, 200)
    np.testing.assert_array_equal(taken.asker.histories.values, np.array([5.0, np.nan], np.float32))
    assert Reading(KindsMean(), "time").take(events, live, -1, 200).asker.histories.values is None
