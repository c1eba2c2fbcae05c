"""A fit by region: who gets a model of their own, what it learns from, and how it goes on when broken off."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.recipes.two_ways import two_ways

from matinee.answers.manifest import bury, read_manifest
from matinee.answers.model import load
from matinee.answers.regions import REGIONS
from matinee.core.errors import InputError, SettingsError, Stopped
from matinee.core.run import Run
from matinee.data.forget import forget
from matinee.data.homes import homes_by, homes_of, only_of
from matinee.data.split import split_log
from matinee.evaluate.aim import aim_of
from matinee.evaluate.evidence import Evidence
from matinee.recipes.fit import FitOptions, fit_bundle, fit_model
from matinee.recipes.fit_regions import region_row, verdict_of
from matinee.recipes.isolate import Tried
from matinee.recommenders.transitions import Transitions

OPTIONS = FitOptions(recommender="transitions", by="region", least_viewers=40)


@pytest.fixture(scope="module")
def log():
    return two_ways()


@pytest.fixture(scope="module")
def model(log):
    return fit_model(log, OPTIONS)


def own_fit(log, name):
    homes = homes_of(log.viewer_table, "region")
    return Transitions().fit(only_of(log, homes.codes == homes.names.index(name)))


def rows_of(model):
    return {row["region"]: row for row in model.facts["regions"]["rows"]}


def assert_same_part(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in other.tensors.items():
        np.testing.assert_array_equal(one.tensors[name], tensor)


def test_regions_that_go_their_own_way_get_a_model_of_their_own(log, model):
    rows = rows_of(model)
    assert {name: row["answers"] for name, row in rows.items()} == {
        "east": "own",
        "west": "own",
        "small": "shared",
    }
    west = rows["west"]
    assert west["own"] > west["shared"] + 0.03
    assert west["p"] < 0.05
    assert (west["viewers"], west["events"]) == (130, 1300)
    assert west["asked"] >= 50
    assert model.parts[REGIONS].settings["regions"] == ["east", "west"]
    assert model.name == "transitions"


def test_a_region_is_chosen_by_everything_that_its_viewers_did_later(log, monkeypatch):
    class Enough(Exception):
        """What is asked for has been seen."""

    def seen(_shared, split, *_others):
        raise Enough(split.protocol, split.targets)

    monkeypatch.setattr("matinee.recipes.fit.fit_regions", seen)
    with pytest.raises(Enough) as found:
        fit_model(log, OPTIONS)
    assert found.value.args == ("time-split", "successive")
    # Where there are no times, nobody is asked for more than one event.
    timeless = replace(log, histories=replace(log.histories, times=None), order="order")
    with pytest.raises(Enough) as found:
        fit_model(timeless, OPTIONS)
    assert found.value.args == ("leave-one-out", "next")


def test_a_region_that_is_too_small_shares_and_says_so(model):
    small = rows_of(model)["small"]
    assert small["why"] == "12 viewers with events, a model of its own takes 40"
    assert small["own"] is None
    assert model.facts["regions"]["unknown_viewers"] == 8


def test_a_regions_model_learnt_from_its_own_viewers_alone(log, model):
    for number, name in ((1, "east"), (2, "west")):
        assert_same_part(model.parts[f"region{number}-transitions"], own_fit(log, name).parts["transitions"])
    assert_same_part(model.parts["transitions"], Transitions().fit(log).parts["transitions"])


def test_all_costs_are_told(model):
    facts = model.facts
    assert 0 < facts["fit_cpu_s"] <= facts["all_cpu_s"]


def test_where_no_region_is_better_off_the_bundle_is_a_plain_one(log, tmp_path):
    """Everybody goes the same way, and one region more is known of nobody."""
    same = replace(log, viewer_table=pa.table({"id": log.viewers.arrow, "region": ["all"] * log.n_viewers}))
    fitted = fit_bundle(same, tmp_path / "b", OPTIONS)
    (row,) = fitted.facts["regions"]["rows"]
    assert (row["answers"], row["own"]) == ("shared", row["shared"])
    assert row["why"] == "on validation both are equally good"
    assert not (tmp_path / "b/parts/regions").exists()
    plain = fit_bundle(log, tmp_path / "plain", FitOptions(recommender="transitions"))
    assert fitted.model.parts.keys() == plain.model.parts.keys()
    assert (
        load(tmp_path / "b").recommend(["v3"]).items.tolist() == plain.model.recommend(["v3"]).items.tolist()
    )


def test_too_few_to_ask_share(log):
    homes, split = homes_of(log.viewer_table, "region"), split_log(log)
    row = region_row(log, split, homes, homes.names.index("small"), 1)
    assert row["why"] == f"validation asks {row['asked']} viewers, of fewer than 50 it tells too little"
    assert row["asked"] <= 12
    none = region_row(log, None, homes, 0, 1)
    assert none["why"].startswith("validation asks 0 viewers")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("plan", "--by plan: the viewers' table has no such column; it has region, age."),
        ("nothing", "--by nothing: the viewers' table has no such column; it has region, age."),
    ],
)
def test_a_column_that_is_not_there_is_refused_with_those_that_are(log, column, words):
    with pytest.raises(InputError) as refused:
        fit_model(log, replace(OPTIONS, by=column))
    assert str(refused.value) == words


def test_a_log_without_a_table_of_viewers_is_refused(log):
    with pytest.raises(InputError, match="needs a table of viewers with that column"):
        fit_model(replace(log, viewer_table=None), OPTIONS)
    empty = pa.table({"id": log.viewers.arrow, "region": pa.nulls(log.n_viewers, pa.string())})
    with pytest.raises(InputError, match="empty for everybody"):
        fit_model(replace(log, viewer_table=empty), OPTIONS)
    with pytest.raises(SettingsError, match="at least 1"):
        fit_model(log, replace(OPTIONS, least_viewers=0))
    with pytest.raises(SettingsError, match="about regions"):
        fit_model(log, replace(OPTIONS, by=None))
    with pytest.raises(InputError, match="leave --by or --target rating out"):
        fit_model(replace(log, target="rating"), replace(OPTIONS, recommender="rating_mean"))


def test_a_country_is_read_as_a_region_and_any_other_column_will_do(log):
    assert homes_by(log, "Country").column == "region"
    ages = homes_by(log, "age")
    assert (ages.column, len(ages.names)) == ("age", log.n_viewers)


def test_what_is_held_out_no_region_sees(log, tmp_path):
    fit_bundle(log, tmp_path / "b", replace(OPTIONS, hold_out="leave-one-out"))
    learnt = split_log(log, "leave-one-out").train_and_validation
    model = load(tmp_path / "b")
    assert model.parts[REGIONS].settings["regions"] == ["east", "west"]
    told = replace(own_fit(learnt, "west"), log=learnt).recommend(["v140", "v150"])
    assert model.recommend(["v140", "v150"]).items.tolist() == told.items.tolist()
    assert len(model.log) == len(log) - log.n_viewers


def test_the_deleted_are_in_no_regions_model(log, tmp_path):
    fit_bundle(log, tmp_path / "b", FitOptions(recommender="popularity"))
    bury(tmp_path / "b", frozenset({"v0", "v1"}))
    again = fit_bundle(log, tmp_path / "b", OPTIONS)
    left = forget(log, {"v0", "v1"})
    assert_same_part(again.model.parts["region1-transitions"], own_fit(left, "east").parts["transitions"])
    assert rows_of(again.model)["east"]["viewers"] == 128


def test_a_fit_that_was_broken_off_goes_on_with_the_regions_that_are_left(log, model, tmp_path):
    place = tmp_path / "b.unfinished"
    stop = []

    def watch(doing, share):
        if doing.startswith("regions") and list(place.glob("regions/last-*/0.json")):
            stop.append(doing)

    run = Run(should_stop=lambda: bool(stop))
    with pytest.raises(Stopped, match="what is finished is kept"):
        fit_bundle(log, tmp_path / "b", replace(OPTIONS, run=run), watch)
    assert not (tmp_path / "b").exists()
    done = {path: path.stat().st_mtime_ns for path in place.glob("regions/*/0.json")}
    assert len(done) >= 4
    with pytest.raises(InputError, match="another least number of viewers"):
        fit_bundle(log, tmp_path / "b", replace(OPTIONS, least_viewers=41, resume=True))
    moved = log.viewer_table.set_column(1, "region", pa.array(["east"] * log.n_viewers))
    with pytest.raises(InputError, match="another place of viewers"):
        fit_bundle(replace(log, viewer_table=moved), tmp_path / "b", replace(OPTIONS, resume=True))
    seen = []

    def watch_again(doing, share):
        seen.extend(path for path in done if path.exists() and path.stat().st_mtime_ns != done[path])

    said = []
    fitted = fit_bundle(log, tmp_path / "b", replace(OPTIONS, resume=True), watch_again, said.append)
    assert not seen
    assert "going on from it" in said[0]
    assert not place.exists()
    for name, part in model.parts.items():
        assert_same_part(fitted.model.parts[name], part)
    assert fitted.facts["all_cpu_s"] > fitted.facts["fit_cpu_s"]
    told = read_manifest(tmp_path / "b")["regions"]
    assert (told["column"], told["least_viewers"], told["metric"]) == ("region", 40, "ndcg@10")
    assert [row["region"] for row in told["rows"]] == ["east", "small", "west"]


def tried(value, error=""):
    sums = np.full((4, 1), value)
    found = Evidence(names=["ndcg@10"], sums=sums, counts=np.ones(4, np.int64), coverage={}, tied=0.0)
    return Tried(settings={}, found={"validation@0": found}, error=error)


@pytest.mark.parametrize(
    ("own", "shared", "answers", "words"),
    [
        (tried(0.3), tried(0.2), "own", "its own model is the better one"),
        (tried(0.2), tried(0.3), "shared", "the shared model is the better one"),
        (tried(0.2), tried(0.2), "shared", "both are equally good"),
        (tried(0.9, "It ran out of memory."), tried(0.2), "shared", "could not be fitted: It ran out"),
    ],
)
def test_the_better_mean_on_validation_is_chosen(own, shared, answers, words):
    found = verdict_of(aim_of(None, (10,)), shared, own, "validation@0")
    assert found["answers"] == answers
    assert words in found["why"]
