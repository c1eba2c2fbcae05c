"""The search as a whole: it finds, obeys what is left, repeats itself exactly and survives what is odd."""

import dataclasses
import math

import numpy as np
import pytest

from matinee.core.space import Choice, Span
from matinee.tune.options import Options
from matinee.tune.search import Search, best_of, keep_on, suggest
from matinee.tune.trial import Point, Trial

SPACE = {"x": Span(low=0.0, high=1.0), "y": Span(low=0.0, high=1.0)}
MIXED = {
    "rate": Span(low=1e-4, high=1.0, log=True),
    "layers": Span(low=1, high=6, whole=True),
    "kind": Choice(values=("a", "b", "c")),
    "decay": Span(low=0.0, high=1.0, when=("kind", ("a",))),
}


def bowl(settings):
    return -((settings["x"] - 0.3) ** 2) - (settings["y"] - 0.8) ** 2


def mixed_value(settings):
    value = -((math.log10(settings["rate"]) + 2) ** 2) - 0.2 * (settings["layers"] - 4) ** 2
    return value + {"a": 0.5 - settings.get("decay", 0.0), "b": 0.0, "c": -1.0}[settings["kind"]]


def study(space, value, n, *, options=None, dollars=lambda settings: 1.0, budget=1e6, seed=0):
    search, trials = Search(space, options), []
    left = budget
    while len(trials) < n:
        found = search.suggest(trials, left, seed=seed, number=len(trials) + 1)
        if found is None:
            break
        paid = dollars(found.settings)
        left -= paid
        trials.append(
            Trial(
                number=len(trials) + 1,
                settings=found.settings,
                why=found.why,
                repeats=found.repeats,
                state="done",
                value=value(found.settings),
                dollars=paid,
                limit_dollars=found.most_dollars,
            )
        )
    return trials


def test_it_finds_the_top_of_a_bowl():
    trials = study(SPACE, bowl, 22)
    assert max(trial.value for trial in trials) > -1e-3
    assert best_of(SPACE, trials) == max(trials, key=lambda trial: trial.value).number


def test_it_finds_the_best_of_mixed_settings():
    trials = study(MIXED, mixed_value, 40)
    best = trials[best_of(MIXED, trials) - 1]
    assert best.settings["layers"] == 4
    assert best.settings["kind"] == "a"
    assert best.value > 0.35
    assert all(("decay" in trial.settings) == (trial.settings["kind"] == "a") for trial in trials)


def test_the_same_trials_give_the_same_suggestion_whatever_was_asked_before():
    trials = study(SPACE, bowl, 15)
    used = Search(SPACE)
    for n in range(8, 15):
        used.suggest(trials[:n], 10.0, seed=3, number=n + 1)
    assert used.suggest(trials, 10.0, seed=3, number=16) == suggest(SPACE, trials, 10.0, seed=3, number=16)
    assert suggest(SPACE, trials, 10.0, seed=3, number=16) != suggest(SPACE, trials, 10.0, seed=4, number=16)


def test_given_settings_come_first():
    given = ({"x": 0.1, "y": 0.2}, {"x": 0.9, "y": 0.9})
    trials = study(SPACE, bowl, 4, options=Options(given=given))
    assert [trial.settings for trial in trials[:2]] == list(given)
    assert [trial.why for trial in trials] == ["given", "given", "start", "start"]


def test_given_settings_that_do_not_fit_are_passed_over():
    trials = study(SPACE, bowl, 10, dollars=lambda s: 100 ** s["x"])
    options = Options(given=({"x": 0.99, "y": 0.5},))
    found = suggest(SPACE, trials, 20.0, seed=0, number=11, options=options)
    assert found.why == "model"
    assert found.most_dollars <= 20.0
    assert suggest(SPACE, trials, 2e4, seed=0, number=11, options=options).why == "given"


def test_workers_at_a_time_are_sent_to_different_places():
    trials = study(SPACE, bowl, 10)
    search = Search(SPACE)
    for _ in range(8):
        found = search.suggest(trials, 1e6, seed=0, number=len(trials) + 1)
        trials.append(Trial(number=len(trials) + 1, settings=found.settings, why=found.why, state="running"))
    places = np.array([[trial.settings["x"], trial.settings["y"]] for trial in trials[10:]])
    gaps = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1)) + np.eye(8)
    assert gaps.min() > 5e-3


def test_nothing_is_suggested_that_would_probably_not_fit_what_is_left():
    dear = study(SPACE, bowl, 60, dollars=lambda s: 10 ** (2 * s["x"]), budget=300.0)
    paid = np.cumsum([trial.dollars for trial in dear])
    assert paid[-1] <= 300.0 * 1.02
    spent = 0.0
    for trial in dear:
        assert trial.limit_dollars <= 300.0 - spent + 1e-9
        spent += trial.dollars
    assert suggest(SPACE, dear, 1e-3, seed=0, number=len(dear) + 1) is None
    assert suggest(SPACE, dear, 0.0, seed=0, number=len(dear) + 1) is None


def test_one_dear_run_does_not_end_a_search_whose_prices_are_not_known_yet():
    only = Trial(number=1, settings={"x": 0.5, "y": 0.5}, state="done", value=1.0, dollars=0.66)
    found = suggest(SPACE, [only], 0.34, seed=0, number=2)
    assert found is not None
    assert found.dollars <= found.most_dollars <= 0.34
    assert suggest(SPACE, [only], 0.34e-9, seed=0, number=2) is None


def test_of_the_first_settings_those_that_fit_what_is_left_are_tried():
    def dollars(settings):
        return math.exp(4 * settings["x"])

    trials = study(SPACE, bowl, 4, options=Options(by_cost=False), dollars=dollars)
    # Somebody else holds nearly all of the budget.
    running = Trial(number=5, settings={"x": 0.9, "y": 0.1}, state="running", limit_dollars=1e6)
    found = suggest(SPACE, [*trials, running], 5.0, seed=0, number=6, options=Options(by_cost=False))
    assert found is not None
    assert found.why == "start"
    assert dollars(found.settings) <= 5.0


def test_the_first_settings_take_a_sixth_of_the_budget_at_most():
    trials = study(SPACE, bowl, 14, dollars=lambda s: 10 ** (2 * s["x"]), budget=300.0)
    first = [trial.dollars for trial in trials if trial.why == "start"]
    assert len(first) == 2 or sum(first) <= 300.0 / 6 * 1.5


def test_cheap_places_are_looked_at_first():
    trials = study(SPACE, bowl, 15, dollars=lambda s: 100 ** s["x"], budget=1e3)
    blind = study(
        SPACE, bowl, 15, options=Options(by_cost=False), dollars=lambda s: 100 ** s["x"], budget=1e3
    )
    assert sum(t.dollars for t in trials) < 0.7 * sum(t.dollars for t in blind)


def test_it_ends_where_nothing_promises_its_price_only_if_money_is_kept():
    kept = study(SPACE, bowl, 60, options=Options(gain_per_dollar=1e-3))
    assert len(kept) < 40
    assert max(trial.value for trial in kept) > -0.01
    assert len(study(SPACE, bowl, 25)) == 25


def test_a_space_that_was_tried_out_ends():
    space = {"kind": Choice(values=("a", "b", "c")), "deep": Choice(values=(False, True))}
    trials = study(space, lambda s: {"a": 1.0, "b": 2.0, "c": 0.0}[s["kind"]] + s["deep"], 40)
    modelled = [tuple(trial.settings.items()) for trial in trials if trial.why == "model"]
    assert len(modelled) == len(set(modelled))
    assert len(trials) < 15
    assert trials[best_of(space, trials) - 1].settings == {"kind": "b", "deep": True}


def test_a_space_of_one_point_is_tried_once():
    assert len(study({"kind": Choice(values=("a",))}, lambda s: 1.0, 5)) == 1


def test_the_last_tenth_runs_the_best_again_where_trials_are_noisy():
    random = np.random.default_rng(0)

    def noisy(settings):
        return 3 * bowl(settings) + float(random.normal(0, 0.1))

    options = Options(noisy=True)
    trials = study(SPACE, noisy, 100, options=options, budget=40.0)
    again = [trial for trial in trials if trial.why == "repeat"]
    assert 2 <= len(again) <= 6
    assert all(trial.number > 30 for trial in again)
    assert {trials[trial.repeats - 1].settings == trial.settings for trial in again} == {True}
    best = trials[best_of(SPACE, trials, options=options) - 1]
    assert best.repeats is None
    assert bowl(best.settings) > -0.06


def test_a_lucky_value_does_not_win_where_repeats_say_otherwise():
    trials = study(SPACE, bowl, 12)
    lucky = dataclasses.replace(trials[3], value=1.0)
    again = [
        Trial(
            number=13 + k,
            settings=lucky.settings,
            why="repeat",
            repeats=lucky.number,
            state="done",
            value=-2.0,
        )
        for k in range(3)
    ]
    told = [*trials[:3], lucky, *trials[4:], *again]
    assert best_of(SPACE, told) == lucky.number
    assert best_of(SPACE, told, options=Options(noisy=True)) != lucky.number


def test_where_trials_fail_is_kept_away_from():
    def run(avoid):
        search, trials = Search(SPACE), []
        for number in range(1, 31):
            found = search.suggest(trials, 1e6, seed=1, number=number)
            fails = avoid and found.settings["x"] < 0.35
            trials.append(
                Trial(
                    number=number,
                    settings=found.settings,
                    why=found.why,
                    state="failed" if fails else "done",
                    value=None if fails else bowl(found.settings),
                    dollars=1.0,
                )
            )
        return trials

    trials = run(True)
    modelled = [trial for trial in trials if trial.why == "model"]
    assert sum(trial.state == "failed" for trial in modelled) <= len(modelled) / 3
    assert max(trial.value for trial in trials if trial.value is not None) > -0.02
    assert sum(trial.settings["x"] < 0.35 for trial in run(False) if trial.why == "model") > len(modelled) / 2


@pytest.mark.parametrize("absurd", [-1e300, 1e300, -1e12])
def test_one_absurd_value_does_not_break_the_search(absurd):
    trials = study(SPACE, bowl, 9)
    trials[2] = dataclasses.replace(trials[2], value=absurd)
    search = Search(SPACE)
    for number in range(10, 22):
        found = search.suggest(trials, 1e6, seed=0, number=number)
        assert all(0 <= found.settings[name] <= 1 for name in SPACE)
        trials.append(
            Trial(
                number=number,
                settings=found.settings,
                why=found.why,
                state="done",
                value=bowl(found.settings),
            )
        )
    if absurd < 0:
        assert max(trial.value for trial in trials) > -0.01


def curve_of(end, upto, steps=10):
    return tuple(Point(step=step, value=end - 0.5 / step, dollars=0.1 * step) for step in range(1, upto + 1))


def curved(number, end, upto=10, state="done", x=0.5):
    return Trial(
        number=number,
        settings={"x": x, "y": 0.5},
        state=state,
        curve=curve_of(end, upto),
        steps=10,
        value=end - 0.05 if state == "done" else None,
        dollars=0.1 * upto,
    )


def test_a_hopeless_trial_is_stopped_and_a_hopeful_one_goes_on():
    whole = [curved(k, 0.5 + 0.05 * k, x=0.1 * k) for k in range(1, 8)]
    bad, good = curved(8, 0.1, 4, "running"), curved(8, 0.95, 4, "running")
    assert not keep_on(SPACE, [*whole, bad], 8)
    assert keep_on(SPACE, [*whole, good], 8)
    assert keep_on(SPACE, [*whole, bad], 8, options=Options(early=False))
    assert keep_on(SPACE, [*whole[:2], bad], 8)


def test_a_trial_whose_rest_is_too_dear_for_what_it_promises_is_stopped():
    random = np.random.default_rng(1)
    whole = [curved(k, random.uniform(0.5, 0.9), x=0.1 * k) for k in range(1, 11)]
    hopeful = curved(11, max(trial.value for trial in whole) + 0.1, 5, "running")
    dear = dataclasses.replace(
        hopeful,
        curve=tuple(dataclasses.replace(point, dollars=1e4 * point.dollars) for point in hopeful.curve),
        dollars=1e4 * hopeful.dollars,
    )
    assert keep_on(SPACE, [*whole, hopeful], 11)
    assert not keep_on(SPACE, [*whole, dear], 11)
    assert keep_on(SPACE, [*whole, dear], 11, options=Options(by_cost=False))


def test_a_stopped_trial_thaws_once_it_promises_more_than_any_new_one():
    whole = [curved(k, 0.5 + 0.02 * k, x=0.12 * k) for k in range(1, 8)]
    ready = dataclasses.replace(curved(8, 0.9, 9, "stopped", x=0.05), why="model")
    found = suggest(SPACE, [*whole, ready], 5.0, seed=0, number=9)
    assert found.resumes == 8
    assert found.settings == ready.settings
    assert found.dollars == pytest.approx(0.1, rel=0.3)
    hopeless = dataclasses.replace(ready, curve=curve_of(0.2, 9))
    assert suggest(SPACE, [*whole, hopeless], 5.0, seed=0, number=9).resumes is None


def test_a_stopped_curve_teaches_the_model():
    """Where a stopped trial was heading down, nobody goes; where it was heading up, everybody does."""
    whole = [curved(k, 0.5, x=0.3 + 0.08 * k) for k in range(1, 8)]
    for end, near in ((0.75, True), (0.2, False)):
        stopped = [dataclasses.replace(curved(8 + k, end, 7, "preempted", x=0.05 * k)) for k in range(3)]
        search = Search(SPACE)
        asked = [search.suggest([*whole, *stopped], 1e3, seed=s, number=11) for s in range(4)]
        low = [found.settings["x"] < 0.3 for found in asked]
        assert (sum(low) >= 2) is near


def test_three_hundred_points_of_ten_thousand_trials_are_looked_at():
    random = np.random.default_rng(0)
    trials = [
        Trial(
            number=k + 1, settings={"x": x, "y": y}, state="done", value=bowl({"x": x, "y": y}), dollars=1.0
        )
        for k, (x, y) in enumerate(random.random((3000, 2)).tolist())
    ]
    waiting = [
        Trial(number=3001 + k, settings={"x": x, "y": y}, state="running", dollars=0.0)
        for k, (x, y) in enumerate(random.random((500, 2)).tolist())
    ]
    found = suggest(SPACE, [*trials, *waiting], 1e6, seed=0, number=3501)
    assert bowl(found.settings) > -0.05
