"""JSON that is not of the shape described, in a sentence: the place, what is there, what belongs there.

msgspec says where it stopped; the value and the shape are then looked at again, at that place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

# Stands for a value that cannot be looked at.
UNSEEN: Any = object()
_LONGEST = 60
_MOST_NAMES = 8
_PLACE = re.compile(r"(?s)^(.*?) - at `(key` in `)?\$(.*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"(?s)^Object contains unknown field `(.*)`$")
_MISSING = re.compile(r"(?s)^Object missing required field `(.*)`$")
_GOT = re.compile(r"got `(\w+)`")
_GOT_WORDS = {
    "array": "a list",
    "object": "an object",
    "str": "a text",
    "int": "a whole number",
    "float": "a number with a fraction",
    "bool": "true or false",
    "null": "null",
}
_RANGE = "Number out of range"


class Told(NamedTuple):
    """What is wrong.

    Attributes:
        sentence: in words.
        place: where, such as "events[3].time"; None for the whole.
    """

    sentence: str
    place: str | None


def wrong_shape(error: msgspec.ValidationError, shape: Any, value: Any = UNSEEN) -> Told:
    """What msgspec found wrong, for people.

    Args:
        error: what it said.
        shape: the type that was wanted.
        value: what was sent, as plain JSON values; UNSEEN where it cannot be had.
    """
    found = _PLACE.match(str(error))
    text, in_names, path = (found[1], bool(found[2]), found[3]) if found else (str(error), False, "")
    kinds, values = _alternatives([_described(shape)]), [value]
    for name, index in _STEP.findall(path):
        kinds = _alternatives(_inner_kinds(kinds, name, index))
        values = list(_inner_values(values, name, index))
    place = path.removeprefix(".").replace("[...]", "")
    if unknown := _UNKNOWN.match(text):
        return _unknown(unknown[1], place, kinds)
    if missing := _MISSING.match(text):
        return _missing(missing[1], place, kinds, values)
    if in_names:
        kinds = _alternatives([kind.key_type for kind in kinds if isinstance(kind, inspect.DictType)])
        values = [name for one in values if isinstance(one, dict) for name in one]
    there = _there(values, kinds, text)
    of_several = "A name in " if in_names else "A value of " if path.endswith("[...]") else ""
    subject = f"{of_several}{place or 'the body'}" if of_several else place or "The body"
    return Told(f"{subject} is {there}: expected {_expected(kinds)}.", place or None)


def _unknown(name: str, place: str, kinds: Sequence[inspect.Type]) -> Told:
    shown = f"{place}.{name[:80]}".lstrip(".")
    known = sorted(_fields(kinds))
    near = get_close_matches(name, known, 1)
    hint = f"expected some of {', '.join(known)}." if known else "leave it out."
    hint = f"perhaps {near[0]!r} is meant." if near else hint
    return Told(f"Nothing here is called {shown!r}: {hint}", shown)


def _missing(name: str, place: str, kinds: Sequence[inspect.Type], values: Sequence[Any]) -> Told:
    shown = f"{place}.{name}".lstrip(".")
    wanted = _expected(_alternatives(_inner_kinds(kinds, name, "")))
    objects = [one for one in values if isinstance(one, dict)]
    if not objects:
        return Told(f"{shown!r} is missing: expected {wanted}.", shown)
    names = [repr(one[:40]) for one in objects[0]]
    names = [*names[:_MOST_NAMES], *(["more"] if len(names) > _MOST_NAMES else [])]
    there = f"only {', '.join(names)}" if names else "an empty object"
    return Told(f"{shown!r} is missing: found {there}, expected {wanted} there.", shown)


@cache
def _described(shape: Any) -> inspect.Type:
    return inspect.type_info(shape)


def _alternatives(kinds: Iterable[inspect.Type]) -> list[inspect.Type]:
    """Types without what is around them; null is not among them, since nobody needs to be told of it."""
    found: list[inspect.Type] = []
    for kind in kinds:
        if isinstance(kind, inspect.UnionType):
            found += _alternatives(kind.types)
        elif isinstance(kind, inspect.Metadata):
            # Words of its own say more than the type does.
            found += [kind] if kind.extra else _alternatives([kind.type])
        elif not isinstance(kind, inspect.NoneType):
            found.append(kind)
    return found


def _fields(kinds: Iterable[inspect.Type]) -> dict[str, inspect.Type]:
    structs = [kind for kind in kinds if isinstance(kind, inspect.StructType)]
    return {field.encode_name: field.type for struct in structs for field in struct.fields}


def _inner_kinds(kinds: Sequence[inspect.Type], name: str, index: str) -> list[inspect.Type]:
    if not index:
        fields = _fields(kinds)
        return [fields[name]] if name in fields else []
    lists = [kind.item_type for kind in kinds if isinstance(kind, inspect.ListType)]
    return [*lists, *(kind.value_type for kind in kinds if isinstance(kind, inspect.DictType))]


def _inner_values(values: Iterable[Any], name: str, index: str) -> Iterable[Any]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values() if index else [value[name]] if name in value else []
        elif isinstance(value, list) and index.isdecimal() and int(index) < len(value):
            yield value[int(index)]


def _there(values: Sequence[Any], kinds: Sequence[inspect.Type], text: str) -> str:
    """What stands at the place: of several, the first that does not belong there."""
    if text.startswith(_RANGE):
        return "a number out of range"
    seen = [one for one in values if one is not UNSEEN]
    bad = [one for one in seen if not any(_fits(one, kind) for kind in kinds)] or seen
    if bad:
        return _shown(bad[0])
    got = _GOT.search(text)
    return _GOT_WORDS.get(got[1], "something else") if got else "something else"


def _fits(value: Any, kind: inspect.Type) -> bool:
    """Whether a text or a number is of a type: other values are not told from each other."""
    if isinstance(kind, inspect.StrType):
        return isinstance(value, str) and _between(len(value), kind.min_length, kind.max_length)
    if isinstance(kind, inspect.IntType):
        return isinstance(value, int) and _between(value, kind.ge, kind.le)
    if isinstance(kind, inspect.FloatType):
        return isinstance(value, int | float) and _between(value, kind.ge, kind.le)
    return False


def _between(number: float, low: float | None, high: float | None) -> bool:
    return (low is None or number >= low) and (high is None or number <= high)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST else f"a text of {len(value):,} characters"
    if isinstance(value, list):
        return f"a list of {len(value):,}" if value else "an empty list"
    if isinstance(value, Mapping):
        return f"an object of {len(value):,}" if value else "an empty object"
    if isinstance(value, bool) or value is None:
        return msgspec.json.encode(value).decode()
    words = str(value)
    return words if len(words) <= _LONGEST else f"a number of {len(words)} digits"


def _expected(kinds: Sequence[inspect.Type]) -> str:
    if any(isinstance(kind, inspect.DateTimeType) for kind in kinds):
        return "a moment with its offset such as 2024-05-01T12:00:00Z, or milliseconds since 1970"
    words = dict.fromkeys(_words(kind) for kind in kinds)
    return " or ".join(words) or "something else"


def _words(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return str((kind.extra or {}).get("words", "something else"))
    if isinstance(kind, inspect.StrType):
        return f"a text{_bounds(kind.min_length, kind.max_length, ' of', ' characters')}"
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        name = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
        return f"{name}{_bounds(kind.ge, kind.le, ' of')}"
    if isinstance(kind, inspect.ListType | inspect.DictType):
        name = "a list" if isinstance(kind, inspect.ListType) else "an object"
        return f"{name}{_bounds(kind.min_length, kind.max_length, ' of', ' entries')}"
    names = {inspect.StructType: "an object", inspect.BoolType: "true or false"}
    return names.get(type(kind), "something else")


def _bounds(low: float | None, high: float | None, of: str, what: str = "") -> str:
    """Such as " of 1 to 256 characters"; empty where there are none."""
    if low is not None and high is not None:
        return f"{of if what else ' from'} {low:,.15g} to {high:,.15g}{what}"
    if high is not None:
        return f"{of} at most {high:,.15g}{what}"
    if low is not None:
        return f"{of} at least {low:,.15g}{what}"
    return ""
