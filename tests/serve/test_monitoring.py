from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from matinee.answers.model import Model
from matinee.core.types import histories_of
from matinee.recommenders.popularity import Popularity
from matinee.serve.drift import Events, divergence, drift_of
from matinee.serve.monitoring import Figures, figures
from matinee.serve.recommendation_id import Told, make
from matinee.serve.records import Event, Impression, ItemRecord
from matinee.serve.trained_with import bundles_with
from matinee.simulate.small import predictable
from matinee.testing.small_store import SmallStore

KEY = "ab" * 32
DAY = 86_400_000


@pytest.fixture(scope="module")
def model() -> Model:
    fitted = Popularity().fit(predictable())
    return replace(
        fitted, facts={**fitted.facts, "created": datetime.fromtimestamp(_created() / 1000, UTC).isoformat()}
    )


@cache
def _created() -> int:
    log = predictable()
    assert log.histories.times is not None
    return int(log.histories.times.max()) // 1000 * 1000


def _again(model: Model, viewers: range, *, most: int = 20) -> list[Event]:
    """What viewers of the log did, done again after the fit."""
    log = model.log
    return [
        Event(user=f"n{viewer}", item=log.items.id(int(item)), kind="watch", time_ms=_created() + DAY)
        for viewer in viewers
        for item in log.histories.row(viewer)[:most]
    ]


def _figures(
    model: Model,
    events: list[Event],
    impressions: Sequence[Impression] = (),
    items: Sequence[ItemRecord] = (),
) -> Figures:
    async def story() -> Figures:
        store = SmallStore()
        await store.put_notes({"secret": KEY})
        await store.put_items(items)
        await store.add(events, impressions)
        return await figures(store, model, now_ms=_created() + 5 * DAY)

    return asyncio.run(story())


def test_what_goes_on_as_before_has_not_drifted(model: Model) -> None:
    found = _figures(model, _again(model, range(200)))
    assert found.drift_items is not None
    assert not found.drift_items.drifted
    assert found.unknown is not None
    assert found.unknown.rate.mean == 0.0
    assert found.age_days == pytest.approx(5.0)
    assert found.new_events == found.events == found.drift_items.events


def test_another_taste_is_drift_and_other_items_are_unknown(model: Model) -> None:
    popular = np.argsort(model.context.popularity)[:5]
    events = [
        Event(user=f"n{viewer}", item=model.log.items.id(int(item)), kind="watch", time_ms=_created() + DAY)
        for viewer in range(60)
        for item in popular
    ]
    new = [
        Event(user=f"n{viewer}", item="brand-new", kind="watch", time_ms=_created() + DAY)
        for viewer in range(60)
    ]
    found = _figures(model, events + new)
    assert found.drift_items is not None
    assert found.drift_items.drifted
    assert found.drift_items.divergence.mean > 0.5
    assert found.drift_categories is not None
    assert found.unknown is not None
    assert found.unknown.rate.mean == pytest.approx(1 / 6)


def test_coverage_counts_what_can_be_shown(model: Model) -> None:
    told = Told(source="fallback:popular", time_ms=_created() + DAY)
    items = tuple(model.log.items.ids(range(10)))
    impressions = [
        Impression(
            user="u", items=items, time_ms=_created() + DAY, recommendation_id=make(bytes.fromhex(KEY), told)
        ),
        Impression(
            user="v",
            items=items[:5],
            time_ms=_created() + DAY,
            recommendation_id=make(bytes.fromhex(KEY), replace(told, source="ease")),
        ),
    ]
    hidden = [ItemRecord(id=items[0], hidden=True), ItemRecord(id="new one")]
    found = _figures(model, _again(model, range(3)), impressions, hidden)
    assert found.coverage.items == 200
    assert found.coverage.shown == 9
    assert found.coverage.share_shown == pytest.approx(9 / 200)
    assert found.fallbacks is not None
    assert (found.fallbacks.shown, found.fallbacks.clicked) == (2, 1)


def test_an_empty_store_has_no_figures_and_no_error(model: Model) -> None:
    found = _figures(model, [])
    assert (found.fallbacks, found.drift_items, found.drift_categories, found.unknown) == (None,) * 4
    assert found.coverage.shown is None
    assert found.coverage.share_shown is None


def test_divergence_is_jensen_and_shannons() -> None:
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert divergence(a, a) == 0.0
    assert divergence(a, b) == pytest.approx(1.0)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.6, 0.3])
    m = (p + q) / 2
    slow = sum(x * np.log2(x / y) for x, y in zip(p, m, strict=True)) / 2
    slow += sum(x * np.log2(x / y) for x, y in zip(q, m, strict=True)) / 2
    assert divergence(p, q) == pytest.approx(slow)


def test_chance_alone_rarely_looks_like_drift() -> None:
    random, cried = np.random.default_rng(0), 0
    learnt = [random.choice(30, 12, p=_skewed()).tolist() for _ in range(400)]
    for seed in range(40):
        now = [random.choice(30, 12, p=_skewed()).tolist() for _ in range(50)]
        found = drift_of(_events(now), _events(learnt), 30, seed=seed)
        assert found is not None
        assert found.divergence.low <= found.divergence.mean <= found.divergence.high
        cried += found.drifted
    assert cried <= 6


def test_bundles_that_still_hold_a_viewer_are_named(tmp_path: Path) -> None:
    log = predictable()
    Popularity().fit(log).save(tmp_path / "all" / "monday")
    Popularity().fit(log).save(tmp_path / "all" / "tuesday", histories=False)
    from matinee.data.forget import forget

    Popularity().fit(forget(log, ["v001"])).save(tmp_path / "wednesday")
    places = [tmp_path / "all", tmp_path / "wednesday", tmp_path / "none"]
    assert bundles_with({"v001"}, places) == ["monday"]
    assert bundles_with({"v002", "h-other"}, places) == ["monday", "wednesday"]
    assert bundles_with({"nobody"}, places) == []


def _skewed() -> np.ndarray:
    shares = 1 / np.arange(1, 31)
    return shares / shares.sum()


def _events(rows: list[list[int]]) -> Events:
    histories = histories_of(rows)
    return Events(groups=histories.items, offsets=histories.offsets)
