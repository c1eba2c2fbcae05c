"""`matinee demo`: the main job, end to end, on a service that is made up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet, Seed

if TYPE_CHECKING:
    from matinee.recipes.demo import Demo

_HISTORY_SHOWN = 8


def command(
    *,
    folder: Annotated[
        str, typer.Option("--dir", metavar="DIR", help="Where log, bundle and report are written.")
    ] = "demo",
    serving: Annotated[
        bool, typer.Option("--serve", help="Then serve it: a page on this machine, until Ctrl-C.")
    ] = False,
    json_path: JsonPath = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Make a small streaming service up, judge recommenders on it, and recommend ten titles to a viewer.

    Nothing is fetched and nothing is sent: under 60 CPU-seconds on one machine.

    Example: matinee demo --dir demo
    """
    from matinee.cli.compare import show
    from matinee.recipes.demo import demo

    out = Output(json_path, quiet)
    refuse_blank("--dir", folder, "a folder")
    with out.progress() as progress:
        done = demo(Path(folder), seed=seed, progress=progress)
    _say_service(out, done)
    show(done.board, out, None)
    _say_answer(out, done)
    _say_next(out, done)
    out.result(done.to_json())
    if serving:
        _serve(out, done.folder)


def _serve(out: Output, folder: Path) -> None:
    """Serve the demo's bundle, with a store of its own, until somebody ends it."""
    from matinee.recipes.serve import ServeOptions, serve

    # Whatever port is free: after a minute's work nothing may fail for want of a certain one.
    options = ServeOptions(
        port=0, bundles=[str(folder / "bundle")], store=f"sqlite:///{folder / 'events.db'}", log="off"
    )
    serve(options, ready=lambda found: out.say(f"The page: {found.address}/ (Ctrl-C ends it)"), say=out.say)


def _say_service(out: Output, done: Demo) -> None:
    service, best = done.service, done.truth["best_possible"]["time-split-next"]["recall@10"]
    out.say(
        f"A made-up streaming service: {service.viewers:,} viewers, {service.items:,} titles, "
        f"{service.events:,} events, predictability {service.predictability} "
        f"(whoever knew everything would reach recall@10 {best:.3f})."
    )
    signs = [sign.words for sign in done.report.signs]
    out.say("The check finds nothing to worry about." if not signs else "The check says, look at:")
    for words in signs:
        out.say(f"  - {words}")
    out.say()


def _say_answer(out: Output, done: Demo) -> None:
    out.say()
    out.say(f"Viewer {done.answer['user']} watched {len(done.watched)} titles, of late:")
    for event in done.watched[-_HISTORY_SHOWN:]:
        out.say(f"  {event.day}  {event.title}")
    out.say(f"and should watch next, says {done.answer['source']}:")
    width = max(len(item["title"]) for item in done.answer["items"])
    for place, item in enumerate(done.answer["items"], 1):
        out.say(f"  {place:>2}  {item['title']:<{width}}  {'; '.join(item['reasons'])}")


def _say_next(out: Output, done: Demo) -> None:
    folder = done.folder
    out.say()
    out.say(f"Written: {folder}/log.parquet and its side tables, {folder}/bundle, {folder}/report.html")
    out.say("Try next:")
    out.say(f"  matinee serve {folder}/bundle")
    out.say(f"  matinee recommend {folder}/bundle --history {done.watched[-1].item}")
    out.say(f"  matinee similar {folder}/bundle --item {done.watched[-1].item}")
    out.say("  matinee check YOUR-LOG.csv; matinee compare YOUR-LOG.csv")
