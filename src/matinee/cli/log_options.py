"""The LOG options, written once: a decorator gives them to every command that reads a log."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from matinee.data.options import LogOptions

Logs = Annotated[
    list[str],
    typer.Argument(
        metavar="LOG",
        help="Files or folders: CSV, TSV, ::, JSON lines, Parquet, gz or zst of these; found by content.",
    ),
]

_PANEL = "What the log is, and what its events mean"


def _option(flag: str, metavar: str | None, words: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=words, rich_help_panel=_PANEL)


# Each option: its type, its default, its flag, its metavar, its words.
_OPTIONS: dict[str, tuple[Any, Any, str, str | None, str]] = {
    "columns": (
        str | None,
        None,
        "--columns",
        "user=A,item=B,...",
        "Which column is what: user, item, time, order, value, kind; names, or positions from 0.",
    ),
    "skip_bad": (bool, False, "--skip-bad", None, "Leave malformed rows out; count and report them."),
    "items": (str | None, None, "--items", "FILE", "Items: id, title, genres, availability, free columns."),
    "viewers": (str | None, None, "--viewers", "FILE", "Viewers: id, region, free columns."),
    "friends": (str | None, None, "--friends", "FILE", "Pairs of viewers who are friends."),
    "vectors": (str | None, None, "--vectors", "FILE", "Content vectors: Parquet of id and vector."),
    "target": (str | None, None, "--target", "KIND", "The kind of event to predict; default every kind."),
    "weight": (str | None, None, "--weight", "view=.1,cart=.5", "How much an event of each kind teaches."),
    "positive": (str | None, None, "--positive", "rating>=4", "Which values count as positive."),
    "negative": (str | None, None, "--negative", "dislike,skip", "Kinds that say no: never recommended."),
    "repeats": (bool, False, "--repeats", None, "The same item again is a fair answer."),
    "aliases": (str | None, None, "--aliases", "FILE", "Pairs old id, new id: viewers who merged."),
    "session_gap": (str | None, None, "--session-gap", "30min", "A pause that ends a session."),
    "log_settings": (
        str | None,
        None,
        "--log-settings",
        "FILE",
        "TOML file whose [log] holds these options.",
    ),
}


def with_log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every LOG option.

    The command has a keyword parameter `log_options: LogOptions`; its command line gets the single options
    instead, at the parameter's place.
    """
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        words = {name: kwargs.pop(name) for name in _OPTIONS}
        return command(*args, log_options=log_options_of(words), **kwargs)

    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[kind, _option(flag, metavar, words)],
        )
        for name, (kind, default, flag, metavar, words) in _OPTIONS.items()
    ]
    others = [p for p in signature.parameters.values() if p.name != "log_options"]
    others = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in others]
    run.__signature__ = signature.replace(parameters=others + options)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in others + options}
    return run


def log_options_of(words: dict[str, Any]) -> LogOptions:
    """LogOptions from what was typed, which goes before what the file of --log-settings says."""
    from matinee.data.option_words import options_from_words

    return options_from_words(words)
