"""Ratings from a file of events to a bundle that answers: `--target rating` all the way."""

import json
from dataclasses import replace

import numpy as np
import pytest

from matinee.answers.model import load
from matinee.core.errors import BundleError, InputError
from matinee.core.types import Askers
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.recipes.check import check_files
from matinee.recipes.compare import compare
from matinee.recipes.evaluate import evaluate
from matinee.recipes.fit import FitOptions, fit_bundle
from matinee.recipes.recommend import recommend_one
from matinee.recipes.rows import VALUE_ROWS
from matinee.testing.tastes import camps_log

SMALL = {"factors": 4, "warm_up": 4, "draws": 6, "apart": 1, "axes": 20}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file of ratings."""
    log = camps_log(210)
    events = log.histories
    rows = zip(events.rows(), events.items, events.values, events.times // 1000, strict=True)
    lines = ["user,item,rating,time", *(f"v{v},i{i},{value:.2f},{time}" for v, i, value, time in rows)]
    file = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def log(path):
    return read_log(str(path), LogOptions(target="rating"))


@pytest.fixture(scope="module")
def bundle(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "held"
    options = FitOptions(recommender="rating", settings=SMALL, hold_out="random-holdout")
    fit_bundle(log, folder, options)
    return folder


def test_a_comparison_of_values_searches_judges_and_says_who_is_nearest(log):
    names = ["rating_mean", "rating_biases", "rating_factors"]
    settings = {"rating_factors": {"factors": 4}}
    board = compare(log, names, protocol="random-holdout", tries=3, settings=settings)
    facts = board.to_json()
    assert (facts["target"], facts["at"], facts["protocol"]) == ("rating", [], "random-holdout")
    rows = {row["name"]: row for row in facts["recommenders"]}
    assert all(set(row["metrics"]) == {"rmse", "mae"} for row in rows.values())
    tries = rows["rating_factors"]["tries"]
    assert len(tries) == 3
    best = min(tries, key=lambda one: one["value"])
    assert rows["rating_factors"]["settings"] == best["settings"]
    assert facts["chosen_on_validation"] == min(rows, key=lambda name: rows[name]["validation"])
    assert facts["chosen_on_validation"] == "rating_factors"
    assert facts["targets"] == 420
    assert facts["verdict"].startswith("Too few to tell: 420 targets of 210 viewers")
    assert {pair["metric"] for pair in facts["pairs"]} == {"rmse", "mae"}


def test_nobody_named_the_five_that_predict_values_stand_for_a_choice(log, tmp_path, monkeypatch):
    monkeypatch.setattr("matinee.recipes.rows.VALUE_ROWS", VALUE_ROWS[:4])
    facts = fit_bundle(log, tmp_path / "b", FitOptions()).facts
    assert set(facts["tried"]) == set(VALUE_ROWS[:4])
    assert facts["recommender"] == min(facts["tried"], key=lambda name: facts["tried"][name])
    assert facts["recommender"] in ("rating_factors", "rating_knn")
    assert facts["chosen_metric"] == "rmse"
    assert set(facts["metrics"]) == {"rmse", "mae"}


def test_a_bundle_is_judged_on_what_it_was_kept_from_as_the_model_was(log, bundle):
    board = evaluate(bundle, log)
    row = board.to_json()["recommenders"][0]
    assert row["metrics"]["rmse"]["low"] < row["metrics"]["rmse"]["mean"] < 0.8
    assert board.verdict.startswith(("What rating predicts is off by", "Too few to tell"))


def test_a_bundle_of_values_answers_as_before_and_knows_what_was_told(log, bundle):
    model = load(bundle)
    golden = json.loads((bundle / "golden.json").read_text())["queries"]
    values = log.histories.values
    assert all(len(one["values"]) == len(one["history"]) for one in golden)
    assert all(values.min() <= value <= values.max() for one in golden for value in one["values"])
    again = FitOptions(recommender="rating", settings=SMALL, hold_out="random-holdout")
    fit_bundle(log, bundle.parent / "again", again)
    other = load(bundle.parent / "again")
    asked = Askers(histories=model.log.histories, viewers=np.arange(len(model.log.histories)))
    np.testing.assert_array_equal(model.scores(asked), other.scores(asked))


def test_a_bundle_whose_weights_were_altered_is_refused(bundle, tmp_path):
    import shutil

    shutil.copytree(bundle, tmp_path / "b")
    weights = tmp_path / "b" / "parts" / "rating" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-400] ^= 0x40
    weights.write_bytes(bytes(data))
    with pytest.raises(BundleError):
        load(tmp_path / "b")


def test_a_list_is_ranked_by_predicted_values_in_the_logs_scale(log, bundle):
    model = load(bundle)
    found = recommend_one(model, user="v3", k=5)
    scores = [one["score"] for one in found["items"]]
    assert found["source"] == "rating"
    assert scores == sorted(scores, reverse=True)
    assert all(1.0 <= score <= 5.0 for score in scores)
    codes = model.log.items.codes([one["item"] for one in found["items"]])
    told = model.values(model.askers(["v3"]), np.zeros(5, np.int64), codes, None)
    np.testing.assert_allclose(told, scores, rtol=1e-5)


def test_a_newcomers_ratings_tell(bundle):
    model = load(bundle)
    ids = ["i0", "i2", "i4", "i1", "i3", "i5"]
    for values, camp in (([4, 4, 4, 2, 2, 2], 0), ([2, 2, 2, 4, 4, 4], 1)):
        items = recommend_one(model, history=ids, values=values, k=8)["items"]
        assert all(int(one["item"][1:]) % 2 == camp for one in items)
        assert min(one["score"] for one in items) > 3.5
        assert all(why.startswith("because you rated i") for one in items for why in one["reasons"])
    only_seen = recommend_one(model, history=ids, k=3)
    assert only_seen["source"] == "rating"
    unknown = recommend_one(model, history=["no such", "i0"], values=[1, 5], k=3)
    assert unknown["unknown"] == 1


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"history": ["i0", "i1"], "values": [5.0]}, "2 items, 1 values"),
        ({"user": "v3", "values": [5.0]}, "one value for each item"),
    ],
)
def test_values_that_belong_to_nothing_are_refused(bundle, told, sentence):
    with pytest.raises(InputError, match=sentence):
        recommend_one(load(bundle), **told)


def test_what_ranks_takes_no_values_and_predicts_none(log, tmp_path):
    plain = replace(log, target=None)
    fit_bundle(plain, tmp_path / "b", FitOptions(recommender="popularity"))
    model = load(tmp_path / "b")
    with pytest.raises(InputError, match="takes no values of a history"):
        recommend_one(model, history=["i0"], values=[4])
    fit_bundle(plain, tmp_path / "c", FitOptions(recommender="ease"))
    model = load(tmp_path / "c")
    with pytest.raises(InputError, match="ease ranks items and predicts no value"):
        model.values(model.askers(["v3"]), np.zeros(1, np.int64), np.zeros(1, np.int32), None)


def test_a_short_log_of_ratings_gets_the_mean_and_says_so(tmp_path):
    (tmp_path / "short.csv").write_text("user,item,rating\na,x,4\nb,y,2\n")
    short = read_log(str(tmp_path / "short.csv"), LogOptions(target="rating"))
    facts = fit_bundle(short, tmp_path / "b", FitOptions()).facts
    assert facts["recommender"] == "rating_mean"
    assert "rating_mean is fitted" in facts["note"]


def test_a_check_knows_who_can_be_fitted_on_ratings(path):
    report = check_files([str(path)], LogOptions(target="rating"))
    assert {one.name for one in report.needs if one.fits} == set(VALUE_ROWS)
    supported = {one.name for one in report.protocols if one.supported}
    assert {"random-holdout", "time-split", "given"} <= supported
