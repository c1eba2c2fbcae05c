import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matinee.core.errors import SettingsError, Stopped
from matinee.core.space import Choice, Span
from matinee.data.log import InteractionLog
from matinee.data.split import Split, split_log
from matinee.recipes.handover import open_handover
from matinee.recipes.judged import judged
from matinee.recipes.tune_objective import STEPS, objective_of, write_trials
from matinee.recipes.tune_space import first_settings, price_facts, space_of
from matinee.recommenders import RECOMMENDERS, make_recommender
from matinee.simulate.options import SimulationOptions
from matinee.simulate.small import predictable
from matinee.simulate.tables import simulate_log
from matinee.tune.budget import Budget
from matinee.tune.recorder import Recorder, open_recorder

SMALL = {"width": 8, "layers": 1, "decays": (0.9,), "passes": 3, "patience": 0, "batch_events": 256}


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return simulate_log(SimulationOptions(viewers=250, items=60, events=3_000, predictability=0.8))


@pytest.fixture(scope="module")
def split(log: InteractionLog) -> Split:
    return split_log(log, "leave-one-out")


class Told:
    """A report that remembers, and that says stop after so many steps."""

    def __init__(self, folder: Path, *, number: int = 1, seed: int = 7, most: int = 99) -> None:
        self.number, self.attempt, self.seed = number, 1, seed
        self.steps: list[tuple[float, float]] = []
        self._folder, self._most = folder, most

    @property
    def checkpoints(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def __call__(self, step: float, value: float) -> None:
        self.steps.append((step, value))
        if self.should_stop():
            raise Stopped("enough")

    def should_stop(self) -> bool:
        return len(self.steps) >= self._most

    def alive(self) -> None:
        pass

    def tell(self, **facts: Any) -> None:
        pass


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with three trials: two that are tried first, and the first one again."""
    folder = tmp_path / "study"
    recorder: Recorder = open_recorder(folder, resume=False)
    about = {"space": {}, "seed": 0, "steps": None, "region": None}
    recorder.begin(Budget(dollars=1.0), 1e-6, about, folder)
    for number, repeats in ((1, None), (2, None), (3, 1)):
        trial = {"settings": {}, "seed": 5, "why": "start", "repeats": repeats, "steps": None, "region": None}
        recorder.note("created", number, dollars=0.0, **trial)
    recorder.close()
    return folder


def made(study: Path, split: Split, recommender: str, settings: dict[str, Any], searched: list[str]) -> Any:
    place = study / "data"
    place.mkdir()
    write_trials(place, split, seed=0)
    return objective_of(
        study=str(study), place=str(place), recommender=recommender, settings=settings, searched=searched
    )


def test_a_value_is_the_aims_metric_on_validation_of_a_fit_on_train(study: Path, split: Split):
    objective = made(study, split, "ease", {"decay": 0.8}, ["ridge"])
    model = make_recommender("ease", {"decay": 0.8, "ridge": 50.0}).fit(split.train, seed=0)
    expected = judged(model, split.validation, (10,)).mean("ndcg@10")
    assert objective({"ridge": 50.0}, Told(study / "1")) == pytest.approx(expected)
    assert objective({"ridge": 1e9}, Told(study / "2", number=2)) != pytest.approx(expected)


def test_the_test_is_not_handed_over_in_any_shape(study: Path, log: InteractionLog, split: Split):
    made(study, split, "ease", {}, ["ridge"])
    handover = open_handover(study / "data")
    assert json.loads((study / "data/facts.json").read_text())["sources"].keys() == {"validation"}
    with pytest.raises(FileNotFoundError):
        handover.queries("test")
    for name in ("train_and_validation", "everything"):
        with pytest.raises(KeyError):
            handover.log(name)
    # Leave-one-out: each viewer's last event is the test. No array that was written goes so far.
    last = log.histories.offsets[1:] - 1
    validation = handover.queries("validation")
    whole, handed = log.histories, validation.source
    for viewer in range(log.n_viewers):
        events = whole.times[whole.offsets[viewer] : whole.offsets[viewer + 1]]
        theirs = handed.times[handed.offsets[viewer] : handed.offsets[viewer + 1]]
        assert len(theirs) < len(events) or not len(events)
    assert len(handover.log("train")) <= len(log) - len(last)
    asked = validation.askers(np.arange(len(validation))).histories
    expected = split.validation.askers(np.arange(len(split.validation))).histories
    assert np.array_equal(asked.items, expected.items)
    assert np.array_equal(asked.offsets, expected.offsets)
    assert np.array_equal(validation.targets.values, split.validation.targets.values)


def test_ratings_are_searched_for_the_least_error(study: Path, log: InteractionLog):
    random = np.random.default_rng(0)
    stars = random.integers(1, 6, len(log)).astype(np.float32)
    rated = replace(log, target="rating", histories=replace(log.histories, values=stars))
    objective = made(study, split_log(rated, "random-holdout"), "rating_biases", {}, ["bias_ridge"])
    assert objective({"bias_ridge": 4.0}, Told(study / "1")) < 0


def test_a_network_reports_its_passes_and_goes_on_from_where_it_gave_way(study: Path, split: Split):
    pytest.importorskip("torch")
    objective = made(study, split, "sequential", SMALL, ["rate"])
    whole = Told(study / "1")
    value = objective({"rate": 0.01}, whole)
    steps = [step for step, _ in whole.steps]
    assert steps == pytest.approx([STEPS / 3, 2 * STEPS / 3, STEPS][: len(steps)])
    assert len(steps) >= 2
    halted = Told(study / "2", number=2, most=1)
    with pytest.raises(Stopped):
        objective({"rate": 0.01}, halted)
    assert len(halted.steps) == 1
    again = Told(study / "2", number=2)
    assert objective({"rate": 0.01}, again) == pytest.approx(value)
    # The first pass is not made again: by the clock it is told once more, to the last bit, or is not.
    assert again.steps in (whole.steps, whole.steps[1:])


def test_first_tries_share_a_seed_and_runs_again_have_their_own(study: Path, split: Split):
    pytest.importorskip("torch")
    objective = made(study, split, "sequential", SMALL, ["rate"])
    first, same, again = (objective({"rate": 0.01}, Told(study / str(n), number=n)) for n in (1, 2, 3))
    assert first == same
    assert first != again


def test_of_a_blend_what_no_trial_changes_is_fitted_once(study: Path, split: Split):
    pytest.importorskip("torch")
    settings = {f"sequential.{name}": value for name, value in SMALL.items()}
    objective = made(study, split, "blend", settings, ["sequential.rate", "transitions.ridge"])
    objective({"sequential.rate": 0.01, "transitions.ridge": 100.0}, Told(study / "1"))
    kept = {path: path.stat().st_mtime_ns for path in (study / "data/parts").iterdir()}
    about = [json.loads((path / "part.json").read_text())["name"] for path in kept]
    assert about == ["ials of blend"]
    objective({"sequential.rate": 0.02, "transitions.ridge": 200.0}, Told(study / "2", number=2))
    assert {path: path.stat().st_mtime_ns for path in (study / "data/parts").iterdir()} == kept
    # What a trial fitted of its own is gone with it.
    assert not list((study / "1").glob("**/part.json"))


@pytest.mark.parametrize("name", [name for name, made in RECOMMENDERS.items() if made.space])
def test_every_recommender_with_a_space_starts_from_its_defaults(name: str):
    log = predictable()
    space = space_of(name, {})
    first = first_settings(name, {}, space, log)
    assert first is not None
    assert first.keys() == space.keys()
    make_recommender(name, first)


def test_what_somebody_chose_is_not_searched():
    space = space_of("ease", {"ridge": 3.0})
    assert space.keys() == {"query_decay", "decay"}
    with pytest.raises(SettingsError, match="nothing to search"):
        space_of("popularity", {})
    with pytest.raises(SettingsError, match="did you mean 'ridge'"):
        space_of("ease", {}, {"ridg": Span(low=1.0, high=2.0)})
    with pytest.raises(SettingsError, match="sequential needs width"):
        space_of("sequential", {}, {"width": Choice((64, -3))})


def test_a_networks_price_is_known_before_it_is_trained():
    log = predictable()
    assert price_facts("ease", {}, log) is None
    for name, before in (("sequential", ""), ("blend", "sequential.")):
        facts = price_facts(name, {}, log)
        assert facts is not None
        few, many = (facts({f"{before}passes": passes})["cpu_s"] for passes in (2, 14))
        assert many > 1.2 * few > 0
