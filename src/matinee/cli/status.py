"""`matinee status`: what a study has tried, spent and found, also while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet

Study = Annotated[str, typer.Argument(metavar="STUDY", help="The folder that matinee tune -o wrote.")]


def command(study: Study, json_path: JsonPath = None, quiet: Quiet = False) -> None:
    """Say what a study has tried, spent and found; nothing is changed, and it may be going on.

    Example: matinee status study --json -
    """
    from matinee.cli.study_words import study_table, summary
    from matinee.recipes.tune_status import study_status

    output = Output(json_path, quiet)
    refuse_blank("STUDY", study, "a study's folder")
    facts = study_status(Path(study))
    output.say(f"{study}: {facts['state']}")
    if facts["trials"]:
        output.say(study_table(facts))
    for line in summary(facts):
        output.say(line)
    output.result(facts)
