"""`matinee evaluate`: one bundle, judged on what its fit did not see."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from matinee.cli.compare import At, Html, Protocol, parse_lengths, show
from matinee.cli.given import check_writable, refuse_blank
from matinee.cli.log_options import Logs, with_log_options
from matinee.cli.output import JsonPath, Output, Quiet
from matinee.data.options import LogOptions


@with_log_options
def command(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle fitted with --hold-out.")],
    logs: Logs,
    log_options: LogOptions,
    *,
    protocol: Protocol = None,
    targets: Annotated[
        str | None,
        typer.Option("--targets", metavar="next|successive", help="In a time-split: what is to be found."),
    ] = None,
    at: At = "10,20",
    html: Html = None,
    json_path: JsonPath = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="N", help="Seed of the intervals; default the fit's. The split keeps its own."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Judge one bundle on the test events that its fit was kept from.

    A bundle whose fit saw them is refused.

    Example: matinee fit ratings.csv -o bundle --hold-out time-split; matinee evaluate bundle ratings.csv
    """
    from matinee.data.read import read_log
    from matinee.recipes.compare import with_command
    from matinee.recipes.evaluate import evaluate

    out = Output(json_path, quiet)
    check_writable("--html", html)
    refuse_blank("BUNDLE", bundle, "a folder that `matinee fit` wrote")
    lengths = parse_lengths(at)
    with out.progress() as on_progress:
        log = read_log(
            logs, log_options, progress=lambda doing, done, all_: on_progress(doing, done / max(all_, 1))
        )
        board = evaluate(
            bundle, log, protocol=protocol, targets=targets, at=lengths, seed=seed, on_progress=on_progress
        )
    show(with_command(board, f"matinee {shlex.join(sys.argv[1:])}"), out, html)
