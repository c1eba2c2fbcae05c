"""Filter expressions of Amazon Personalize, read.

    INCLUDE|EXCLUDE ItemID WHERE Dataset.FIELD operator value [AND|OR ...]
        [IF CurrentUser.FIELD operator value [AND ...]]

Several are joined by `|`: what any INCLUDE lets in, without what any EXCLUDE shuts out. Operators are IN, NOT
IN, =, !=, <, <=, > and >=; values are texts in double quotes, numbers, placeholders such as $GENRE, and
CurrentItem.FIELD. AND binds more tightly than OR. (Developer guide, "Filter expressions".)
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matinee.core.errors import InputError
from matinee.data.columns import plain_name
from matinee.serve.refusals import Refusal

ITEMS, INTERACTIONS, USER, CURRENT_ITEM = "items", "interactions", "currentuser", "currentitem"
_DATASETS = {
    "items": ITEMS,
    "interactions": INTERACTIONS,
    "iteminteractions": INTERACTIONS,
    "currentuser": USER,
    "currentitem": CURRENT_ITEM,
}
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*'|“[^”]*”)|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))"""
    r"""|(?P<parameter>\$\w+)|(?P<word>[A-Za-z_]\w*(?:\.\w+)?)|(?P<sign><=|>=|!=|<>|[=<>(),|]))"""
)
_COMPARISONS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_LONGEST, _MOST_PARTS = 2_500, 50

Value = str | float


@dataclass(frozen=True, slots=True)
class Parameter:
    """A placeholder such as $GENRE."""

    name: str


@dataclass(frozen=True, slots=True)
class CurrentItem:
    """A column of the item that is asked about."""

    column: str


Operand = Value | Parameter | CurrentItem


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison.

    Attributes:
        dataset: `items`, `interactions` or `currentuser`.
        column: its plain name, without case and underscores.
        operator: `in`, `not in`, or a comparison.
        operands: what it is compared with.
    """

    dataset: str
    column: str
    operator: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """One INCLUDE or EXCLUDE.

    Attributes:
        include: whether it lets in or shuts out.
        any_of: it holds where all conditions of one of these hold.
        only_if: conditions on the user, all of which must hold for it to be applied.
    """

    include: bool
    any_of: tuple[tuple[Condition, ...], ...]
    only_if: tuple[Condition, ...] = ()

    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of it."""
        return (*(one for some in self.any_of for one in some), *self.only_if)

    def parameters(self) -> set[str]:
        """Names of its placeholders."""
        return {
            operand.name
            for one in self.conditions()
            for operand in one.operands
            if isinstance(operand, Parameter)
        }


def parse(text: str) -> tuple[Expression, ...]:
    """Read a filter.

    Raises:
        Refusal: it is not of this grammar; the message says where it ends to be.
    """
    if len(text) > _LONGEST:
        raise Refusal(f"The filter has {len(text):,} characters: at most {_LONGEST:,} are read.")
    reader = _Reader(text)
    found = [reader.expression()]
    while reader.skip("|"):
        found.append(reader.expression())
    reader.end()
    if sum(len(one.conditions()) for one in found) > _MOST_PARTS:
        raise Refusal(f"The filter has more than {_MOST_PARTS} conditions.")
    return tuple(found)


def bound(
    condition: Condition,
    values: Mapping[str, tuple[Value, ...]],
    current: Callable[[str], tuple[Value, ...]],
) -> Condition:
    """A condition with its placeholders, and what it says of the current item, filled in.

    Args:
        condition: the condition.
        values: name of a placeholder -> its values.
        current: what the current item has in a column of a plain name.

    Raises:
        Refusal: a comparison such as < was given several values.
    """
    operands: list[Operand] = []
    for one in condition.operands:
        if isinstance(one, Parameter):
            if condition.operator not in ("in", "not in") and len(values[one.name]) != 1:
                found = len(values[one.name])
                raise Refusal(f"{condition.operator} compares with one value: ${one.name} has {found}.")
            operands.extend(values[one.name])
        elif isinstance(one, CurrentItem):
            operands.extend(current(one.column))
        else:
            operands.append(one)
    return Condition(condition.dataset, condition.column, condition.operator, tuple(operands))


def values_in(text: str) -> tuple[Value, ...]:
    """The values of a placeholder: texts in double quotes or bare, numbers, with commas between them.

    Raises:
        Refusal: a quote is left open.
    """
    found: list[Value] = []
    rest = text.strip()
    while rest:
        if rest[0] in "\"'":
            closing = rest.find(rest[0], 1)
            if closing < 0:
                raise Refusal(f"A filter value has a quote that is not closed: {text[:60]!r}.")
            found.append(rest[1:closing])
            rest = rest[closing + 1 :].strip()
            if rest and rest[0] != ",":
                raise Refusal(f"A filter value lacks a comma between its parts: {text[:60]!r}.")
            rest = rest[1:].strip()
        else:
            word, _, rest = rest.partition(",")
            found.append(_number(word.strip()))
            rest = rest.strip()
    return tuple(found)


def _number(word: str) -> Value:
    return float(word) if re.fullmatch(r"-?\d+(\.\d+)?", word) else word


def read_filters(path: Path) -> dict[str, str]:
    """Named filters from a TOML file: a table [filters] of name = "expression".

    Raises:
        InputError: there is no such file, or no such table in it, or an expression cannot be read.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("filters")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}. Name a TOML file with a table [filters].") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise InputError(
            f"{path}: expected a table [filters] with lines such as name = 'EXCLUDE ItemID ...'."
        )
    for name, text in found.items():
        try:
            parse(text)
        except Refusal as error:
            raise InputError(f"{path}, filter {name!r}: {error}") from error
    return found


class _Reader:
    """A filter, token by token."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text.rstrip(), 0

    def expression(self) -> Expression:
        include = self._one_of("INCLUDE", "EXCLUDE") == "INCLUDE"
        what = self._take("word")
        if plain_name(what) != "itemid":
            raise self._refusal(f"only ItemID can be filtered here, found {what!r}")
        self._one_of("WHERE")
        any_of = [self._all_of()]
        while self._word("OR"):
            any_of.append(self._all_of())
        datasets = {one.dataset for some in any_of for one in some}
        if len(datasets) > 1:
            raise self._refusal("conditions joined by AND or OR are of one dataset; join expressions with |")
        only_if: list[Condition] = []
        if self._word("IF"):
            only_if.append(self._condition((USER,)))
            while self._word("AND"):
                only_if.append(self._condition((USER,)))
        return Expression(include, tuple(any_of), tuple(only_if))

    def _all_of(self) -> tuple[Condition, ...]:
        found = [self._condition((ITEMS, INTERACTIONS))]
        while self._word("AND"):
            found.append(self._condition((ITEMS, INTERACTIONS)))
        return tuple(found)

    def _condition(self, datasets: tuple[str, ...]) -> Condition:
        dataset, column = self._field(datasets)
        operator = self._operator()
        operands = self._list() if operator in ("in", "not in") else (self._in_parentheses(),)
        if dataset == INTERACTIONS and (
            column not in ("eventtype", "eventvalue") or any(isinstance(one, CurrentItem) for one in operands)
        ):
            raise self._refusal("of Interactions, EVENT_TYPE and EVENT_VALUE can be compared with values")
        return Condition(dataset, column, operator, operands)

    def _field(self, datasets: tuple[str, ...]) -> tuple[str, str]:
        dataset, _, column = self._take("word").partition(".")
        known = _DATASETS.get(plain_name(dataset))
        if known not in datasets or not column:
            names = {
                ITEMS: "Items",
                INTERACTIONS: "Interactions",
                USER: "CurrentUser",
                CURRENT_ITEM: "CurrentItem",
            }
            raise self._refusal(f"expected {' or '.join(f'{names[one]}.FIELD' for one in datasets)}")
        return known, plain_name(column)

    def _operator(self) -> str:
        if self._word("IN"):
            return "in"
        if self._word("NOT"):
            self._one_of("IN")
            return "not in"
        sign = self._peek("sign")
        if sign not in _COMPARISONS:
            raise self._refusal("expected IN, NOT IN, =, !=, <, <=, > or >=")
        self._take("sign")
        return _COMPARISONS[sign]

    def _list(self) -> tuple[Operand, ...]:
        if not self.skip("("):
            return (self._operand(),)
        found = [self._operand()]
        while self.skip(","):
            found.append(self._operand())
        if not self.skip(")"):
            raise self._refusal("expected a comma or a closing parenthesis")
        return tuple(found)

    def _in_parentheses(self) -> Operand:
        if not self.skip("("):
            return self._operand()
        found = self._operand()
        if not self.skip(")"):
            raise self._refusal("expected a closing parenthesis")
        return found

    def _operand(self) -> Operand:
        if (text := self._peek("text")) is not None:
            self._take("text")
            return text[1:-1]
        if self._peek("number") is not None:
            return float(self._take("number"))
        if self._peek("parameter") is not None:
            return Parameter(self._take("parameter")[1:])
        if self._peek("word") is None:
            raise self._refusal("expected a text in double quotes, a number, $NAME or CurrentItem.FIELD")
        return CurrentItem(self._field((CURRENT_ITEM,))[1])

    def skip(self, sign: str) -> bool:
        """Whether a sign comes next; it is passed."""
        there = self._peek("sign") == sign
        if there:
            self._take("sign")
        return there

    def end(self) -> None:
        """Nothing is left."""
        if self._at < len(self._text):
            raise self._refusal("expected AND, OR, IF, | or the end")

    def _word(self, word: str) -> bool:
        there = (self._peek("word") or "").upper() == word
        if there:
            self._take("word")
        return there

    def _one_of(self, *words: str) -> str:
        for word in words:
            if self._word(word):
                return word
        raise self._refusal(f"expected {' or '.join(words)}")

    def _peek(self, group: str) -> str | None:
        found = _TOKEN.match(self._text, self._at)
        return None if found is None else found[group]

    def _take(self, group: str) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found[group] is None:
            raise self._refusal(f"expected a {group}")
        self._at = found.end()
        return str(found[group])

    def _refusal(self, why: str) -> Refusal:
        rest = self._text[self._at :].strip()
        where = f"before {rest[:40]!r}" if rest else "at its end"
        return Refusal(f"The filter cannot be read {where}: {why}.")
