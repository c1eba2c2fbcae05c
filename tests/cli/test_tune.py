import io
import json
import shutil
from pathlib import Path

import pytest
from tests.cli.typed import typed

from matinee.core.errors import Stopped
from matinee.data.read import read_log
from matinee.recipes.tune import TuneOptions, best_settings, plan_study, run_study
from matinee.tune.budget import Budget
from matinee.tune.study import Study

SPACE = "[settings.x]\nlow = -2.0\nhigh = 2.0\ndefault = -1.0\n"
MODULE = """
def hill(settings, report):
    report.alive()
    return -(settings["x"] - 1.0) ** 2


NOT_A_FUNCTION = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tune")
    made = typed("simulate", "made", "--viewers", "300", "--items", "60", "--events", "3000", cwd=place)
    assert made.returncode == 0, made.stderr
    (place / "space.toml").write_text(SPACE)
    (place / "hills_of_tests.py").write_text(MODULE)
    return place


@pytest.fixture(scope="module")
def study(folder: Path) -> Path:
    """A study of ease that was stopped after its third trial."""
    seen: list[int] = []

    def watch(now: Study) -> None:
        seen[:] = [trial.number for trial in now.trials if trial.state == "done"]

    options = TuneOptions(budget=Budget(seconds=1e5), recommender="ease", should_stop=lambda: len(seen) >= 3)
    place = folder / "study"
    plan = plan_study(read_log([folder / "made/log.parquet"]), place, options)
    with pytest.raises(Stopped, match="go on with"):
        run_study(plan, watch)
    return place


def test_the_defaults_are_tried_first_and_the_best_is_at_least_as_good(folder: Path, study: Path):
    run = typed("status", "study", "--json", "status.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    facts = json.loads((folder / "status.json").read_text())
    assert facts["state"] == "stopped"
    assert facts["trials"][0]["settings"] == {"ridge": 100.0, "query_decay": 0.7, "decay": 0.9}
    assert facts["best"]["value"] >= facts["trials"][0]["value"]
    assert facts["spent_dollars"] > 0
    assert facts["reserved_dollars"] == 0
    assert "3 done" in run.stdout
    # It can go on: what trials read is still there.
    assert (study / "data").is_dir()


def test_a_fit_takes_the_best_settings_of_a_study(folder: Path, study: Path):
    run = typed("fit", "made/log.parquet", "--study", "study", "-o", "b", "--json", "fit.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    facts = json.loads((folder / "fit.json").read_text())
    best, _ = best_settings(study)
    assert facts["recommender"] == "ease"
    assert {name: facts["settings"][name] for name in best} == best
    assert "Settings of the study in study." in run.stdout
    assert "Quoted " in run.stdout
    assert facts["quote"]["wall_s"]["low"] <= facts["quote"]["wall_s"]["high"]


def test_a_study_that_goes_on_keeps_what_it_has_and_leaves_no_data(folder: Path, study: Path):
    shutil.copytree(study, folder / "longer")
    before = json.loads(typed("status", "longer", "--json", "-", cwd=folder).stdout)
    words = ("--recommender", "ease", "--budget", f"{before['spent_s'] + 3:.0f}s", "-o", "longer")
    run = typed("tune", "made/log.parquet", *words, "--resume", "--json", "longer.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    facts = json.loads((folder / "longer.json").read_text())
    assert [one["value"] for one in facts["trials"][:3]] == [one["value"] for one in before["trials"][:3]]
    assert facts["state"] == "done"
    assert facts["spent_s"] <= facts["budget_s"]
    assert facts["default_value"] == facts["trials"][0]["value"]
    assert "Quote: " in run.stdout
    assert "of the defaults" in run.stdout
    assert "Left unspent: " in run.stdout
    assert not (folder / "longer/data").exists()


def test_a_function_of_ones_own_is_searched(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(folder))
    words = ("--function", "hills_of_tests:hill", "--space", "space.toml", "--budget", "6s", "-o", "hill")
    run = typed("tune", *words, "--json", "hill.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    facts = json.loads((folder / "hill.json").read_text())
    assert facts["spent_s"] <= 6
    assert facts["trials"][0]["settings"] == {"x": -1.0}
    if facts["best"]:
        assert facts["best"]["value"] <= 0
    fitted = typed("fit", "made/log.parquet", "--study", "hill", "-o", "none", cwd=folder)
    assert fitted.returncode == 2
    assert "is a study of hills_of_tests:hill, not of a recommender" in fitted.stderr


LOG = ("made/log.parquet",)
HILL = ("--function", "hills_of_tests:hill")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "1min"), "give one of them"),
        ((*LOG, *HILL, "--budget", "1min"), "give one of them"),
        ((*LOG, "--budget", "soon"), "Budget 'soon': expected an amount"),
        ((*LOG, "--budget", "0usd"), "Budget '0usd'"),
        ((*LOG, "--budget", "1min", "--recommender", "eese"), "did you mean 'ease'"),
        ((*LOG, "--budget", "1min", "--recommender", "popularity"), "There is nothing to search"),
        ((*LOG, "--budget", "1min", "--set", "ridge=3"), "name it (--recommender NAME)"),
        ((*LOG, "--budget", "1min", "--recommender", "ease", "--set", "ridg=3"), "did you mean 'ridge'"),
        ((*LOG, "--budget", "1min", "--protocol", "leave-two-out"), "did you mean 'leave-one-out'"),
        ((*LOG, "--budget", "1min", "--space", "none.toml"), "none.toml"),
        ((*LOG, "--budget", "1min", "--space", "bad.toml"), "bad.toml, line 3"),
        ((*LOG, "--budget", "1min", "--recommender", "ease", "--space", "space.toml"), "'x'"),
        ((*LOG, "--budget", "1min", "--recommender", "ease", "--by", "planet"), "no such column"),
        ((*LOG, "--budget", "1min", "--json", "none/x.json"), "there is no writable folder"),
        (("nowhere.csv", "--budget", "1min"), "nowhere.csv"),
        ((*HILL, "--budget", "1min"), "--function needs a space"),
        ((*HILL, "--space", "space.toml", "--budget", "1min", "--by", "region"), "are for a log"),
        (("--function", "hills_of_tests", "--space", "space.toml", "--budget", "1min"), "module:name"),
        (("--function", "no_hills:hill", "--space", "space.toml", "--budget", "1min"), "no_hills"),
        (("--function", "hills_of_tests:hole", "--space", "space.toml", "--budget", "1min"), "has no hole"),
        (
            ("--function", "hills_of_tests:NOT_A_FUNCTION", "--space", "space.toml", "--budget", "1min"),
            "not a function",
        ),
    ],
)
def test_what_is_off_is_said_before_anything_is_spent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
):
    monkeypatch.syspath_prepend(str(folder))
    (folder / "bad.toml").write_text("[settings.ridge]\nlow = 3.0\nhihg = 5.0\n")
    viewers = ("--viewers", "made/viewers.parquet") if "--by" in words and words[:1] == LOG else ()
    run = typed("tune", *words, *viewers, "-o", "fresh", cwd=folder)
    assert run.returncode == 2, run.stderr
    assert said in run.stderr
    assert run.stderr.startswith("matinee: ")
    assert not (folder / "fresh").exists()


def test_a_folder_that_holds_something_is_left_alone(folder: Path, study: Path):
    words = ("--recommender", "ease", "--budget", "1min")
    there = typed("tune", *LOG, *words, "-o", "study", cwd=folder)
    assert there.returncode == 2
    assert "holds a study already: go on with it (--resume)" in there.stderr
    other = typed("tune", *LOG, *words, "-o", "made", cwd=folder)
    assert other.returncode == 2
    assert "made is in the way" in other.stderr
    changed = typed("tune", *LOG, *words, "--seed", "3", "--resume", "-o", "study", cwd=folder)
    assert changed.returncode == 2
    assert "The study in study has another" in changed.stderr


def test_a_study_of_something_else_is_refused_by_a_fit(folder: Path, study: Path):
    made = typed("simulate", "other", "--viewers", "300", "--items", "60", "--events", "3100", cwd=folder)
    assert made.returncode == 0
    for words, said in (
        (("other/log.parquet", "--study", "study"), "is of another log"),
        ((*LOG, "--study", "study", "--recommender", "item_knn"), "is of ease, not of item_knn"),
        ((*LOG, "--study", "study", "--recommender", "ease", "--set", "ridge=3"), "leave one of them out"),
        ((*LOG, "--study", "made"), "holds no study"),
        ((*LOG, "--study", ""), "--study is an empty text"),
        ((*LOG, "--study", "study", "--hold-out", "random-holdout"), "may have learnt from what --hold-out"),
        ((*LOG, "--study", "study", "--budget", "1min"), "leave one out"),
        ((*LOG, "--budget", "1s", "--recommender", "sequential"), "a trial and the fit after it may take"),
    ):
        run = typed("fit", *words, "-o", "none", cwd=folder)
        assert run.returncode == 2, (words, run.stderr)
        assert said in run.stderr, words
        assert not (folder / "none").exists()
    status = typed("status", "made", cwd=folder)
    assert status.returncode == 2
    assert "holds no study" in status.stderr


def test_a_narrow_terminal_takes_the_ends_of_settings_and_nothing_else():
    from rich.console import Console

    from matinee.cli.study_words import study_table, summary

    trial = {"id": 1, "state": "running", "steps": 43.0, "value": None, "curve": [[43.0, 0.11041]]}
    trial |= {"dollars": 0.0014, "seconds": 165.0, "settings": {f"setting_{i}": i for i in range(30)}}
    facts = {"trials": [trial], "best": None, "spent_dollars": 0.0014, "budget_dollars": None}
    facts |= {"budget_s": 180.0, "spent_s": 170.0, "state": "running", "reason": ""}
    console = Console(width=80, record=True, quiet=False, file=io.StringIO())
    console.print(study_table(facts))
    (row,) = [line for line in console.export_text().splitlines() if "running" in line]
    assert row.split()[:5] == ["1", "running,", "step", "43", "(0.11041)"]
    assert "165 s" in row
    assert row.rstrip().endswith("…")
    assert list(summary(facts))[1] == "No trial has been finished yet."


def test_what_was_quoted_stands_beside_the_trials_of_all_regions():
    from matinee.cli.study_words import summary

    done = {"state": "done"}
    facts = {"trials": [done, done], "best": None, "spent_dollars": 0.1, "budget_dollars": 0.2}
    region = facts | {"region": "north", "study": "north", "trials": [done]}
    trials = {"likely": 4, "low": 2, "high": 8}
    facts |= {
        "budget_s": None,
        "reason": "",
        "regions": [region],
        "quote": {"here": {"study": {"trials": trials}}},
    }
    lines = list(summary(facts))
    assert lines[0].startswith("Everybody's study: 2 trials, 2 done")
    assert lines[-1] == "Quoted about 4 trials (2 to 8), finished 3."
