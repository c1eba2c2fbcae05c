"""`matinee fit`: from a log to a bundle."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.log_options import with_log_options
from matinee.cli.output import Device, JsonPath, Output, Precision, Progress, Quiet, Seed
from matinee.core.errors import InputError
from matinee.data.options import LogOptions
from matinee.report.numbers import counted, figure, money, p_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matinee.data.log import InteractionLog
    from matinee.recipes.fit import FitOptions, Fitted
    from matinee.recipes.fit_study import Within

LogsOrNone = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="LOG",
        help="Files or folders: CSV, TSV, ::, JSON lines, Parquet, gz or zst of these; found by content.",
    ),
]


@with_log_options
def command(
    logs: LogsOrNone = None,
    *,
    bundle: Annotated[str, typer.Option("-o", "--output", metavar="BUNDLE", help="The folder to write.")],
    log_options: LogOptions,
    recommender: Annotated[
        str | None,
        typer.Option("--recommender", metavar="NAME", help="Which; default the one validation chooses."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of it, of blend's network sequential.passes=2; may be given again.",
        ),
    ] = None,
    hold_out: Annotated[
        str | None,
        typer.Option("--hold-out", metavar="PROTOCOL", help="Keep this protocol's test events from the fit."),
    ] = None,
    no_histories: Annotated[
        bool, typer.Option("--no-histories", help="Leave viewers, histories and friends out of the bundle.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="A model of its own for each region of the viewers' table it helps.",
        ),
    ] = None,
    least_viewers: Annotated[
        int, typer.Option("--least-viewers", metavar="N", min=1, help="With --by: smaller regions share.")
    ] = 200,
    from_store: Annotated[
        str | None,
        typer.Option("--from-store", metavar="URL", help="Fit on a server's store instead of log files."),
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", metavar="STUDY", help="Take the best settings of this study.")
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", metavar="B", help="Search settings first: all within 5usd, 30min or 2h."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the fit that was broken off, if there is one.")
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    json_path: JsonPath = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Fit a recommender on a log and write it as a bundle.

    What cannot be done is said before the work: a folder that cannot be written, too little memory or disk.
    Until the bundle is written, what is finished lies in BUNDLE.unfinished: after Ctrl-C, or worse, --resume
    goes on from there and ends with the same model.

    Example: matinee fit ratings.csv --items movies.csv -o bundle
    """
    from matinee.core.errors import Stopped
    from matinee.core.processes import processes_here
    from matinee.core.run import Run
    from matinee.core.settings import parse_pairs
    from matinee.recipes.fit import FitOptions
    from matinee.recipes.look_ahead import check_folder
    from matinee.recipes.together import follow, leading

    began, processes = time.perf_counter(), processes_here()
    output = Output(json_path if processes.first else None, quiet or not processes.first)
    refuse_blank("-o", bundle, "a folder for the bundle")
    refuse_blank("--by", by, "a column of the viewers' table, such as region")
    refuse_blank("--from-store", from_store, "a store such as sqlite:///matinee.db")
    if (from_store is None) == (not logs):
        raise InputError("matinee fit LOG... or matinee fit --from-store URL: give the one or the other.")
    check_folder(Path(bundle))
    within = _within(bundle, study, budget, began, alone=processes.size == 1 and by is None)
    options = FitOptions(
        recommender=recommender,
        settings=own_settings(recommender, parse_pairs(settings or [])),
        hold_out=hold_out,
        seed=seed,
        histories=not no_histories,
        run=Run(device=device, precision=precision, processes=processes),
        resume=resume,
        by=by,
        least_viewers=least_viewers,
    )
    if processes.size > 1 and from_store is not None:
        raise InputError("Several processes fit on files: a store goes on changing while they read it.")
    if not processes.first:
        sys.exit(follow(lambda: _read(logs, None, log_options, options, _silent)[0], Path(bundle), options))
    try:
        with leading(processes), output.progress() as progress:
            options.check()
            log, options = _read(logs, from_store, log_options, options, progress)
            fitted = _fitted(log, Path(bundle), options, (study, within), progress, output)
    except Stopped as stop:
        words = shlex.join([*(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
        start = "matinee" if processes.size == 1 else "torchrun ... -m matinee"
        raise Stopped(f"{stop} To go on: {start} {words}") from stop
    first = log.viewers.id(0) if len(log.viewers) else "ID"
    for line in _summary(fitted.facts, first):
        output.say(line)
    output.result(fitted.facts)


def _within(
    bundle: str, study: str | None, budget: list[str] | None, began: float, *, alone: bool
) -> Within | None:
    """The budget of a search before the fit, where one is asked for."""
    from matinee.recipes.fit_study import Within
    from matinee.tune.budget import read_budget

    refuse_blank("--study", study, "the folder of a study")
    if not budget:
        return None
    if study is not None:
        raise InputError("--study takes settings that were found, --budget searches them: leave one out.")
    if not alone:
        raise InputError("--budget is for one process and one model: make a study first (matinee tune).")
    place = Path(bundle).absolute()
    place = place.with_name(f"{place.name}.study")
    return Within(budget=read_budget(budget), study=place, began=began)


def _fitted(
    log: InteractionLog,
    bundle: Path,
    options: FitOptions,
    asked: tuple[str | None, Within | None],
    progress: Progress,
    output: Output,
) -> Fitted:
    """The fit as it was asked for: with a study's settings, within a budget, or neither."""
    from matinee.cli.study_words import watching
    from matinee.recipes.fit_study import by_study, fit_quoted, fit_within
    from matinee.recipes.tune_folder import check_study

    study, within = asked
    if within is not None:
        check_study(within.study, resume=options.resume)
        with watching(output.quiet) as watch:
            return fit_within(log, bundle, options, within, progress=progress, say=output.say, watch=watch)
    if study is not None:
        options = by_study(log, options, Path(study))
    fitted = fit_quoted(log, bundle, options, progress, output.say)
    return fitted if study is None else replace(fitted, facts={**fitted.facts, "study": study})


def _silent(_doing: str, _share: float) -> None:
    """Only the first of several processes says how far it is."""


def _read(
    logs: list[str] | None,
    from_store: str | None,
    log_options: LogOptions,
    options: FitOptions,
    progress: Progress,
) -> tuple[InteractionLog, FitOptions]:
    """What is fitted on."""
    from matinee.data.read import read_log

    if from_store is not None:
        from matinee.recipes.store_log import read_store_log

        told = read_store_log(from_store, log_options)
        return told.log, replace(options, from_store=told.store, read_ms=told.read_ms)
    log = read_log(logs, log_options, progress=lambda doing, done, all_: progress(doing, done / max(all_, 1)))
    return log, options


def own_settings(recommender: str | None, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings of a fit's recommender: its name may stand before each, as `compare` wants it."""
    return {key.removeprefix(f"{recommender}."): value for key, value in settings.items()}


def _summary(facts: Mapping[str, Any], viewer: str) -> Iterator[str]:
    """What the fit did, and what to try next."""
    bundle = shlex.quote(facts["bundle"])
    events = counted(facts["events"], "event")
    if facts["events"] != facts["log_events"]:
        events += f" of the log's {facts['log_events']:,}"
    yield (
        f"Fitted {facts['recommender']} on {facts['fitted_on']}: {events}, "
        f"{counted(facts['viewers'], 'viewer')}, {counted(facts['items'], 'item')}."
    )
    if facts["settings"]:
        yield f"Settings: {settings_words(facts['recommender'], facts['settings'])}."
    if facts.get("note"):
        yield f"Note: {facts['note']}"
    if facts["tried"]:
        least = facts["chosen_metric"] == "rmse"
        tried = sorted(
            facts["tried"].items(), key=lambda pair: (pair[1] or 9e9) if least else -(pair[1] or 0.0)
        )
        words = ", ".join(f"{name} {'failed' if mean is None else f'{mean:.4f}'}" for name, mean in tried)
        because = f", {facts['chosen_by_because']}" if facts["chosen_by_because"] else ""
        by = f"{facts['chosen_by']}{because}; {facts['chosen_metric'].upper()}"
        yield f"Chosen on validation ({by}): {words}."
    yield from facts["left_out"]
    yield from region_words(facts.get("regions"))
    if facts["trained"]:
        yield f"Trained: {trained_words(facts['trained'])}."
    if facts["joined"]:
        yield f"Joined: {joined_words(facts['joined'])}."
    yield (
        f"Took {facts['all_cpu_s']:.1f} CPU-s, the fit itself {facts['fit_cpu_s']:.1f}; "
        f"{facts['all_wall_s']:.1f} s by the clock, {money(facts['all_dollars'])} of electricity; "
        f"peak memory {facts['peak_rss_mb']:,.0f} MB."
    )
    yield from _quoted_words(facts)
    yield f"Bundle: {facts['bundle']} ({facts['bundle_bytes'] / 1e6:,.1f} MB)."
    if facts["keeps_histories"]:
        yield f"Next: matinee recommend {bundle} --user {shlex.quote(viewer)}"
    else:
        yield f"Next: matinee recommend {bundle} --history ITEM --history ITEM"


def _quoted_words(facts: Mapping[str, Any]) -> Iterator[str]:
    """What was foretold, and what a study before the fit found and spent."""
    from matinee.recipes.quote import duration, range_words

    if facts.get("quote"):
        words = range_words(facts["quote"]["wall_s"])
        yield f"Quoted {words} by the clock for the fit, took {duration(facts['all_wall_s'])}."
    if facts.get("study_value") is not None:
        against = facts["default_value"]
        words = "" if against is None else f" against {figure(against, 4)} of the defaults"
        found = figure(facts["study_value"], 4)
        yield f"Settings of a study in {facts['study']}: {found} on validation{words}."
    elif facts.get("study"):
        yield f"Settings of the study in {facts['study']}."
    if facts.get("spent_s") is not None:
        budget = facts["budget_dollars"]
        of = "" if budget is None else f" of {money(budget)}"
        of_s = "" if facts["budget_s"] is None else f" of {duration(facts['budget_s'])}"
        yield (
            f"Spent in all, the search included: {money(facts['spent_dollars'])}{of}, "
            f"{duration(facts['spent_s'])}{of_s}."
        )


def region_words(regions: Mapping[str, Any] | None) -> Iterator[str]:
    """Which regions have a model of their own and why, a line each."""
    if regions is None:
        return
    own = sum(row["answers"] == "own" for row in regions["rows"])
    yield (
        f"By {regions['column']}: {own} of {counted(len(regions['rows']), 'region')} answered by a model of "
        "its own, the others by the shared one."
    )
    for row in regions["rows"]:
        words = f"  {row['region']}, {counted(row['viewers'], 'viewer')}: {row['answers']}; {row['why']}"
        if row["own"] is not None and row["shared"] is not None:
            words += f", {regions['metric']} {figure(row['own'])} against {figure(row['shared'])}"
            words += f" of {counted(row['asked'], 'viewer')} ({p_words(row['p'])})"
        yield f"{words}."
    if regions["unknown_viewers"]:
        yield f"  {counted(regions['unknown_viewers'], 'viewer')} of no known {regions['column']}: shared."


def settings_words(name: str, settings: Mapping[str, Any]) -> str:
    """Settings that differ from a recommender's defaults, as `--set` takes them."""
    from matinee.core.settings import config_values
    from matinee.recommenders import make_recommender

    usual = _flat(config_values(make_recommender(name).config))
    words = [f"{key}={_typed(value)}" for key, value in _flat(settings).items() if usual[key] != value]
    return f"{', '.join(words)}, else the defaults" if words else "the defaults"


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, those of a part as `part.key`."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": one for inner, one in value.items()}
        else:
            found[key] = value
    return found


def _typed(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(str(one) for one in value) or "none"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def joined_words(joined: Mapping[str, Any]) -> str:
    """Which parts were joined and how: `network x transitions^1.5 x ials^0.5, weights chosen on ...`.

    Without a network they are added: `ials + 0.5 ease`.
    """
    weights = joined["weights"]
    parts = [name for name in weights if name != "sequential"]
    words = " x ".join(["network", *(f"{name}^{weights[name]:g}" for name in parts)])
    if "sequential" not in weights:
        words = " + ".join(name if weights[name] == 1 else f"{weights[name]:g} {name}" for name in parts)
    if joined["held_back"]:
        words = f"{words}, weights chosen on {counted(joined['held_back'], 'event')} held back"
        short = joined.get("short_below")
        return f"{words}; fewer than {short} events by weights of their own" if short else words
    if joined["held_back"] == 0:
        return f"{words}, all weights 1, for no event was held back to choose them on"
    return f"{words}, weights as they were set" if parts else f"{words} alone"


def trained_words(trained: Mapping[str, Any]) -> str:
    """How long a network was trained and what it came to: `9 passes, ndcg@10 .171 on events held back`."""
    words = f"{trained['passes']} pass{'' if trained['passes'] == 1 else 'es'}"
    if trained.get("stopped_early"):
        words += " (more did not help)"
    if trained.get("validation"):
        measure, value = trained["validation"]
        words += f", {measure} {figure(value)} on events held back from it"
    return words
