"""Who else spends a budget: random search, Optuna's samplers and pruner, EI per second, BoTorch's LogEI.

Each is asked as `matinee.tune` is (`simulated_workers.Searcher`): from the trials so far, what to run next,
and after each step whether to keep on. None of them knows of dollars or of a budget but EI per second, which
learns what a run takes. Settings of the peers are their defaults, told below where they are not.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matinee.core.seeds import generator
from matinee.core.space import Choice, Space, draw
from matinee.tune.trial import Suggestion, Trial
from simulated_workers import Searcher

# Asynchronous successive halving (Li et al. 2020): rungs at 1, 3, 9, 27 steps, the better third goes on.
RUNG, HALVING = 1, 3


def suggested(settings: Mapping[str, Any]) -> Suggestion:
    """A suggestion of someone who does not know what it costs: it reserves as it goes."""
    return Suggestion(settings=settings, why="start", dollars=0.0, most_dollars=0.0)


class Random:
    """Settings drawn at random, each run to its end."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed

    def ask(self, trials: Sequence[Trial], _: float) -> Suggestion | None:
        """Settings for one more run."""
        return suggested(draw(self.space, generator(self.seed, "random", len(trials) + 1)))

    def keep_on(self, *_: Any) -> bool:
        """Always."""
        return True


class OptunaStudy:
    """An Optuna study over its ask-and-tell interface, in memory."""

    def __init__(self, space: Space, sampler: Any, pruner: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._states = {
            "done": optuna.trial.TrialState.COMPLETE,
            "stopped": optuna.trial.TrialState.PRUNED,
            "failed": optuna.trial.TrialState.FAIL,
        }
        self._study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        self._space = distributions(space)
        self._asked: dict[int, Any] = {}

    def ask(self, trials: Sequence[Trial], _: float) -> Suggestion | None:
        """Settings for one more run."""
        for number in [number for number in self._asked if trials[number - 1].state in self._states]:
            trial = trials[number - 1]
            self._study.tell(self._asked.pop(number), trial.value, state=self._states[trial.state])
        asked = self._study.ask(self._space)
        self._asked[len(trials) + 1] = asked
        return suggested(dict(asked.params))

    def keep_on(self, trials: Sequence[Trial], number: int) -> bool:
        """What the pruner says."""
        point = trials[number - 1].curve[-1]
        self._asked[number].report(point.value, int(point.step))
        return not self._asked[number].should_prune()


def distributions(space: Space) -> dict[str, Any]:
    """A space without conditions, in Optuna's words."""
    import optuna.distributions as known

    found: dict[str, Any] = {}
    for name, values in space.items():
        if isinstance(values, Choice):
            found[name] = known.CategoricalDistribution(values.values)
        elif values.whole:
            found[name] = known.IntDistribution(int(values.low), int(values.high), log=values.log)
        else:
            found[name] = known.FloatDistribution(values.low, values.high, log=values.log)
    return found


def _optuna(sampler: str, *, halving: bool) -> Callable[[Space, int], Searcher]:
    def make(space: Space, seed: int) -> Searcher:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            samplers: dict[str, Callable[[], Any]] = {
                "random": lambda: optuna.samplers.RandomSampler(seed=seed),
                "tpe": lambda: optuna.samplers.TPESampler(seed=seed),
                "gp": lambda: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True),
            }
            chosen = samplers[sampler]()
        pruner: Any = optuna.pruners.NopPruner()
        if halving:
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=RUNG, reduction_factor=HALVING)
        return OptunaStudy(space, chosen, pruner)

    return make


class Ours:
    """`matinee.tune`'s own search."""

    def __init__(self, space: Space, seed: int) -> None:
        from matinee.tune.options import Options
        from matinee.tune.search import Search

        self.search, self.seed = Search(space, Options(workers=8)), seed

    def ask(self, trials: Sequence[Trial], left_dollars: float) -> Suggestion | None:
        """What it suggests."""
        number = len(trials) + 1
        return self.search.suggest(trials, left_dollars, seed=self.seed, number=number)

    def keep_on(self, trials: Sequence[Trial], number: int) -> bool:
        """What it says of a trial's curve."""
        return self.search.keep_on(trials, number)


def _per_second(space: Space, seed: int) -> Searcher:
    from per_second import PerSecond

    return PerSecond(space, seed)


def _botorch(space: Space, seed: int) -> Searcher:
    from botorch_search import BotorchSearch

    return BotorchSearch(space, seed)


OURS = "matinee"
SEARCHERS: dict[str, Callable[[Space, int], Searcher]] = {
    OURS: Ours,
    "random": Random,
    "random+asha": _optuna("random", halving=True),
    "tpe": _optuna("tpe", halving=False),
    "tpe+asha": _optuna("tpe", halving=True),
    "gpsampler": _optuna("gp", halving=False),
    "ei per second": _per_second,
    "botorch": _botorch,
}
# What a searcher needs beyond what this project's own development installs.
NEEDS: dict[str, str] = {"botorch": "botorch"}


def missing(name: str) -> str | None:
    """Why this searcher cannot run here; None: it can."""
    needed = NEEDS.get(name)
    if needed is None or importlib.util.find_spec(needed) is not None:
        return None
    return f"{name} is skipped: {needed} is not installed."
