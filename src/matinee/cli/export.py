"""`matinee export`: a study for optuna-dashboard, or a folder from which a stranger can run it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.given import refuse_blank
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
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Write a study where others read it; the study stays as it is.

    Example: matinee export study --optuna sqlite:///study.db --repeat again
    """
    from matinee.recipes.tune_export import to_optuna, to_repeat
    from matinee.recipes.tune_status import study_status

    output = Output(json_path, quiet)
    refuse_blank("STUDY", study, "a study's folder")
    refuse_blank("--optuna", optuna, "a storage such as sqlite:///study.db")
    refuse_blank("--repeat", repeat, "a new folder")
    if optuna is None and repeat is None:
        raise InputError("matinee export STUDY: say where to: --optuna URL, or --repeat DIR.")
    facts = study_status(Path(study))
    if optuna is not None:
        output.say(to_optuna(Path(study), optuna))
    if repeat is not None:
        output.say(to_repeat(Path(study), Path(repeat)))
    output.result(facts)
