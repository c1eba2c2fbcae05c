"""`matinee simulate`: a made-up log whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet, Seed


def command(  # noqa: PLR0917
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where to write; made if it is missing.")],
    viewers: Annotated[int, typer.Option("--viewers", metavar="N", help="Number of viewers.")] = 2_000,
    items: Annotated[int, typer.Option("--items", metavar="N", help="Size of the catalogue.")] = 500,
    events: Annotated[int, typer.Option("--events", metavar="N", help="Number of events.")] = 60_000,
    predictability: Annotated[
        float, typer.Option("--predictability", metavar="X", help="From 0, pure noise, to 1, nearly certain.")
    ] = 0.5,
    regions: Annotated[
        int, typer.Option("--regions", metavar="N", help="Regions with tastes of their own.")
    ] = 3,
    region_difference: Annotated[
        float,
        typer.Option(
            "--region-difference", metavar="X", help="Share of titles after which regions go separate ways."
        ),
    ] = 0.0,
    shop: Annotated[
        bool,
        typer.Option("--shop", help="A messy shop log instead: kinds, bots, merged viewers, clock errors."),
    ] = False,
    json_path: JsonPath = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Make up a log, its side tables, and truth.json: how well the best possible recommender would do.

    Example: matinee simulate made-up --viewers 5000 --items 1000 --events 200000 --predictability .5
    """
    from matinee.simulate.options import SimulationOptions

    output = Output(json_path, quiet)
    refuse_blank("DIR", folder, "a folder")
    options = SimulationOptions(
        viewers=viewers,
        items=items,
        events=events,
        predictability=predictability,
        regions=regions,
        region_difference=region_difference,
        seed=seed,
    )
    truth = _shop(options, Path(folder), output) if shop else _service(options, Path(folder), output)
    output.result(truth)


def _service(options: Any, folder: Path, output: Output) -> dict[str, Any]:
    from matinee.simulate.files import simulate

    with output.progress() as progress:
        truth = simulate(options, folder, progress)
    best = truth["best_possible"]
    output.say(
        f"{folder}: {options.events:,} events of {options.viewers:,} viewers, {options.items:,} items."
    )
    for name in ("leave-one-out", "time-split-next", "time-split-successive"):
        if best[name]["targets"]:
            recall, targets = best[name]["recall@10"], best[name]["targets"]
            output.say(f"  best possible recall@10, {name}: {recall:.3f} ({targets:,} targets)")
    output.say(f"Try: matinee check {folder}/log.parquet --items {folder}/items.parquet")
    return truth


def _shop(options: Any, folder: Path, output: Output) -> dict[str, Any]:
    from matinee.simulate.shop import simulate_shop

    truth = simulate_shop(options, folder)
    output.say(f"{folder}: {truth['rows']:,} rows of a shop, planted: {planted_words(truth['planted'])}.")
    output.say(
        f"Try: matinee check {folder}/log.csv --items {folder}/items.csv --aliases {folder}/aliases.csv "
        "--target purchase --negative return,dislike --repeats"
    )
    return truth


def planted_words(planted: dict[str, Any]) -> str:
    """What was planted, in words: counts, or how many ids."""
    counts = {name: len(found) if isinstance(found, list) else found for name, found in planted.items()}
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
