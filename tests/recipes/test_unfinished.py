"""A fit that is broken off, by whom ever, and gone on with: the same bundle as if nothing had happened."""

import json
import os
import signal
import subprocess
import time

import pytest

from matinee.core.errors import InputError, Stopped
from matinee.core.promise import Needs
from matinee.core.run import Run
from matinee.recipes.fit import FitOptions, fit_bundle, fit_model
from matinee.recipes.unfinished import begin_at, is_unfinished, unfinished_of
from matinee.testing.made_logs import log_of

WITHIN_S = 600

HELD = {"STEPPERS_HOLD": "yes", "STEPPERS_PAUSE": "1.0"}


@pytest.fixture
def shop(tmp_path):
    rows = [f"u{v},i{(v * v + step) % 12},{10**9 + 1000 * step + v}" for v in range(220) for step in range(5)]
    (tmp_path / "log.csv").write_text("user,item,timestamp\n" + "\n".join(rows) + "\n")
    return tmp_path


def start(steppers, shop, *words, held=False):
    """Start `matinee fit` with the test's recommenders; held, the stepper stays in its second pass."""
    program = [steppers.program(shop), "-m", "matinee", "fit", "log.csv", "--json", "fit.json", *words]
    return subprocess.Popen(
        program,
        cwd=shop,
        env={**os.environ, **(HELD if held else {}), "MATINEE_CACHE": str(shop / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(steppers, shop, *words):
    process = start(steppers, shop, *words)
    said, complaints = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, complaints
    return said


def wait_for(condition):
    limit = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.02)


def passes_done(place, pattern):
    """Passes in the checkpoint that matches; 0 where there is none."""
    return max((json.loads(path.read_text())["done"] for path in place.glob(pattern)), default=0)


def all_gone(process):
    """Whether no process of a group lives."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def weights(bundle):
    return {path.parent.name: path.read_bytes() for path in bundle.glob("parts/*/weights.safetensors")}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_last_fit_goes_on_where_it_was_broken_off(steppers, shop, how):
    named = ("-o", "b", "--recommender", "pair")
    process = start(steppers, shop, *named, held=True)
    wait_for(lambda: passes_done(shop, "b.unfinished/final/state.json") >= 1)
    os.kill(process.pid, how)
    complaints = process.communicate(timeout=WITHIN_S)[1]
    assert not (shop / "b").exists()
    if how != signal.SIGKILL:
        assert process.returncode == 1
        # On a slow machine, lines that say how far the fit is stand before it.
        assert complaints.splitlines()[-1].startswith(
            f"matinee: Stopped; what is finished is kept in {shop / 'b.unfinished'}."
        )
        assert "To go on: matinee fit log.csv --json fit.json -o b --recommender pair --resume" in complaints
        assert (shop / "notes").read_text().endswith("saved\n")
    said = run(steppers, shop, *named, "--resume")
    assert "going on from it" in said
    assert "go on from " in (shop / "notes").read_text()
    assert not (shop / "b.unfinished").exists()
    # What was done before the stop is part of the cost.
    assert json.loads((shop / "fit.json").read_text())["all_wall_s"] > 1.0
    assert "Trained: 3 passes" in said
    run(steppers, shop, "-o", "whole", "--recommender", "pair")
    assert set(weights(shop / "b")) == {"pair", "stepper", "popularity"}
    assert weights(shop / "b") == weights(shop / "whole")


@pytest.mark.parametrize("how", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_a_choice_goes_on_with_the_candidate_that_was_broken_off(steppers, shop, how):
    process = start(steppers, shop, "-o", "b", held=True)
    pattern = "b.unfinished/choice/stepper/0.checkpoints/state.json"
    wait_for(lambda: passes_done(shop, pattern) >= 1)
    os.kill(process.pid, how)
    complaints = process.communicate(timeout=WITHIN_S)[1]
    assert ("--resume" in complaints) == (how == signal.SIGTERM)
    wait_for(lambda: all_gone(process))
    # A cost that no fit here has: the finished candidate's result is taken, not made again.
    result = shop / "b.unfinished" / "choice" / "popularity" / "0.json"
    facts = json.loads(result.read_text())
    result.write_text(json.dumps({**facts, "cpu_s": 5_000.0}))
    said = run(steppers, shop, "-o", "b", "--resume")
    assert "go on from " in (shop / "notes").read_text()
    found = json.loads((shop / "fit.json").read_text())
    assert found["all_cpu_s"] > 5_000
    assert set(found["tried"]) == {"popularity", "stepper", "pair"}
    assert "Chosen on validation" in said
    run(steppers, shop, "-o", "whole")
    assert weights(shop / "b") == weights(shop / "whole")


def test_without_resume_a_fit_says_so_and_starts_afresh(steppers, shop):
    place = shop / "b.unfinished"
    begin_at(place, {"log": "any"}, resume=False)
    (place / "final").mkdir()
    (place / "final" / "state.json.draft").write_text("of an earlier fit")
    said = run(steppers, shop, "-o", "b", "--recommender", "stepper")
    assert "b.unfinished holds a fit that was broken off: starting afresh (--resume would go on" in said
    assert not list(shop.glob("b.unfinished*"))
    said = run(steppers, shop, "-o", "b", "--recommender", "stepper", "--resume")
    assert "No fit of b was broken off: starting from the beginning." in said


def stopped_after(checks):
    """A run that says stop when it is asked for the so-manieth time."""
    asked = []
    return Run(should_stop=lambda: asked.append(1) or len(asked) >= checks)


def test_another_fit_is_not_gone_on_with(steppers, tmp_path):
    log = log_of([[0, 1, 2], [1, 2, 0]], order="order", fingerprint="a" * 64)
    options = FitOptions(recommender="stepper", run=stopped_after(2))
    with pytest.raises(Stopped, match="what is finished is kept in"):
        fit_bundle(log, tmp_path / "b", options)
    again = FitOptions(recommender="stepper", resume=True)
    for other, word in (
        (FitOptions(recommender="stepper", resume=True, seed=1), "another seed"),
        (
            FitOptions(recommender="stepper", resume=True, settings={"factor": "2"}),
            r"another setting factor \(1.0, here 2.0\)",
        ),
        (FitOptions(recommender="pair", resume=True), "another recommender"),
    ):
        with pytest.raises(InputError, match=word):
            fit_bundle(log, tmp_path / "b", other)
    with pytest.raises(InputError, match=r"another log \(aaaaaaaaaaaa"):
        fit_bundle(log_of([[0, 1, 2], [1, 2, 0]], order="order", fingerprint="b" * 64), tmp_path / "b", again)
    fit_bundle(log, tmp_path / "b", again)
    assert (tmp_path / "notes").read_text().splitlines()[-1] == "go on from 1"


def unfinished_fit(bundle):
    """A fit that was broken off: its files, by their paths."""
    log = log_of([[0, 1, 2], [1, 2, 0]], order="order", fingerprint="a" * 64)
    with pytest.raises(Stopped, match="what is finished is kept in"):
        fit_bundle(log, bundle, FitOptions(recommender="stepper", run=stopped_after(2)))
    return files_beside(bundle)


def files_beside(bundle):
    return {
        str(path.relative_to(bundle.parent)): path.read_text()
        for path in bundle.parent.glob(f"{bundle.name}*/**/*")
        if path.is_file()
    }


REFUSED = {
    "a device": {"run": Run(device="abacus")},
    "a setting": {"settings": {"factor": "much"}},
    "a setting of a part": {"recommender": "blend", "settings": {"transitions.ridge": "-3"}},
    "a protocol": {"hold_out": "new-viewers"},
    "memory": {"settings": {"factor": 1e9}},
    "by the fit itself": {"settings": {"factor": 7.0}},
}


@pytest.fixture
def choosy(steppers, monkeypatch):
    """`stepper` with a factor that needs too much memory, and one that its fit refuses before any step."""
    whole = steppers.Stepper.fit

    def fit(self, log, **more):
        if self.config.factor == 7.0:
            raise InputError("Not seven.")
        return whole(self, log, **more)

    def needs(self, log):
        return Needs(memory_bytes=2**60 if self.config.factor == 1e9 else 1000, cpu_s=1.0)

    monkeypatch.setattr(steppers.Stepper, "needs", needs)
    monkeypatch.setattr(steppers.Stepper, "fit", fit)


@pytest.mark.parametrize("why", REFUSED)
def test_a_fit_that_is_refused_leaves_nothing_and_an_earlier_one_as_it_was(choosy, tmp_path, why):
    pytest.importorskip("torch")
    log = log_of([[0, 1, 2], [1, 2, 0]], order="order", fingerprint="a" * 64)
    options = FitOptions(**{"recommender": "stepper", **REFUSED[why]})
    with pytest.raises(InputError):
        fit_bundle(log, tmp_path / "b", options)
    assert not list(tmp_path.glob("b*"))
    before = unfinished_fit(tmp_path / "b")
    assert "b.unfinished/final/state.json" in before
    with pytest.raises(InputError):
        fit_bundle(log, tmp_path / "b", options)
    assert files_beside(tmp_path / "b") == before
    told = []
    fit_bundle(log, tmp_path / "b", FitOptions(recommender="stepper", resume=True), say=told.append)
    assert told == [f"{tmp_path / 'b.unfinished'} holds a fit that was broken off: going on from it."]
    assert not list(tmp_path.glob("b.unfinished*"))


def test_what_an_earlier_fit_kept_goes_once_the_new_one_has_kept_something(steppers, tmp_path):
    unfinished_fit(tmp_path / "b")
    log = log_of([[0, 1, 2], [1, 2, 0]], order="order", fingerprint="a" * 64)
    with pytest.raises(Stopped):
        fit_bundle(log, tmp_path / "b", FitOptions(recommender="stepper", seed=1, run=stopped_after(3)))
    assert [path.name for path in tmp_path.glob("b.*")] == ["b.unfinished"]
    assert json.loads((tmp_path / "b.unfinished" / "fit.json").read_text())["seed"] == 1


def test_a_fit_that_was_killed_before_it_kept_anything_is_none(steppers, tmp_path):
    before = unfinished_fit(tmp_path / "b")
    # As a kill would leave it: the earlier fit is aside, and the new one has only begun.
    begin_at(tmp_path / "b.unfinished", {"log": "any"}, resume=False)
    assert files_beside(tmp_path / "b") != before
    log = log_of([[0, 1, 2], [1, 2, 0]], order="order", fingerprint="a" * 64)
    with pytest.raises(InputError, match="another seed"):
        fit_bundle(log, tmp_path / "b", FitOptions(recommender="stepper", seed=1, resume=True))
    assert files_beside(tmp_path / "b") == before


def test_going_on_is_not_said_of_a_fit_that_is_not_gone_on_with(steppers, tmp_path):
    unfinished_fit(tmp_path / "b")
    log = log_of([[0, 1, 2], [1, 2, 0]], order="order", fingerprint="a" * 64)
    told = []
    with pytest.raises(InputError, match="another seed"):
        fit_bundle(
            log, tmp_path / "b", FitOptions(recommender="stepper", seed=1, resume=True), say=told.append
        )
    assert told == []
    fit_bundle(log, tmp_path / "other", FitOptions(recommender="popularity", resume=True), say=told.append)
    assert told == ["Nothing of popularity is kept on the way: starting from the beginning."]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    place = unfinished_of(tmp_path / "b")
    place.mkdir()
    (place / "letter").write_text("dear")
    with pytest.raises(InputError, match="is in the way"):
        begin_at(place, {}, resume=False)
    assert (place / "letter").exists()
    assert not is_unfinished(place)


def test_the_python_door_takes_a_run(steppers):
    log = log_of([[0, 1, 2], [1, 2, 0]], order="order")
    told = []
    model = fit_model(
        log, FitOptions(recommender="stepper", settings={"pause": 0.6}, run=Run(tell=told.append))
    )
    assert model.facts["trained"]["passes"] == 3
    assert [step.doing for step in told][-1] == "pass 3 of 3"
    with pytest.raises(Stopped):
        fit_model(log, FitOptions(recommender="stepper", run=stopped_after(1)))
