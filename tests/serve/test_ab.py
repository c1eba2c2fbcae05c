from __future__ import annotations

import asyncio
import random

import pytest

from matinee.serve.ab import Result, create, experiments_of, result_of, results, shadow_results, stop
from matinee.serve.attribution import Followed, ShownAnswer
from matinee.serve.experiments import Experiment, arm_of
from matinee.serve.recommendation_id import Told, make
from matinee.serve.records import Event, Impression
from matinee.serve.refusals import Conflict, NotFound, Refusal
from matinee.serve.shadow import ShadowFigures
from matinee.testing.small_store import SmallStore

DAY = 86_400_000
BEGAN = 1_795_000_000_000
HALVES = Experiment(
    name="new", arms={"old": "a", "new": "b"}, shares={"old": 0.5, "new": 0.5}, since_ms=BEGAN
)


def people(n: int, rates: dict[str, float], seed: int = 0, unfair: float = 0.5) -> Followed:
    """So many viewers with three answers each, whom chance sends into the arms."""
    dice, found = random.Random(seed), Followed()
    for viewer in range(n):
        arm = "new" if dice.random() < unfair else "old"
        for number in range(3):
            time = BEGAN + number * 3_600_000
            clicks = {"i": time + 1} if dice.random() < rates[arm] else {}
            told = Told(arm=f"new/{arm}", time_ms=time)
            found.answers[f"{viewer}-{number}"] = ShownAnswer(
                user=f"u{viewer}", told=told, time_ms=time, items=["i"], clicks=clicks
            )
    return found


def test_a_real_difference_is_found_and_said() -> None:
    result = result_of(HALVES, people(1500, {"old": 0.2, "new": 0.4}), now_ms=BEGAN + 9 * DAY)
    found = result.differences["new"]
    assert found.decided
    assert found.low <= 0.2 <= found.high
    assert "new brings more clicks than old" in result.sentence
    assert sum(one.settled for one in result.arms) == 1500
    worse = result_of(HALVES, people(1500, {"old": 0.4, "new": 0.2}), now_ms=BEGAN + 9 * DAY)
    assert "new brings less clicks" in worse.sentence


def test_where_there_is_no_difference_none_is_found_however_often_one_looks() -> None:
    wrong = 0
    for seed in range(8):
        whole = people(600, {"old": 0.3, "new": 0.3}, seed=seed)
        looks = []
        for many in (150, 400, 600):
            some = Followed(answers={k: v for k, v in whole.answers.items() if int(v.user[1:]) < many})
            looks.append(result_of(HALVES, some, now_ms=BEGAN + 9 * DAY).differences["new"].decided)
        wrong += any(looks)
    assert wrong <= 1


def test_nobody_counts_before_the_first_day_is_over_and_no_value_changes_after_it() -> None:
    found = people(50, {"old": 0.5, "new": 0.5})
    early = result_of(HALVES, found, now_ms=BEGAN + DAY - 1)
    assert sum(one.settled for one in early.arms) == 0
    assert "says nothing yet" in early.sentence
    before = result_of(HALVES, found, now_ms=BEGAN + DAY)
    for answer in list(found.answers.values()):
        answer.clicks["late"] = BEGAN + 2 * DAY
        found.answers[f"{answer.user}-later"] = ShownAnswer(
            user=answer.user,
            told=answer.told,
            time_ms=BEGAN + 2 * DAY,
            items=["x"],
            clicks={"x": BEGAN + 2 * DAY},
        )
    after = result_of(HALVES, found, now_ms=BEGAN + 5 * DAY)
    assert [one.rate for one in before.arms] == [one.rate for one in after.arms]


def test_a_split_that_is_not_as_told_makes_everything_worthless() -> None:
    result = result_of(HALVES, people(2000, {"old": 0.2, "new": 0.2}, unfair=0.6), now_ms=BEGAN + 9 * DAY)
    assert result.ratio_is_off
    assert "cannot be trusted" in result.sentence
    fair = result_of(HALVES, people(2000, {"old": 0.2, "new": 0.2}), now_ms=BEGAN + 9 * DAY)
    assert not fair.ratio_is_off


def test_the_split_of_the_server_passes_the_check_of_the_ratio() -> None:
    shares = {"old": 0.8, "new": 0.2}
    uneven = Experiment(name="new", arms=HALVES.arms, shares=shares, since_ms=BEGAN)
    found = Followed()
    for viewer in range(3000):
        told = Told(arm=f"new/{arm_of(b'key', uneven, f'u{viewer}')}", time_ms=BEGAN)
        found.answers[str(viewer)] = ShownAnswer(user=f"u{viewer}", told=told, time_ms=BEGAN, items=["i"])
    assert not result_of(uneven, found, now_ms=BEGAN + 2 * DAY).ratio_is_off


def test_viewers_of_both_arms_and_of_other_experiments_are_left_out() -> None:
    found = people(10, {"old": 0.0, "new": 0.0})
    for arm in ("new/old", "new/new", "other/new"):
        told = Told(arm=arm, time_ms=BEGAN)
        user = "both" if arm != "other/new" else "other"
        found.answers[arm] = ShownAnswer(user=user, told=told, time_ms=BEGAN, items=["i"])
    result = result_of(HALVES, found, now_ms=BEGAN + 9 * DAY)
    assert result.crossed == 1
    assert sum(one.viewers for one in result.arms) == 10


def test_experiments_are_begun_and_ended_in_the_store() -> None:
    async def story() -> None:
        store = SmallStore()
        begun = await create(store, HALVES, now_ms=BEGAN + 5)
        assert begun.since_ms == BEGAN + 5
        with pytest.raises(Conflict, match="has been"):
            await create(store, HALVES, now_ms=BEGAN)
        second = Experiment(name="second", arms=HALVES.arms, shares=HALVES.shares)
        with pytest.raises(Refusal, match="one alias"):
            await create(store, second, now_ms=BEGAN)
        assert not (await stop(store, "new")).running
        await create(store, second, now_ms=BEGAN)
        assert [(one.name, one.running) for one in await experiments_of(store)] == [
            ("new", False),
            ("second", True),
        ]
        with pytest.raises(NotFound, match="'new', 'second'"):
            await stop(store, "third")
        long = Experiment(name="n" * 40, arms=HALVES.arms, shares=HALVES.shares)
        with pytest.raises(Refusal, match="at most"):
            await create(store, long, now_ms=BEGAN)

    asyncio.run(story())


def test_results_are_read_from_the_store() -> None:
    async def story() -> list[Result]:
        store, key = SmallStore(), b"k" * 32
        await store.put_notes({"secret": key.hex()})
        await create(store, HALVES, now_ms=BEGAN)
        for viewer in range(20):
            arm = "new" if viewer % 2 else "old"
            id_ = make(key, Told(arm=f"new/{arm}", source="blend", time_ms=BEGAN + 5))
            shown = Impression(user=f"u{viewer}", items=("i",), time_ms=BEGAN + 5, recommendation_id=id_)
            click = Event(user=f"u{viewer}", item="i", kind="watch", time_ms=BEGAN + 9, recommendation_id=id_)
            await store.add([click] if viewer % 2 else [], [shown])
        return await results(store, now_ms=BEGAN + 2 * DAY)

    (found,) = asyncio.run(story())
    means = [one.rate.mean for one in found.arms if one.rate is not None]
    assert means == [0.0, 1.0]
    assert [one.viewers for one in found.arms] == [10, 10]
    assert found.differences["new"].decided


def test_shadows_in_words() -> None:
    (one,) = shadow_results({"b": ShadowFigures(answers=10, items=100, same=60, cpu_s=0.02)})
    assert one.overlap == 0.6
    assert one.cpu_ms == pytest.approx(2.0)
    assert "60.0 %" in one.sentence
    only = Experiment(name="s", arms={}, shares={}, shadow="b")
    assert "shadow" in result_of(only, Followed(), now_ms=BEGAN).sentence
