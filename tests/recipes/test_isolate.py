"""What a fit's own process measures: the fit and its readiness, not its start, its reading or the judge."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from matinee.core.errors import Stopped
from matinee.core.run import Run
from matinee.core.settings import config_values
from matinee.data.split import split_log
from matinee.recipes import choose as choosing
from matinee.recipes import compare as comparing
from matinee.recipes import isolate_run, spent
from matinee.recipes.compare import compare
from matinee.recipes.handover import write_handover
from matinee.recipes.isolate import Job, run_isolated
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of, random_log

JOB = {"name": "popularity", "tries": [{}], "fit_on": "train", "judge": ["test"], "sample": False, "at": [5]}
JOB |= {"seed": 0, "timed": False}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "log").mkdir()
    rows = [[viewer % 7, (viewer + 1) % 7, 7, 8, 9] for viewer in range(60)]
    write_handover(tmp_path / "log", split_log(log_of(rows, order="order"), "leave-one-out"), both=False)
    return tmp_path


def done(place, **more) -> tuple[dict, dict[str, np.ndarray]]:
    """What a job's process writes: the report of its first try, and the counts by what was judged."""
    (place / "job.json").write_text(json.dumps({**JOB, **more, "handover": str(place / "log")}))
    isolate_run.run_job(place)
    report = json.loads((place / "0.json").read_text())
    return report, {name: np.load(place / f"0-{name}-counts.npy") for name in report["found"]}


class Clock:
    """CPU-seconds and peak memory that each step moves by an amount of its own."""

    def __init__(self) -> None:
        self.spent, self.peak, self.ready = 100.0, 50.0, False

    def move(self, seconds: float, peak: float) -> None:
        self.spent, self.peak = self.spent + seconds, max(self.peak, peak)


class Slow:
    """Popularity that costs 5 s to fit, and 2 s to get ready at its first answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._plain = clock, make_recommender("popularity")
        self.config = self._plain.config

    def fit(self, log, *, seed):
        self._clock.move(5.0, 300.0)
        model = self._plain.fit(log, seed=seed)

        def scores(askers):
            self._clock.move(0.25 if self._clock.ready else 2.0, 400.0 if not self._clock.ready else 900.0)
            self._clock.ready = True
            return model.scores(askers)

        more = {"context": model.context, "log": model.log, "facts": {}, "askers_of": model.askers_of}
        return SimpleNamespace(scores=scores, name=model.name, parts=model.parts, **more)


def test_a_fit_costs_its_own_seconds_and_memory_with_what_its_first_answer_makes(place, monkeypatch):
    clock = Clock()
    real = isolate_run.open_handover

    def reading(folder):
        clock.move(40.0, 60.0)
        return real(folder)

    monkeypatch.setattr(isolate_run, "open_handover", reading)
    monkeypatch.setattr(isolate_run, "make_recommender", lambda *_: Slow(clock))
    monkeypatch.setattr(spent, "cpu_s", lambda: clock.spent)
    monkeypatch.setattr(isolate_run, "peak_rss_mb", lambda: clock.peak)
    report, _ = done(place)
    assert report["cpu_s"] == 7.0
    assert report["judge_cpu_s"] == 0.25
    assert report["peak_rss_mb"] == 400.0
    assert report["settings"] == config_values(make_recommender("popularity").config)


@pytest.mark.parametrize(("sample", "asked"), [(True, 10), (False, 60)])
def test_a_search_judges_a_sample_of_viewers_and_the_last_fit_all(place, monkeypatch, sample, asked):
    monkeypatch.setattr(isolate_run, "SAMPLED_VIEWERS", 10)
    _, counts = done(place, sample=sample, judge=["validation"])
    assert counts["validation"].tolist() == [1] * asked


def test_searches_and_choices_ask_for_the_sample_and_tables_do_not(monkeypatch):
    jobs: list[Job] = []
    real = comparing.run_isolated

    def watched(handover, folder, job, run):
        jobs.append(job)
        return real(handover, folder, job, run)

    monkeypatch.setattr(comparing, "run_isolated", watched)
    monkeypatch.setattr(choosing, "run_isolated", watched)
    log = random_log(0, n_viewers=60)
    compare(log, ["item_knn"], protocol="leave-one-out", tries=2, refit=True, at=(5,))
    told = [(len(job.tries), job.fit_on, tuple(job.judge), job.sample, job.timed) for job in jobs]
    assert told == [
        (2, "train", ("validation",), True, False),
        (1, "train", ("validation",), False, False),
        (1, "train_and_validation", ("test", "newcomers"), False, True),
    ]
    jobs.clear()
    split = split_log(log, "leave-one-out")
    choosing.choose(split, ["popularity"], seed=0, progress=lambda *_: None)
    assert [(job.fit_on, tuple(job.judge), job.sample) for job in jobs] == [("train", ("validation",), True)]


def test_validation_is_not_the_test():
    """Validation asks for items 0 to 9, which all watch; the test for items that nobody had before."""
    random = np.random.default_rng(0)
    rows = [[*random.permutation(10)[:6].tolist(), 10 + viewer % 20] for viewer in range(60)]
    board = compare(
        log_of(rows, n_items=30, order="order"), ["popularity"], protocol="leave-one-out", at=(3, 5)
    )
    row = board.to_json()["recommenders"][0]
    assert row["validation"] > 0.1
    assert row["metrics"]["ndcg@3"]["mean"] == 0.0
    assert row["metrics"]["hit@3"]["mean"] == 0.0


def test_a_refit_learns_from_validation_and_is_validated_without_it():
    """Items 30 and 31 come last, one validates and the other is the test: only a refit knows of either."""
    random = np.random.default_rng(0)
    rows = [[*random.permutation(30)[:5].tolist(), 30 + viewer % 2, 31 - viewer % 2] for viewer in range(60)]
    log = log_of(rows, order="order")
    found = {}
    for refit in (False, True):
        board = compare(log, ["popularity"], protocol="leave-one-out", at=(1,), refit=refit)
        found[refit] = board.to_json()["recommenders"][0]
    assert found[False]["metrics"]["hit@1"]["mean"] == 0.0
    assert found[True]["metrics"]["hit@1"]["mean"] == 1.0
    assert found[False]["validation"] == found[True]["validation"] == 0.0


STEPPER = Job(name="stepper", tries=[{"pause": 0.6}], judge=("validation",), at=(5,))


def notes(place) -> list[str]:
    return (place / "notes").read_text().splitlines()


def test_steps_of_a_fit_reach_who_waits_for_it(place, steppers):
    told = []
    job = replace(STEPPER, tries=[{"pause": 0.6}, {"pause": 0.6, "factor": 2.0}])
    first, second = run_isolated(place / "log", place / "job", job, Run(tell=told.append))
    assert (first.error, second.error) == ("", "")
    assert [step.share for step in told] == sorted(step.share for step in told)
    assert 0 < told[0].share < 0.5 < told[-1].share <= 1
    assert told[0].doing.startswith("try 1 of 2, pass ")
    assert told[-1].doing.startswith("try 2 of 2, pass ")
    assert (told[0].loss, told[0].validation, told[0].left_s) == (5.816, ("ndcg@10", 0.1712), 130.0)


def test_a_part_that_another_row_fitted_is_found_and_costs_what_it_did(place, steppers):
    kept = str(place / "kept")
    (alone,) = run_isolated(place / "log", place / "a", replace(STEPPER, kept=kept))
    plain = replace(STEPPER, name="popularity", tries=[{}], kept=kept, keep=True)
    (popular,) = run_isolated(place / "log", place / "b", plain)
    pair = replace(STEPPER, name="pair", kept=kept)
    (both,) = run_isolated(place / "log", place / "c", pair)
    assert notes(place) == ["fit stepper", "fit pair"]
    assert both.found_cpu_s > 0
    assert both.cpu_s > both.found_cpu_s
    assert both.wall_s > both.found_wall_s >= 3 * 0.6
    assert alone.found_cpu_s == 0.0
    assert both.peak_rss_mb >= max(alone.peak_rss_mb, popular.peak_rss_mb) * 0.9
    # The same settings, seed and log once more: nothing is fitted, and the cost is the first fit's.
    (again,) = run_isolated(place / "log", place / "d", pair)
    assert notes(place) == ["fit stepper", "fit pair"]
    assert again.cpu_s >= again.found_cpu_s >= both.cpu_s - 0.5
    np.testing.assert_array_equal(again.found["validation"].sums, both.found["validation"].sums)
    # Another seed, or another log, is another part.
    (other,) = run_isolated(place / "log", place / "e", replace(STEPPER, kept=kept, seed=1))
    assert notes(place)[2:] == ["fit stepper"]
    assert other.found_cpu_s == 0.0


def test_what_is_found_answers_as_what_is_fitted(place, steppers):
    kept = str(place / "kept")
    for name in ("stepper", "popularity"):
        run_isolated(
            place / "log", place / name, replace(STEPPER, name=name, tries=[{}], kept=kept, keep=True)
        )
    jobs = {
        "found": replace(STEPPER, name="pair", tries=[{}], kept=kept),
        "fitted": replace(STEPPER, name="pair", tries=[{}]),
    }
    found, fitted = (run_isolated(place / "log", place / step, job)[0] for step, job in jobs.items())
    np.testing.assert_array_equal(found.found["validation"].sums, fitted.found["validation"].sums)


def test_a_comparison_fits_each_part_once_and_the_search_s_best_no_more(place, steppers):
    log = random_log(0, n_viewers=60)
    seen = []
    board = compare(
        log,
        ["stepper", "popularity", "pair"],
        protocol="leave-one-out",
        at=(5,),
        tries=2,
        settings={"stepper": {"pause": 0.6}, "pair": {"pause": 0.6}},
        on_progress=lambda doing, share: seen.append((doing, share)),
    ).to_json()
    rows = {row["name"]: row for row in board["recommenders"]}
    # Two tries of each, whose stepper is the same for both tries of the pair; no fit of the best once more.
    assert sorted(notes(place)) == ["fit pair"] * 2 + ["fit stepper"] * 2
    assert rows["pair"]["fit_cpu_s"] > 0
    assert rows["pair"]["fit_wall_s"] > 3 * 0.6
    assert rows["stepper"]["fit_wall_s"] > 3 * 0.6
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    steps = [words for words, _ in seen if "pass" in words]
    assert any(
        words.startswith("stepper: try 1 of 2, pass 1 of 3, loss 5.82, ndcg@10 .171, 2:10 left, $0.000")
        for words in steps
    )


def test_who_is_asked_to_stop_saves_and_goes_on_later(place, steppers, monkeypatch):
    asked = []

    def stop():
        asked.append(time.monotonic())
        return (place / "job" / "0.step.json").exists()

    run = Run(checkpoints=place / "any", should_stop=stop)
    monkeypatch.setenv("STEPPERS_HOLD", "yes")
    with pytest.raises(Stopped, match="stepper was stopped"):
        run_isolated(place / "log", place / "job", STEPPER, run)
    monkeypatch.delenv("STEPPERS_HOLD")
    assert notes(place)[-1] == "saved"
    assert not (place / "job" / "0.json").exists()
    (tried,) = run_isolated(place / "log", place / "job", STEPPER, Run(checkpoints=place / "any"))
    assert notes(place)[-1].startswith("go on from ")
    (whole,) = run_isolated(place / "log", place / "whole", STEPPER)
    np.testing.assert_array_equal(tried.found["validation"].sums, whole.found["validation"].sums)
    # What was spent before the stop is part of the cost.
    assert tried.wall_s > 3 * 0.6


def test_what_failed_is_tried_again_and_what_was_finished_is_not(place, steppers):
    job = replace(STEPPER, tries=[{"pause": 0.0}, {"pause": "much"}])
    first = run_isolated(place / "log", place / "job", job)
    second = run_isolated(place / "log", place / "job", job)
    assert [bool(tried.error) for tried in first] == [bool(tried.error) for tried in second] == [False, True]
    assert notes(place) == ["fit stepper"]


PARENT = """
import sys
from pathlib import Path
from matinee.recipes.isolate import Job, run_isolated

place = Path(sys.argv[1])
run_isolated(place / "log", place / "job", Job(name="stepper", tries=[{"pause": 60.0}]))
"""


def test_a_fit_ends_with_whoever_started_it_however_that_ends(place, steppers):
    # The parent runs what stands for Python, so that its child knows the recommender.
    code = f"import sys; sys.executable = {sys.executable!r}\n{PARENT}"
    parent = subprocess.Popen([steppers.PYTHON, "-c", code, str(place)], start_new_session=True)
    limit = time.monotonic() + 300
    while not (place / "notes").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    assert notes(place) == ["fit stepper"]
    os.killpg(parent.pid, 0)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        try:
            os.killpg(parent.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.killpg(parent.pid, 0)
