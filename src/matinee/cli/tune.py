"""`matinee tune`: search settings within a budget."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.fit import LogsOrNone, own_settings
from matinee.cli.given import refuse_blank
from matinee.cli.log_options import with_log_options
from matinee.cli.output import Device, JsonPath, Output, Precision, Quiet, Seed
from matinee.core.errors import InputError
from matinee.data.options import LogOptions

if TYPE_CHECKING:
    from matinee.core.space import Space
    from matinee.recipes.tune import TuneOptions


@with_log_options
def command(
    logs: LogsOrNone = None,
    *,
    study: Annotated[str, typer.Option("-o", "--output", metavar="STUDY", help="The folder to write.")],
    budget: Annotated[
        list[str],
        typer.Option("--budget", metavar="B", help="5usd, 30min or 2h; given twice, whichever ends first."),
    ],
    log_options: LogOptions,
    function: Annotated[
        str | None,
        typer.Option("--function", metavar="MODULE:NAME", help="Search this function instead of a log."),
    ] = None,
    space: Annotated[
        str | None, typer.Option("--space", metavar="FILE", help="TOML file of what may change.")
    ] = None,
    recommender: Annotated[
        str | None, typer.Option("--recommender", metavar="NAME", help="Which; default the default one.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting that stays; may be given again."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", metavar="NAME", help="Whose validation judges; default as fit chooses."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="COLUMN", help="A study for each region of the viewers' table too."),
    ] = None,
    least_viewers: Annotated[
        int, typer.Option("--least-viewers", metavar="N", min=1, help="With --by: smaller regions share.")
    ] = 200,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Trials that run side by side.")
    ] = 1,
    steps: Annotated[
        float | None,
        typer.Option("--steps", metavar="N", help="With --function: the steps that a whole trial reports."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the study of the folder.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    json_path: JsonPath = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Search settings for the best value on validation, and never spend more than the budget.

    Of a log: those of a recommender, fitted on training events and judged by validation; the test is not
    looked at. With --function: those of `function(settings, report) -> value`, larger values being better.
    A budget is money (here the machine's electricity), time, or both. Ctrl-C stops; --resume goes on.

    Example: matinee tune ratings.csv --recommender ease --budget 5min -o study
    """
    from matinee.core.errors import Stopped

    output = Output(json_path, quiet)
    refuse_blank("-o", study, "a folder for the study")
    refuse_blank("--space", space, "a TOML file of what may change")
    refuse_blank("--by", by, "a column of the viewers' table, such as region")
    _check_call(logs, function, space, recommender, by)
    told: dict[str, Any] = {"study": Path(study), "resume": resume, "workers": workers, "seed": seed}
    try:
        if function is not None:
            facts = _of_function(function, str(space), budget, output, quiet, {**told, "steps": steps})
        else:
            options = _options(budget, space, recommender, settings, told)
            options = _judged(options, protocol, by, least_viewers, (device, precision))
            facts = _of_log(logs or [], log_options, Path(study), options, output, quiet)
    except Stopped as stop:
        words = shlex.join([*(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
        raise Stopped(f"{stop} To go on: matinee {words}") from stop
    _say(facts, study, output, of_log=function is None)
    output.result(facts)


def _check_call(
    logs: list[str] | None, function: str | None, space: str | None, recommender: str | None, by: str | None
) -> None:
    """Refuse a call that names both a log and a function, or neither."""
    if (function is None) == (not logs):
        raise InputError("matinee tune LOG... or matinee tune --function MODULE:NAME: give one of them.")
    if function is not None and space is None:
        raise InputError("--function needs a space: name a TOML file of what may change (--space FILE).")
    if function is not None and (recommender is not None or by is not None):
        raise InputError("--recommender and --by are for a log: leave them out with --function.")


def _options(
    budget: list[str],
    space: str | None,
    recommender: str | None,
    settings: list[str] | None,
    told: dict[str, Any],
) -> TuneOptions:
    from matinee.core.settings import parse_pairs
    from matinee.recipes.tune import TuneOptions
    from matinee.recommenders import make_recommender
    from matinee.tune.budget import read_budget

    given = own_settings(recommender, parse_pairs(settings or []))
    if given and recommender is None:
        raise InputError("Settings belong to a recommender: name it (--recommender NAME).")
    if recommender is not None:
        make_recommender(recommender, given)
    return TuneOptions(
        budget=read_budget(budget),
        recommender=recommender,
        settings=given,
        space=None if space is None else _read_space(space),
        seed=told["seed"],
        workers=told["workers"],
        resume=told["resume"],
    )


def _judged(
    options: TuneOptions, protocol: str | None, by: str | None, least_viewers: int, place: tuple[str, str]
) -> TuneOptions:
    """The options with who judges, by regions or not, and where fits run."""
    from dataclasses import replace

    from matinee.core.errors import unknown_name
    from matinee.core.run import Run
    from matinee.data.protocols import PROTOCOLS

    if protocol is not None and protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    run = Run(device=place[0], precision=place[1])
    typed = tuple(sys.argv[1:])
    return replace(options, protocol=protocol, by=by, least_viewers=least_viewers, run=run, command=typed)


def _read_space(path: str) -> Space:
    from matinee.tune.space_file import read_space

    return read_space(Path(path))


def _of_log(
    logs: list[str],
    log_options: LogOptions,
    folder: Path,
    options: TuneOptions,
    output: Output,
    quiet: bool,
) -> dict[str, Any]:
    from matinee.cli.study_words import watching
    from matinee.data.read import read_log
    from matinee.recipes.fit_regions import homes_to_fit_by
    from matinee.recipes.tune import plan_study, quote_words, run_study
    from matinee.recipes.tune_export import logging_to_mlflow
    from matinee.recipes.tune_folder import check_study
    from matinee.recipes.tune_regions import run_by_region

    check_study(folder, resume=options.resume)
    with output.progress() as progress:
        log = read_log(
            logs, log_options, progress=lambda doing, done, all_: progress(doing, done / max(all_, 1))
        )
    homes = None if options.by is None else homes_to_fit_by(log, options.by)
    plan = plan_study(log, folder, options, homes)
    output.say(quote_words(plan))
    with watching(quiet) as watch:
        told = logging_to_mlflow(watch, folder.name, plan.about, output.say)
        return run_study(plan, told) if homes is None else run_by_region(plan, told)


def _of_function(
    function: str, space: str, budget: list[str], output: Output, quiet: bool, told: dict[str, Any]
) -> dict[str, Any]:
    from matinee.cli.study_words import watching
    from matinee.recipes.tune_export import logging_to_mlflow
    from matinee.recipes.tune_folder import check_study
    from matinee.recipes.tune_function import budget_words, require_function, tune_function
    from matinee.tune.budget import read_budget

    allowed, read = read_budget(budget), _read_space(space)
    check_study(told["study"], resume=told["resume"])
    require_function(function)
    output.say(budget_words(allowed))
    with watching(quiet) as watch:
        return tune_function(
            function,
            read,
            told["study"],
            allowed,
            workers=told["workers"],
            steps=told["steps"],
            seed=told["seed"],
            resume=told["resume"],
            watch=logging_to_mlflow(watch, told["study"].name, {"function": function}, output.say),
            command=sys.argv[1:],
        )


def _say(facts: dict[str, Any], study: str, output: Output, *, of_log: bool) -> None:
    from matinee.cli.study_words import study_table, summary

    if facts["trials"]:
        output.say(study_table(facts))
    for line in summary(facts):
        output.say(line)
    output.say(f"Study: {study}.")
    if of_log and facts["best"]:
        output.say(f"Next: matinee fit LOG... --study {shlex.quote(study)} -o bundle")
