"""LOG options from words: a command line, or `[log]` of a TOML file, becomes `LogOptions`."""

from __future__ import annotations

import dataclasses
import math
import operator
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.errors import DataError, SettingsError, unknown_name
from matinee.core.types import Bool, Float32
from matinee.data.options import LogOptions

COLUMNS = ("user", "item", "time", "order", "value", "kind")
FILES = ("items", "viewers", "friends", "vectors", "aliases")
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_SIGNS = " ".join(OPERATORS)
MILLISECONDS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition on the value of an event, such as `rating>=4`.

    Attributes:
        name: what is compared, as it was written: `rating`, `value`, the value column's name or a kind of
            event.
        sign: one of `OPERATORS`.
        bound: what it is compared with.
    """

    name: str
    sign: str
    bound: float

    def holds(self, values: Float32) -> Bool:
        """Where the condition is met: bool, shape of `values`; never where a value is empty (NaN)."""
        return np.asarray(
            OPERATORS[self.sign](values, np.float32(self.bound)) & ~np.isnan(values), dtype=np.bool_
        )


def parse_columns(words: str) -> dict[str, str]:
    """Turn `user=viewer,item=film,time=2` into a dictionary; `time=` says that no column has this role.

    Raises:
        SettingsError: a part is not `role=NAME`, the role is unknown or named twice, or two roles have one
            column.
    """
    return _columns(_pairs(words, "--columns", "user=NAME,item=NAME", empty=True))


def parse_weights(words: str) -> dict[str, float]:
    """Turn `view=.1,cart=.5,purchase=1` into a dictionary.

    Raises:
        SettingsError: a part is not `kind=number`, the number is negative or not finite, or a kind is named
            twice.
    """
    return _weights(_pairs(words, "--weight", "view=.1,cart=.5"))


def parse_kinds(words: str) -> tuple[str, ...]:
    """Turn `dislike,return,skip` into the names of kinds."""
    return tuple(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))


def parse_positive(words: str) -> Condition:
    """Turn `rating>=4` into a condition.

    Raises:
        SettingsError: it is not a name, one of `>= > < <= == !=` and a finite number.
    """
    match = re.fullmatch(r"\s*([^<>=!]+?)\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*", words)
    if match is None:
        raise SettingsError(
            f'--positive: expected a condition such as "rating>=4" with one of {_SIGNS}; found {words!r}.'
        )
    name, sign, text = match.groups()
    bound = _number(text)
    if bound is None:
        raise SettingsError(
            f"--positive: expected a number after {sign!r}, found {text!r}; the signs are {_SIGNS}."
        )
    return Condition(name=name, sign=sign, bound=bound)


def parse_gap(words: str) -> int:
    """Turn `30min` into milliseconds; units are s, min, h and d, a bare number is minutes.

    Raises:
        SettingsError: it is not a positive number and a unit.
    """
    match = re.fullmatch(r"\s*([\d.]+)\s*(ms|s|min|h|d)?\s*", words)
    number = _number(match.group(1)) if match else None
    if match is None or not number:
        raise SettingsError(
            f'--session-gap: expected a length of time such as "30min", "90s" or "2h", found {words!r}.'
        )
    return round(number * MILLISECONDS[match.group(2) or "min"])


def log_options(words: Mapping[str, Any], *, folder: Path | None = None) -> LogOptions:
    """Build LOG options from what was typed, or from a table of plain values.

    Args:
        words: option -> value, by the fields of `LogOptions`, with `-` or `_`; strings are parsed; columns
            and weights may be tables, negative a list. None, and "" for what is no file, mean that the
            option was not given.
        folder: where relative names of side files start; None: where the program runs.

    Raises:
        SettingsError: an option is unknown or given twice, or its value cannot be read.
    """
    known = {field.name for field in dataclasses.fields(LogOptions)}
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    for key, value in words.items():
        name = key.replace("-", "_")
        if name not in known:
            raise unknown_name("LOG option", key, known)
        if name in written:
            raise SettingsError(f"A LOG option is given twice, as {written[name]} and as {key}: keep one.")
        written[name] = key
        if value is None:
            continue
        read = _read(name, value)
        if read != "":
            values[name] = str(folder / read) if name in FILES and folder else read
    return LogOptions(**values)


def options_from_words(words: Mapping[str, Any]) -> LogOptions:
    """LOG options of a command line, its `log_settings` (a TOML file) included; what was typed goes first."""
    for name, value in words.items():
        if isinstance(value, str) and not value.strip():
            raise SettingsError(f"{_option(name)} is an empty text: give it a value, or leave it out.")
    typed = log_options({name: value for name, value in words.items() if name != "log_settings"})
    settings = words.get("log_settings")
    return _merge(read_log_settings(Path(settings)), typed) if settings else typed


def read_log_settings(path: Path) -> LogOptions:
    """LOG options of the table `[log]` of a TOML file; names of side files start in the file's folder.

    Raises:
        DataError: the file is missing, is not TOML or has no `[log]`.
        SettingsError: an option is unknown or given twice, or its value cannot be read; the message names the
            file.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("there is no such file", file=path) from error
    except IsADirectoryError as error:
        raise DataError("expected a TOML file, found a folder", file=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"expected TOML: {error}", file=path) from error
    if not isinstance(tables.get("log"), dict):
        raise DataError("expected a table [log] with LOG options", file=path)
    try:
        return log_options(tables["log"], folder=path.parent)
    except SettingsError as error:
        raise SettingsError(f"{path}, [log]: {error}") from error


def _merge(settings: LogOptions, words: LogOptions) -> LogOptions:
    """What was typed, on top of what a file of settings says: an option that was typed wins."""
    given = {
        field.name: value
        for field in dataclasses.fields(LogOptions)
        if (value := getattr(words, field.name)) not in (None, False, (), {})
    }
    return dataclasses.replace(settings, **given)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


# What a value may be: types, and how an error calls them; an option that is not here is one text.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "columns": ((str, dict), 'a text such as "user=NAME,item=NAME", or a table'),
    "weight": ((str, dict), 'a text such as "view=.1,cart=.5", or a table'),
    "negative": ((str, list, tuple), 'a text such as "dislike,skip", or a list'),
    "skip_bad": ((bool,), "true or false"),
    "repeats": ((bool,), "true or false"),
    "session_gap": ((str, int, float), 'a length of time such as "30min"'),
}


def _read(name: str, value: Any) -> Any:
    """One option's value in the type of its field; "" where none was given."""
    option = _option(name)
    types, expected = _TYPES.get(name, ((str,), "a text"))
    # To Python true is a number too.
    fits = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
    if not fits:
        raise SettingsError(f"{option}: expected {expected}, found {value!r}.")
    if name in FILES and not value.strip():
        raise SettingsError(f"{option} is an empty text: name a file, or leave it out.")
    if value == "" or isinstance(value, bool):
        return value
    if name == "columns":
        return (
            _columns(_table(option, value, (str, int))) if isinstance(value, dict) else parse_columns(value)
        )
    if name == "weight":
        numbers = (int, float, str)
        return _weights(_table(option, value, numbers)) if isinstance(value, dict) else parse_weights(value)
    if name == "negative":
        return _kinds(option, value)
    if name == "positive":
        parse_positive(value)
    if name == "session_gap":
        parse_gap(str(value))
    return str(value)


def _table(option: str, table: Mapping[str, Any], types: tuple[type, ...]) -> Iterable[tuple[str, str]]:
    """A table of plain values as pairs of words."""
    for key, value in table.items():
        if not isinstance(value, types) or isinstance(value, bool):
            raise SettingsError(f"{option}: {key}: expected a text or a number, found {value!r}.")
        yield key, str(value)


def _kinds(option: str, value: str | Iterable[Any]) -> tuple[str, ...]:
    """Kinds of a text or a list."""
    if not isinstance(value, str):
        lost = [one for one in value if not isinstance(one, str) or not one.strip()]
        if lost:
            raise SettingsError(f"{option}: expected names of kinds, found {lost[0]!r}.")
    kinds = parse_kinds(value) if isinstance(value, str) else tuple(dict.fromkeys(value))
    if not kinds:
        raise SettingsError(f"{option}: expected kinds such as dislike,skip, found {value!r}.")
    return kinds


def _columns(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for role, name in pairs:
        if role not in COLUMNS:
            raise unknown_name("role in --columns", role, COLUMNS)
        if role in columns:
            raise SettingsError(f"--columns: {role} is named twice, as {columns[role]!r} and as {name!r}.")
        if name and name in columns.values():
            raise SettingsError(f"--columns: the column {name!r} is given to two roles; each has its own.")
        columns[role] = name
    return columns


def _weights(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for kind, text in pairs:
        if kind in weights:
            raise SettingsError(f"--weight: the kind {kind!r} is named twice.")
        weights[kind] = _weight(kind, text)
    return weights


def _pairs(words: str, option: str, example: str, *, empty: bool = False) -> Iterable[tuple[str, str]]:
    """The parts `name=value` of a text; a value may be empty where that means something."""
    for part in words.split(","):
        name, sign, value = (word.strip() for word in part.rpartition("="))
        if not (name and sign and (value or empty)):
            raise SettingsError(f"{option}: expected {example}, found {part!r}.")
        yield name, value


def _weight(kind: str, text: str) -> float:
    number = _number(text)
    if number is None or number < 0:
        raise SettingsError(f"--weight: expected a number of at least 0 for {kind!r}, found {text!r}.")
    return number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
