"""`matinee quote`: what a fit and a study would cost, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.log_options import Logs, with_log_options
from matinee.cli.output import JsonPath, Output, Quiet
from matinee.core.memory import size_words
from matinee.data.options import LogOptions
from matinee.report.numbers import counted, money

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.table import Table

Budgets = Annotated[
    list[str] | None,
    typer.Option("--budget", metavar="B", help="5usd, 30min or 2h; given twice, whichever ends first."),
]


@with_log_options
def command(
    logs: Logs,
    *,
    log_options: LogOptions,
    budget: Budgets = None,
    recommender: Annotated[
        str | None,
        typer.Option("--recommender", metavar="NAME", help="Which; default the one validation chooses."),
    ] = None,
    prices: Annotated[
        str | None,
        typer.Option("--prices", metavar="FILE", help="TOML file of machines and prices instead of ours."),
    ] = None,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Say what a fit and a study would cost, here and elsewhere, before anything is spent.

    Nothing is fitted: what fits take is predicted, this machine's speed is measured in a fifth of a second.
    With --budget the study is one that spends so much; without, one of 30 trials.

    Example: matinee quote ratings.csv --budget 30min
    """
    from matinee.data.read import read_log
    from matinee.recipes.quote import asked_of, quote
    from matinee.tune.budget import read_budget
    from matinee.tune.prices import read_prices

    output = Output(json_path, quiet)
    refuse_blank("--prices", prices, "a TOML file of prices")
    known = read_prices(prices)
    limit = read_budget(budget) if budget else None
    with output.progress() as progress:
        log = read_log(
            logs, log_options, progress=lambda doing, done, all_: progress(doing, done / max(all_, 1))
        )
        asked = asked_of(log, recommender, budget=limit)
        quoted = quote(log, asked, known)
    for part in _parts(quoted.facts):
        output.say(part)
    output.result(quoted.facts)


def _parts(facts: Mapping[str, Any]) -> Iterator[str | Table]:
    """What is printed, part by part."""
    from matinee.recipes.quote import range_words

    here = facts["here"]
    yield (
        f"{counted(facts['events'], 'event')} of {counted(facts['viewers'], 'viewer')} and "
        f"{counted(facts['items'], 'item')}; up to {size_words(facts['memory_bytes'])} of memory on top of "
        "the log's."
    )
    name = facts["recommender"]
    fit = f"A fit of {name}" if name else "A fit that tries every recommender that the log can feed"
    yield f"{fit}: {range_words(here['fit']['wall_s'])} here, {money(here['fit']['dollars']['likely'])}."
    if here["study"]:
        yield _study_words(facts)
    yield ""
    yield _table(facts)
    told = facts["prices"]
    yield f"Prices by the hour of {told['source']}, {told['dated']}; --prices FILE takes yours."
    if facts["buying"]:
        yield _buying_words(facts["buying"])
    yield ""
    yield facts["verdict"]


def _study_words(facts: Mapping[str, Any]) -> str:
    from matinee.recipes.quote import range_words

    study = facts["here"]["study"]
    trials = study["trials"]
    if trials["low"] == trials["high"]:
        cost = f"{range_words(study['wall_s'])} here, {money(study['dollars']['likely'])}"
        return f"A study of {counted(round(trials['likely']), 'trial')} of {facts['studied']}: {cost}."
    bounds = f"{trials['low']:,.0f} to {trials['high']:,.0f}"
    return (
        f"A study of {facts['studied']} for {range_words(study['wall_s'])} here, "
        f"{money(study['dollars']['likely'])}: about {trials['likely']:,.0f} trials ({bounds})."
    )


def _table(facts: Mapping[str, Any]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from matinee.recipes.quote import range_words

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("machine", "an hour", "spot", "a fit takes", "costs"):
        table.add_column(name, justify="right" if name in ("an hour", "spot", "costs") else "left")
    kinds = ["fit"]
    if facts["here"]["study"]:
        kinds.append("study")
        table.add_column("a study takes")
        table.add_column("costs", justify="right")
    for one in (facts["here"], *facts["machines"]):
        spot = one["spot_price_per_hour"]
        row = [one["name"], money(one["price_per_hour"]), "-" if spot is None else money(spot)]
        for kind in kinds:
            row += [range_words(one[kind]["wall_s"]), money(one[kind]["dollars"]["likely"])]
        table.add_row(*row)
    return table


def _buying_words(buying: Mapping[str, Any]) -> str:
    words = []
    for kind, name in (("spot", "on spot"), ("on_demand", "on demand")):
        if kind in buying:
            hours = buying[kind]["hours_a_month"]
            what = f"{buying[kind]['than']} {name}"
            words.append(f"never, against {what}" if hours is None else f"{hours:,.0f} hours, against {what}")
    return f"Buying {buying['card']} pays from so much use a month: {'; '.join(words)}."
