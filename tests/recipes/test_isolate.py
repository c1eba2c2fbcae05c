"""What a fit's own process measures: the fit and its readiness, not its start, its reading or the judge."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from matinee.core.settings import config_values
from matinee.data.split import split_log
from matinee.recipes import choose as choosing
from matinee.recipes import compare as comparing
from matinee.recipes import isolate_run
from matinee.recipes.compare import compare
from matinee.recipes.handover import write_handover
from matinee.recipes.isolate import Job
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
        return SimpleNamespace(scores=scores, **more)


def test_a_fit_costs_its_own_seconds_and_memory_with_what_its_first_answer_makes(place, monkeypatch):
    clock = Clock()
    real = isolate_run.open_handover

    def reading(folder):
        clock.move(40.0, 60.0)
        return real(folder)

    monkeypatch.setattr(isolate_run, "open_handover", reading)
    monkeypatch.setattr(isolate_run, "make_recommender", lambda *_: Slow(clock))
    monkeypatch.setattr(isolate_run, "cpu_s", lambda: clock.spent)
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

    def watched(handover, folder, job):
        jobs.append(job)
        return real(handover, folder, job)

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
