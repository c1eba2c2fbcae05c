"""The sampler and the pruner, held to Optuna's own suite and to what they promise beyond it."""

import pickle
import subprocess
import sys

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState, create_trial

from matinee.tune.optuna import MatineePruner, MatineeSampler, space_of, trials_of
from matinee.tune.space import Cube

optuna.logging.set_verbosity(optuna.logging.WARNING)


class TestMatineeSampler(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: MatineeSampler(seed=0)


def bowl(trial):
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    layers = trial.suggest_int("layers", 1, 6)
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    trial.set_user_attr("dollars", 0.01)
    return abs(rate**0.25 - 0.4) + 0.1 * abs(layers - 3) + (kind is not None) * 0.2


def searched(objective, direction, n, sampler=None):
    study = optuna.create_study(direction=direction, sampler=sampler or MatineeSampler(seed=1))
    study.optimize(objective, n_trials=n)
    return study


def test_the_model_finds_what_uniform_draws_do_not():
    ours = searched(bowl, "minimize", 30)
    drawn = [
        searched(bowl, "minimize", 30, optuna.samplers.RandomSampler(seed=seed)).best_value
        for seed in range(5)
    ]
    assert ours.best_value < min(drawn)


def test_up_and_down_are_the_same_and_a_seed_says_it_all():
    down = searched(bowl, "minimize", 16)
    up = searched(lambda trial: -bowl(trial), "maximize", 16)
    assert [trial.params for trial in down.trials] == [trial.params for trial in up.trials]
    assert down.trials[5].params != searched(bowl, "minimize", 6, MatineeSampler(seed=2)).trials[5].params


def test_a_sampler_that_was_kept_in_a_file_goes_on_as_if_nothing_had_been():
    study = searched(bowl, "minimize", 12)
    kept = pickle.loads(pickle.dumps(study.sampler))  # noqa: S301 - our own
    space = study.sampler.infer_relative_search_space(study, study.trials[-1])
    study.ask()
    ask = study.trials[-1]
    assert kept.sample_relative(study, ask, space) == study.sampler.sample_relative(study, ask, space)
    study.sampler.reseed_rng()
    assert kept.sample_relative(study, ask, space) != study.sampler.sample_relative(study, ask, space)


def test_two_threads_share_a_sampler():
    study = optuna.create_study(sampler=MatineeSampler(seed=0))
    study.optimize(bowl, n_trials=14, n_jobs=2)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


def test_every_distribution_becomes_a_space_and_its_values_come_back():
    kinds = {
        "float": FloatDistribution(0.1, 2.0),
        "log": FloatDistribution(1e-3, 1.0, log=True),
        "steps": FloatDistribution(-1.0, 1.0, step=0.1),
        "ones": FloatDistribution(0.0, 5.0, step=1.0),
        "whole": IntDistribution(-3, 9),
        "twos": IntDistribution(2, 10, step=2),
        "logged": IntDistribution(1, 999, log=True),
        "numbers": CategoricalDistribution([32, 64, 128]),
        "mixed": CategoricalDistribution([None, True, 1, "1", float("nan")]),
    }
    cube = Cube.of(space_of(kinds))
    assert cube.free.tolist() == [True, True] + [False] * (cube.n - 2)
    study = optuna.create_study(sampler=MatineeSampler(seed=0))
    for _ in range(12):
        trial = study.ask(kinds)
        study.tell(trial, trial.params["float"])
        for name, kind in kinds.items():
            assert kind._contains(kind.to_internal_repr(trial.params[name])), (name, trial.params[name])
    # The model has taken over: a draw that is not uniform any more is near the least of what counts.
    assert min(trial.params["float"] for trial in study.trials[-4:]) < 0.3


def test_ranges_as_wide_as_numbers_go_are_drawn_uniformly():
    study = optuna.create_study(sampler=MatineeSampler(seed=0))
    kinds = {"large": IntDistribution(0, 2**50)}
    for _ in range(3):
        study.tell(study.ask(kinds), 1.0)
    assert study.sampler.infer_relative_search_space(study, study.trials[-1]) == {}


def made(state=TrialState.COMPLETE, value=None, reports=None, **attributes):
    return create_trial(
        state=state,
        value=value,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
        intermediate_values=reports or {},
        user_attrs=attributes,
    )


def numbered(trials):
    study = optuna.create_study()
    study.add_trials(trials)
    return study.trials


def test_what_a_trial_says_is_what_the_search_reads():
    frozen = numbered(
        [
            made(value=2.0, reports={0: 3.0, 1: float("nan"), 3: 2.0}, dollars=0.4),
            made(TrialState.PRUNED, value=5.0, reports={0: 5.0, 1: 4.5}, dollars=0.2),
            made(TrialState.FAIL),
            made(value=float("inf")),
        ]
    )
    whole, pruned, failed, endless = trials_of(frozen, -1.0)
    assert (whole.state, whole.value, whole.dollars, whole.steps) == ("done", -2.0, 0.4, 4.0)
    assert [(p.step, p.value) for p in whole.curve] == [(1, -3.0), (4, -2.0)]
    assert [p.dollars for p in whole.curve] == pytest.approx([0.1, 0.4])
    assert (pruned.state, pruned.value, pruned.steps) == ("stopped", None, 4.0)
    # Nothing of it is kept: going on would cost the whole again.
    assert pruned.lost_dollars == pruned.dollars == 0.2
    assert (failed.state, endless.state, endless.value) == ("failed", "failed", None)
    assert [trial.number for trial in (whole, pruned, failed, endless)] == [1, 2, 3, 4]


def test_seconds_stand_in_for_dollars_at_the_rate_of_those_that_told_both():
    from datetime import timedelta

    frozen = numbered([made(value=1.0), made(value=1.0), made(value=1.0)])
    for trial, seconds in zip(frozen, (10, 20, 30), strict=True):
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=seconds)
    assert [trial.dollars for trial in trials_of(frozen, 1.0)] == [10, 20, 30]
    frozen[1].set_user_attr("dollars", 5.0)
    assert [trial.dollars for trial in trials_of(frozen, 1.0)] == [2.5, 5.0, 7.5]
    frozen[1].set_user_attr("dollars", "much")
    assert [trial.dollars for trial in trials_of(frozen, 1.0)] == [10, 20, 30]


def curve(level, sign, first=0):
    return {first + step: sign * level * (1 - 0.5**step) for step in range(8)}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("by_cost", [False, True])
def test_a_hopeless_curve_is_pruned_and_a_promising_one_is_not(direction, first, by_cost):
    sign = 1 if direction == "maximize" else -1
    pruner = pickle.loads(pickle.dumps(MatineePruner(by_cost=by_cost)))  # noqa: S301 - our own
    study = optuna.create_study(direction=direction, pruner=pruner)
    for at in range(12):
        reports = curve(1 + at / 10, sign, first)
        study.add_trial(made(value=reports[first + 7], reports=reports, dollars=0.1))
    answers = {}
    for level in (0.2, 3.0):
        trial = study.ask({"x": FloatDistribution(0, 1)})
        trial.set_user_attr("dollars", 0.05)
        for step, value in list(curve(level, sign, first).items())[:4]:
            trial.report(value, step)
        answers[level] = trial.should_prune()
        study.tell(trial, state=TrialState.FAIL)
    assert answers == {0.2: True, 3.0: False}


def test_a_study_without_settings_can_be_pruned_too():
    study = optuna.create_study(direction="maximize", pruner=MatineePruner(by_cost=True))
    for at in range(12):
        reports = curve(1 + at / 10, 1)
        study.add_trial(create_trial(value=reports[7], intermediate_values=reports))
    trial = study.ask()
    for step, value in list(curve(0.2, 1).items())[:4]:
        trial.report(value, step)
    assert trial.should_prune()


def test_nothing_is_pruned_before_three_have_ended_or_where_nothing_was_reported():
    study = optuna.create_study(pruner=MatineePruner())
    trial = study.ask()
    assert not trial.should_prune()
    trial.report(float("nan"), 0)
    assert not trial.should_prune()
    trial.report(1e9, 1)
    assert not trial.should_prune()
    study.add_trials([made(value=0.0, reports=curve(0.0, 1)) for _ in range(3)])
    assert not study.ask().should_prune()


def test_sampler_and_pruner_together_pay_for_fewer_steps_and_lose_nothing():
    steps = []

    def objective(trial):
        end = bowl(trial)
        for step in range(20):
            steps.append(step)
            trial.report(end + 2.0 * 0.8**step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return end + 2.0 * 0.8**19

    study = optuna.create_study(sampler=MatineeSampler(seed=0), pruner=MatineePruner())
    study.optimize(objective, n_trials=30)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.PRUNED) >= 3
    assert len(steps) < 0.9 * 30 * 20
    assert study.best_value < 0.15


def test_without_optuna_one_line_says_what_to_install():
    code = "import sys; sys.modules['optuna'] = None; import matinee.tune.optuna"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert run.stderr.splitlines()[-1].endswith("for Optuna needs: pip install 'matinee[optuna]'")
