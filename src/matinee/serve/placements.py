"""Rules of a placement, such as the row "more for you" of a home page: what its answers are like.

They stand in `[placements.NAME]` tables of a TOML file, or in the store's note `placements` (the same as
JSON, which goes before the file, a placement at a time). What a request says itself goes before both.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from matinee.core.errors import DataError, SettingsError, unknown_name
from matinee.serve.asking import MOST_ITEMS, Ask

PLACEMENTS_NOTE = "placements"

Rules = Mapping[str, Any]


def read_placements(path: Path) -> dict[str, Rules]:
    """Placements of a TOML file.

    Raises:
        DataError: the file is missing or no TOML.
        SettingsError: a rule is unknown, or its value makes no sense.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror}", file=path) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"expected a TOML file with tables [placements.NAME]: {error}", file=path) from error
    return placements_of(tables.get("placements", {}), f"{path}, [placements")


def placements_from_note(note: str | None) -> dict[str, Rules]:
    """Placements of the store's note.

    Raises:
        SettingsError: it is not JSON of that form.
    """
    if note is None:
        return {}
    try:
        told = json.loads(note)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"The store's note 'placements' is no JSON: {error}.") from error
    return placements_of(told, "The store's note 'placements' [")


def placements_of(tables: Any, where: str) -> dict[str, Rules]:
    """Check placements, and bring their values into the types of an ask.

    Args:
        tables: name -> rule -> value.
        where: how an error calls the place they stand in.

    Raises:
        SettingsError: a rule is unknown, or its value makes no sense: one sentence says which.
    """
    if not isinstance(tables, Mapping):
        raise SettingsError(f"{where}]: expected a table for each placement, found {tables!r}.")
    return {str(name): _rules(table, f"{where}.{name}]") for name, table in tables.items()}


def apply(ask: Ask, placements: Mapping[str, Rules]) -> Ask:
    """The ask with the rules of its placement; items to leave out are those of both."""
    rules = placements.get(ask.placement) if ask.placement else None
    if not rules:
        return ask
    changes = {name: value for name, value in rules.items() if getattr(ask, name) == _DEFAULTS[name]}
    if "exclude" in rules:
        changes["exclude"] = (*ask.exclude, *rules["exclude"])
    return replace(ask, **changes)


def _rules(table: Any, where: str) -> Rules:
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where}: expected rules such as k = 20, found {table!r}.")
    found = {}
    for rule, value in table.items():
        if rule not in _TYPES:
            raise SettingsError(f"{where}: {unknown_name('rule of a placement', rule, _TYPES)}")
        expected, read = _TYPES[rule]
        taken = read(value)
        if taken is None:
            raise SettingsError(f"{where}: {rule} is {expected}, found {value!r}.")
        found[rule] = taken
    return found


def _whole(value: Any) -> int | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_ITEMS
    return value if fine else None


def _share(value: Any) -> float | None:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if fine and 0 <= value <= 1 else None


def _texts(value: Any) -> tuple[str, ...] | None:
    fine = isinstance(value, (list, tuple)) and all(isinstance(one, str) and one for one in value)
    return tuple(value) if fine else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _counts(value: Any) -> dict[str, int] | None:
    if not isinstance(value, Mapping) or not value:
        return None
    fine = all(isinstance(column, str) and _whole(most) for column, most in value.items())
    return dict(value) if fine else None


_LIST = 'a list of texts such as ["a", "b"]'
_TYPES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "alias": ("an alias of a bundle", _text),
    "k": (f"a whole number from 1 to {MOST_ITEMS}", _whole),
    "exclude": (_LIST, _texts),
    "only": (_LIST, _texts),
    "categories": (_LIST, _texts),
    "region": ("a text", _text),
    "repeats": ("true or false", _truth),
    "pinned": (_LIST, _texts),
    "most": ("a table such as {series = 1}", _counts),
    "diversity": ("a number from 0 to 1", _share),
    "freshness": ("a number from 0 to 1", _share),
    "reasons": ("true or false", _truth),
}
_ASK = Ask()
_DEFAULTS = {field.name: getattr(_ASK, field.name) for field in fields(Ask)}
