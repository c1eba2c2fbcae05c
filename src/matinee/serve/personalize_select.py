"""What a filter of Personalize lets in or shuts out, for one asker at one moment."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.core.types import Bool
from matinee.serve.known_items import column_named, known_item, values_of, words_of
from matinee.serve.personalize_filters import (
    INTERACTIONS,
    Condition,
    Expression,
    Value,
    bound,
    parse,
    values_in,
)
from matinee.serve.records import Seen
from matinee.serve.refusals import NotFound, Refusal
from matinee.serve.service import Catalogue
from matinee.serve.store import Store

# Note under which the expression of a filter is kept.
NOTE = "filter/"
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NEGATED = {"not in": "in", "!=": "="}
_KEPT = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Items that may come.

    Attributes:
        only: those; None: all.
        exclude: not those.
        categories: of these only; empty: any.
    """

    only: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    def lets(self, item: str, categories: Sequence[str]) -> bool:
        """Whether an item may come."""
        if self.categories and not set(self.categories) & set(categories):
            return False
        return item not in self.exclude and (self.only is None or item in self.only)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """Of whom a filter speaks.

    Attributes:
        attributes: what is known of the user.
        history: what the user did.
        item: the item asked about; None: none.
    """

    attributes: Mapping[str, Any]
    history: Sequence[Seen]
    item: str | None = None


async def expression_of(store: Store, name: str) -> str:
    """The expression of a filter by its name.

    Raises:
        NotFound: there is no such filter.
    """
    text = await store.note(NOTE + name)
    if text is None:
        raise NotFound(f"There is no filter {name!r}: name one that the server was given with --filters.")
    return text


async def put_filters(store: Store, filters: Mapping[str, str]) -> None:
    """Keep filters under their names, for every process; those that are there already are replaced."""
    if filters:
        await store.put_notes({NOTE + name: text for name, text in filters.items()})


class Selector:
    """Applies filters; what a condition on items comes to is kept until items change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[str, ...]] = OrderedDict()

    def select(self, text: str, sent: Mapping[str, str], catalogue: Catalogue, asker: Asker) -> Selection:
        """What a filter comes to.

        Args:
            text: its expression.
            sent: values of its placeholders, as they were sent.
            catalogue: the items.
            asker: whom it is for.

        Raises:
            Refusal: the expression cannot be read, or a placeholder of an INCLUDE has no value.
        """
        expressions = _parsed(text)
        values = {name: values_in(one) for name, one in sent.items()}
        _refuse_strangers(expressions, values)
        applied = [one for one in expressions if _applies(one, values, asker)]
        current = _current(catalogue, asker.item)
        includes = [_filled(one, values, current) for one in applied if one.include]
        excludes = [_filled(one, values, current) for one in applied if not one.include]
        out = {item for one in excludes for item in self._items(one, catalogue, asker)}
        if len(includes) == 1 and (categories := _categories(includes[0], catalogue)):
            return Selection(categories=categories, exclude=tuple(out))
        if not includes:
            return Selection(exclude=tuple(out))
        let_in = dict.fromkeys(item for one in includes for item in self._items(one, catalogue, asker))
        return Selection(only=tuple(item for item in let_in if item not in out))

    def _items(self, expression: Expression, catalogue: Catalogue, asker: Asker) -> Sequence[str]:
        if expression.any_of[0][0].dataset == INTERACTIONS:
            return [
                event.item
                for event in asker.history
                if any(all(_happened(event, one) for one in some) for some in expression.any_of)
            ]
        key = (catalogue.version, expression.any_of)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = _chosen(catalogue, expression.any_of)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[Expression, ...]:
    return parse(text)


def _refuse_strangers(expressions: Sequence[Expression], values: Mapping[str, Any]) -> None:
    known = {name for one in expressions for name in one.parameters()}
    strange = sorted(set(values) - known)
    if strange:
        named = ", ".join(f"${name}" for name in sorted(known)) or "no placeholder"
        raise Refusal(f"filterValues has {strange[0]!r}: the filter has {named}.")


def _applies(expression: Expression, values: Mapping[str, Any], asker: Asker) -> bool:
    """Whether an expression is to be applied: its IF holds, and its placeholders have values."""
    missing = sorted(name for name in expression.parameters() if not values.get(name))
    if missing and expression.include:
        raise Refusal(f"filterValues lacks ${missing[0]}: an INCLUDE needs a value for each placeholder.")
    if missing:
        return False
    for one in expression.only_if:
        name = column_named(asker.attributes, one.column)
        if not _holds(asker.attributes.get(name or ""), bound(one, values, _nothing)):
            return False
    return True


def _nothing(_column: str) -> tuple[Value, ...]:
    return ()


def _filled(
    expression: Expression, values: Mapping[str, Any], current: Callable[[str], tuple[Value, ...]]
) -> Expression:
    any_of = tuple(tuple(bound(one, values, current) for one in some) for some in expression.any_of)
    return Expression(expression.include, any_of)


def _current(catalogue: Catalogue, item: str | None) -> Callable[[str], tuple[Value, ...]]:
    """What the current item has in a column, by any way of writing its name."""
    record = None if item is None else known_item(catalogue, item)
    values = {} if record is None else values_of(record)
    return lambda column: tuple(_parts(values.get(column_named(values, column) or "")))


def _categories(expression: Expression, catalogue: Catalogue) -> tuple[str, ...]:
    """The categories of an expression that asks for nothing else; the engine knows a quick way to these."""
    if len(expression.any_of) != 1 or len(expression.any_of[0]) != 1:
        return ()
    one = expression.any_of[0][0]
    name = column_named(catalogue.table.column_names, one.column)
    listed = name == "genres" and pa.types.is_nested(catalogue.table.schema.field("genres").type)
    if not listed or one.operator not in ("in", "="):
        return ()
    return tuple(str(_text(operand)) for operand in one.operands)


def _chosen(catalogue: Catalogue, any_of: tuple[tuple[Condition, ...], ...]) -> tuple[str, ...]:
    """Ids of the items for which all conditions of one of these hold."""
    mask = np.zeros(catalogue.table.num_rows, dtype=bool)
    for some in any_of:
        both = np.ones(len(mask), dtype=bool)
        for one in some:
            both &= _mask(catalogue.table, one)
        mask |= both
    ids: list[str] = catalogue.table.column("id").filter(pa.array(mask)).to_pylist()
    chosen = dict.fromkeys(one for one in ids if one not in catalogue.records)
    for item in catalogue.records:
        record = known_item(catalogue, item)
        if record is not None:
            values = values_of(record)
            if any(all(_holds_in(values, one) for one in some) for some in any_of):
                chosen[item] = None
    return tuple(chosen)


def _holds_in(values: Mapping[str, Any], condition: Condition) -> bool:
    return _holds(values.get(column_named(values, condition.column) or ""), condition)


def _mask(table: pa.Table, condition: Condition) -> Bool:
    """For which rows a condition holds: each distinct value is looked at once."""
    name = column_named(table.column_names, condition.column)
    if name is None:
        return np.full(table.num_rows, condition.operator in _NEGATED)
    column = table.column(name).combine_chunks()
    rows = np.arange(len(column))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        rows, column = np.asarray(pc.list_parent_indices(column)), pc.list_flatten(column)
    encoded = column.dictionary_encode()
    plain = Condition(
        condition.dataset,
        condition.column,
        _NEGATED.get(condition.operator, condition.operator),
        condition.operands,
    )
    good = np.array([_holds(value, plain) for value in encoded.dictionary.to_pylist()] + [False], dtype=bool)
    hit = good[np.asarray(pc.fill_null(encoded.indices, len(good) - 1))]
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[rows[hit]] = True
    return ~mask if condition.operator in _NEGATED else mask


def _happened(event: Seen, condition: Condition) -> bool:
    """Whether an event is as a condition says; kinds are compared without case, "*" is any."""
    if condition.column == "eventvalue":
        return _holds(event.value, condition)
    kinds = {str(_text(one)).casefold() for one in condition.operands}
    there = "*" in kinds or event.kind.casefold() in kinds
    return there != (condition.operator in _NEGATED)


def _holds(value: Any, condition: Condition) -> bool:
    if condition.operator in _NEGATED:
        plain = Condition(
            condition.dataset, condition.column, _NEGATED[condition.operator], condition.operands
        )
        return not _holds(value, plain)
    parts = _parts(value)
    if condition.operator in ("in", "="):
        wanted = {_text(one) for one in condition.operands}
        return any(_text(part) in wanted for part in parts)
    compare = _COMPARED[condition.operator]
    limits = [_number(one) for one in condition.operands]
    numbers = [_number(part) for part in parts]
    return any(
        number is not None and limit is not None and compare(number, limit)
        for number in numbers
        for limit in limits
    )


def _parts(value: Any) -> list[Value]:
    if value is None:
        return []
    if isinstance(value, str):
        return list(words_of(value))
    if isinstance(value, (list, tuple)):
        return [part for one in value for part in _parts(one)]
    return [str(value).lower() if isinstance(value, bool) else value]


def _text(value: Any) -> str:
    """A value as a text that equal values share: 1999 and 1999.0 are one."""
    number = value if isinstance(value, float) else None
    return str(int(number)) if number is not None and number.is_integer() else str(value)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
