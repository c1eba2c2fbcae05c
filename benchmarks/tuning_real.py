"""What a budget buys on real logs: `matinee tune`, Optuna's TPE with as much, and the defaults.

    python benchmarks/tuning_real.py --dir studies
    python benchmarks/tuning_real.py --dir studies --sets ml-100k --budget 2min

Of each log the last event of every viewer is the test, the one before it validation. Both searches get the
same recommender, the same space, the same objective (a fit on what is left, judged on validation), the same
processes, meter and log of `matinee.tune`, the defaults as their first trial, and the same budget each. TPE
runs every trial to its end; ours may stop them. Then the defaults and the best of either are fitted once more
and judged on the test, once. Bars: ours not worse than the defaults on any log (the interval of the paired
difference over viewers does not lie below 0), better by interval on one, and not worse than TPE on any.

A study that was cut short goes on when the program is started again; what is judged is not judged again.
Results go to results/tuning_real.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.seeds import generator
from matinee.core.space import Choice, Space, Span, in_order, is_there
from matinee.core.statistics import bootstrap_means, interval_of, sign_flip_p
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.evaluate.evidence import Evidence
from matinee.recipes.handover import write_handover
from matinee.recipes.isolate import Job, run_isolated
from matinee.recipes.tune import DATA, Plan, TuneOptions, plan_study, run_study, write_data
from matinee.recipes.tune_objective import FACTORY, STEPS
from matinee.tune.budget import read_budget
from matinee.tune.objective import BuiltBy
from matinee.tune.run import tune
from matinee.tune.trial import Suggestion, Trial
from place import data_folder
from stamp import RESULTS, one_thread, stamp, write_result

OURS, TPE, DEFAULTS = "matinee", "tpe", "defaults"


@dataclass(frozen=True, kw_only=True)
class Set:
    """A log under the data folder, and what its events mean."""

    log: str
    options: dict[str, Any] = field(default_factory=dict)


SETS = {
    "beauty": Set(log="amazon-beauty/interactions.csv.gz"),
    "toys": Set(log="amazon-toys/interactions.csv.gz"),
    "ml-100k": Set(log="ml-100k/u.data"),
}


class Tpe:
    """Optuna's TPE behind the interface of `matinee.tune`: a function of the trials, so that it can go on."""

    def __init__(self, space: Space, first: Mapping[str, Any] | None) -> None:
        self.space, self.first = space, first

    def suggest(
        self, trials: Sequence[Trial], left_dollars: float, *, seed: int, number: int
    ) -> Suggestion | None:
        """The defaults, then what TPE asks for; it knows no price, so it may take all that is left."""
        import optuna

        if number == 1 and self.first is not None:
            return Suggestion(settings=self.first, why="given", dollars=0.0, most_dollars=left_dollars)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        drawn = int(generator(seed, "tpe", number).integers(2**31))
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=drawn))
        for trial in trials:
            if trial.value is not None:
                study.add_trial(self._told(trial))
        asked, found = study.ask(), dict[str, Any]()
        for name in in_order(self.space):
            values = self.space[name]
            if is_there(values, found):
                found[name] = _asked(asked, name, values)
        return Suggestion(settings=found, why="model", dollars=0.0, most_dollars=left_dollars)

    def keep_on(self, *_: Any) -> bool:
        """Always."""
        return True

    def best_of(self, trials: Sequence[Trial]) -> int | None:
        """The best value."""
        done = [trial for trial in trials if trial.value is not None]
        return max(done, key=lambda trial: trial.value or 0.0).number if done else None

    def _told(self, trial: Trial) -> Any:
        """A done trial in Optuna's words; numbers outside of the space are moved to its edge."""
        import optuna

        places, known = dict[str, Any](), dict[str, Any]()
        for name, value in trial.settings.items():
            values = self.space[name]
            known[name] = _distribution(values)
            places[name] = (
                values.values.index(value)
                if isinstance(values, Choice)
                else min(max(value, values.low), values.high)
            )
        return optuna.trial.create_trial(params=places, distributions=known, value=trial.value)


def _distribution(values: Choice | Span) -> Any:
    import optuna.distributions as known

    if isinstance(values, Choice):
        return known.CategoricalDistribution(tuple(range(len(values.values))))
    if values.whole:
        return known.IntDistribution(int(values.low), int(values.high), log=values.log)
    return known.FloatDistribution(values.low, values.high, log=values.log)


def _asked(trial: Any, name: str, values: Choice | Span) -> Any:
    if isinstance(values, Choice):
        return values.values[trial.suggest_categorical(name, tuple(range(len(values.values))))]
    if values.whole:
        return trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def search(plan: Plan, name: str) -> dict[str, Any]:
    """One search of a log, from where it was left: the facts of its study."""
    kept = plan.folder.with_suffix(".json")
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    facts = run_study(plan) if name == OURS else _search_by_tpe(plan)
    assert facts["best"] is not None, f"{plan.folder}: the budget is too small for one trial"
    kept.write_text(json.dumps(facts), encoding="utf-8")
    return facts


def _search_by_tpe(plan: Plan) -> dict[str, Any]:
    """The same objective, processes and budget; another search."""
    write_data(plan)
    options = plan.options
    objective = BuiltBy(
        FACTORY,
        {
            "study": str(plan.folder.absolute()),
            "place": str((plan.folder / DATA).absolute()),
            "recommender": plan.recommender,
            "settings": {},
            "searched": list(plan.space),
            "seed": options.seed,
        },
    )
    result = tune(
        objective,
        plan.space,
        budget=options.budget,
        folder=plan.folder,
        workers=options.workers,
        steps=STEPS,
        seed=options.seed,
        resume=True,
        search=Tpe(plan.space, plan.first),
    )
    return result.to_json()


def judged(plan: Plan, tries: Mapping[str, Mapping[str, Any]]) -> dict[str, Evidence]:
    """The test, for each of these settings, fitted on what trials were fitted on."""
    words = json.dumps([plan.recommender, list(tries.values())], sort_keys=True)
    place = plan.folder.parent / f"test-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
    handover = place / "handover"
    if not place.exists():
        handover.mkdir(parents=True)
        write_handover(handover, plan.split, both=False)
    job = Job(name=plan.recommender, tries=list(tries.values()), judge=("test",), at=(10,))
    found = {}
    for name, tried in zip(tries, run_isolated(handover, place / "job", job), strict=True):
        if tried.error:
            raise RuntimeError(f"{name}: {tried.error}")
        found[name] = tried.found["test"]
    return found


def difference(one: Evidence, other: Evidence, metric: str) -> dict[str, float]:
    """The paired difference of two recommenders over viewers, with its interval and p."""
    column = one.names.index(metric)
    sums = one.sums[:, [column]] - other.sums[:, [column]]
    drawn = bootstrap_means(sums, one.counts)[:, 0]
    mean = float(sums.sum() / one.counts.sum())
    return {**interval_of(mean, drawn).to_json(), "p": float(sign_flip_p(sums)[0])}


def row_of(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One log: both searches, then the test."""
    chosen = SETS[name]
    log = read_log(str(data_folder() / chosen.log), LogOptions(**chosen.options))
    folder = asked.dir / name
    folder.mkdir(parents=True, exist_ok=True)
    plans = {
        one: plan_study(
            log,
            folder / one,
            TuneOptions(
                budget=read_budget(asked.budget),
                recommender=asked.recommender,
                protocol="leave-one-out",
                resume=True,
            ),
        )
        for one in (OURS, TPE)
    }
    facts = {one: search(plan, one) for one, plan in plans.items()}
    tries = {DEFAULTS: {}} | {one: found["best"]["settings"] for one, found in facts.items()}
    evidence = judged(plans[OURS], tries)
    metric = "ndcg@10"
    return {
        "set": name,
        "recommender": plans[OURS].recommender,
        "metric": metric,
        "default_validation": _first_value(plans[OURS], facts[OURS]),
        "searches": {one: _told(found) for one, found in facts.items()},
        "test": {one: found.mean(metric) for one, found in evidence.items()},
        "over_defaults": difference(evidence[OURS], evidence[DEFAULTS], metric),
        "over_tpe": difference(evidence[OURS], evidence[TPE], metric),
    }


def _first_value(plan: Plan, facts: Mapping[str, Any]) -> float | None:
    found: float | None = facts["trials"][0]["value"] if plan.first is not None else None
    return found


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    states = [trial["state"] for trial in facts["trials"]]
    return {
        "best": facts["best"],
        "trials": {state: states.count(state) for state in sorted(set(states))},
        **{key: facts[key] for key in ("budget_s", "spent_s", "budget_dollars", "spent_dollars")},
    }


def bars_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Which bars hold."""
    over = {one: np.array([row[one]["high"] for row in rows]) for one in ("over_defaults", "over_tpe")}
    low = np.array([row["over_defaults"]["low"] for row in rows])
    spent = [one for row in rows for one in row["searches"].values()]
    return {
        "not worse than the defaults on any": bool((over["over_defaults"] >= 0).all()),
        "better than the defaults on one": bool((low > 0).any()),
        "not worse than TPE on any": bool((over["over_tpe"] >= 0).all()),
        "overspend: none": all(
            one[f"spent_{unit}"] <= one[f"budget_{unit}"]
            for one in spent
            for unit in ("s", "dollars")
            if one[f"budget_{unit}"] is not None
        ),
    }


def say(row: Mapping[str, Any]) -> None:
    print(row["set"], {name: round(value, 5) for name, value in row["test"].items()})
    for name in ("over_defaults", "over_tpe"):
        one = row[name]
        print(f"   {name}: {one['mean']:+.5f} [{one['low']:+.5f} {one['high']:+.5f}] p {one['p']:.4f}")
    for name, one in row["searches"].items():
        spent = f"{one['spent_s']:.0f} s" if one["budget_s"] is not None else f"${one['spent_dollars']:.4f}"
        print(f"   {name}: {one['trials']}, spent {spent}, validation {one['best']['value']:.5f}", flush=True)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dir", type=Path, required=True, help="where the studies are kept")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--budget", default="30min", help="of each search of each log")
    parser.add_argument("--recommender", default=None, help="whose settings; as `matinee tune` has it")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(words)
    one_thread()
    rows = []
    for name in asked.sets.split(","):
        rows.append(row_of(name, asked))
        say(rows[-1])
    bars = bars_of(rows)
    write_result("tuning_real", {**stamp(), "budget": asked.budget, "rows": rows, "bars": bars}, asked.out)
    print(bars)
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
