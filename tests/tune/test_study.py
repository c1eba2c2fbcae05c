import json
import os
from time import process_time

import pytest
from tests.slowness import slowness
from tests.tune.logs import ABOUT, PRICE, Clock, begun, created, leased, whole_study

from matinee.core.errors import InputError, SettingsError
from matinee.core.space import Choice, Span
from matinee.tune.budget import Budget
from matinee.tune.events import Log
from matinee.tune.recorder import BEAT_S, Recorder, open_recorder, trial_folder
from matinee.tune.study import open_study, space_facts, status
from matinee.tune.worker import CHECKPOINTS, RESULT


def test_trials_are_what_their_events_say():
    recorder = begun()
    whole_study(recorder)
    done, stopped, failed, preempted, running = recorder.study.trials
    states = [one.state for one in recorder.study.trials]
    assert states == ["done", "stopped", "failed", "preempted", "running"]
    assert done.value == 1.5
    assert done.settings == {"x": 0.1}
    assert done.facts == {"size": 7}
    assert [(point.step, point.value, point.dollars) for point in done.curve] == [
        (1.0, 1.1, 0.05),
        (2.0, 1.2, pytest.approx(0.1)),
    ]
    assert stopped.reason == "The search stopped it early."
    assert failed.reason == "It raised ValueError."
    assert failed.lost_dollars == stopped.lost_dollars == 0.0
    assert preempted.lost_dollars == pytest.approx(0.05)
    assert running.dollars == pytest.approx(0.1)
    assert recorder.study.best is done


def test_the_ledger_adds_up_and_reserves_what_runs():
    recorder = begun(dollars=10.0)
    whole_study(recorder)
    ledger = recorder.study.ledger
    trials = recorder.study.trials
    assert ledger.trials_dollars == pytest.approx(sum(one.dollars for one in trials))
    assert ledger.trials_dollars == pytest.approx(0.15 + 0.11 + 0.12 + 0.13 + 0.1)
    assert ledger.asking_dollars == pytest.approx(0.005)
    assert ledger.lost_dollars == pytest.approx(0.05)
    assert ledger.reserved_dollars == pytest.approx(0.9)
    assert ledger.left_dollars == pytest.approx(10 - 0.61 - 0.005 - 0.9)
    attempts = [one for trial in trials for one in ledger.attempts[trial.number]]
    assert sum(one.dollars for one in attempts) == pytest.approx(ledger.trials_dollars)
    recorder.note("extended", 5, limit_dollars=2.0)
    assert ledger.reserved_dollars == pytest.approx(1.9)
    recorder.note("finished", 5, value=0.0, seconds=20.0, dollars=0.2)
    assert ledger.reserved_dollars == 0.0
    assert recorder.study.best.number == 1


def test_a_trial_that_goes_on_keeps_its_curve_and_repeats_no_step():
    recorder = begun()
    whole_study(recorder)
    recorder.note("leased", 4, attempt=2, limit_dollars=1.0)
    trial = recorder.study.trial(4)
    assert (trial.attempts, trial.state, trial.reason) == (2, "running", None)
    recorder.note("reported", 4, step=2.0, value=9.0, seconds=2.0, dollars=0.02)
    recorder.note("reported", 4, step=3.0, value=9.5, seconds=4.0, dollars=0.04)
    recorder.note("finished", 4, value=9.5, seconds=5.0, dollars=0.05)
    trial = recorder.study.trial(4)
    assert [point.step for point in trial.curve] == [1.0, 2.0, 3.0]
    assert trial.curve[1].dollars == pytest.approx(0.15)
    assert (trial.dollars, trial.seconds) == (pytest.approx(0.18), pytest.approx(18.0))
    assert trial.lost_dollars == pytest.approx(0.05)


def test_what_a_stopped_trial_had_not_kept_is_lost_only_if_it_goes_on():
    recorder = begun()
    whole_study(recorder)
    assert recorder.study.trial(2).lost_dollars == 0.0
    recorder.note("leased", 2, attempt=2, limit_dollars=1.0)
    assert recorder.study.trial(2).lost_dollars == pytest.approx(0.11)


@pytest.mark.parametrize(
    ("kind", "trial", "about"),
    [
        ("finished", 1, {"value": 1.0, "seconds": 1.0, "dollars": 1.0}),
        ("leased", 1, {"attempt": 2, "limit_dollars": 1.0}),
        ("leased", 3, {"attempt": 2, "limit_dollars": 1.0}),
        ("finished", 99, {"value": 1.0, "seconds": 1.0, "dollars": 1.0}),
        ("created", 9, {"dollars": 0.0}),
    ],
)
def test_nothing_is_finished_run_or_billed_twice(kind, trial, about):
    recorder = begun()
    whole_study(recorder)
    with pytest.raises(InputError):
        recorder.note(kind, trial, **about)


def test_replay_is_the_study_itself(tmp_path):
    recorder = begun(tmp_path)
    whole_study(recorder)
    again = open_study(tmp_path)
    assert again.trials == recorder.study.trials
    assert again.ledger == recorder.study.ledger
    assert again.clock == recorder.study.clock
    recorder.close()


def test_tuples_among_settings_come_back_as_tuples(tmp_path):
    recorder = begun(tmp_path)
    about = {"seed": 1, "why": "start", "repeats": None, "steps": None, "region": None}
    recorder.note("created", 1, settings={"decays": (0.5, 0.9)}, seconds=0.0, dollars=0.0, **about)
    recorder.close()
    for study in (recorder.study, open_study(tmp_path)):
        assert study.trial(1).settings == {"decays": (0.5, 0.9)}


def test_status_is_what_interfaces_promise_while_it_runs_and_after(tmp_path):
    recorder = begun(tmp_path, dollars=5.0)
    whole_study(recorder)
    found = json.loads(json.dumps(status(tmp_path)))
    assert found["study"] == str(tmp_path)
    assert found["state"] == "running"
    assert (found["budget_dollars"], found["budget_s"]) == (5.0, None)
    assert found["spent_dollars"] == pytest.approx(0.615)
    assert found["reserved_dollars"] == pytest.approx(0.9)
    assert found["best"] == {"id": 1, "value": 1.5, "settings": {"x": 0.1}}
    first = found["trials"][0]
    assert (first["id"], first["state"], first["value"], first["steps"]) == (1, "done", 1.5, 2.0)
    assert {"region", "settings", "dollars", "lost_dollars", "attempts"} <= set(first)
    assert {one["state"] for one in found["trials"]} <= {"done", "running", "stopped", "preempted", "failed"}
    recorder.close()
    assert status(tmp_path)["state"] == "stopped"
    recorder = Recorder(Log(tmp_path))
    recorder.note("closed", state="done", reason="The time is up.", best=1)
    recorder.close()
    assert status(tmp_path)["state"] == "done"
    assert status(tmp_path)["reason"] == "The time is up."


def test_what_ran_when_the_coordinator_died_is_billed_until_then_and_goes_on(tmp_path):
    clock = Clock()
    recorder = begun(tmp_path, clock=clock)
    for number in (1, 2, 3):
        created(recorder, number)
        leased(recorder, number, limit=0.5)
    clock.now = 10.0
    recorder.note("reported", 1, step=1.0, value=1.0, seconds=10.0, dollars=0.1)
    clock.now = 20.0
    recorder.note("heartbeat")
    recorder.close()
    # The third was finished, but nobody took note; the second wrote a checkpoint at 15 s.
    place = trial_folder(tmp_path, 3)
    place.mkdir(parents=True)
    (place / RESULT).write_text(json.dumps({"attempt": 1, "value": 7.0, "seconds": 18.0}))
    kept = trial_folder(tmp_path, 2) / CHECKPOINTS
    kept.mkdir(parents=True)
    (kept / "weights").write_text("...")
    os.utime(kept / "weights", (1e9 + 15, 1e9 + 15))
    later = Clock()
    later.now = 5000.0
    recorder = Recorder(Log(tmp_path), later, lambda: 1e9 + later.now)
    recorder.begin(Budget(dollars=20.0), PRICE, ABOUT, tmp_path)
    first, second, third = recorder.study.trials
    until = 20.0 + BEAT_S
    assert [one.state for one in recorder.study.trials] == ["preempted", "preempted", "done"]
    assert first.dollars == pytest.approx(until * PRICE)
    assert first.lost_dollars == pytest.approx(first.dollars)
    assert second.lost_dollars == pytest.approx((until - 15) * PRICE)
    assert third.value == 7.0
    assert not place.exists()
    assert recorder.study.ledger.reserved_dollars == 0.0
    assert recorder.study.ledger.budget == Budget(dollars=20.0)
    # What lay between does not count.
    assert recorder.active_s == pytest.approx(until)
    recorder.close()


def test_a_bill_after_a_crash_never_passes_what_was_reserved(tmp_path):
    clock = Clock()
    recorder = begun(tmp_path, clock=clock)
    created(recorder, 1)
    leased(recorder, 1, limit=0.105)
    clock.now = 10.0
    recorder.note("heartbeat")
    recorder.close()
    recorder = Recorder(Log(tmp_path), clock)
    recorder.begin(Budget(dollars=10.0), PRICE, ABOUT, tmp_path)
    assert recorder.study.trial(1).dollars == pytest.approx(0.105)
    recorder.close()


def test_another_space_or_seed_is_another_study(tmp_path):
    begun(tmp_path).close()
    for name, value in (("seed", 1), ("steps", 4), ("space", {})):
        recorder = Recorder(Log(tmp_path))
        with pytest.raises(SettingsError, match=f"another {name}"):
            recorder.begin(Budget(dollars=1.0), PRICE, {**ABOUT, name: value}, tmp_path)
        recorder.close()


def test_a_study_is_not_begun_over_another(tmp_path):
    begun(tmp_path).close()
    with pytest.raises(InputError, match="holds a study already"):
        open_recorder(tmp_path, resume=False)
    open_recorder(tmp_path, resume=True).close()


def test_a_space_is_plain_json():
    space = {"a": Choice((1, (0.5, 0.9), None)), "b": Span(low=1, high=9, log=True, whole=True)}
    assert json.loads(json.dumps(space_facts(space))) == {
        "a": {"values": [1, [0.5, 0.9], None]},
        "b": {"low": 1, "high": 9, "log": True, "whole": True},
    }


def test_ten_thousand_trials_and_a_thousand_workers_take_no_time_of_the_coordinator():
    """Milliseconds of all that a trial's life asks of log, fold and ledger, as on a quiet core."""
    recorder = begun(dollars=1e9)
    taken, ends = [], []
    for number in range(1, 10_001):
        began = process_time()
        created(recorder, number)
        leased(recorder, number)
        recorder.note("reported", number, step=1.0, value=1.0, seconds=1.0, dollars=0.01)
        if number > 1000:
            ended = number - 1000
            recorder.note("finished", ended, value=1.0, seconds=2.0, dollars=0.02)
        assert len(recorder.study.trials) == number
        assert recorder.study.ledger.left_dollars > 0
        taken.append(process_time() - began)
    slow = slowness()
    ends = sorted(taken[5000:])
    assert 1000 * ends[int(0.95 * len(ends))] / slow < 2.0
    assert recorder.study.ledger.running == 1000
    assert recorder.study.ledger.reserved_dollars == pytest.approx(1000 * 0.99)
