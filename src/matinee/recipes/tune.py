"""Searching the settings of a recommender on a log: refuse, quote, divide, search, say what it came to.

```
STUDY/about.json     which study it is: log, recommender, protocol, seed
STUDY/log.jsonl      everything that happened (`matinee.tune.events`)
STUDY/data/          training events and validation queries, while there is something to go on with
STUDY/regions/NAME/  with --by: each region's own study; STUDY itself is everybody's
```
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError, SettingsError
from matinee.core.memory import require
from matinee.core.run import Run
from matinee.core.settings import config_values
from matinee.core.space import Space
from matinee.data.fingerprint import fingerprint_ids
from matinee.data.homes import Homes
from matinee.data.log import InteractionLog
from matinee.data.split import Split, split_log
from matinee.recipes.choose import aim_to_choose_by, split_to_choose_on
from matinee.recipes.fit_options import LEAST_VIEWERS
from matinee.recipes.quote import Asked, asked_of, duration, quote
from matinee.recipes.rows import predicted, require_place, trains
from matinee.recipes.tune_folder import begin_study, read_about
from matinee.recipes.tune_objective import FACTORY, STEPS, write_trials
from matinee.recipes.tune_space import first_settings, price_facts, space_of
from matinee.recommenders import make_recommender
from matinee.report.numbers import money
from matinee.tune.budget import Budget
from matinee.tune.local import Limits
from matinee.tune.objective import BuiltBy
from matinee.tune.options import Options
from matinee.tune.prices import PRICES
from matinee.tune.run import StudyResult, tune
from matinee.tune.search import Search
from matinee.tune.study import Study

DATA = "data"
# Fewer validation viewers say too little of which settings are better.
FEWEST_ASKED = 50
# What a worker's process takes before its fit begins, torch included.
_PROCESS_BYTES = 300 * 2**20
# A fit that trains tells of each pass; a closed form tells nothing until it is done.
_SILENT_S = 6 * 3600.0


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """How a search of a recommender's settings goes.

    Attributes:
        budget: what it may spend.
        recommender: its name; None: the default one.
        settings: settings that stay as they are.
        space: what it may change; None: the recommender's own space.
        protocol: whose validation judges; None: the one that a choice among recommenders is made on.
        seed: of split, fits and search.
        workers: how many trials run side by side.
        resume: go on with the study of the folder.
        run: device and precision.
        by: a column of the viewers' table: each of its regions has a study of its own; None: none has.
        least_viewers: a region of fewer viewers has none.
        should_stop: asked often; once it says yes, the study stops and can go on later.
        command: what was typed after `matinee`, for whoever runs the study again.
    """

    budget: Budget
    recommender: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    space: Space | None = None
    protocol: str | None = None
    seed: int = 0
    workers: int = 1
    resume: bool = False
    run: Run = field(default_factory=Run)
    by: str | None = None
    least_viewers: int = LEAST_VIEWERS
    should_stop: Callable[[], bool] = lambda: False
    command: tuple[str, ...] = ()


Watch = Callable[[Study], None]
"""Called with a study about once a second."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study that nothing stands against.

    Attributes:
        log: the log.
        folder: the study's.
        options: how it goes.
        recommender: the name of what is searched.
        space: what may change.
        split: whose train is fitted on and whose validation judges.
        first: the defaults, tried first; None: the space does not hold them.
        quoted: the JSON of `quote`.
        homes: where viewers are, with studies by region; else None.
    """

    log: InteractionLog
    folder: Path
    options: TuneOptions
    recommender: str
    space: Space
    split: Split
    first: Mapping[str, Any] | None
    quoted: dict[str, Any]
    homes: Homes | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What tells this study from every other, in words that people understand."""
        settings = config_values(make_recommender(self.recommender, self.options.settings).config)
        return {
            "kind": "recommender",
            "recommender": self.recommender,
            "given": dict(self.options.settings),
            "settings": settings,
            "log": self.log.fingerprint,
            "viewers": fingerprint_ids(self.log.viewers),
            "items": fingerprint_ids(self.log.items),
            "split": self.split.facts(),
            "metric": aim_to_choose_by(self.log).metric,
            "seed": self.options.seed,
            "by": None if self.homes is None else self.homes.column,
            "least_viewers": None if self.homes is None else self.options.least_viewers,
        }


def plan_study(log: InteractionLog, folder: Path, options: TuneOptions, homes: Homes | None = None) -> Plan:
    """Refuse what cannot be searched, and say what it will cost, before any work.

    Raises:
        SettingsError: an unknown recommender, setting or protocol, or a space with impossible values.
        MissingExtra: what the recommender needs is not installed.
        TooLarge: trials side by side would need more memory than there is.
        InputError: the log is too short to hold anything back, or the folder holds another study.
    """
    asked = asked_of(log, options.recommender, options.settings, budget=options.budget)
    name = options.recommender or asked.studied or ""
    space = space_of(name, options.settings, options.space)
    require_place([name], options.run)
    split = (
        split_log(log, options.protocol, seed=options.seed)
        if options.protocol
        else split_to_choose_on(log, seed=options.seed)
    )
    if split is None or not len(split.validation):
        raise InputError(
            "The log is too short to hold anything back: there is nothing to choose settings by."
        )
    needed = _PROCESS_BYTES + predicted(name, options.settings, split.train).memory_bytes
    many = f"{options.workers} trials side by side" if options.workers > 1 else "a trial"
    require(options.workers * needed, f"{many} of {name}", "take fewer workers, or a machine with more")
    whole = Asked(
        recommender=name,
        settings=options.settings,
        studied=name,
        space=space,
        budget_dollars=options.budget.dollars,
        budget_s=options.budget.seconds,
    )
    return Plan(
        log=log,
        folder=folder,
        options=options,
        recommender=name,
        space=space,
        split=split,
        first=first_settings(name, options.settings, space, split.train),
        quoted=quote(log, whole, PRICES).facts,
        homes=homes,
    )


def quote_words(plan: Plan) -> str:
    """The quote of a study, in a line."""
    study = plan.quoted["here"]["study"]
    low, likely, high = (f"{study['trials'][name]:,.0f}" for name in ("low", "likely", "high"))
    return (
        f"Quote: {duration(study['wall_s']['likely'])} here, {money(study['dollars']['likely'])} of "
        f"electricity, for about {likely} trials of {plan.recommender} ({low} to {high}). "
        f"{plan.quoted['verdict']}"
    )


def run_study(plan: Plan, watch: Watch = lambda _study: None) -> dict[str, Any]:
    """Search: the JSON of `tune`.

    Raises:
        InputError: the folder holds another study, or one already and `resume` is not set.
        Stopped: it was stopped; what is finished is kept, and it can go on.
    """
    begin_study(plan.folder, plan.about, resume=plan.options.resume, command=plan.options.command)
    write_data(plan)
    result = search_one(plan, plan.folder, plan.options.budget, watch=watch)
    shutil.rmtree(plan.folder / DATA, ignore_errors=True)
    return study_words(plan, result)


def write_data(plan: Plan) -> None:
    """Write what trials may see, anew: what an earlier session left may be half of it."""
    place = plan.folder / DATA
    for old in (place, place.with_suffix(".draft")):
        shutil.rmtree(old, ignore_errors=True)
    draft = place.with_suffix(".draft")
    draft.mkdir(parents=True)
    codes = None if plan.homes is None else plan.homes.codes
    write_trials(draft, plan.split, seed=plan.options.seed, homes=codes)
    draft.rename(place)


def search_one(
    plan: Plan,
    folder: Path,
    budget: Budget,
    *,
    watch: Watch,
    given: tuple[Mapping[str, Any], ...] = (),
    home: int | None = None,
) -> StudyResult:
    """One study: everybody's, or a region's.

    Args:
        plan: what is searched.
        folder: where this study is kept.
        budget: its own.
        watch: called with it about once a second.
        given: settings to try after the defaults.
        home: the code of the region; None: everybody.
    """
    options, name = plan.options, plan.recommender
    objective = BuiltBy(
        FACTORY,
        {
            "study": str(folder.absolute()),
            "place": str((plan.folder / DATA).absolute()),
            "recommender": name,
            "settings": dict(options.settings),
            "searched": list(plan.space),
            "device": options.run.device,
            "precision": options.run.precision,
            "home": home,
            "seed": options.seed,
        },
    )
    first = () if plan.first is None else (plan.first,)
    search = Search(
        plan.space,
        Options(
            given=(*first, *given),
            noisy=trains(name),
            workers=options.workers,
            facts=price_facts(name, options.settings, plan.split.train),
        ),
    )
    region = None if home is None or plan.homes is None else plan.homes.names[home]
    return tune(
        objective,
        plan.space,
        budget=budget,
        folder=folder,
        workers=options.workers,
        steps=STEPS if trains(name) else None,
        seed=options.seed,
        resume=options.resume,
        search=search,
        region=region,
        limits=Limits(silence_s=None if trains(name) else _SILENT_S),
        tell=watch,
        should_stop=options.should_stop,
    )


def study_words(plan: Plan, result: StudyResult) -> dict[str, Any]:
    """What a study of a recommender came to: the JSON of `tune`."""
    return {
        **mended(result, plan.first is not None),
        "recommender": plan.recommender,
        "metric": aim_to_choose_by(plan.log).metric,
        "protocol": plan.split.protocol,
        "quote": {name: plan.quoted[name] for name in ("here", "verdict")},
    }


def mended(result: StudyResult, with_defaults: bool) -> dict[str, Any]:
    """The JSON of `status`, with what the defaults came to and what is left of the budget.

    Args:
        result: what a study came to.
        with_defaults: whether its first trial was that of the defaults.
    """
    facts, budget = result.facts, result.ledger.budget
    first = facts["trials"][0] if facts["trials"] and with_defaults else None
    spent = result.ledger.spent_dollars
    return {
        **facts,
        "default_value": first["value"] if first is not None and first["state"] == "done" else None,
        "left_dollars": None if budget.dollars is None else budget.dollars - spent,
        "left_s": None if budget.seconds is None else budget.seconds - result.seconds,
    }


def best_settings(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The best settings of a study of a recommender, those that stayed included, and what it is about.

    Raises:
        InputError: there is no study of a recommender, or it finished no trial.
    """
    from matinee.tune.study import open_study

    about = read_about(folder)
    if about.get("kind") != "recommender":
        raise SettingsError(
            f"{folder} is a study of {about.get('objective')}, not of a recommender: no fit can take it."
        )
    best = open_study(folder).best
    if best is None:
        raise InputError(
            f"The study in {folder} has finished no trial: go on with it (matinee tune --resume)."
        )
    return {**about["given"], **best.settings}, about
