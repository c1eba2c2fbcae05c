"""`matinee rollback`: back to the bundle that served before."""

from __future__ import annotations

from pathlib import Path

from matinee.cli.activate import Alias, Bundles, StoreOfServer, check_given, say
from matinee.cli.output import JsonPath, Output, Quiet


def command(
    bundles: Bundles,
    *,
    store: StoreOfServer = None,
    alias: Alias = "default",
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Put back the bundle that was in use before. The daily run will not bring back what was put aside.

    Example: matinee rollback bundles --store sqlite:///matinee.db
    """
    from matinee.recipes.activate import rollback

    out = Output(json_path, quiet)
    check_given(bundles, store, alias)
    say(out, rollback(Path(bundles), store=store, alias=alias))
