import json
import math
from dataclasses import replace

import numpy as np
import pytest

from matinee.core.statistics import bootstrap_means, interval_of
from matinee.evaluate.evidence import Evidence
from matinee.evaluate.scoreboard import COSTS, Row, make_scoreboard

NAMES = [f"{kind}@10" for kind in ("recall", "ndcg", "mrr", "map", "hit", "precision")]


def evidence(share: float, n: int = 2_500, seed: int = 0) -> Evidence:
    hits = (np.random.default_rng(seed).random((n, 1)) < share).astype(float)
    return Evidence(
        names=NAMES,
        sums=np.repeat(hits, len(NAMES), axis=1),
        counts=np.ones(n, np.int64),
        coverage={"coverage@10": share},
        tied=0.25,
    )


def about(n: int = 2_500) -> dict:
    return {
        "protocol": "leave-one-out",
        "why": "leave-one-out, as asked: said so.",
        "at": [10],
        "viewers": n,
        "items": 50,
        "events": 9 * n,
        "queries": n,
        "targets": n,
        "asked_viewers": n,
        "left_out": 0,
        "tied_times": None,
        "newcomers": {"viewers": 0, "queries": 0, "targets": 0},
        "validation": {"viewers": n, "targets": n},
        "log_sha256": "",
        "seed": 0,
        "versions": {"matinee": "0"},
        "refit": False,
        "tries": 1,
    }


def row(name: str, share: float, validation: float, **more) -> Row:
    costs = dict.fromkeys(COSTS, 1.0)
    return Row(
        name=name,
        settings={"ridge": 1.0},
        evidence=evidence(share, seed=len(name)),
        validation=validation,
        costs=costs,
        **more,
    )


@pytest.fixture
def board():
    rows = [
        row("popularity", 0.05, 0.1),
        row("ease", 0.2, 0.3),
        row("best", 0.4, 0.4),
        Row(name="lost", settings={}, error="It ran out of memory."),
    ]
    return make_scoreboard(about(), rows, at=(10,))


def test_the_json_has_the_promised_keys(board):
    facts = json.loads(json.dumps(board.to_json(), allow_nan=False))
    promised = [
        "protocol",
        "viewers",
        "items",
        "events",
        "targets",
        "tied_times",
        "tied_answers",
        "log_sha256",
        "seed",
        "versions",
    ]
    for key in [*promised, "recommenders", "chosen_on_validation", "pairs", "verdict"]:
        assert key in facts
    for one in facts["recommenders"]:
        assert {"name", "settings", "metrics", *COSTS} <= set(one)
    best = facts["recommenders"][2]["metrics"]
    assert best["ndcg@10"]["low"] < best["ndcg@10"]["mean"] < best["ndcg@10"]["high"]
    assert set(facts["pairs"][0]) == {"a", "b", "metric", "mean", "low", "high", "p", "p_holm"}


def test_validation_chooses_and_holm_is_over_the_chosen_one_against_the_others(board):
    assert board.chosen == "best"
    pairs = [pair for pair in board.facts["pairs"] if pair["metric"] == "ndcg@10"]
    assert [(pair["a"], pair["b"]) for pair in pairs] == [
        ("best", "popularity"),
        ("best", "ease"),
        ("popularity", "ease"),
    ]
    assert pairs[0]["p_holm"] == pytest.approx(2 * pairs[0]["p"])
    assert pairs[2]["p_holm"] is None
    assert pairs[0]["low"] <= pairs[0]["mean"] <= pairs[0]["high"]
    expected = board.evidence["best"].mean("ndcg@10") - board.evidence["popularity"].mean("ndcg@10")
    assert pairs[0]["mean"] == pytest.approx(expected)


def test_the_interval_of_a_pair_is_that_of_the_differences():
    # Nearly the same answers: each alone is far less sure than what lies between them.
    hits = (np.random.default_rng(0).random((2_500, 1)) < 0.5).astype(float)
    fewer = hits.copy()
    fewer[np.flatnonzero(hits)[:50]] = 0.0
    made = [
        replace(row(name, 0.5, 0.1), evidence=replace(evidence(0.5), sums=np.repeat(one, len(NAMES), axis=1)))
        for name, one in (("more", hits), ("less", fewer))
    ]
    pair = make_scoreboard(about(), made, at=(10,)).facts["pairs"][0]
    drawn = bootstrap_means(hits - fewer, np.ones(2_500, np.int64))
    expected = interval_of(0.02, drawn[:, 0])
    assert (pair["low"], pair["high"]) == pytest.approx((expected.low, expected.high))
    assert pair["high"] - pair["low"] < 0.02


def test_a_recommender_that_failed_is_a_row_that_says_so(board):
    lost = board.to_json()["recommenders"][3]
    assert lost["error"] == "It ran out of memory."
    assert lost["metrics"] == {}
    assert lost["fit_cpu_s"] is None


def test_the_verdict_stands_on_the_test(board):
    ours = round(100 * board.evidence["best"].mean("hit@10"))
    assert board.verdict.startswith(f"Of 100 next choices, our shelf of ten (best) held {ours},")


def test_without_validation_nothing_is_chosen_unless_there_is_one_alone():
    two = [row("a", 0.1, math.nan), row("bb", 0.2, math.nan)]
    assert make_scoreboard(about(), two, at=(10,)).chosen is None
    assert make_scoreboard(about(), two[:1], at=(10,)).chosen == "a"


def test_a_pandas_frame_has_one_row_a_recommender(board):
    frame = board.to_pandas()
    assert frame["name"].tolist() == ["popularity", "ease", "best", "lost"]
    assert frame["ndcg@10"][2] == pytest.approx(board.evidence["best"].mean("ndcg@10"))
    assert {"ndcg@10 low", "fit_cpu_s"} <= set(frame.columns)


def test_without_pandas_a_frame_is_a_sentence(board, monkeypatch):
    import sys

    from matinee.core.errors import InputError

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        board.to_pandas()


def test_the_report_is_one_file_that_needs_nothing_else_and_makes_hostile_words_inert(board, tmp_path):
    hostile = '<script>alert("x")</script>'
    rows = [
        row("popularity", 0.05, 0.1),
        Row(
            name="bad" + hostile,
            settings={"words": hostile},
            evidence=evidence(0.3),
            newcomers=evidence(0.1),
            validation=0.5,
            costs=dict.fromkeys(COSTS, 1.0),
            tries=[{"settings": {"words": hostile}, "value": 0.1, "cpu_s": 1.0, "error": hostile}],
        ),
        Row(name="lost", settings={}, error=hostile),
    ]
    facts = {**about(), "why": hostile, "command": f"matinee compare {hostile}"}
    path = tmp_path / "report.html"
    make_scoreboard(facts, rows, at=(10,)).to_html(path)
    page = path.read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 7
    for outside in ("http:", "https:", "src=", "@import", "url("):
        assert outside not in page.replace("http://www.w3.org/2000/svg", "")
    # Each chart for wide windows and for a phone's: two of two, one difference.
    assert page.count("<svg") == 6
    assert page.count("<circle") == 10
    assert "prefers-color-scheme: dark" in page
    assert board.verdict not in page
