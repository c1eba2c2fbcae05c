"""A study in Optuna's storage: everything is there, once, and errors are sentences."""

import dataclasses
import subprocess
import sys

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from matinee.core.errors import InputError
from matinee.core.space import Choice, Span
from matinee.tune.optuna_export import export_optuna
from matinee.tune.trial import Point, Trial

SPACE = {
    "rate": Span(low=1e-4, high=1.0, log=True),
    "layers": Span(low=1, high=4, whole=True),
    "decays": Choice(((0.9,), (0.6, 0.95))),
    "momentum": Span(low=0.0, high=0.99, when=("layers", (2,))),
}
CURVE = (Point(step=1, value=0.2, dollars=0.01), Point(step=2, value=0.5, dollars=0.02))
FIRST = {"rate": 0.1, "layers": 2, "decays": (0.9,), "momentum": 0.9}
TRIALS = [
    Trial(
        number=1,
        settings=FIRST,
        state="done",
        value=0.5,
        curve=CURVE,
        dollars=0.02,
        seconds=40.0,
        why="given",
    ),
    Trial(
        number=2,
        settings={"rate": 2.0, "layers": 1, "decays": [0.6, 0.95]},
        state="stopped",
        curve=CURVE[:1],
        dollars=0.01,
        reason="its curve promises less than the best",
    ),
    Trial(
        number=3, settings=FIRST, state="failed", dollars=0.005, lost_dollars=0.005, reason="out of memory"
    ),
    Trial(number=4, settings=FIRST, state="running", curve=(Point(step=0.5, value=0.1, dollars=0.001),)),
    Trial(number=5, settings={**FIRST, "extra": "fixed"}, state="waiting", repeats=1, why="repeat"),
]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'study.db'}"


def test_trials_are_there_with_all_that_is_known_of_them(url):
    said = export_optuna(TRIALS, "nights", url, space=SPACE)
    assert said == f"Study 'nights' with 5 trials is in {url}: optuna-dashboard {url}"
    study = optuna.load_study(study_name="nights", storage=url)
    done, stopped, failed, running, waiting = study.trials
    assert [trial.state for trial in study.trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.RUNNING,
        TrialState.WAITING,
    ]
    assert (study.best_trial.number, study.best_value) == (0, 0.5)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert done.params == {"rate": 0.1, "layers": 2, "decays": "[0.9]", "momentum": 0.9}
    assert done.intermediate_values == {1: 0.2, 2: 0.5}
    assert (done.user_attrs["dollars"], done.user_attrs["why"]) == (0.02, "given")
    assert done.duration.total_seconds() == pytest.approx(40.0)
    # What a condition leaves out is not there; what was tried outside of the space is in its distribution.
    assert stopped.params == {"rate": 2.0, "layers": 1, "decays": "[0.6, 0.95]"}
    assert stopped.distributions == {
        "rate": FloatDistribution(1e-4, 2.0, log=True),
        "layers": IntDistribution(1, 4),
        "decays": CategoricalDistribution(["[0.9]", "[0.6, 0.95]"]),
    }
    assert stopped.value == 0.2
    assert (failed.user_attrs["reason"], failed.user_attrs["lost_dollars"]) == ("out of memory", 0.005)
    # A step of one half is none of Optuna's: it goes by its position.
    assert (running.intermediate_values, running.user_attrs["steps"]) == ({1: 0.1}, [0.5])
    assert waiting.system_attrs["fixed_params"]["extra"] == "fixed"
    assert waiting.user_attrs["repeats"] == 1
    # Optuna's own tables and figures read it.
    assert len(study.trials_dataframe()) == 5


def test_optuna_goes_on_with_what_waits(url):
    export_optuna([*TRIALS[:3], dataclasses.replace(TRIALS[4], settings=FIRST)], "nights", url, space=SPACE)
    study = optuna.load_study(study_name="nights", storage=url)
    trial = study.ask()
    assert (trial.number, trial.suggest_float("rate", 1e-4, 2.0, log=True)) == (3, 0.1)


def test_the_same_export_twice_is_there_once_and_another_is_refused(url):
    export_optuna(TRIALS, "nights", url, space=SPACE)
    said = export_optuna(TRIALS, "nights", url, space=SPACE)
    assert said == f"Study 'nights' is in {url} already, with the same 5 trials."
    with pytest.raises(InputError, match="has another study 'nights', or an older or unfinished export"):
        export_optuna(TRIALS[:3], "nights", url, space=SPACE)
    export_optuna(TRIALS[:3], "days", url, space=SPACE)
    studies = optuna.get_all_study_summaries(storage=url)
    assert {study.study_name: study.n_trials for study in studies} == {"nights": 5, "days": 3}


def test_an_export_that_was_cut_short_is_not_taken_for_a_whole_one(url):
    study = optuna.create_study(study_name="nights", storage=url, direction="maximize")
    study.ask()
    with pytest.raises(InputError, match="optuna delete-study --storage"):
        export_optuna(TRIALS, "nights", url, space=SPACE)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("study.db", "storage study.db cannot be used: .*Give one such as sqlite:///study.db"),
        ("sqlite:////no/such/folder/study.db", "cannot be used: .*unable to open database file"),
        ("nothing://me:secret@host/x", r"storage nothing://me:\*\*\*@host/x cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_used_is_told_in_a_sentence(url, said):
    with pytest.raises(InputError, match=said) as caught:
        export_optuna(TRIALS, "nights", url, space=SPACE)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_without_trials_is_exported_too(url):
    assert "with 0 trials" in export_optuna([], "nights", url, space=SPACE)


def test_without_optuna_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from matinee.tune.optuna_export import export_optuna\n"
        "export_optuna([], 'a', 'sqlite://', space={})"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert run.stderr.splitlines()[-1].endswith("Export to Optuna needs: pip install 'matinee[optuna]'")
