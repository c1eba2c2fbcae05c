"""`matinee report`: what recommendations brought and cost, for the boss."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.given import check_writable, refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet


def command(
    store: Annotated[
        str, typer.Argument(metavar="STORE", help="A server's store: sqlite:///FILE or postgresql://...")
    ],
    *,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="The HTML file to write.")
    ] = "report.html",
    bundles: Annotated[
        str | None,
        typer.Option(
            "--bundles", metavar="BUNDLES", help="What is served: a bundle, or a folder of bundles."
        ),
    ] = None,
    days: Annotated[float, typer.Option("--days", metavar="N", help="How far it looks back.")] = 91.0,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Write one page in plain words: what recommendations brought, what they cost, what is worth looking at.

    The page names nobody, needs nothing but itself, and can be printed. What is not known is said to be so.

    Example: matinee report sqlite:///matinee.db --bundles bundles -o report.html
    """
    from matinee.recipes.report import report

    out = Output(json_path, quiet)
    refuse_blank("STORE", store, "a store such as sqlite:///matinee.db")
    refuse_blank("--bundles", bundles, "a bundle, or a folder of bundles")
    check_writable("-o", output)
    told = report(store, Path(output), bundles=None if bundles is None else Path(bundles), days=days)
    out.say(told["verdict"])
    for line in told["experiments"]:
        out.say(line)
    for row in told["look"]:
        if not row["well"]:
            out.say(f"Worth looking at: {row['name']}: {row['value']}. {row['words']}")
    out.say(f"Report: {output}")
    out.result(told)
