"""Fitting: what is refused before the work, what validation chooses, what the bundle then says of itself."""

import json
import os
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import matinee
from matinee.answers.manifest import bury, read_manifest
from matinee.answers.model import load
from matinee.core.errors import InputError, SettingsError, TooLarge
from matinee.data.split import split_log
from matinee.recipes import choose as choosing
from matinee.recipes import fit as fitting
from matinee.recipes.fit import FitOptions, fit_bundle, fit_model
from matinee.recipes.look_ahead import check_folder
from matinee.recipes.rows import PEOPLE, default_rows, predicts_values
from matinee.testing.made_logs import log_of, ragged

DATA = Path(os.environ.get("MATINEE_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


def chain_log(viewers=60, items=30, events=12, seed=0):
    """Everybody goes from item i to item i + 1, starting anywhere: an order that popularity cannot know."""
    random = np.random.default_rng(seed)
    starts = random.integers(0, items, viewers)
    rows = [[int((start + step) % items) for step in range(events)] for start in starts]
    times = [[1_000_000 * (1 + step) + viewer for step in range(events)] for viewer in range(viewers)]
    return log_of(rows, times=times, n_items=items, fingerprint="c" * 64)


@pytest.fixture
def log():
    return chain_log()


def test_a_named_recommender_with_settings(log):
    model = matinee.fit(log, "ease", settings={"ridge": "5"}, seed=3)
    assert model.name == "ease"
    assert model.config["ridge"] == 5.0
    assert model.facts["seed"] == 3
    assert model.facts["fitted_on"] == "everything"
    assert model.facts["metrics"] == {}
    assert "not judged" in model.facts["metrics_from"]


def test_a_handful_of_viewers_does_not_choose(log):
    """Each viewer came once and went, as in films rated in one sitting: a moment splits hardly anybody."""
    early = chain_log(viewers=210)
    times = early.histories.times + 10**9 * early.histories.rows()
    few = replace(early, histories=replace(early.histories, times=times))
    assert split_log(few).protocol == "time-split"
    assert split_log(few).validation.n_viewers < choosing.FEWEST_VIEWERS
    split = choosing.split_to_choose_on(few, seed=0)
    assert split.protocol == "leave-one-out"
    assert split.validation.n_viewers >= choosing.FEWEST_VIEWERS
    assert choosing.why_not_default(few, "leave-one-out") == "because the time-split asks too few viewers"
    assert choosing.why_not_default(few, "time-split") == ""
    assert choosing.split_to_choose_on(log, seed=0).protocol in {"time-split", "leave-one-out"}


def test_a_log_too_short_for_any_protocol_is_not_asked():
    assert choosing.split_to_choose_on(log_of([[0], [1]]), seed=0) is None


def test_validation_chooses_what_knows_the_order(log):
    model = fit_model(log, FitOptions())
    assert model.name in {"transitions", "item_knn", "ease", "sequential", "blend"}
    tried = model.facts["tried"]
    assert tried[model.name] == max(tried.values())
    assert tried[model.name] > tried["popularity"] + 0.2
    assert "friends" not in tried
    interval = model.facts["metrics"]["ndcg@10"]
    assert interval["low"] <= interval["mean"] <= interval["high"]
    assert interval["mean"] == pytest.approx(tried[model.name])
    assert "not the test" in model.facts["metrics_from"]


def test_a_log_too_short_to_ask_gets_popularity():
    model = fit_model(log_of([[0]], n_items=1), FitOptions())
    assert model.name == "popularity"
    assert model.facts["note"].startswith("Too few events to hold any back: nothing was tried")
    assert model.recommend(["stranger"]).items[0, 0] == "i0"


def test_without_histories_nobody_elses_are_tried(log):
    assert not {"friends", "user_knn"} & set(default_rows(log, histories=False).names)
    assert "user_knn" in default_rows(log).names


def test_a_fit_that_holds_out_does_not_see_the_test(log, tmp_path):
    options = FitOptions(recommender="popularity", hold_out="leave-one-out")
    fit_bundle(log, tmp_path / "b", options)
    loaded = load(tmp_path / "b")
    assert len(loaded.log) == len(log) - 60
    assert loaded.facts["fitted_on"] == "train and validation"
    assert loaded.facts["split"]["protocol"] == "leave-one-out"
    assert loaded.facts["split"]["log_sha256"] == log.fingerprint


def test_the_bundle_says_what_it_is(log, tmp_path):
    fitted = fit_bundle(log, tmp_path / "b", FitOptions(recommender="transitions", seed=1))
    manifest = read_manifest(tmp_path / "b")
    assert manifest["log"]["fingerprint"] == log.fingerprint
    assert manifest["seed"] == 1
    assert manifest["matinee"] == matinee.__version__
    assert {"created", "metrics", "metrics_from", "split", "config", "files"} <= set(manifest)
    facts = fitted.facts
    assert (facts["events"], facts["viewers"], facts["items"]) == (720, 60, 30)
    assert facts["peak_rss_mb"] > 1
    assert facts["bundle_bytes"] == sum(p.stat().st_size for p in (tmp_path / "b").rglob("*") if p.is_file())
    json.dumps(facts)


@pytest.mark.parametrize("name", sorted(matinee.recommenders()))
def test_every_recommender_answers_alike_from_its_bundle(log, tmp_path, name):
    more = {"friends": chain_friends(log)} if name == "friends" else {}
    from dataclasses import replace

    log = replace(log, **more)
    if predicts_values(name):
        values = 1 + np.arange(len(log)) * 7 % 5
        log = replace(
            log, target="rating", histories=replace(log.histories, values=values.astype(np.float32))
        )
    model = matinee.fit(log, name)
    model.save(tmp_path / "b")
    loaded = load(tmp_path / "b")
    users = [*log.viewers.ids(range(10)), "stranger"]
    before, after = model.recommend(users, k=5), loaded.recommend(users, k=5)
    assert after.sources == before.sources
    # Weights are kept in bf16: scores move by less than a hundredth of the best.
    best = np.nanmax(np.abs(before.scores))
    assert np.nanmax(np.abs(after.scores - before.scores)) < 0.01 * best
    histories = [["i3", "i4"], [], ["never heard of"], ["i1"] * 3]
    assert loaded.recommend_history(histories, k=40).codes.shape == (4, 40)
    assert loaded.similar(["i3"], k=3).items.shape == (1, 3)
    row = loaded.askers(["v0"])
    said = loaded.reasons(row, int(after.codes[0, 0]), personal=True)
    assert all(isinstance(one, str) for one in said)


def chain_friends(log):
    from matinee.testing.made_logs import ragged

    return ragged([[(viewer + 1) % log.n_viewers] for viewer in range(log.n_viewers)])


def test_the_deleted_stay_deleted_in_the_next_fit(log, tmp_path):
    fit_bundle(log, tmp_path / "b", FitOptions(recommender="popularity"))
    bury(tmp_path / "b", frozenset(["v0"]))
    fit_bundle(log, tmp_path / "b", FitOptions(recommender="popularity"))
    loaded = load(tmp_path / "b")
    assert "v0" not in loaded.log.viewers
    assert loaded.log.n_viewers == 59
    assert loaded.deleted == {"v0"}


def test_places_that_cannot_be_written_are_refused_before_any_work(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds other files"):
        check_folder(tmp_path / "mine")
    with pytest.raises(InputError, match="cannot be written"):
        check_folder(Path("/proc/nowhere/bundle"))
    check_folder(tmp_path / "new" / "deep" / "bundle")


def test_too_little_disk_or_memory_is_said_before_the_work(log, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("it must not start")

    monkeypatch.setattr(fitting, "fit_model", never)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 100))
    with pytest.raises(TooLarge, match="free"):
        fit_bundle(log, tmp_path / "b", FitOptions(recommender="ease"))
    monkeypatch.undo()
    monkeypatch.setattr("matinee.core.memory.available_bytes", lambda: 1000)
    monkeypatch.setattr("matinee.recommenders.ease.Ease.fit", never)
    with pytest.raises(TooLarge, match="fitting ease needs"):
        fit_bundle(log, tmp_path / "b", FitOptions(recommender="ease"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (FitOptions(recommender="eas"), "did you mean 'ease'"),
        (FitOptions(recommender="ease", settings={"rigde": "1"}), "did you mean 'ridge'"),
        (FitOptions(settings={"ridge": "1"}), "name it"),
        (FitOptions(hold_out="time-splt"), "did you mean 'time-split'"),
    ],
)
def test_wrong_options_are_refused_without_a_log(options, words):
    with pytest.raises(SettingsError, match=words):
        options.check()


@pytest.mark.skipif(
    not (DATA / "ml-100k" / "u.data").is_file(), reason="ml-100k is not there: set MATINEE_DATA"
)
def test_a_real_log_from_file_to_titled_reasons(tmp_path):
    log = matinee.read_log(str(DATA / "ml-100k" / "u.data"), cache=False)
    fit_bundle(log, tmp_path / "b", FitOptions(recommender="item_knn"))
    loaded = matinee.load(tmp_path / "b")
    assert loaded.recommend(["196"], k=10).sources == ["item_knn"]
    assert loaded.log.n_viewers == 943


def test_the_events_are_those_that_were_learnt_with_the_logs_own_beside(log, tmp_path):
    options = FitOptions(recommender="popularity", hold_out="leave-one-out")
    facts = fit_bundle(log, tmp_path / "b", options).facts
    assert (facts["events"], facts["log_events"]) == (660, 720)
    assert (facts["viewers"], facts["log_viewers"]) == (60, 60)
    assert len(load(tmp_path / "b").log) == 660


def test_who_ranks_and_who_predicts_values_are_not_taken_for_each_other(log, tmp_path):
    rated = replace(log, target="rating")
    with pytest.raises(SettingsError, match="popularity ranks items and predicts no value"):
        fit_bundle(rated, tmp_path / "b", FitOptions(recommender="popularity"))
    assert not (tmp_path / "b").exists()
    with pytest.raises(SettingsError, match="popularity ranks items and predicts no value"):
        matinee.compare(rated, ["popularity"])
    with pytest.raises(SettingsError, match="rating predicts the values of events: say --target rating"):
        matinee.compare(log, ["rating"])


@pytest.mark.parametrize("name", PEOPLE)
def test_what_needs_people_is_refused_without_them_before_the_work(name):
    with pytest.raises(SettingsError, match=f"{name} answers from other people's histories"):
        FitOptions(recommender=name, histories=False).check()
    with pytest.raises(SettingsError, match="ensemble answers from other people's histories"):
        FitOptions(recommender="ensemble", settings={"partners": ("ials", name)}, histories=False).check()


def test_what_needs_people_is_all_that_a_bundle_refuses_without_them(log, tmp_path):
    befriended = replace(log, friends=ragged([[1], *[[] for _ in range(log.n_viewers - 1)]]))
    refused = set()
    for name in matinee.recommenders():
        if predicts_values(name):
            continue
        model = fitting.make_recommender(name, {}).fit(befriended)
        try:
            model.save(tmp_path / name, histories=False)
        except InputError:
            refused.add(name)
    assert refused == set(PEOPLE)
