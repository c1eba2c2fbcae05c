"""`matinee recommend`: one list with titles and reasons, or everybody's as a table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.given import ids_of, refuse_blank, refuse_blank_ids
from matinee.cli.output import JsonPath, Output, Quiet, TieSeed
from matinee.core.errors import InputError
from matinee.report.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from matinee.answers.model import Model
    from matinee.answers.rules import Rules


def command(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A folder that `matinee fit` wrote.")],
    *,
    user_ids: Annotated[
        list[str] | None, typer.Option("--user", metavar="ID", help="A viewer of the log.")
    ] = None,
    history: Annotated[
        list[str] | None,
        typer.Option("--history", metavar="ID", help="An item somebody watched, oldest first; repeatable."),
    ] = None,
    values: Annotated[
        list[float] | None,
        typer.Option("--value", metavar="N", help="What each --history was given, for ratings; repeatable."),
    ] = None,
    users: Annotated[
        str | None,
        typer.Option("--users", metavar="FILE", help="A list for each of these viewers, one a line."),
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="A list for every viewer of the log.")] = False,
    output_path: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="For --users and --all: a .parquet or .csv file, or postgresql://...[?table=NAME].",
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items.")] = 10,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="ID", help="An item not wanted; repeatable.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="FILE", help="Recommend these items only, one a line.")
    ] = None,
    repeats: Annotated[bool, typer.Option("--repeats", help="What was watched may come again.")] = False,
    region: Annotated[
        str | None, typer.Option("--region", metavar="NAME", help="Where the asker is.")
    ] = None,
    now: Annotated[
        str | None,
        typer.Option("--now", metavar="TIME", help="Availability at this moment (ISO, UTC); default now."),
    ] = None,
    json_path: JsonPath = None,
    seed: TieSeed = 0,
    quiet: Quiet = False,
) -> None:
    """Recommend items to a viewer, to somebody with a history, or to everybody.

    A newcomer gets what is popular. A table that was interrupted goes on where it stopped.

    Example: matinee recommend bundle --user 42 -k 5

    Example: matinee recommend bundle --all -o recommendations.parquet
    """
    output = Output(json_path, quiet)
    refuse_blank("BUNDLE", bundle, "a folder that `matinee fit` wrote")
    user = _one_user(user_ids or [])
    in_bulk = _in_bulk(user, history, users, everybody, output_path)
    refuse_blank_ids("--user", [] if user is None else [user])
    refuse_blank_ids("--history", history or [])
    refuse_blank("--region", region, "a region of the viewers' table or of items, such as NO")
    rules = _rules(exclude, only, repeats, region, now)
    opened = partial(_loaded, output, bundle, rules, seed)
    if in_bulk:
        _everybody(output, opened, str(output_path), users, k, rules)
    else:
        _one(output, opened, user, (history or [], values or []), k, rules)


def _one_user(ids: list[str]) -> str | None:
    """The viewer asked for, if one was.

    Raises:
        InputError: several were.
    """
    if len(ids) > 1:
        raise InputError(
            f"--user was given {len(ids)} times, and one list is for one viewer: put the ids in a file, one "
            "a line, and say --users FILE -o recs.csv."
        )
    return ids[0] if ids else None


def _in_bulk(
    user: str | None, history: list[str] | None, users: str | None, everybody: bool, path: str | None
) -> bool:
    """Whether a table was asked for.

    Raises:
        InputError: the call asks for nothing, or for two things at once.
    """
    asked = [user is not None, bool(history), users is not None, everybody]
    if sum(asked) != 1:
        raise InputError("Say for whom: one of --user ID, --history ID, --users FILE and --all.")
    refuse_blank("-o", path, "a file, such as recs.parquet")
    bulk = users is not None or everybody
    if bulk and path is None:
        raise InputError("--users and --all write a table: say where with -o recs.parquet.")
    if path is not None and not bulk:
        raise InputError("-o is for the tables of --users and --all; one list is written by --json PATH.")
    return bulk


def _rules(
    exclude: list[str] | None, only: str | None, repeats: bool, region: str | None, now: str | None
) -> Rules:
    from datetime import UTC, datetime

    from matinee.answers.rules import Rules

    moment = None
    if now is not None:
        try:
            moment = datetime.fromisoformat(now)
        except ValueError as error:
            raise InputError(f"--now expects a time such as 2026-11-21T20:15, found {now!r}.") from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Rules(
        exclude=exclude or (),
        only=ids_of("--only", only),
        repeats=True if repeats else None,
        region=region,
        now=moment,
    )


def _loaded(output: Output, bundle: str, rules: Rules, seed: int) -> Model:
    """The bundle's model.

    Raises:
        InputError: the rules leave no item of its catalogue, because they name none.
    """
    from matinee.answers.model import load
    from matinee.answers.regions import own_regions
    from matinee.answers.rules import regions_of
    from matinee.data.homes import REGION

    model = load(bundle, ties=seed)
    if rules.only is not None and (model.log.items.codes(list(rules.only)) < 0).all():
        raise InputError(
            f"None of the {len(rules.only):,} ids of --only is in the catalogue of {len(model.log.items):,} "
            "items: are they written as in the log?"
        )
    if rules.region is None or REGION in model.reads:
        return model
    own = own_regions(model.parts)
    if rules.region not in {*(named := regions_of(model.log.item_table)), *own}:
        known = f"they name {', '.join(sorted(named)[:5])}" if named else "none is limited to any"
        output.say(f"No item's regions name {rules.region!r}: {known}.")
        if own:
            output.say(f"Models of their own have {', '.join(own)}; the others share one.")
    return model


def _one(
    output: Output,
    opened: Callable[[], Model],
    user: str | None,
    told: tuple[list[str], list[float]],
    k: int,
    rules: Rules,
) -> None:
    from matinee.cli.lists import table_of
    from matinee.recipes.recommend import recommend_one

    found = recommend_one(opened(), user=user, history=told[0], values=told[1], k=k, rules=rules)
    for line in _about(found):
        output.say(line)
    if found["items"]:
        output.say(table_of(found["items"]))
    else:
        output.say("Nothing is left to recommend: everything was watched, or is ruled out.")
    output.result(found)


def _about(found: dict[str, Any]) -> list[str]:
    from matinee.cli.lists import one_line

    who = "somebody with this history" if found["user"] is None else f"viewer {one_line(found['user'])}"
    lines = [f"For {who}, from {found['source']}:"]
    if found["unknown"]:
        lines.insert(
            0, f"Not in the catalogue, left out: {counted(found['unknown'], 'item')} of the history."
        )
    return lines


def _everybody(
    output: Output, opened: Callable[[], Model], path: str, users: str | None, k: int, rules: Rules
) -> None:
    from matinee.recipes.recommend import but_heading, check_output, recommend_all

    check_output(path)
    ids = ids_of("--users", users)
    with output.progress() as progress:
        progress("reading the bundle", 0.0)
        model = opened()
        users_asked = None if ids is None else but_heading(ids, model.log.viewers)
        written = recommend_all(model, path, users=users_asked, k=k, rules=rules, progress=progress)
    kept = f", {written.kept:,} of them from an interrupted run" if written.kept else ""
    output.say(f"Wrote the lists of {counted(written.viewers, 'viewer')}{kept} to {written.output}.")
    output.say(f"Took {written.cpu_s:.1f} CPU-s, {written.wall_s:.1f} s.")
    output.result(written.to_json())
