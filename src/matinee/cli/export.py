"""`matinee export`: a study as a page, for optuna-dashboard, or as a folder to run it again from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.given import check_writable, refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet
from matinee.cli.status import Study
from matinee.core.errors import InputError


def command(
    study: Study,
    *,
    optuna: Annotated[
        str | None, typer.Option("--optuna", metavar="URL", help="A storage such as sqlite:///study.db.")
    ] = None,
    repeat: Annotated[
        str | None, typer.Option("--repeat", metavar="DIR", help="A new folder, to run the study again.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="PATH", help="A page that needs nothing else.")
    ] = None,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Write a study where others read it; the study stays as it is.

    Example: matinee export study --html study.html --optuna sqlite:///study.db --repeat again
    """
    from matinee.recipes.tune_export import to_optuna, to_page, to_repeat
    from matinee.recipes.tune_status import study_status

    output = Output(json_path, quiet)
    refuse_blank("STUDY", study, "a study's folder")
    refuse_blank("--optuna", optuna, "a storage such as sqlite:///study.db")
    refuse_blank("--repeat", repeat, "a new folder")
    refuse_blank("--html", html, "a file such as study.html")
    check_writable("--html", html)
    if optuna is None and repeat is None and html is None:
        raise InputError("matinee export STUDY: say where to: --html PATH, --optuna URL, or --repeat DIR.")
    facts = study_status(Path(study))
    if html is not None:
        output.say(to_page(Path(study), facts, Path(html)))
    if optuna is not None:
        output.say(to_optuna(Path(study), optuna))
    if repeat is not None:
        output.say(to_repeat(Path(study), Path(repeat)))
    output.result(facts)
