"""The search as Optuna's sampler and pruner: `optuna.create_study(sampler=MatineeSampler())`.

The sampler reads Optuna's trials as this package's own (`Trial`), asks the search, and hands its settings
back. What a trial cost is its user attribute "dollars" where an objective told it, else its seconds; values
are turned so that larger is better. Pruned trials teach the search by their curves. Optuna cannot go on with
a pruned trial: where the search would, the trial is paid as a whole again, and that is how it is offered.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from matinee.core.errors import MissingExtra
from matinee.core.space import Choice, Space, Span, is_number
from matinee.tune.options import Options
from matinee.tune.search import Search
from matinee.tune.trial import Point, State, Trial

try:
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler, RandomSampler
    from optuna.search_space import intersection_search_space
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise MissingExtra("The sampler and pruner for Optuna", "optuna") from error

if TYPE_CHECKING:
    from optuna.study import Study

_STATES: Mapping[TrialState, State] = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}
# Optuna knows no budget: there is always so much left.
_PLENTY = 1e15
_MOST_WHOLE = 2**40


class MatineeSampler(BaseSampler):
    """Bayesian optimisation that learns from pruned trials and minds what trials cost.

    One objective, any direction. Settings that every trial has are searched together; others, which an
    objective asks for under conditions only, are drawn uniformly.

    Args:
        seed: the same seed, trials and costs give the same settings. None: another one every time. Seconds
            are never the same twice: to repeat a study to the letter, tell dollars, or leave costs out.
        noisy: whether the same settings give different values.
        by_cost: whether what trials cost counts when the next is chosen.
        start: how many trials are spread over the space before there is a model; None: by the number of
            settings.
    """

    def __init__(
        self,
        seed: int | None = None,
        *,
        noisy: bool = False,
        by_cost: bool = True,
        start: int | None = None,
    ) -> None:
        self._seed = secrets.randbits(63) if seed is None else seed
        self._options = Options(noisy=noisy, by_cost=by_cost, start=start)
        self._uniform = RandomSampler(seed=seed)
        self._model = _Model()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The settings that every finished or pruned trial had, with the same distribution."""
        del trial
        _one_objective(study)
        common = intersection_search_space(study.get_trials(deepcopy=False), include_pruned=True)
        return {name: kind for name, kind in common.items() if not kind.single() and _searchable(kind)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Settings for a trial, chosen together."""
        _one_objective(study)
        asked = {name: kind for name, kind in search_space.items() if _searchable(kind)}
        if not asked:
            return {}
        others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        trials = trials_of([one for one in others if _has(one, asked)], _sign(study))
        with self._model.of(study, asked, self._options) as search:
            suggestion = search.suggest(trials, _PLENTY, seed=self._seed, number=trial.number + 1)
        if suggestion is None:
            return {}
        return {name: _told(kind, suggestion.settings[name]) for name, kind in asked.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A setting that not every trial has: drawn uniformly."""
        _one_objective(study)
        return self._uniform.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Draw another seed: Optuna's parallel threads ask for it."""
        self._seed = secrets.randbits(63)
        self._uniform.reseed_rng()


class MatineePruner(BasePruner):
    """Stops a trial whose curve foretells an end with little chance of beating the best.

    A forecast is made from the curves of completed trials with the same settings to choose, so nothing is
    pruned before three of them have reported.

    Args:
        by_cost: whether a trial is stopped too where the rest of it promises far less for what it costs than
            a new trial would: right where time or money is what ends the study, and not a number of trials.
    """

    def __init__(self, *, by_cost: bool = False) -> None:
        self._by_cost = by_cost
        self._model = _Model()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to stop a trial after what it has just reported."""
        _one_objective(study)
        if not trial.intermediate_values:
            return False
        asked = {
            name: kind
            for name, kind in trial.distributions.items()
            if not kind.single() and _searchable(kind)
        }
        others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        trials = trials_of([*(one for one in others if _has(one, asked)), trial], _sign(study))
        with self._model.of(study, asked, Options(by_cost=self._by_cost and bool(asked))) as search:
            return not search.keep_on(trials, trial.number + 1)


class _Model:
    """One search that is kept from call to call, for one thread at a time; a copy or a file keeps none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[str, ...] = ()
        self._search: Search | None = None

    @contextmanager
    def of(self, study: Study, asked: Mapping[str, BaseDistribution], options: Options) -> Iterator[Search]:
        """The search of a study in what Optuna's distributions stand for."""
        key = (study.study_name, repr(sorted(asked.items())), repr(options))
        with self._lock:
            if self._search is None or key != self._key:
                self._key, self._search = key, Search(space_of(asked), options)
            yield self._search

    def __reduce__(self) -> tuple[type[_Model], tuple[()]]:
        return _Model, ()


def space_of(distributions: Mapping[str, BaseDistribution]) -> Space:
    """The space that Optuna's distributions stand for.

    A range with steps becomes the whole numbers of its steps; values that are no numbers become the texts of
    their positions.
    """
    return {name: _values_of(kind) for name, kind in distributions.items()}


def _values_of(kind: Any) -> Choice | Span:
    if isinstance(kind, CategoricalDistribution):
        if all(is_number(choice) for choice in kind.choices):
            return Choice(tuple(kind.choices))
        return Choice(tuple(str(at) for at in range(len(kind.choices))))
    if _stepped(kind):
        return Span(low=0, high=round((kind.high - kind.low) / kind.step), whole=True)
    if isinstance(kind, IntDistribution):
        return Span(low=kind.low, high=kind.high, log=kind.log, whole=True)
    if isinstance(kind, FloatDistribution):
        return Span(low=kind.low, high=kind.high, log=kind.log)
    raise TypeError(f"expected a distribution of Optuna's, found {kind!r}")


def _told(kind: Any, value: Any) -> Any:
    """A value of the space as Optuna knows it."""
    if isinstance(kind, CategoricalDistribution):
        return kind.choices[int(value)] if isinstance(value, str) else value
    if _stepped(kind):
        return min(kind.low + value * kind.step, kind.high)
    return value


def _taken(kind: Any, value: Any) -> Any:
    """A value of Optuna's as the space knows it."""
    if isinstance(kind, CategoricalDistribution):
        numbers = all(is_number(choice) for choice in kind.choices)
        return value if numbers else str(int(kind.to_internal_repr(value)))
    return round((value - kind.low) / kind.step) if _stepped(kind) else value


def _stepped(kind: Any) -> bool:
    if isinstance(kind, IntDistribution):
        return kind.step != 1
    return isinstance(kind, FloatDistribution) and kind.step is not None


def _searchable(kind: BaseDistribution) -> bool:
    """Whether a cube can hold it: ranges as wide as numbers go are drawn uniformly instead."""
    if isinstance(kind, (FloatDistribution, IntDistribution)):
        if not is_number(kind.high - kind.low):
            return False
        return isinstance(kind, FloatDistribution) or max(abs(kind.low), abs(kind.high)) <= _MOST_WHOLE
    return isinstance(kind, CategoricalDistribution)


def _one_objective(study: Study) -> None:
    if len(study.directions) != 1:
        raise ValueError(
            f"Matinee searches one objective, found {len(study.directions)}: make one figure of them, or "
            "take a sampler of Optuna's for several, such as NSGAIISampler."
        )


def _sign(study: Study) -> float:
    return 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0


def _has(trial: FrozenTrial, asked: Mapping[str, BaseDistribution]) -> bool:
    return all(trial.distributions.get(name) == kind for name, kind in asked.items())


def trials_of(frozen: Sequence[FrozenTrial], sign: float) -> list[Trial]:
    """Optuna's trials as this package's, numbered from 1; those that wait are left out.

    Args:
        frozen: of one study.
        sign: 1 where larger values are better, -1 where smaller ones are.
    """
    started = [trial for trial in frozen if trial.state in _STATES]
    steps = [step for trial in started for step in trial.intermediate_values]
    # Optuna's steps may begin at 0; a step here is how many were done by then.
    shift = max(1 - min(steps, default=1), 0)
    ends = [max(one.intermediate_values) for one in started if _ended(one) and one.intermediate_values]
    whole = float(max(ends) + shift) if ends else None
    rate = _dollars_per_second(started)
    return [_trial_of(trial, sign, shift, whole, _paid(trial, rate)) for trial in started]


def _trial_of(trial: FrozenTrial, sign: float, shift: int, whole: float | None, dollars: float) -> Trial:
    reports = {step + shift: value for step, value in sorted(trial.intermediate_values.items())}
    last = max(reports, default=0)
    curve = tuple(
        Point(step=step, value=sign * value, dollars=dollars * step / last)
        for step, value in reports.items()
        if math.isfinite(value)
    )
    ended = _ended(trial)
    state = "failed" if trial.state == TrialState.COMPLETE and not ended else _STATES[trial.state]
    return Trial(
        number=trial.number + 1,
        settings={name: _taken(trial.distributions[name], value) for name, value in trial.params.items()},
        state=state,
        curve=curve,
        steps=whole,
        value=sign * float(trial.value or 0.0) if ended else None,
        dollars=dollars,
        # Nothing of a pruned trial is kept: going on with it means to pay for it all again.
        lost_dollars=dollars if state == "stopped" else 0.0,
    )


def _ended(trial: FrozenTrial) -> bool:
    """Whether a trial has a value that can be learnt from."""
    return trial.state == TrialState.COMPLETE and trial.value is not None and math.isfinite(trial.value)


def _paid(trial: FrozenTrial, rate: float) -> float:
    told: Any = trial.user_attrs.get("dollars")
    return float(told) if is_number(told) and told >= 0 else rate * _seconds(trial)


def _dollars_per_second(trials: Sequence[FrozenTrial]) -> float:
    """What a second is taken to cost where a trial did not tell dollars: 1, or as those which did."""
    both = [(_paid(one, 0.0), _seconds(one)) for one in trials if is_number(one.user_attrs.get("dollars"))]
    seconds = sum(spent for _, spent in both)
    return sum(paid for paid, _ in both) / seconds if seconds > 0 else 1.0


def _seconds(trial: FrozenTrial) -> float:
    if trial.datetime_start is None:
        return 0.0
    end = trial.datetime_complete or datetime.now()
    return max((end - trial.datetime_start).total_seconds(), 0.0)
