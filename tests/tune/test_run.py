"""Whole studies in a few seconds: every way in which a trial ends, and what it costs."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import matinee
from matinee.core.errors import InputError, SettingsError, Stopped
from matinee.core.space import Choice, Span
from matinee.testing.objectives import ending, parabola, plain
from matinee.tune.local import Limits
from matinee.tune.objective import BuiltBy
from matinee.tune.random_search import RandomSearch
from matinee.tune.run import tune
from matinee.tune.study import open_study, status
from matinee.tune.trial import Suggestion

SPACE = {"x": Span(low=0.0, high=1.0)}
PRICE = 3600.0  # dollars an hour: one a second


class Few:
    """Some settings, one after the other, and no more; each may cost so many dollars."""

    def __init__(self, *settings, most=30.0, keeps=lambda trials, number: True):
        self._settings, self._most, self.keep_on = settings, most, keeps

    def suggest(self, trials, left_dollars, *, seed, number):
        if number > len(self._settings) or self._most > left_dollars:
            return None
        settings = self._settings[number - 1]
        return Suggestion(settings=settings, why="given", dollars=self._most / 2, most_dollars=self._most)

    def best_of(self, trials):
        return RandomSearch({}).best_of(trials)


def ended(how, *, budget="9000usd", most=300.0, limits=None, **more):
    """The one trial of a study whose objective ends like this, in dollars that are seconds."""
    space = {"how": Choice((how,)), "reports": Choice((False, True))}
    result = tune(
        ending,
        space,
        budget=budget,
        price_per_hour=PRICE,
        search=Few({"how": how, **more}, most=most),
        limits=limits or Limits(grace_s=0.5, reap_s=0.3),
    )
    (trial,) = result.trials
    assert result.ledger.reserved_dollars == 0.0
    assert 0 < trial.dollars <= result.ledger.spent_dollars
    return trial


def test_a_study_finds_the_best_of_what_it_tried(tmp_path):
    """Few trials and a budget that even a busy machine does not use up."""
    search = Few(*[{"x": 0.2 * n} for n in range(6)], most=50.0)
    result = tune(
        parabola,
        SPACE,
        budget=["9000usd", "900s"],
        price_per_hour=PRICE,
        folder=tmp_path / "study",
        workers=2,
        steps=5,
        search=search,
    )
    assert (result.state, result.reason) == ("done", "Nothing left is worth its price.")
    assert [trial.state for trial in result.trials] == ["done"] * 6
    assert result.best.value == pytest.approx(-0.01)
    assert [point.step for point in result.best.curve] == [1, 2, 3, 4, 5]
    assert all(trial.facts["began_at"] == 0 for trial in result.trials)
    cold = [trial.facts["start_dollars"] for trial in result.trials if "start_s" in trial.facts]
    assert len(cold) == 2
    assert all(dollars > 0 for dollars in cold)
    assert open_study(tmp_path / "study").trials == result.trials
    assert status(tmp_path / "study") == result.facts
    # Nothing is left of trials that are over.
    assert list((tmp_path / "study" / "trials").iterdir()) == []


def test_a_budget_of_time_is_never_passed():
    space = {**SPACE, "pause_s": Choice((0.5,))}
    result = tune(parabola, space, budget="15s", workers=2, steps=5, seed=1)
    assert result.seconds <= 15.0
    assert result.state == "done"
    assert {trial.state for trial in result.trials} <= {"done", "preempted", "stopped", "failed"}


def test_a_budget_of_dollars_is_never_passed():
    """A slow objective whose cost nobody knows before, with a budget that ends in the middle of a trial."""
    space = {**SPACE, "pause_s": Span(low=0.05, high=1.0, log=True)}
    result = tune(parabola, space, budget="20usd", price_per_hour=2 * PRICE, workers=2, steps=5)
    assert 0 < result.ledger.spent_dollars <= 20.0
    assert result.ledger.reserved_dollars == 0.0
    assert result.ledger.spent_dollars == pytest.approx(
        sum(trial.dollars for trial in result.trials) + result.ledger.asking_dollars
    )


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raises", r"It raised ValueError: seven is no color \(objectives.py, line \d+\)\."),
        ("nan", r"It diverged: the value at step 2 is nan\."),
        ("word", r"the result is 'good', not a number\."),
        ("back", r"It reported step 1 after step 1; steps only grow\."),
        ("segv", r"Its process died of SIGSEGV\."),
        ("leaves", r"Its process ended with status 3 in the middle of the trial\."),
    ],
)
def test_a_trial_that_fails_is_recorded_with_its_cost_and_a_sentence(how, words):
    trial = ended(how)
    assert trial.state == "failed"
    assert re.fullmatch(words, trial.reason)


def test_a_trial_whose_process_is_killed_is_tried_again_and_given_up_in_the_end():
    trial = ended("killed")
    assert (trial.state, trial.attempts) == ("failed", 5)
    assert "SIGKILL" in trial.reason
    assert "in vain" in trial.reason


def test_a_trial_that_hangs_is_ended():
    trial = ended("hangs", limits=Limits(silence_s=8.0, grace_s=0.5, reap_s=0.3))
    assert trial.state == "failed"
    assert trial.reason == "It hung: it said nothing for 8 s."
    assert trial.dollars < 300


def test_a_trial_that_takes_too_much_memory_is_ended():
    trial = ended("eats", limits=Limits(memory_bytes=400 * 2**20, grace_s=0.5, reap_s=0.3))
    assert trial.state == "failed"
    assert trial.reason == "It took more memory than the 400 MiB that a trial may have."


@pytest.mark.parametrize(("how", "reports"), [("hangs", True), ("stubborn", False)])
def test_a_trial_ends_before_its_limit_also_when_it_does_not_listen(how, reports):
    trial = ended(how, budget="13usd", most=10.0, reports=reports)
    # On a busy machine its time may be over before it has begun.
    assert trial.state == ("stopped" if trial.curve else "failed")
    assert trial.reason.startswith("It reached its limit of $")
    assert trial.dollars <= trial.limit_dollars


def test_a_limit_is_raised_where_there_is_room():
    space = {**SPACE, "pause_s": Choice((2.0,))}
    result = tune(
        parabola,
        space,
        budget="1000usd",
        price_per_hour=PRICE,
        search=Few({"x": 0.5, "pause_s": 2.0}, most=6.0),
        limits=Limits(grace_s=0.5, reap_s=0.3),
    )
    (trial,) = result.trials
    assert trial.state == "done"
    assert 6.0 < trial.dollars <= trial.limit_dollars


def test_the_search_may_stop_a_trial_early_and_go_on_with_it_later(tmp_path):
    class Stops(Few):
        def __init__(self):
            super().__init__({"x": 0.3, "pause_s": 0.2}, most=60.0)
            self.keep_on = lambda trials, number: trials[0].attempts > 1 or len(trials[0].curve) < 2

        def suggest(self, trials, left_dollars, *, seed, number):
            if trials and trials[0].state == "stopped":
                return Suggestion(
                    settings=trials[0].settings, why="model", dollars=5.0, most_dollars=60.0, resumes=1
                )
            return super().suggest(trials, left_dollars, seed=seed, number=number)

    space = {**SPACE, "pause_s": Choice((0.2,))}
    result = tune(
        parabola, space, budget="600usd", price_per_hour=PRICE, search=Stops(), steps=5, folder=tmp_path
    )
    (trial,) = result.trials
    assert (trial.state, trial.attempts) == ("done", 2)
    # It went on where its checkpoint was.
    assert trial.facts["began_at"] >= 2
    assert [point.step for point in trial.curve] == [1, 2, 3, 4, 5]


def value_at_a_quarter(objective):
    (trial,) = tune(objective, SPACE, budget="5usd", search=Few({"x": 0.25}, most=1.0)).trials
    return trial.value


def test_objectives_have_names_and_makers(tmp_path, monkeypatch):
    assert value_at_a_quarter("matinee.testing.objectives:plain") == pytest.approx(-0.0025)
    assert value_at_a_quarter(BuiltBy("matinee.testing.objectives:made", {"power": 1})) == pytest.approx(
        -0.05
    )
    (tmp_path / "mine.py").write_text("def objective(settings, report):\n    return settings['x']\n")
    monkeypatch.chdir(tmp_path)
    assert value_at_a_quarter("mine:objective") == 0.25


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("nowhere_at_all:f", "No module named 'nowhere_at_all'; is it in this folder or installed"),
        ("matinee.testing.objectives:nothing", "module matinee.testing.objectives has no nothing"),
        ("matinee.testing.objectives:STEPS", "is 5, not a function"),
        ("plain", "expected module:name"),
        (lambda settings, report: 1.0, "cannot be sent to a worker"),
    ],
)
def test_an_objective_that_cannot_be_run_is_refused_in_a_sentence(objective, words, tmp_path):
    with pytest.raises(SettingsError, match=words):
        tune(objective, SPACE, budget="60s", folder=tmp_path / "study", workers=2)
    if (tmp_path / "study").exists():
        study = open_study(tmp_path / "study")
        assert not [one for one in study.trials if one.state not in ("preempted", "waiting")]


@pytest.mark.parametrize(
    ("space", "more", "words"),
    [
        ({}, {}, "has no settings"),
        ({"x": Choice((object,))}, {}, "expected texts, numbers"),
        (SPACE, {"workers": 0}, "Expected 1 worker or more, found 0"),
        (SPACE, {"price_per_hour": 0.0}, "costs nothing"),
        (SPACE, {"budget": "soon"}, "expected an amount"),
    ],
)
def test_what_cannot_be_searched_is_refused(space, more, words):
    with pytest.raises(SettingsError, match=words):
        tune(plain, space, **{"budget": "10s", **more})


def test_a_study_is_told_of_while_it_runs(tmp_path):
    seen = []
    tune(
        plain,
        SPACE,
        budget="20usd",
        search=Few(*[{"x": 0.1 * n} for n in range(4)], most=1.0),
        tell=lambda study: seen.append((len(study), study.ledger.spent_dollars)),
    )
    assert seen[-1][0] == 4
    assert seen == sorted(seen)


def test_should_stop_preempts_with_a_checkpoint_and_says_how_to_go_on(tmp_path):
    folder = tmp_path / "study"
    space = {**SPACE, "pause_s": Choice((0.3,)), "steps": Choice((10,))}
    settings = [{"x": 0.3, "pause_s": 0.3, "steps": 10}, {"x": 0.4, "pause_s": 0.0, "steps": 10}]
    search = Few(*settings, most=100.0)
    stop = []

    def reported(study):
        if study.trials and len(study.trials[0].curve) >= 2:
            stop.append(True)

    about = {"budget": "1000usd", "price_per_hour": PRICE, "folder": folder, "search": search, "steps": 10}
    with pytest.raises(Stopped, match="0 trials are done; go on with resume"):
        tune(parabola, space, tell=reported, should_stop=lambda: bool(stop), **about)
    first = open_study(folder).trial(1)
    assert (first.state, first.reason) == ("preempted", "The study was stopped.")
    assert status(folder)["state"] == "stopped"
    with pytest.raises(InputError, match="holds a study already"):
        tune(parabola, space, **about)
    result = tune(parabola, space, resume=True, **about)
    assert [trial.state for trial in result.trials] == ["done", "done"]
    assert result.trials[0].attempts == 2
    assert result.trials[0].facts["began_at"] >= len(first.curve)
    # Done is done: going on costs nothing and runs nothing.
    again = tune(parabola, space, resume=True, **about)
    assert again.trials == result.trials
    assert again.ledger.spent_dollars == result.ledger.spent_dollars


SCRIPT = """
import signal
from matinee.core.errors import Stopped
from matinee.core.space import Choice, Span
from matinee.testing.objectives import parabola
import matinee

if __name__ == "__main__":
    # Whoever starts the tests in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    space = {"x": Span(low=0.0, high=1.0), "pause_s": Choice((0.5,))}
    try:
        matinee.tune(parabola, space, budget="600s", folder="study", workers=2, steps=5)
    except Stopped as error:
        print(error)
"""


def test_ctrl_c_is_the_coordinators_alone_and_leaves_nobody_behind(tmp_path):
    (tmp_path / "search.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "search.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, process_group=0
    )
    try:
        until = time.monotonic() + 300
        while time.monotonic() < until:
            time.sleep(0.2)
            there = (tmp_path / "study/log.jsonl").exists()
            if there and any(trial.curve for trial in open_study(tmp_path / "study").trials):
                break
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=300)[0]
    finally:
        process.kill()
        process.wait()
    assert said.startswith("The study was stopped: ")
    assert "go on with resume (--resume) from study." in said
    study = open_study(tmp_path / "study")
    assert study.state == "stopped"
    assert not study.running
    assert all(trial.lost_dollars < trial.dollars for trial in study.trials if trial.curve)
    found = json.dumps(status(tmp_path / "study"))
    assert '"state": "stopped"' in found


def test_a_script_that_does_not_guard_its_main_is_told_so(tmp_path):
    unguarded = SCRIPT.replace('if __name__ == "__main__":', "if True:")
    (tmp_path / "search.py").write_text(unguarded)
    run = subprocess.run(
        [sys.executable, "search.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode != 0
    assert "A worker could not start" in run.stderr
    assert "__main__" in run.stderr


def test_what_an_objective_prints_stands_beside_the_trial(tmp_path, capfd):
    search = Few({"how": "prints"}, most=1.0)
    tune(ending, {"how": Choice(("prints",))}, budget="5usd", folder=tmp_path, search=search)
    assert (tmp_path / "trials/1/words.txt").read_text() == "words of the objective\n"
    assert "words of the objective" not in capfd.readouterr().out


def test_the_door_is_open():
    search = Few({"x": 0.25}, most=1.0)
    result = matinee.tune("matinee.testing.objectives:plain", SPACE, budget="5usd", search=search)
    assert result.best.value == pytest.approx(-0.0025)


def test_whoever_only_looks_finds_the_study_as_it_is_said_and_the_search_is_the_usual_one(tmp_path):
    seen = []

    def tell(_study):
        seen.extend(json.loads(path.read_text())["state"] for path in tmp_path.glob("s/status.json"))

    space = {"x": Span(low=0.0, high=1.0), "y": Span(low=0.0, high=1.0)}
    found = tune(parabola, space, budget="6s", folder=tmp_path / "s", tell=tell)
    shown = json.loads((tmp_path / "s" / "status.json").read_text())
    assert shown == json.loads(json.dumps(found.to_json()))
    assert set(seen) == {"running"}
    assert {trial.why for trial in found.trials} >= {"start", "model"}


def test_a_study_goes_on_where_nobody_can_be_shown_it(tmp_path):
    (tmp_path / "s" / "status.json" / "in the way").mkdir(parents=True)
    found = tune(
        parabola, SPACE, budget="9000usd", folder=tmp_path / "s", search=Few({"x": 0.5}), price_per_hour=PRICE
    )
    assert found.best is not None
    assert (tmp_path / "s" / "status.json").is_dir()
