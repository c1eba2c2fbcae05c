"""Space files: TOML tables [settings.NAME], read with errors that name the line, and written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matinee.core.errors import DataError, SpaceError, unknown_name
from matinee.core.space import Choice, Space, Span, in_order, is_number

_SPAN_KEYS = ("low", "high", "log", "whole")
_KEYS = ("values", *_SPAN_KEYS, "when", "default")


def read_space(path: Path) -> Space:
    """The space of a TOML file: a table [settings.NAME] for each setting.

    A table has `low` and `high` (and `log = true`, `whole = true`), or `values`; `when = {OTHER = [...]}`
    where it is there only under a condition; `default` where there is a value of today.

    Raises:
        DataError: the file is missing or no TOML.
        SpaceError: a table makes no sense: names file, line, setting and key.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror}", file=path) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"expected a TOML file with tables [settings.NAME]: {error}", file=path) from error
    settings = tables.get("settings")
    if set(tables) != {"settings"} or not isinstance(settings, dict) or not settings:
        found = ", ".join(repr(name) for name in tables) or "nothing"
        raise DataError(f"expected tables [settings.NAME] and nothing else, found {found}", file=path)
    try:
        space = {name: _values(name, table) for name, table in settings.items()}
        in_order(space)
    except SpaceError as error:
        place = f"{path}, line {_line(text, error.setting or '', error.key)}"
        raise SpaceError(error.problem, key=error.key, setting=error.setting, place=place) from error
    return space


def space_text(space: Space) -> str:
    """A space as the text of such a file: `read_space` reads the same space from it.

    Raises:
        SpaceError: a value is none that TOML knows.
    """
    return "\n".join(_table_text(name, values) for name, values in space.items())


def _values(name: str, table: Any) -> Choice | Span:
    """One setting of its table."""
    try:
        if not isinstance(table, dict):
            raise SpaceError(f"expected low and high, or values, found {table!r}", key="")
        for key in table:
            if key not in _KEYS:
                raise SpaceError(str(unknown_name("key of a setting", key, _KEYS)).rstrip("."), key=key)
        when = _when(table["when"]) if "when" in table else None
        if "values" in table:
            return _choice(table, when)
        return _span(table, when)
    except SpaceError as error:
        raise SpaceError(error.problem, key=error.key, setting=name) from error


def _choice(table: Mapping[str, Any], when: Any) -> Choice:
    for key in _SPAN_KEYS:
        if key in table:
            raise SpaceError("values stand alone: take it out, or take values out", key=key)
    if not isinstance(table["values"], list):
        raise SpaceError(f"expected a list, found {table['values']!r}", key="values")
    values = tuple(_plain(value, "values") for value in table["values"])
    default = _plain(table["default"], "default") if "default" in table else None
    return Choice(values, when=when, default=default)


def _span(table: Mapping[str, Any], when: Any) -> Span:
    for key in ("low", "high"):
        if key not in table:
            raise SpaceError("expected low and high, or values", key=key)
    for key in ("log", "whole"):
        if not isinstance(table.get(key, False), bool):
            raise SpaceError(f"expected true or false, found {table[key]!r}", key=key)
    words = {key: table[key] for key in (*_SPAN_KEYS, "default") if key in table}
    return Span(**words, when=when)


def _when(table: Any) -> tuple[str, tuple[Any, ...]]:
    if not isinstance(table, dict) or len(table) != 1:
        raise SpaceError(
            f"expected one other setting with its values, such as {{kind = ['a']}}, found {table!r}",
            key="when",
        )
    ((other, wanted),) = table.items()
    wanted = wanted if isinstance(wanted, list) else [wanted]
    return other, tuple(_plain(value, "when") for value in wanted)


def _plain(value: Any, key: str) -> Any:
    """A value of a setting: text, number, true, false, or a list of them, which becomes a tuple."""
    if isinstance(value, list):
        return tuple(_plain(part, key) for part in value)
    if isinstance(value, (str, bool)) or is_number(value):
        return value
    raise SpaceError(f"expected text, finite numbers, true, false or lists of them, found {value!r}", key=key)


def _line(text: str, name: str, key: str) -> int:
    """The line, from 1, where a setting's key stands; its table's where the key has no line of its own."""
    lines = text.splitlines()
    word = rf"[\"']?{re.escape(name)}[\"']?"
    header = re.compile(rf"\s*\[\s*[\"']?settings[\"']?\s*\.\s*{word}\s*(\.|\])")
    inline = re.compile(rf"\s*([\"']?settings[\"']?\s*\.\s*)?{word}\s*[.=]")
    starts = [at for at, line in enumerate(lines) if header.match(line)]
    for start in starts:
        for at in range(start, len(lines)):
            if at > start and lines[at].lstrip().startswith("["):
                break
            if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", lines[at]):
                return at + 1
            if at == start and re.search(rf"\.\s*{re.escape(key)}\s*\]", lines[at]):
                return at + 1
    starts = starts or [at for at, line in enumerate(lines) if inline.match(line)]
    return starts[0] + 1 if starts else 1


def _table_text(name: str, values: Choice | Span) -> str:
    lines = [f"[settings.{_word(name)}]"]
    if isinstance(values, Choice):
        lines.append(f"values = {_value_text(values.values)}")
    else:
        lines += [f"low = {_value_text(values.low)}", f"high = {_value_text(values.high)}"]
        lines += [f"{key} = true" for key in ("log", "whole") if getattr(values, key)]
    if values.when is not None:
        lines.append(f"when = {{{_word(values.when[0])} = {_value_text(values.when[1])}}}")
    if values.default is not None:
        lines.append(f"default = {_value_text(values.default)}")
    return "\n".join(lines) + "\n"


def _word(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value_text(name)


def _value_text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value_text(part) for part in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return repr(value.item() if hasattr(value, "item") else value)
    raise SpaceError(f"a space file knows no {value!r}", key="values")
