import json
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace

import pytest
from tests.cli.typed import typed

from matinee.core.errors import InputError, SettingsError
from matinee.core.space import Choice, Space, Span
from matinee.data.homes import homes_by
from matinee.data.log import InteractionLog
from matinee.recipes import fit_study
from matinee.recipes.fit import Fitted
from matinee.recipes.fit_options import FitOptions
from matinee.recipes.fit_study import Within, by_study, fit_within
from matinee.recipes.progress import Progress
from matinee.recipes.tune import TuneOptions, plan_study
from matinee.recipes.tune_export import command_again, space_of_study, to_repeat
from matinee.recipes.tune_folder import REGIONS, begin_study
from matinee.recipes.tune_function import budget_words
from matinee.recipes.tune_regions import MOST_OFFERED, offered, region_folder, run_by_region
from matinee.recipes.tune_status import study_status
from matinee.recommenders.ease import Ease
from matinee.simulate.options import SimulationOptions
from matinee.simulate.tables import simulate_log
from matinee.tune.budget import Budget
from matinee.tune.events import NAME as LOG
from matinee.tune.events import Log, encode, read_events
from matinee.tune.recorder import open_recorder
from matinee.tune.run import tune
from matinee.tune.study import open_study

SPACE: Space = {"ridge": Span(low=5.0, high=500.0, log=True), "decay": Choice((0.8, 0.9, 1.0))}


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return simulate_log(SimulationOptions(viewers=700, items=60, events=8_000, regions=2))


@pytest.fixture(scope="module")
def by_region(log: InteractionLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regions") / "study"
    options = TuneOptions(
        budget=Budget(seconds=60.0), recommender="ease", space=SPACE, by="region", least_viewers=100
    )
    plan = plan_study(log, folder, options, homes_by(log, "region"))
    facts = run_by_region(plan)
    (folder.parent / "facts.json").write_text(json.dumps(facts))
    return folder


def test_regions_share_one_budget_and_each_is_offered_what_was_found_before(by_region: Path):
    facts = json.loads((by_region.parent / "facts.json").read_text())
    regions = facts["regions"]
    assert [one["region"] for one in regions] == ["region-1", "region-2"]
    spent = facts["spent_s"] + sum(one["spent_s"] for one in regions)
    assert spent <= 60.0
    assert facts["left_s"] == pytest.approx(60.0 - spent, abs=0.1)
    before = [facts["best"]]
    for one in regions:
        # Of what found something, everybody's study and those of earlier regions are offered.
        assert one["offered"] == len({json.dumps(best["settings"]) for best in before if best})
        given = [trial["settings"] for trial in one["trials"] if trial["why"] == "given"]
        known = [best["settings"] for best in before if best]
        assert all(settings in known for settings in given[1:])
        before.append(one["best"])
    assert not (by_region / "data").exists()
    assert len(study_status(by_region)["regions"]) == 2


def test_a_fit_by_region_takes_each_regions_own_settings(by_region: Path, log: InteractionLog):
    if open_study(by_region).best is None:
        pytest.skip("this machine finished no trial in a minute")
    options = by_study(log, FitOptions(by="region"), by_region)
    assert options.recommender == "ease"
    for region, settings in options.region_settings.items():
        best = open_study(by_region / "regions" / region).best
        assert best is not None
        assert settings == best.settings
    with pytest.raises(InputError, match="is of another log"):
        by_study(replace(log, fingerprint="another"), FitOptions(), by_region)


def test_no_more_than_three_studies_are_offered_the_first_and_the_latest():
    found = [{"x": number} for number in range(9)]
    assert offered(found) == ({"x": 0}, {"x": 8}, {"x": 7})
    assert len(offered(found)) == MOST_OFFERED
    assert offered(found[:1] * 4) == ({"x": 0},)
    assert offered([]) == ()


def test_a_regions_folder_stays_in_the_studys(tmp_path: Path):
    names = ["Oslo", "../up", "data", "a/b", "a_b", "", ".."]
    places = [region_folder(tmp_path, name) for name in names]
    assert len(set(places)) == len(names)
    assert all(place.parent == tmp_path / "regions" and place.name not in ("", ".", "..") for place in places)


def silent(_doing: str, _share: float) -> None:
    pass


PROGRESS: Progress = silent


def test_quote_search_fit_and_bundle_are_within_one_budget(log: InteractionLog, tmp_path: Path):
    said: list[str] = []
    within = Within(budget=Budget(seconds=30.0), study=tmp_path / "b.study", began=perf_counter())
    fitted = fit_within(
        log,
        tmp_path / "b",
        FitOptions(recommender="ease"),
        within,
        progress=PROGRESS,
        say=said.append,
        watch=lambda _study: None,
    )
    facts = fitted.facts
    assert open_study(within.study).clock < 30.0
    assert said[0].startswith("Quote: ")
    best = open_study(within.study).best
    if best is not None:
        assert facts["study_value"] is not None
        assert facts["study_value"] <= (best.value or 0.0)
    assert (tmp_path / "b/manifest.json").is_file()


def test_what_an_earlier_session_searched_is_no_longer_there_for_the_last_fit(
    log: InteractionLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recorder = open_recorder(tmp_path / "b.study", resume=True)
    about = {"space": {}, "seed": 0, "steps": None, "region": None}
    recorder.begin(Budget(seconds=1000.0), 1e-6, about, tmp_path)
    recorder.close()
    path = tmp_path / "b.study" / LOG
    path.write_bytes(encode(0, replace(next(read_events(path.parent)), clock=600.0)))
    left = []
    plan = SimpleNamespace(first={}, recommender="ease", split=SimpleNamespace(train=log))
    plan.quoted = {"here": {"fit": {}}}
    monkeypatch.setattr(fit_study, "plan_study", lambda *_: plan)
    monkeypatch.setattr(fit_study, "quote_words", str)
    monkeypatch.setattr(fit_study, "run_study", lambda *_: {"spent_dollars": 0.0, "default_value": None})
    monkeypatch.setattr(fit_study, "_affordable", lambda *told: left.append(told[1]))
    fitted = Fitted(model=Ease(), bundle=tmp_path, facts={})
    monkeypatch.setattr(fit_study, "fit_bundle", lambda *_: fitted)
    within = Within(budget=Budget(seconds=1000.0), study=tmp_path / "b.study", began=perf_counter())
    told = {"progress": PROGRESS, "say": lambda _words: None, "watch": lambda _study: None}
    found = fit_within(log, tmp_path / "b", FitOptions(recommender="ease", resume=True), within, **told)
    assert left[0] < 400.0
    assert found.facts["spent_s"] > 600.0


def test_a_study_that_is_going_on_keeps_its_data(tmp_path: Path):
    begin_study(tmp_path / "s", {"kind": "function"}, resume=False)
    for place in (tmp_path / "s", tmp_path / "s" / REGIONS / "north"):
        log = Log(place)
        with pytest.raises(InputError, match="another coordinator"):
            begin_study(tmp_path / "s", {"kind": "function"}, resume=True)
        log.close()
    begin_study(tmp_path / "s", {"kind": "function"}, resume=True)


def test_a_study_that_never_began_is_not_exported(tmp_path: Path):
    begin_study(tmp_path / "s", {"kind": "function"}, resume=False)
    Log(tmp_path / "s").close()
    with pytest.raises(InputError, match="never began"):
        to_repeat(tmp_path / "s", tmp_path / "again")


def test_steps_that_are_none_are_refused(tmp_path: Path):
    for steps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="steps"):
            tune("a:b", SPACE, budget="1s", folder=tmp_path / "s", steps=steps)
    assert not (tmp_path / "s").exists()


def test_electricity_that_costs_nothing_has_words_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MATINEE_WATTS", "0")
    assert "costs nothing" in budget_words(Budget(dollars=1.0))


def test_a_budget_too_small_for_a_trial_and_a_fit_is_refused(log: InteractionLog, tmp_path: Path):
    within = Within(budget=Budget(seconds=0.5), study=tmp_path / "s", began=perf_counter())
    with pytest.raises(InputError, match="may take"):
        fit_within(
            log,
            tmp_path / "b",
            FitOptions(recommender="blend"),
            within,
            progress=PROGRESS,
            say=lambda _words: None,
            watch=lambda _study: None,
        )
    assert not (tmp_path / "s").exists()


def test_a_stranger_gets_the_space_and_the_command(by_region: Path, tmp_path: Path):
    study = open_study(by_region)
    assert space_of_study(study) == SPACE
    to_repeat(by_region, tmp_path / "again")
    assert "ridge" in (tmp_path / "again/space.toml").read_text()
    typed_before = ["tune", "a.csv", "--budget", "5usd", "-o", "x", "--resume", "--space=y", "--json", "-"]
    again = ["matinee", "tune", "a.csv", "--budget", "5usd", "--space", "space.toml", "-o", "study"]
    assert command_again(typed_before) == again


def test_an_export_says_where_to(by_region: Path, tmp_path: Path):
    nowhere = typed("export", str(by_region), cwd=tmp_path)
    assert nowhere.returncode == 2
    assert "--optuna URL, or --repeat DIR" in nowhere.stderr
    missing = typed("export", "none", "--repeat", "again", cwd=tmp_path)
    assert missing.returncode == 2
    assert "holds no study" in missing.stderr
    pytest.importorskip("optuna")
    done = typed("export", str(by_region), "--optuna", "sqlite:///x.db", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.db").is_file()
