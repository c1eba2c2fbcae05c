"""`matinee similar`: the items nearest to one."""

from __future__ import annotations

from typing import Annotated

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet, TieSeed


def command(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A folder that `matinee fit` wrote.")],
    item: Annotated[str, typer.Option("--item", metavar="ID", help="The item.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many items.")] = 10,
    *,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="NAME", help="By the model of this region, if there is one."),
    ] = None,
    json_path: JsonPath = None,
    seed: TieSeed = 0,
    quiet: Quiet = False,
) -> None:
    """Name the items nearest to one, by the model's own likeness.

    Example: matinee similar bundle --item 50 -k 5
    """
    from matinee.answers.model import load
    from matinee.cli.lists import one_line, table_of
    from matinee.recipes.similar import similar_to

    output = Output(json_path, quiet)
    refuse_blank("BUNDLE", bundle, "a folder that `matinee fit` wrote")
    refuse_blank("--region", region, "a region of the viewers' table, such as NO")
    found = similar_to(load(bundle, ties=seed), item, k, region=region)
    if found["items"]:
        output.say(f"Most like {one_line(found['title'] or item)}:")
        output.say(table_of(found["items"]))
    else:
        output.say(f"Nothing is like {one_line(found['title'] or item)}: no other item can be shown.")
    output.result(found)
