"""Settings from words: `key=value` strings and TOML tables become frozen dataclasses.

A config is a frozen, keyword-only dataclass beside the class it configures. Here is the one way from what a
person typed to such a config, with an error that names the nearest known key.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from matinee.core.errors import SettingsError, unknown_name

C = TypeVar("C")


def make_config(cls: type[C], values: Mapping[str, Any], what: str) -> C:
    """Build a config dataclass from plain values.

    Args:
        cls: a dataclass type whose fields are numbers, strings, booleans, tuples or None.
        values: field name -> value; strings are parsed by the field's type.
        what: how an error names the owner of the settings, such as `ease`.

    Raises:
        SettingsError: a key is unknown, or a value does not fit its field.
    """
    hints = get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if not names:
            raise SettingsError(f"Unknown setting of {what} {key!r}: {what} has no settings.")
        if key not in names:
            raise unknown_name(f"setting of {what}", key, names)
    fitted = {}
    for key, value in values.items():
        try:
            fitted[key] = _fit(value, hints[key])
        except (TypeError, ValueError, OverflowError) as error:
            raise SettingsError(f"Setting of {what}: {key}: {error}.") from error
    try:
        return cls(**fitted)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"Setting of {what}: {error}.") from error


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Turn `["ridge=250", "decay=.9"]` into a dictionary.

    Raises:
        SettingsError: a pair has no `=`.
    """
    found = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise SettingsError(f"Expected key=value, found {pair!r}.")
        found[key.strip()] = value.strip()
    return found


def config_values(config: Any) -> dict[str, Any]:
    """The settings of a config as plain JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return values


def _fit(value: Any, hint: Any) -> Any:
    """One value in its field's type; strings are parsed, everything else must already fit."""
    options = [h for h in get_args(hint) if h is not type(None)] if type(None) in get_args(hint) else None
    if options is not None:
        return None if value is None or value in ("none", "") else _fit(value, options[0])
    if get_origin(hint) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        parts = parts if isinstance(parts, (list, tuple)) else [parts]
        return tuple(_fit(part, get_args(hint)[0]) for part in parts)
    if hint is bool:
        known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(value).lower() not in known:
            raise ValueError(f"expected true or false, found {value!r}")
        return known[str(value).lower()]
    return _number(value, hint) if hint in (int, float) else value


def _number(value: Any, hint: Any) -> Any:
    """A finite number, whole where the field is."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected a number, found {value!r}") from error
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, found {value!r}")
    if hint is int and number != int(number):
        raise ValueError(f"expected a whole number, found {value!r}")
    return hint(number)
