import math

import numpy as np
import pytest

from matinee.tune.cost import NINE_IN_TEN, fit_cost, whole_dollars
from matinee.tune.trial import Point, Trial


def curve(*rows):
    return tuple(Point(step=step, value=0.0, dollars=dollars) for step, dollars in rows)


def test_a_done_trial_costs_what_it_cost_less_what_was_lost():
    trial = Trial(number=1, settings={}, state="done", value=1.0, dollars=5.0, lost_dollars=2.0)
    assert whole_dollars(trial) == (3.0, 0.0)


def test_what_a_workers_start_cost_is_no_price_of_the_settings():
    told = {"start_s": 9.0, "start_dollars": 0.4}
    done = Trial(number=1, settings={}, state="done", value=1.0, dollars=1.0, lost_dollars=0.1, facts=told)
    assert whole_dollars(done) == (pytest.approx(0.5), 0.0)
    curve = (Point(step=2, value=0.0, dollars=0.6),)
    half = Trial(number=1, settings={}, state="stopped", steps=4, curve=curve, dollars=0.6, facts=told)
    assert whole_dollars(half)[0] == pytest.approx(0.4)


def test_a_part_of_the_steps_is_carried_on_to_all_of_them():
    trial = Trial(
        number=1, settings={}, state="stopped", curve=curve((1, 0.5), (2, 1.0)), steps=10, dollars=1.0
    )
    dollars, off = whole_dollars(trial)
    assert dollars == pytest.approx(5.0)
    assert (
        off
        > whole_dollars(
            Trial(number=2, settings={}, state="stopped", curve=curve((9, 4.5)), steps=10, dollars=4.5)
        )[1]
    )


def test_who_was_killed_at_the_limit_would_have_cost_more_and_other_failures_tell_nothing():
    killed = Trial(number=1, settings={}, state="failed", dollars=2.0, limit_dollars=2.0)
    raised = Trial(number=2, settings={}, state="failed", dollars=0.5, limit_dollars=2.0)
    assert whole_dollars(killed)[0] > 2.0
    assert whole_dollars(raised) is None
    assert whole_dollars(Trial(number=3, settings={})) is None


@pytest.mark.parametrize("n", [8, 40])
def test_nine_in_ten_runs_cost_no_more_than_foretold(n):
    random = np.random.default_rng(n)
    within = []
    for _ in range(40):
        slopes = random.normal(0, 2, 4)
        points = random.random((n + 50, 4))
        logs = points @ slopes + 0.5 * np.sin(6 * points[:, 0]) + random.normal(0, 0.2, n + 50)
        model = fit_cost(points[:n], [(math.exp(log), 0.0) for log in logs[:n]], 4)
        means, sds = model.predict(points[n:])
        within.append((logs[n:] <= means + NINE_IN_TEN * sds).mean())
    assert 0.84 < np.mean(within) < 0.98


def test_a_straight_line_of_logarithms_is_found_from_few_runs():
    random = np.random.default_rng(0)
    points = random.random((8, 2))
    model = fit_cost(points, [(100 ** float(u), 0.0) for u in points[:, 0]], 2)
    asked = random.random((20, 2))
    assert model.at(asked) == pytest.approx(math.log(100) * asked[:, 0], abs=0.4)


def test_its_gradient_is_that_of_differences():
    random = np.random.default_rng(1)
    points = random.random((12, 3))
    model = fit_cost(points, [(math.exp(3 * a + math.sin(5 * b)), 0.0) for a, b, _ in points], 3)
    point = np.array([0.2, 0.6, 0.9])
    value, slope = model.slope(point)
    assert value == pytest.approx(model.at(point[None])[0])
    for column in range(3):
        move = np.eye(3)[column] * 1e-6
        difference = model.at((point + move)[None]) - model.at((point - move)[None])
        assert slope[column] == pytest.approx(difference[0] / 2e-6, rel=1e-4, abs=1e-6)


def test_a_known_fact_says_what_the_columns_hide():
    random = np.random.default_rng(2)
    points = random.random((30, 2))
    size = np.exp(6 * np.abs(points[:, 0] - 0.5) * points[:, 1])
    features = np.c_[points, np.log(size)]
    paid = [(float(s) ** 2, 0.0) for s in size]
    with_fact = fit_cost(features[:15], paid[:15], 2).predict(features[15:])[0]
    without = fit_cost(points[:15], paid[:15], 2).predict(points[15:])[0]
    truth = np.log([dollars for dollars, _ in paid[15:]])
    assert np.abs(with_fact - truth).mean() < 0.5 * np.abs(without - truth).mean()
