"""`matinee serve`: recommendations over HTTP, and a page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.given import check_writable, refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet

if TYPE_CHECKING:
    from matinee.recipes.serve import Serving


def command(
    bundles: Annotated[
        list[str], typer.Argument(metavar="BUNDLE_OR_BUNDLES", help="A bundle, or a folder of bundles.")
    ],
    *,
    host: Annotated[
        str,
        typer.Option("--host", metavar="ADDRESS", help="Where to listen; beyond loopback a key is needed."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="The port; 0: one that the system chooses.")
    ] = 8000,
    store: Annotated[
        str,
        typer.Option(
            "--store", metavar="URL", help="sqlite:///FILE or postgresql://...: what happens is kept there."
        ),
    ] = "sqlite:///matinee.db",
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Processes that answer.")] = 1,
    retain: Annotated[
        str | None,
        typer.Option(
            "--retain", metavar="TIME", help="Delete older events daily: 13months, 400days, 2years."
        ),
    ] = None,
    hash_ids: Annotated[
        str | None,
        typer.Option(
            "--hash-ids",
            metavar="KEYFILE",
            envvar="MATINEE_ID_KEY",
            help="Keep viewers' ids as hashes under the key in this file; a new store begins with it.",
        ),
    ] = None,
    placements: Annotated[
        str | None, typer.Option("--placements", metavar="FILE", help="TOML: rules of each placement.")
    ] = None,
    filters: Annotated[
        str | None,
        typer.Option("--filters", metavar="FILE", help="TOML: named filters for clients of Personalize."),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option("--study", metavar="FOLDER", help="A search for settings that the page shows, live."),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="json|plain|off",
            help="A line a request; default plain on a terminal, else json.",
        ),
    ] = None,
    log_file: Annotated[
        str | None, typer.Option("--log-file", metavar="PATH", help="Its file; default standard error.")
    ] = None,
    reuse_port: Annotated[
        bool, typer.Option("--reuse-port", help="Let another server listen there too, to take over.")
    ] = False,
    notice: Annotated[
        float,
        typer.Option("--notice", metavar="SECONDS", help="After SIGTERM, take new connections for so long."),
    ] = 0.0,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Answer over HTTP: recommendations that change with the next click, and a page to look at them.

    SIGTERM or Ctrl-C ends it without cutting a request off; SIGHUP replaces its processes one by one.

    Example: matinee serve bundles --port 8000 --store sqlite:///matinee.db
    """
    from matinee.recipes.serve import ServeOptions, serve

    out = Output(json_path, quiet)
    check_writable("--log-file", log_file)
    refuse_blank("--host", host, "an address such as 127.0.0.1")
    refuse_blank("--hash-ids", hash_ids, "the file of a key")
    refuse_blank("--placements", placements, "a TOML file")
    refuse_blank("--filters", filters, "a TOML file")
    refuse_blank("--study", study, "a folder that `matinee tune` writes")
    for bundle in bundles:
        refuse_blank("BUNDLE", bundle, "a folder that `matinee fit` wrote")
    options = ServeOptions(
        bundles=bundles,
        host=host,
        port=port,
        reuse_port=reuse_port,
        store=store,
        workers=workers,
        retain=retain,
        id_key=hash_ids,
        placements=placements,
        filters=filters,
        study=study,
        log=log or ("plain" if sys.stderr.isatty() else "json"),
        log_file=log_file,
        notice_s=notice,
    )
    serve(options, ready=lambda serving: _say_ready(out, serving), say=out.say)


def _say_ready(out: Output, serving: Serving) -> None:
    for one in serving.bundles:
        names = f" (alias {', '.join(one['aliases'])})" if one["aliases"] else ""
        out.say(
            f"{one['name']}{names}: {one['recommender']}, {one['items']:,} items, fitted {one['created']}"
        )
    processes = (
        "1 process answers" if len(serving.workers) == 1 else f"{len(serving.workers)} processes answer"
    )
    out.say(f"Events are kept in {serving.store}; {processes}. Ctrl-C ends it.")
    out.say(f"Open {serving.address}")
    sys.stdout.flush()
    out.result(serving.to_json())
    sys.stdout.flush()
