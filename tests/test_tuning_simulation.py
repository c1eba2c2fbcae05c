"""The clock of benchmarks/tuning.py: bills, preemptions, a budget that holds, the same study every time."""

import dataclasses
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from matinee.core.seeds import generator
from matinee.core.space import Choice, Span
from matinee.tune.trial import Suggestion

SPACE = {"x": Span(low=0.0, high=1.0), "units": Span(low=8, high=64, log=True, whole=True)}
RUN_S, STEPS = 100.0, 10


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))


def runs(settings):
    """A run takes 50 to 150 seconds and ends at x."""
    from lcbench import Curve

    steps = np.arange(1, STEPS + 1)
    seconds = (0.5 + settings["x"]) * RUN_S * steps / STEPS
    return Curve(values=settings["x"] * steps / STEPS, seconds=seconds)


class Drawn:
    """Random settings that stop below a value, and say at most so many dollars."""

    def __init__(self, seed=0, most_dollars=0.0, stops_below=-1.0, wants=1_000):
        self.seed, self.most_dollars, self.stops_below, self.wants = seed, most_dollars, stops_below, wants
        self.left = []

    def ask(self, trials, left_dollars):
        self.left.append(left_dollars)
        if len(trials) >= self.wants:
            return None
        x = float(generator(self.seed, len(trials)).random())
        return Suggestion(
            settings={"x": x, "units": 8}, why="start", dollars=0.0, most_dollars=self.most_dollars
        )

    def keep_on(self, trials, number):
        trial = trials[number - 1]
        return trial.settings["x"] >= self.stops_below or len(trial.curve) < 2


def simulated(searcher, **changes):
    from simulated_workers import Conditions, simulate

    conditions = Conditions(budget_dollars=20 * RUN_S, run_s=RUN_S, price_per_hour=3600.0, seed=1)
    return simulate(searcher, runs, dataclasses.replace(conditions, **changes))


def test_a_run_is_billed_its_seconds_and_the_clock_shows_how_many_run_at_once():
    outcome = simulated(Drawn(wants=3), workers=1)
    whole = [RUN_S * (0.5 + trial.settings["x"]) for trial in outcome.trials]
    assert [trial.state for trial in outcome.trials] == ["done"] * 3
    assert [trial.dollars for trial in outcome.trials] == pytest.approx(whole)
    assert [trial.value for trial in outcome.trials] == [trial.settings["x"] for trial in outcome.trials]
    assert outcome.spent_dollars == pytest.approx(sum(whole))
    assert outcome.seconds == pytest.approx(sum(whole))
    assert simulated(Drawn(wants=3), workers=3).seconds == pytest.approx(max(whole))
    points = outcome.trials[0].curve
    assert [point.step for point in points] == list(range(1, STEPS + 1))
    assert [point.dollars for point in points] == pytest.approx(whole[0] * np.arange(1, STEPS + 1) / STEPS)


def test_a_preempted_run_goes_on_from_its_last_step_and_what_was_lost_is_paid():
    outcome = simulated(Drawn(wants=5), lifetime_s=0.3 * RUN_S, workers=2)
    assert all(trial.state == "done" for trial in outcome.trials)
    assert sum(trial.attempts for trial in outcome.trials) > 5
    for trial in outcome.trials:
        whole = RUN_S * (0.5 + trial.settings["x"])
        assert trial.dollars == pytest.approx(whole + trial.lost_dollars)
        assert trial.lost_dollars <= (trial.attempts - 1) * whole / STEPS + 1e-9
        assert (trial.lost_dollars > 0) == (trial.attempts > 1)


@pytest.mark.parametrize("most_dollars", [0.0, 0.7 * RUN_S, 400 * RUN_S])
@pytest.mark.parametrize("lifetime_s", [None, 0.2 * RUN_S])
def test_no_cent_more_than_the_budget_is_spent_or_reserved(most_dollars, lifetime_s):
    for seed in range(5):
        searcher = Drawn(seed, most_dollars)
        outcome = simulated(searcher, seed=seed, lifetime_s=lifetime_s, budget_dollars=777.7)
        assert outcome.spent_dollars <= outcome.most_committed_dollars <= 777.7
        assert outcome.spent_dollars == pytest.approx(sum(trial.dollars for trial in outcome.trials))
        # Nobody said that it was enough, so all of it is gone, and what it was too little for is not whole.
        assert outcome.spent_dollars == pytest.approx(777.7)
        assert {trial.state for trial in outcome.trials} <= {"done", "stopped", "failed"}
        assert any(trial.state != "done" for trial in outcome.trials)
        assert all(left > 0 for left in searcher.left)


def test_what_is_reserved_is_not_offered_to_others():
    searcher = Drawn(most_dollars=500.0, wants=4)
    simulated(searcher, budget_dollars=1_800.0)
    assert searcher.left[:4] == pytest.approx([1_800.0, 1_300.0, 800.0, 300.0])


def test_a_stopped_run_costs_what_it_ran_and_can_go_on():
    from simulated_workers import Conditions, simulate

    class Thaws(Drawn):
        """Asks for a stopped run again, and lets it run on."""

        def ask(self, trials, left_dollars):
            stopped = [trial.number for trial in trials if trial.state == "stopped"]
            wanted = super().ask(trials, left_dollars)
            if wanted is not None or not stopped:
                return wanted
            settings = trials[stopped[0] - 1].settings
            return Suggestion(
                settings=settings, why="start", dollars=0.0, most_dollars=0.0, resumes=stopped[0]
            )

        def keep_on(self, trials, number):
            return trials[number - 1].attempts > 1 or super().keep_on(trials, number)

    conditions = Conditions(budget_dollars=2_000.0, run_s=RUN_S, price_per_hour=3600.0, workers=1)
    stopped = simulate(Drawn(stops_below=2.0, wants=2), runs, conditions)
    assert [trial.state for trial in stopped.trials] == ["stopped"] * 2
    for trial in stopped.trials:
        assert trial.dollars == pytest.approx(0.2 * RUN_S * (0.5 + trial.settings["x"]))
    thawed = simulate(Thaws(stops_below=2.0, wants=2), runs, conditions)
    assert [trial.state for trial in thawed.trials] == ["done"] * 2
    assert thawed.spent_dollars == pytest.approx(
        sum(RUN_S * (0.5 + trial.settings["x"]) for trial in thawed.trials)
    )


def test_the_same_seed_gives_the_same_study_and_another_one_another():
    first, second = (simulated(Drawn(), lifetime_s=RUN_S) for _ in range(2))
    assert first == second
    assert simulated(Drawn(), lifetime_s=RUN_S, seed=2) != first


def test_what_was_found_is_the_best_whole_run_so_far():
    outcome = simulated(Drawn(), lifetime_s=RUN_S)
    values = [one.value for one in outcome.found]
    assert values == sorted(values)
    assert values[-1] == max(trial.value for trial in outcome.trials if trial.state == "done")
    assert [one.dollars for one in outcome.found] == sorted(one.dollars for one in outcome.found)


def test_optuna_runs_on_the_same_clock_and_its_pruner_stops_runs():
    pytest.importorskip("optuna")
    from tuning_peers import SEARCHERS, distributions

    space = {**SPACE, "kind": Choice(("a", "b"))}
    assert {name: type(one).__name__ for name, one in distributions(space).items()} == {
        "x": "FloatDistribution",
        "units": "IntDistribution",
        "kind": "CategoricalDistribution",
    }
    for name in ("tpe", "random+asha"):
        outcome = simulated(SEARCHERS[name](SPACE, 0), lifetime_s=RUN_S)
        assert outcome.most_committed_dollars <= 20 * RUN_S
        assert outcome == simulated(SEARCHERS[name](SPACE, 0), lifetime_s=RUN_S)
        early = [trial for trial in outcome.trials if trial.reason == "it was not worth going on"]
        assert bool(early) == name.endswith("asha")


def record(task, name, seed, found):
    told = {"spent": 1.0, "committed": 1.0, "lost": 0.0, "runs_long": 4.0, "cpu_s": 1.0}
    return {"task": task, "seed": seed, "searcher": name, "found": found, "trials": {"done": 3}, **told}


def test_the_bar_is_the_share_at_which_ours_has_what_the_best_other_has_at_the_end():
    from tuning import task_row, verdict

    curves = {
        "matinee": ([[0.2, 0.5], [0.4, 0.1]], [[0.3, 0.1]], [[0.9, 0.05]]),
        "tpe": ([[0.3, 0.4], [0.7, 0.1]], [[0.8, 0.1]], [[0.5, 0.1]]),
        "random": ([[0.1, 0.3]], [[0.1, 0.3]], [[0.1, 1.7]]),
    }
    records = {
        ("t", seed, name): record("t", name, seed, found)
        for name, seeds in curves.items()
        for seed, found in enumerate(seeds)
    }
    row = task_row(records, "t", 3, list(curves))
    assert row["best"] == "tpe"
    assert row["share"] == 0.4
    assert row["own_share"] == 0.7
    assert row["median"]["random"] == [0.3, 0.3, 0.3]
    assert row["mean"]["random"] == pytest.approx([1.6 / 3] * 3)
    found = verdict([{"share": share} for share in [0.4] * 12 + [0.8] * 4 + [None]])
    assert found["share"] == 0.4
    assert found["below"] == {"1.0": 16, "0.7": 12, "0.5": 12}
    assert found["p"] == pytest.approx(18 / 2**17)
    assert found["reached"]
    assert not verdict([{"share": None}] * 9 + [{"share": 0.1}] * 8)["reached"]


def test_the_page_of_figures_says_whether_the_bar_was_reached():
    from tuning import result_of
    from tuning_figures import tuning_lines

    searchers = ["matinee", "tpe"]
    curves = {"matinee": [[0.3, 0.1]], "tpe": [[0.6, 0.2]]}
    tasks = [f"task-{number}" for number in range(17)]
    records = {
        (task, seed, name): record(task, name, seed, curves[name])
        for task in tasks
        for seed in range(2)
        for name in searchers
    }
    asked = Namespace(odd=False, seeds=2, searchers=searchers, skipped=["botorch is skipped."])
    text = "\n".join(tuning_lines(result_of(records, asked, tasks), None))
    assert "found 30%, below 100 % on 17 of 17 tasks (sign test p = 0.0000): reached" in text
    assert "| task-3 | tpe | 0.200 | 0.100 | 30% |" in text
    assert "botorch is skipped." in text
    assert "none in any of 68 studies" in text
    assert list(tuning_lines(None, None)) == []


def test_a_searcher_whose_library_is_missing_is_skipped_in_words(monkeypatch):
    import tuning
    import tuning_peers

    monkeypatch.setitem(tuning_peers.NEEDS, "botorch", "no_such_library_anywhere")
    asked = tuning.arguments(["--dir", "runs", "--searchers", "random,botorch"])
    assert asked.searchers == ["random"]
    assert asked.skipped == ["botorch is skipped: no_such_library_anywhere is not installed."]
