"""Fits whose settings a study found: one that is there, or one that is made first within the same budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from matinee.core.electricity import electricity_dollars
from matinee.core.errors import InputError
from matinee.data.fingerprint import fingerprint_ids
from matinee.data.log import InteractionLog
from matinee.data.split import split_log
from matinee.recipes.fit import Fitted, fit_bundle
from matinee.recipes.fit_options import FitOptions
from matinee.recipes.forecast import fit_work, this_machine, wall_s
from matinee.recipes.progress import Progress
from matinee.recipes.quote import Asked, duration, quote, searched
from matinee.recipes.tune import TuneOptions, Watch, best_settings, plan_study, quote_words, run_study
from matinee.recipes.tune_regions import region_settings
from matinee.report.numbers import money
from matinee.tune.budget import Budget
from matinee.tune.events import NAME
from matinee.tune.prices import PRICES
from matinee.tune.study import open_study
from matinee.tune.trial import Trial

# What a last fit may take of what it is predicted to from a trial of the same settings.
_SPARE = 1.5
# The share of a budget that may be kept back for the last fit; where that takes more, nothing is searched.
_MOST_KEPT = 0.5


@dataclass(frozen=True, kw_only=True)
class Within:
    """A budget that a search and the fit after it share.

    Attributes:
        budget: what both may spend.
        study: where the search is kept.
        began: where the clock stood when the command began.
        workers: how many trials run side by side.
    """

    budget: Budget
    study: Path
    began: float
    workers: int = 1


def fit_quoted(
    log: InteractionLog,
    output: Path,
    options: FitOptions,
    progress: Progress,
    say: Callable[[str], None],
) -> Fitted:
    """Fit and write a bundle; what was foretold stands beside what it came to."""
    asked = Asked(recommender=options.recommender, settings=options.settings, histories=options.histories)
    quoted = quote(log, asked, replace(PRICES, machines=()))
    fitted = fit_bundle(log, output, options, progress, say)
    return replace(fitted, facts={**fitted.facts, "quote": quoted.facts["here"]["fit"]})


def by_study(log: InteractionLog, options: FitOptions, study: Path) -> FitOptions:
    """The options with the settings that a study of the same log found.

    Raises:
        InputError: the study is of another log or recommender, it has learnt from what is to be held out, or
            it has finished no trial.
    """
    settings, about = best_settings(study)
    same = {
        "log": log.fingerprint,
        "viewers": fingerprint_ids(log.viewers),
        "items": fingerprint_ids(log.items),
    }
    for what, here in same.items():
        if about[what] != here:
            raise InputError(
                f"The study in {study} is of another log ({what}): give the files and LOG options that it "
                "was made with, or make a study of this log."
            )
    if options.recommender not in (None, about["recommender"]):
        raise InputError(
            f"The study in {study} is of {about['recommender']}, not of {options.recommender}: leave "
            "--recommender out, or name another study."
        )
    if options.settings:
        raise InputError("--set and --study both give settings: leave one of them out.")
    if options.hold_out is not None:
        told = about["split"]
        if split_log(log, options.hold_out, seed=options.seed).facts() != told:
            raise InputError(
                f"The study in {study} chose by a {told['protocol']} of seed {told['seed']}, and may have "
                f"learnt from what --hold-out {options.hold_out} of seed {options.seed} holds out: hold out "
                f"the same, or make a study with --protocol {options.hold_out}."
            )
    own = {} if options.by is None else region_settings(study, about)
    return replace(options, recommender=about["recommender"], settings=settings, region_settings=own)


def fit_within(  # noqa: PLR0913 (what is fitted, where, how, within what, and who is told)
    log: InteractionLog,
    output: Path,
    options: FitOptions,
    within: Within,
    *,
    progress: Progress,
    say: Callable[[str], None],
    watch: Watch,
) -> Fitted:
    """Quote, search, fit with what was found, write the bundle: all within one budget.

    What the last fit may take is kept back first. Of the settings whose fit surely fits what is left
    afterwards, as their own trial showed what they take, the best are fitted.

    Raises:
        InputError: the budget is too small for a trial and a fit.
        Stopped: it was stopped; the study can go on.
    """
    kept_s = wall_s(
        fit_work(options.recommender or searched(log), options.settings, log), this_machine()
    ).high
    left = _less(within.budget, time.perf_counter() - within.began)
    if kept_s > _MOST_KEPT * _all_s(left):
        raise InputError(
            f"The budget is {duration(_all_s(within.budget))} of this machine; a trial and the fit after it "
            f"may take {duration(2 * kept_s)}: give {money(electricity_dollars(2 * kept_s))}, or that long, "
            "or leave --budget out."
        )
    search = TuneOptions(
        budget=_less(left, kept_s),
        recommender=options.recommender,
        settings=options.settings,
        protocol=options.hold_out,
        seed=options.seed,
        workers=within.workers,
        resume=options.resume,
        run=options.run,
    )
    plan = plan_study(log, within.study, search)
    say(quote_words(plan))
    # A study that goes on was paid for before this command began.
    began = within.began - _searched_s(within.study)
    found = run_study(plan, watch)
    rest_s = _all_s(_less(within.budget, time.perf_counter() - began))
    best = _affordable(within.study, rest_s, len(log) / max(1, len(plan.split.train)))
    settings = {**options.settings, **(best.settings if best else plan.first or {})}
    last = replace(options, recommender=plan.recommender, settings=settings)
    fitted = fit_bundle(log, output, last, progress, say)
    spent_s = time.perf_counter() - began
    facts = {
        "study": str(within.study),
        "study_spent_dollars": found["spent_dollars"],
        "study_value": None if best is None else best.value,
        "default_value": found["default_value"],
        "budget_dollars": within.budget.dollars,
        "budget_s": within.budget.seconds,
        "spent_dollars": electricity_dollars(spent_s),
        "spent_s": spent_s,
        "quote": plan.quoted["here"]["fit"],
    }
    return replace(fitted, facts={**fitted.facts, **facts})


def _searched_s(study: Path) -> float:
    """Wall seconds that earlier sessions of a study took."""
    return open_study(study).clock if (study / NAME).is_file() else 0.0


def _affordable(study: Path, rest_s: float, larger: float) -> Trial | None:
    """The best trial whose settings can be fitted on the whole log in what is left; None: no trial's can.

    Args:
        study: the study.
        rest_s: wall seconds that are left.
        larger: how many times as large as the trials' log the whole one is.
    """
    opened = open_study(study)
    done = [trial for trial in opened.trials if trial.value is not None]
    fitting = [trial for trial in done if _SPARE * larger * trial.seconds <= rest_s]
    if opened.best in fitting:
        return opened.best
    return max(fitting, key=lambda trial: trial.value or 0.0, default=None)


def _less(budget: Budget, seconds: float) -> Budget:
    """What is left of a budget after so many wall seconds."""
    price = electricity_dollars(1.0)
    return Budget(
        dollars=None if budget.dollars is None else max(1e-9, budget.dollars - seconds * price),
        seconds=None if budget.seconds is None else max(1e-3, budget.seconds - seconds),
    )


def _all_s(budget: Budget) -> float:
    """Wall seconds that a budget lasts on this machine."""
    price = electricity_dollars(1.0)
    by_money = float("inf") if budget.dollars is None or not price else budget.dollars / price
    return min(by_money, float("inf") if budget.seconds is None else budget.seconds)
