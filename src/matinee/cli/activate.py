"""`matinee activate`: which bundle of a folder serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet

if TYPE_CHECKING:
    from matinee.recipes.activate import Activated

Bundles = Annotated[str, typer.Argument(metavar="BUNDLES", help="A folder of bundles.")]
StoreOfServer = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="The store of the server that is to be told."),
]
Alias = Annotated[str, typer.Option("--alias", metavar="NAME", help="Under which name it is asked.")]


def command(
    bundles: Bundles,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The bundle: its folder's name.")],
    *,
    store: StoreOfServer = None,
    alias: Alias = "default",
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Put a bundle in use. With --store a running server answers from it, without a dropped request.

    Example: matinee activate bundles 2026-11-22T0315Z --store sqlite:///matinee.db
    """
    from matinee.recipes.activate import activate

    out = Output(json_path, quiet)
    check_given(bundles, store, alias)
    say(out, activate(Path(bundles), name, store=store, alias=alias))


def check_given(bundles: str, store: str | None, alias: str) -> None:
    """Refuse empty texts."""
    refuse_blank("BUNDLES", bundles, "a folder of bundles")
    refuse_blank("--store", store, "a store such as sqlite:///matinee.db")
    refuse_blank("--alias", alias, "a name such as default")


def say(out: Output, done: Activated) -> None:
    """Say what is in use now."""
    before = f", instead of {done.before}" if done.before not in (None, done.bundle) else ""
    where = (
        "; a running server loads it when it is next asked, and answers from it once loaded"
        if done.store
        else ""
    )
    out.say(f"In use as {done.alias}: {done.bundle}{before}{where}.")
    out.result(done.to_json())
