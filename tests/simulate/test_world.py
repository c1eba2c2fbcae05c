"""What is made up is as it should be: viewers, catalogue, times, friends."""

from __future__ import annotations

import re

import numpy as np
import pytest

from matinee.core.errors import SettingsError
from matinee.core.types import Int32
from matinee.data.log import InteractionLog
from matinee.simulate import SimulationOptions, patternless, predictable, simulate_log
from matinee.simulate.catalogue import make_catalogue
from matinee.simulate.options import SPAN_MS, START_MS
from matinee.simulate.titles import titles
from matinee.simulate.viewers import activity

OPTIONS = SimulationOptions(viewers=1_200, items=300, events=30_000, predictability=0.6, seed=4)


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return simulate_log(OPTIONS)


def test_counts_are_met_and_nobody_watches_twice(log: InteractionLog) -> None:
    assert (len(log), log.n_viewers, log.n_items) == (OPTIONS.events, OPTIONS.viewers, OPTIONS.items)
    assert log.histories.lengths.min() >= 5
    pairs = log.histories.rows().astype(np.int64) * OPTIONS.items + log.histories.items
    assert len(np.unique(pairs)) == len(log)


def test_times_rise_and_no_event_is_before_its_release(log: InteractionLog) -> None:
    times = log.histories.times
    assert times is not None
    inner = np.ones(len(times) - 1, dtype=bool)
    inner[log.histories.offsets[1:-1] - 1] = False
    assert np.all(np.diff(times)[inner] > 0)
    release = np.array(log.item_table["available_from"])
    assert np.all(release[log.histories.items] <= times)
    assert (release > START_MS).any()
    assert times.min() >= START_MS
    assert times.max() < START_MS + SPAN_MS + 1_000
    assert times.max() - times.min() > 0.95 * SPAN_MS


def test_watching_is_in_sessions_and_in_the_evening(log: InteractionLog) -> None:
    times = np.asarray(log.histories.times)
    gaps = np.diff(times)[np.diff(log.histories.rows()) == 0] / 3_600_000
    assert 0.4 < (gaps < 6).mean() < 0.8
    assert np.median(gaps[gaps > 6]) > 24
    hour = (times // 3_600_000) % 24
    assert (hour >= 18).mean() > 4 * (hour < 6).mean()


def test_popularity_and_activity_are_skewed(log: InteractionLog) -> None:
    counts = np.sort(np.bincount(log.histories.items, minlength=OPTIONS.items))[::-1]
    assert counts[:30].sum() > 0.2 * len(log)
    lengths = np.sort(log.histories.lengths)[::-1]
    assert lengths[:120].sum() > 0.25 * len(log)


def test_titles_are_distinct_and_episodes_numbered(log: InteractionLog) -> None:
    shown = log.item_table["title"].to_pylist()
    assert len(set(shown)) == OPTIONS.items
    episodes = log.item_table["episode"].to_pylist()
    series = log.item_table["series"].to_pylist()
    assert 0.25 < sum(episode is not None for episode in episodes) / OPTIONS.items < 0.45
    for title, of, episode in zip(shown, series, episodes, strict=True):
        assert title == f"{of}: Episode {episode}" if episode else not re.search("Episode", title)
    assert all(log.item_table["genres"].to_pylist())


def test_many_titles_stay_distinct() -> None:
    made = titles(150_000, np.random.default_rng(0))
    assert len(set(made)) == 150_000
    assert all(made)


def test_the_next_episode_follows(log: InteractionLog) -> None:
    series, episode = (make_catalogue(OPTIONS).series, make_catalogue(OPTIONS).episode)
    items = log.histories.items
    same_viewer = np.diff(log.histories.rows()) == 0
    here, next_ = items[:-1][same_viewer], items[1:][same_viewer]
    has_next = (here + 1 < OPTIONS.items) & (series[np.minimum(here + 1, OPTIONS.items - 1)] == series[here])
    has_next &= episode[here] > 0
    followed = next_ == here + 1
    assert followed[has_next].mean() > 0.25
    assert followed[~has_next].mean() < 0.05


def test_friends_share_more_taste_than_strangers(log: InteractionLog) -> None:
    assert log.friends is not None
    random = np.random.default_rng(0)
    viewers = np.repeat(np.arange(OPTIONS.viewers), np.diff(log.friends.offsets))
    friends = log.friends.values
    links = set(zip(viewers.tolist(), friends.tolist(), strict=True))
    assert all((b, a) in links for a, b in links)
    assert all(a != b for a, b in links)

    def overlap(others: Int32) -> float:
        sets = [set(log.histories.row(v).tolist()) for v in range(OPTIONS.viewers)]
        pairs = zip(viewers.tolist(), others.tolist(), strict=True)
        return float(np.mean([len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs if a != b]))

    assert overlap(friends) > 1.2 * overlap(random.permutation(friends))


def test_regions_differ_in_what_is_popular() -> None:
    def difference(dial: float) -> float:
        options = SimulationOptions(viewers=1_200, items=100, events=24_000, predictability=dial, seed=4)
        made = simulate_log(options)
        assert made.viewer_table is not None
        region = np.array(made.viewer_table["region"].to_pylist())[made.histories.rows()]
        shares = [
            np.bincount(made.histories.items[region == name], minlength=100) / (region == name).sum()
            for name in ("region-1", "region-2")
        ]
        return float(np.abs(shares[0] - shares[1]).sum())

    assert difference(0.5) > 2 * difference(0.0)


def test_small_logs_are_small_and_differ() -> None:
    assert (predictable().n_viewers, predictable().n_items) == (600, 200)
    assert np.array_equal(predictable(3).histories.items, predictable(3).histories.items)
    assert not np.array_equal(predictable(3).histories.items, predictable(4).histories.items)
    release = np.array(patternless().item_table["available_from"])
    assert np.all(release < START_MS)


@pytest.mark.parametrize("sizes", [(1, 20, 1), (1, 20, 4), (3, 20, 12), (70, 21, 70), (10, 5_000, 9_000)])
def test_odd_sizes_work(sizes: tuple[int, int, int]) -> None:
    viewers, items, events = sizes
    options = SimulationOptions(viewers=viewers, items=items, events=events, predictability=1, seed=1)
    made = simulate_log(options)
    assert len(made) == events == activity(options).sum()
    assert made.histories.lengths.min() >= 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"predictability": 1.5}, "predictability must be between 0 and 1, found 1.5"),
        ({"items": 3}, "items must be at least 20, found 3"),
        ({"viewers": 100, "events": 50}, "100 viewers need at least as many events, found 50"),
        (
            {"viewers": 100, "items": 50, "events": 5_000},
            "5000 events are too many for 100 viewers and 50 items",
        ),
    ],
)
def test_what_cannot_be_made_is_said(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        SimulationOptions(**wrong)  # type: ignore[arg-type]
