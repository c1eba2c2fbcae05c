"""`matinee import`: what is in another service, as a log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet
from matinee.core.errors import InputError


def command(
    service: Annotated[str, typer.Argument(metavar="personalize|gorse", help="Which service it is from.")],
    source: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Its export: files or a folder; of Gorse also a server's URL."),
    ],
    out: Annotated[str, typer.Option("-o", "--output", metavar="LOG", help="The folder to write.")],
    *,
    key: Annotated[
        str,
        typer.Option("--key", metavar="KEY", envvar="GORSE_API_KEY", help="The Gorse server's API key."),
    ] = "",
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Turn an export of Amazon Personalize, or what is in Gorse, into a log that `matinee fit` reads.

    Example: matinee import gorse http://localhost:8087 -o films
    """
    from matinee.recipes.import_gorse import import_gorse
    from matinee.recipes.import_personalize import import_personalize

    output = Output(json_path, quiet)
    refuse_blank("-o", out, "a folder")
    for one in source:
        refuse_blank("SOURCE", one, "an export")
    if service == "personalize":
        told = import_personalize([Path(one) for one in source], Path(out))
    elif service == "gorse":
        if len(source) > 1:
            raise InputError(
                f"matinee import gorse takes one SOURCE, found {len(source)}: put files into a folder."
            )
        with output.progress() as progress:
            told = import_gorse(source[0], Path(out), key=key, progress=progress)
    else:
        raise InputError(f"matinee import {service}: expected personalize or gorse.")
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in told.kinds.most_common())
    output.say(
        f"{out}: {told.events:,} events{f' ({kinds})' if kinds else ''}, "
        f"{told.items:,} items, {told.viewers:,} viewers."
    )
    for note in told.notes:
        output.say(f"  {note}")
    sides = "".join(
        f" --{name} {Path(out) / name}.parquet" for name in ("items", "viewers") if getattr(told, name)
    )
    output.say(f"Try: matinee fit {Path(out) / 'log.parquet'}{sides} -o bundle")
    output.result(
        {
            "folder": told.folder,
            "events": told.events,
            "items": told.items,
            "viewers": told.viewers,
            "kinds": dict(told.kinds),
            "notes": told.notes,
        }
    )
