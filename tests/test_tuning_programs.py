"""The programs that measure the tuner, small: a coordinator under load, Optuna's TPE as a search of ours."""

from pathlib import Path

import numpy as np
import pytest

from matinee.core.space import Choice, Span
from matinee.evaluate.evidence import Evidence
from matinee.tune.trial import Trial

SPACE = {
    "kind": Choice(values=("a", (1, 2), None)),
    "rate": Span(low=1e-3, high=1.0, log=True),
    "size": Span(low=4, high=64, whole=True, when=("kind", ("a",))),
}


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))


def test_a_coordinator_hands_out_every_trial_and_each_answer_is_timed(tmp_path):
    from tuning_coordinator import run

    found = run(8, 30, 10, tmp_path)
    assert found["trials"] == 30
    assert set(found["states"]) <= {"done", "stopped"}
    assert found["ask"]["n"] == 20
    assert found["tell"]["n"] >= 30
    assert 0 < found["tell"]["p50_ms"] <= found["tell"]["p95_ms"] <= found["tell"]["p99_ms"]
    assert found["ask"]["p95_ms"] > 0
    assert found["log_mb"] > 0


def told(number, settings, value, state="done"):
    return Trial(number=number, settings=settings, state=state, value=value)


def test_tpe_asks_within_the_space_and_is_a_function_of_the_trials():
    pytest.importorskip("optuna")
    from tuning_real import Tpe

    first = {"kind": (1, 2), "rate": 0.1}
    search = Tpe(SPACE, first)
    assert search.suggest([], 1.0, seed=0, number=1).settings == first
    trials = [told(1, first, 0.5)]
    for number in range(2, 25):
        settings = search.suggest(trials, 1.0, seed=0, number=number).settings
        assert ("size" in settings) == (settings["kind"] == "a")
        assert 1e-3 <= settings["rate"] <= 1.0
        # Small rates of the first kind are best.
        trials.append(told(number, settings, (settings["kind"] == "a") - settings["rate"]))
    again = Tpe(SPACE, first).suggest(trials, 1.0, seed=0, number=25)
    assert again == search.suggest(trials, 1.0, seed=0, number=25)
    assert sum(trial.settings["kind"] == "a" for trial in trials[12:]) > 6
    assert search.best_of(trials) == max(trials, key=lambda trial: trial.value).number
    assert search.best_of([told(1, first, None, "failed")]) is None


def evidence(values):
    values = np.asarray(values, dtype=np.float64)[:, None]
    return Evidence(
        names=["ndcg@10"], sums=values, counts=np.ones(len(values), np.int64), coverage={}, tied=0.0
    )


def test_the_bars_ask_for_the_interval_of_the_paired_difference():
    from tuning_real import bars_of, difference

    random = np.random.default_rng(0)
    worse = random.random(400)
    better = worse + 0.1 + 0.01 * random.random(400)
    plus = difference(evidence(better), evidence(worse), "ndcg@10")
    minus = difference(evidence(worse), evidence(better), "ndcg@10")
    assert plus["low"] > 0.09
    assert plus["p"] < 0.01
    assert minus["high"] < -0.09
    same = difference(evidence(worse), evidence(worse), "ndcg@10")
    spent = {"spent_s": 59.0, "budget_s": 60.0, "spent_dollars": 1.0, "budget_dollars": None}
    searches = {"matinee": spent, "tpe": spent}
    rows = [
        {"over_defaults": plus, "over_tpe": same, "searches": searches},
        {"over_defaults": same, "over_tpe": same, "searches": searches},
    ]
    assert all(bars_of(rows).values())
    rows[1] = {"over_defaults": minus, "over_tpe": minus, "searches": {"tpe": {**spent, "spent_s": 60.1}}}
    assert not any(held for name, held in bars_of(rows).items() if name != "better than the defaults on one")
