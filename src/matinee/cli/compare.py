"""`matinee compare`: the scoreboard."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.given import check_writable, refuse_blank
from matinee.cli.log_options import Logs, with_log_options
from matinee.cli.output import Device, JsonPath, Output, Precision, Quiet, Seed
from matinee.core.errors import SettingsError
from matinee.data.options import LogOptions

if TYPE_CHECKING:
    from matinee.evaluate.scoreboard import Scoreboard

Protocol = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help="leave-one-out, time-split, random-holdout, new-viewers or given; default by what the log has.",
    ),
]
Targets = Annotated[
    str, typer.Option("--targets", metavar="next|successive", help="In a time-split: what is to be found.")
]
At = Annotated[str, typer.Option("--at", metavar="10,20", help="Lengths of the list.")]
Html = Annotated[
    str | None, typer.Option("--html", metavar="PATH", help="Write the report as one HTML file.")
]


@with_log_options
def command(
    logs: Logs,
    log_options: LogOptions,
    *,
    protocol: Protocol = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="FILE", help="A test log of its own (protocol given).")
    ] = None,
    targets: Targets = "next",
    at: At = "10,20",
    recommenders: Annotated[
        str | None, typer.Option("--recommenders", metavar="a,b,c", help="Which to compare.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME.KEY=VALUE", help="A setting of one recommender."),
    ] = None,
    tries: Annotated[
        int, typer.Option("--tries", metavar="N", help="Settings of each to try on validation.")
    ] = 1,
    refit: Annotated[
        bool, typer.Option("--refit", help="Fit again on training and validation before the test.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="COLUMN", help="Hold each region's own fits against the shared ones."),
    ] = None,
    least_viewers: Annotated[
        int,
        typer.Option(
            "--least-viewers", metavar="N", min=1, help="With --by: smaller regions have no own fit."
        ),
    ] = 200,
    html: Html = None,
    device: Device = "auto",
    precision: Precision = "auto",
    json_path: JsonPath = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Judge recommenders on a log: metrics with 95 % intervals, costs, a verdict.

    Example: matinee compare ratings.csv --recommenders popularity,ease,transitions --html report.html
    """
    from matinee.core.run import Run
    from matinee.data.read import read_log
    from matinee.recipes.compare import compare, with_command
    from matinee.recipes.rows import DEFAULT_ROWS, require_place
    from matinee.report.frame import require_templates

    out = Output(json_path, quiet)
    check_writable("--html", html)
    if html is not None:
        require_templates()
    refuse_blank("--by", by, "a column of the viewers' table, such as region")
    lengths = parse_lengths(at)
    settings = parse_settings(set_ or [])
    names, run = parse_names(recommenders), Run(device=device, precision=precision)
    require_place(names or DEFAULT_ROWS, run)
    with out.progress() as on_progress:
        log = read_log(
            logs, log_options, progress=lambda doing, done, all_: on_progress(doing, done / max(all_, 1))
        )
        given = read_log([test], log_options) if test else None
        board = compare(
            log,
            names,
            protocol=protocol,
            test=given,
            targets=targets,
            at=lengths,
            settings=settings,
            tries=tries,
            refit=refit,
            by=by,
            least_viewers=least_viewers,
            seed=seed,
            run=run,
            on_progress=on_progress,
        )
    board = with_command(board, f"matinee {shlex.join(sys.argv[1:])}")
    show(board, out, html)


def show(board: Scoreboard, out: Output, html: str | None) -> None:
    """Print a scoreboard, and write what was asked for."""
    from matinee.report.regions import region_verdicts, regions_table
    from matinee.report.table import newcomers_table, scoreboard_table, scoreboard_words

    facts = board.to_json()
    for words in scoreboard_words(facts):
        out.say(words)
    out.say()
    out.say(scoreboard_table(facts, out.console().width))
    newcomers = newcomers_table(facts)
    if newcomers is not None:
        out.say()
        out.say(newcomers)
    regions = regions_table(facts)
    if regions is not None:
        out.say()
        out.say(regions)
    out.say()
    out.say(board.verdict)
    for words in region_verdicts(facts):
        out.say(words)
    if html is not None:
        board.to_html(html)
        out.say(f"Report: {html}")
    out.result(facts)


def parse_lengths(words: str) -> tuple[int, ...]:
    """Lengths of the list from `10,20`.

    Raises:
        SettingsError: one is no whole number above 0.
    """
    parts = [part.strip() for part in words.split(",") if part.strip()]
    if not parts or not all(part.isdigit() and 0 < int(part) <= 1_000 for part in parts):
        raise SettingsError(f"--at is {words!r}: expected lengths from 1 to 1,000, such as 10,20.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def parse_names(words: str | None) -> list[str] | None:
    """Names from `a,b,c`; None where nothing was said."""
    return None if words is None else [part.strip() for part in words.split(",") if part.strip()]


def parse_settings(pairs: list[str]) -> dict[str, dict[str, Any]]:
    """Settings of recommenders from `name.key=value`.

    Raises:
        SettingsError: a pair has another form.
    """
    found: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        place, sign, value = pair.partition("=")
        name, dot, key = place.strip().partition(".")
        if not (sign and dot and name and key):
            raise SettingsError(f"Expected --set name.key=value, such as ease.ridge=250; found {pair!r}.")
        found.setdefault(name, {})[key] = value.strip()
    return found
