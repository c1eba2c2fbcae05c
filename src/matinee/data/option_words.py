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
    """Turn `user=viewer,item=film,time=2` into a dictionary.

    Raises:
        SettingsError: a part is not `role=NAME`, or the role is unknown.
    """
    columns: dict[str, str] = {}
    for role, name in _pairs(words, "--columns", "user=NAME,item=NAME"):
        if role not in COLUMNS:
            raise unknown_name("role in --columns", role, COLUMNS)
        columns[role] = name
    return columns


def parse_weights(words: str) -> dict[str, float]:
    """Turn `view=.1,cart=.5,purchase=1` into a dictionary.

    Raises:
        SettingsError: a part is not `kind=number`, or the number is negative or not finite.
    """
    return {kind: _weight(kind, text) for kind, text in _pairs(words, "--weight", "view=.1,cart=.5")}


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
        raise SettingsError(f'--positive: expected a condition such as "rating>=4", found {words!r}.')
    name, sign, text = match.groups()
    bound = _number(text)
    if bound is None:
        raise SettingsError(f"--positive: expected a number after {sign!r}, found {text!r}.")
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
        words: option -> value, by the fields of `LogOptions`, with `-` or `_`; strings are parsed, tables
            and lists taken as they are. None, False and "" mean that the option was not given.
        folder: where relative names of side files start; None: where the program runs.

    Raises:
        SettingsError: an option is unknown or its value cannot be read.
    """
    known = {field.name for field in dataclasses.fields(LogOptions)}
    values: dict[str, Any] = {}
    for key, value in words.items():
        name = key.replace("-", "_")
        if name not in known:
            raise unknown_name("LOG option", key, known)
        if value is None or value is False or value == "":
            continue
        values[name] = str(folder / str(value)) if name in FILES and folder else _read(name, value)
    return LogOptions(**values)


def options_from_words(words: Mapping[str, Any]) -> LogOptions:
    """LOG options of a command line, its `log_settings` (a TOML file) included; what was typed goes first."""
    typed = log_options({name: value for name, value in words.items() if name != "log_settings"})
    settings = words.get("log_settings")
    return _merge(read_log_settings(Path(settings)), typed) if settings else typed


def read_log_settings(path: Path) -> LogOptions:
    """LOG options of the table `[log]` of a TOML file; names of side files start in the file's folder.

    Raises:
        DataError: the file is missing, is not TOML or has no `[log]`.
        SettingsError: an option is unknown or its value cannot be read.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("there is no such file", file=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"expected TOML: {error}", file=path) from error
    if not isinstance(tables.get("log"), dict):
        raise DataError("expected a table [log] with LOG options", file=path)
    return log_options(tables["log"], folder=path.parent)


def _merge(settings: LogOptions, words: LogOptions) -> LogOptions:
    """What was typed, on top of what a file of settings says: an option that was typed wins."""
    given = {
        field.name: value
        for field in dataclasses.fields(LogOptions)
        if (value := getattr(words, field.name)) not in (None, False, (), {})
    }
    return dataclasses.replace(settings, **given)


def _read(name: str, value: Any) -> Any:
    """One option's value in the type of its field."""
    option = "--" + name.replace("_", "-")
    if name == "columns":
        return parse_columns(_joined(value))
    if name == "weight":
        return parse_weights(_joined(value))
    if name == "negative":
        return parse_kinds(value if isinstance(value, str) else ",".join(map(str, value)))
    if name in ("skip_bad", "repeats"):
        if not isinstance(value, bool):
            raise SettingsError(f"{option}: expected true or false, found {value!r}.")
        return value
    if name == "positive":
        parse_positive(str(value))
    if name == "session_gap":
        parse_gap(str(value))
    return str(value)


def _joined(value: Any) -> str:
    """A table of plain values as the words of the command line."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={inner}" for key, inner in value.items())
    return value if isinstance(value, str) else ",".join(map(str, value))


def _pairs(words: str, option: str, example: str) -> Iterable[tuple[str, str]]:
    for part in words.split(","):
        name, sign, value = (word.strip() for word in part.rpartition("="))
        if not (name and sign and value):
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
