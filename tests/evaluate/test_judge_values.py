from dataclasses import replace

import numpy as np
import pytest

from matinee.core.errors import MatineeError
from matinee.core.types import Ragged
from matinee.data.queries import Queries
from matinee.evaluate.aim import aim_of
from matinee.evaluate.judge_values import judge_values, time_values
from matinee.evaluate.scoreboard import COSTS, Row, make_scoreboard
from matinee.evaluate.verdict import Findings, verdict
from matinee.report.page import scoreboard_page
from matinee.report.table import first_metrics, scoreboard_table, scoreboard_words
from matinee.testing.made_logs import random_log


def queries(seed: int = 0) -> Queries:
    random = np.random.default_rng(seed)
    log = random_log(seed, n_viewers=30)
    viewers = np.array([0, 1, 2, 4, 7, -1, -1])
    lengths = random.integers(1, 6, len(viewers))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = int(offsets[-1])
    return Queries(
        source=log.histories,
        viewers=viewers,
        ends=log.histories.offsets[1:][viewers],
        targets=Ragged(values=random.integers(-1, 30, n).astype(np.int32), offsets=offsets),
        n_items=30,
        values=random.integers(1, 6, n).astype(np.float32),
        times=random.integers(0, 1000, n),
    )


def odd_values(askers, rows, items, times):
    """A prediction that tells asker, item and time apart."""
    return (askers.histories.lengths[rows] + 0.1 * items + 0.001 * times).astype(np.float32)


def test_errors_are_those_of_the_definition_viewer_by_viewer():
    asked = queries()
    found = judge_values(odd_values, asked)
    squares, absolute, counts = {}, {}, {}
    for row in range(len(asked)):
        viewer = asked.viewers[row] if asked.viewers[row] >= 0 else -1 - row
        for place in range(asked.targets.offsets[row], asked.targets.offsets[row + 1]):
            told = asked.lengths[row] + 0.1 * asked.targets.values[place] + 0.001 * asked.times[place]
            off = float(told) - float(asked.values[place])
            squares[viewer] = squares.get(viewer, 0.0) + off**2
            absolute[viewer] = absolute.get(viewer, 0.0) + abs(off)
            counts[viewer] = counts.get(viewer, 0) + 1
    assert sorted(found.column("rmse")) == pytest.approx(sorted(squares.values()), rel=1e-4)
    assert sorted(found.column("mae")) == pytest.approx(sorted(absolute.values()), rel=1e-4)
    assert sorted(found.counts) == sorted(counts.values())
    n = sum(counts.values())
    assert found.mean("rmse") == pytest.approx(np.sqrt(sum(squares.values()) / n), rel=1e-5)
    assert found.mean("mae") == pytest.approx(sum(absolute.values()) / n, rel=1e-5)
    assert time_values(odd_values, asked) >= 0


@pytest.mark.parametrize("wrong", [np.nan, None])
def test_predictions_that_are_no_numbers_are_refused(wrong):
    def values(_askers, rows, _items, _times):
        return np.full(len(rows), wrong, np.float32) if wrong is not None else np.zeros(len(rows) + 1)

    with pytest.raises(MatineeError, match="not finite, or not one a target"):
        judge_values(values, queries())


def test_queries_that_know_no_values_judge_no_prediction():
    with pytest.raises(MatineeError, match="made to judge rankings"):
        judge_values(odd_values, replace(queries(), values=None))


def test_less_is_better_of_values_and_more_of_rankings():
    values, ranking = aim_of("rating", (10, 20)), aim_of(None, (10, 20))
    assert (values.metric, values.paired, values.at) == ("rmse", ("rmse", "mae"), ())
    assert ranking.metric == "ndcg@10"
    assert ranking.paired == ("ndcg@10", "recall@10", "ndcg@20", "recall@20")
    assert values.worth(0.9) > values.worth(1.0)
    assert ranking.worth(0.2) > ranking.worth(0.1)


def board(n: int = 2_500, spread: float = 0.3):
    random = np.random.default_rng(0)
    noise = random.standard_normal(n)
    rows = []
    for name, off in (("rating_mean", 1.1), ("rating_biases", 0.95), ("rating", 0.9)):
        errors = off * np.abs(noise) + spread * random.random(n)
        sums = np.stack([errors**2, errors], axis=1)
        found = judge_values(odd_values, queries())
        found = replace(found, sums=sums, counts=np.ones(n, np.int64))
        costs = dict.fromkeys(COSTS, 1.0)
        rows.append(Row(name=name, settings={}, evidence=found, validation=off, costs=costs))
    about = {
        "protocol": "given",
        "why": "given, a test file was given: said so.",
        "target": "rating",
        "at": [],
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
        "refit": True,
        "tries": 1,
    }
    return make_scoreboard(about, rows, at=())


def test_a_table_of_values_chooses_the_least_error_and_tests_the_differences():
    found = board()
    assert found.chosen == "rating"
    first = found.facts["recommenders"][2]["metrics"]["rmse"]
    assert first["low"] < first["mean"] < first["high"]
    assert first["mean"] == pytest.approx(found.evidence["rating"].mean("rmse"))
    pairs = {(pair["b"], pair["metric"]): pair for pair in found.facts["pairs"] if pair["a"] == "rating"}
    assert set(pairs) == {(b, m) for b in ("rating_mean", "rating_biases") for m in ("rmse", "mae")}
    gap = pairs["rating_biases", "rmse"]
    assert gap["mean"] < 0
    assert gap["low"] < gap["mean"] < gap["high"]
    assert gap["p_holm"] < 0.05
    assert "It beats every other recommender here beyond chance" in found.verdict
    assert found.verdict.startswith("What rating predicts is off by 0.")


def test_a_table_of_values_is_shown_on_a_terminal_and_as_a_page():
    facts = board().to_json()
    assert first_metrics(facts) == ["rmse", "mae"]
    assert [column.header for column in scoreboard_table(facts, 200).columns][:3] == [
        "recommender",
        "rmse",
        "mae",
    ]
    assert "2,500 targets" in " ".join(scoreboard_words(facts))
    page = scoreboard_page(facts)
    for words in ("Who predicts the value best", "Less is better", "root of the mean squared difference"):
        assert words in page
    assert "ndcg" not in page


def findings(pairs, **more):
    errors = {"rating": (0.88, 0.69), "rating_biases": (0.95, 0.75), "rating_mean": (1.15, 0.97)}
    facts = {"targets": 20_000, "viewers": 459, "single": False, "k": 0, "held": {}, "errors": errors}
    ranking = ["rating", "rating_biases", "rating_mean"]
    return Findings(**{**facts, "ranking": ranking, "pairs": pairs, **more})


def test_the_verdict_on_values_holds_them_against_plain_averages():
    sure = {"rating_biases": (0.07, 0.001), "rating_mean": (0.27, 0.001)}
    assert verdict(findings(sure)) == (
        "What rating predicts is off by 0.69 on average (RMSE 0.880), that of items' and viewers' averages "
        "by 0.75 (0.950). It beats every other recommender here beyond chance (p = .001)."
    )
    unsure = {"rating_biases": (0.07, 0.4), "rating_mean": (0.27, 0.001)}
    assert "by 0.75 (0.950): that may be chance." in verdict(findings(unsure))
    worse = {"rating_biases": (-0.07, 0.001), "rating_mean": (0.27, 0.001)}
    assert "plain averages are nearer, beyond chance (p = .001)" in verdict(findings(worse))
    assert verdict(findings({}, viewers=100)).startswith("Too few to tell")
    assert "averages" not in verdict(
        findings({}, ranking=["rating_biases"], errors={"rating_biases": (1, 1)})
    )
