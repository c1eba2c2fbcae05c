"""The note of aliases: which bundle answers under which name, and which ones did before.

It is changed from what it says at that moment, so that two who change it at once both have their way.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from matinee.serve.refusals import Refusal

ALIASES_NOTE = "aliases"


def unless_said(own: list[str], now: list[str]) -> list[str]:
    """What an alias has, or else what is to stand in its place."""
    return now or own


def changed(alias: str, change: Callable[[list[str]], list[str]]) -> Callable[[str | None], str]:
    """How the note changes when an alias does, whatever it says by then of the others."""

    def told_anew(note: str | None) -> str:
        told = aliases_of(note)
        return json.dumps({**told, alias: change(told.get(alias, []))}, sort_keys=True)

    return told_anew


def aliases_of(note: str | None) -> dict[str, list[str]]:
    """What the note of aliases says.

    Raises:
        Refusal: it is not what this version writes.
    """
    if note is None:
        return {}
    try:
        read = json.loads(note)
        return {str(alias): [str(one) for one in names] for alias, names in read.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise Refusal(
            f"The store's note {ALIASES_NOTE!r} is not what matinee writes: {error}.", 503
        ) from error
