"""`matinee refresh`: the daily run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.log_options import with_log_options
from matinee.cli.output import Device, JsonPath, Output, Precision, Quiet, Seed
from matinee.core.errors import GateRefused
from matinee.data.options import LogOptions
from matinee.report.numbers import counted, figure, money

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@with_log_options
def command(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="STORE_OR_LOG",
            help="A server's store (sqlite:///FILE, postgresql://...), or log files.",
        ),
    ],
    *,
    bundles: Annotated[
        str, typer.Option("-o", "--output", metavar="BUNDLES", help="The folder that bundles are kept in.")
    ],
    log_options: LogOptions,
    gate: Annotated[
        float,
        typer.Option(
            "--gate",
            metavar="X",
            help="Refuse what is shown to miss this gain in ndcg@10; 0: what is worse beyond chance.",
        ),
    ] = 0.0,
    recommender: Annotated[
        str | None,
        typer.Option("--recommender", metavar="NAME", help="Which; default as in use, at first as chosen."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of it; may be given again."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="With log files: the server's store that is to be told."),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Fit from scratch, even where the bundle in use can be gone on from."
        ),
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    json_path: JsonPath = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Take in new events, fit, judge against the bundle in use, and put in use what is not worse.

    A network goes on from its last weights, for a fraction of a fit's time; from scratch it is fitted
    where too much is new, after 30 refreshes in a row, and after the gate refused.

    Made for cron and timers: one run at a time, nothing is done where nothing is new, and a run that was
    killed leaves what is in use as it was. A running server takes the new bundle up by itself. Exit status 3:
    the gate refused, and what was in use stays in use.

    Example: matinee refresh sqlite:///matinee.db -o bundles
    """
    from matinee.core.run import Run
    from matinee.core.settings import parse_pairs
    from matinee.recipes.refresh import REFUSED, RefreshOptions, refresh

    output = Output(json_path, quiet)
    refuse_blank("-o", bundles, "a folder for bundles")
    refuse_blank("--store", store, "a store such as sqlite:///matinee.db")
    for one in sources:
        refuse_blank("STORE_OR_LOG", one, "a store such as sqlite:///matinee.db, or a file")
    options = RefreshOptions(
        gate=gate,
        recommender=recommender,
        settings=parse_pairs(settings or []),
        seed=seed,
        store=store,
        run=Run(device=device, precision=precision),
        from_scratch=from_scratch,
    )
    with output.progress() as progress:
        done = refresh(sources, Path(bundles), log_options, options, progress)
    for line in _summary(done.facts):
        output.say(line)
    output.result(done.facts)
    if done.state == REFUSED:
        raise GateRefused(f"The gate refused: {done.in_use} stays in use.")


def _summary(facts: Mapping[str, Any]) -> Iterator[str]:
    known = (
        f"{counted(facts['events'], 'event')} of {counted(facts['viewers'], 'viewer')}, "
        f"{counted(facts['items'], 'item')}"
    )
    if facts["state"] == "nothing new":
        yield f"Nothing new: {known}. {facts['why']} {facts['in_use']} stays in use."
        return
    new = facts["new_events"]
    more = f"; {new:,} more events than before" if facts["state"] != "first" and new > 0 else ""
    yield f"Read {known}{more}."
    if facts["state"] != "first":
        yield from _way(facts)
    if facts["judged"]:
        yield _against(facts["judged"])
    elif facts["state"] == "activated":
        yield "Not judged, and put in use: too few viewers did anything since the bundle in use was fitted."
    if facts["why"]:
        yield facts["why"]
    if facts["activated"]:
        before = f", instead of {facts['instead_of']}" if facts["instead_of"] else ""
        where = "; a running server takes it up by itself" if facts["store_told"] else ""
        yield f"In use now: {facts['in_use']}{before}{where}."
    if facts["removed"]:
        yield f"Removed: {', '.join(facts['removed'])}."
    if facts["cpu_s"]:
        yield (
            f"Took {facts['cpu_s']:.1f} CPU-s, {facts['wall_s']:.1f} s; {money(facts['dollars'])} of "
            f"electricity; peak memory {facts['peak_rss_mb']:,.0f} MB."
        )


def _way(facts: Mapping[str, Any]) -> Iterator[str]:
    """Whether the run went on from the bundle in use, or why it did not."""
    warm, why = facts["warm"], facts["from_scratch_because"]
    if warm:
        times = counted(warm["refreshes"], "time")
        yield f"Went on from {warm['from']}, {times} in a row since the last fit from scratch."
    elif why:
        yield f"Fitted from scratch: {why}."


def _against(judged: Mapping[str, Any]) -> str:
    """What the gate saw, in a sentence."""
    new, used, less = judged["new"], judged["in_use"], judged["difference"]
    return (
        f"Judged on what {judged['viewers']:,} viewers chose next: {judged['metric']} {figure(new['mean'])} "
        f"against {figure(used['mean'])} of the bundle in use; difference {figure(less['mean'], 4)} "
        f"({figure(less['low'], 4)} to {figure(less['high'], 4)})."
    )
