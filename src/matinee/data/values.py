"""Columns of one batch, from whatever type they came in, with the rows that are bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.core.types import Bool, Float32, Int64
from matinee.data.times import to_ms

CODED = pa.dictionary(pa.int32(), pa.string())
EMPTY_VALUES = ("", "NA", "N/A", "NULL", "null", "None", "NaN", "nan", "\\N")
IDS = ("user", "item", "kind")
UNNAMED_KIND = "unknown"
# Up to here every whole number has a floating one of its own.
_EXACT = 2.0**53
_PROBLEMS = {
    "user": "the row has no viewer",
    "item": "the row has no item",
    "time": "not a time after 1970-01-01",
    "order": "not a whole number",
    "value": "not a number",
}


class UnusableColumn(Exception):
    """A column is of a type, or holds what, its role cannot be read from.

    Args:
        role: the role.
        problem: what was found and what was expected.
        value: the first such value, where it is one.
    """

    def __init__(self, role: str, problem: str, value: object = None) -> None:
        super().__init__(problem)
        self.role, self.problem, self.value = role, problem, value


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of one batch, parsed.

    Attributes:
        coded: role (user, item, kind) -> strings, whole numbers, or a dictionary array of int32 and strings.
        numbers: role (time: int64 milliseconds; order: int64; value: float32) -> shape (rows,).
        bad: role -> bool, shape (rows,): rows that this role makes unusable; roles without any are left out.
        units: how many times had which unit.
    """

    coded: Mapping[str, Any]
    numbers: Mapping[str, NDArray[Any]]
    bad: Mapping[str, Bool]
    units: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.coded["user"])

    def keep(self, mask: Bool) -> Columns:
        """Only some rows; ids that no row is left of are gone."""
        chosen = pa.array(mask)
        coded = {role: _plain(array.filter(chosen)) for role, array in self.coded.items()}
        numbers = {role: array[mask] for role, array in self.numbers.items()}
        return Columns(coded=coded, numbers=numbers, bad={}, units=self.units)


def _plain(array: pa.Array) -> pa.Array:
    """An array without a dictionary."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def problem_of(role: str) -> str:
    """What is wrong with a row that a role makes unusable."""
    return _PROBLEMS[role]


def parse_columns(arrays: Mapping[str, pa.Array]) -> Columns:
    """Parse the columns of one batch.

    Args:
        arrays: role -> the column as read, any Arrow type.

    Raises:
        UnusableColumn: a column's type cannot hold what its role needs.
    """
    coded: dict[str, Any] = {}
    numbers: dict[str, NDArray[Any]] = {}
    bad: dict[str, Bool | None] = {}
    units: Mapping[str, int] = {}
    for role, array in arrays.items():
        try:
            if role in ("user", "item"):
                coded[role], bad[role] = to_ids(array)
            elif role == "kind":
                coded[role] = _to_kinds(array)
            elif role == "time":
                times = to_ms(array)
                numbers[role], bad[role], units = times.ms, times.bad, times.units
            elif role == "order":
                numbers[role], bad[role] = to_positions(array)
            else:
                numbers[role], bad[role] = to_values(array)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, ValueError) as error:
            raise UnusableColumn(role, str(error).splitlines()[0].rstrip(".")) from error
    return Columns(
        coded=coded,
        numbers=numbers,
        bad={role: mask for role, mask in bad.items() if mask is not None},
        units=units,
    )


def whole_ids(arrays: Mapping[str, pa.Array]) -> tuple[Mapping[str, pa.Array], frozenset[str]]:
    """Ids that came as floating numbers, as pandas makes them of a column with an empty cell: as whole ones.

    Args:
        arrays: role -> the column as read.

    Returns:
        The columns, ids whole, null where there is none; and the roles in which that was done.

    Raises:
        UnusableColumn: a number is not whole, or so large that it may stand for several.
    """
    floating = {role for role in IDS if role in arrays and _holds_floats(arrays[role].type)}
    if not floating:
        return arrays, frozenset()
    return {**arrays, **{role: _whole(role, arrays[role]) for role in floating}}, frozenset(floating)


def _holds_floats(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _whole(role: str, array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    numbers = np.asarray(array.cast(pa.float64()).fill_null(np.nan))
    missing = np.isnan(numbers)
    wrong = ~missing & ((numbers != np.floor(numbers)) | (np.abs(numbers) > _EXACT))
    if wrong.any():
        raise UnusableColumn(
            role, "ids are strings or whole numbers, and these are not whole", float(numbers[wrong][0])
        )
    return pa.array(np.where(missing, 0.0, numbers).astype(np.int64), mask=missing)


def to_ids(array: pa.Array) -> tuple[pa.Array, Bool | None]:
    """Ids as they are to be coded, byte for byte, and which rows have none.

    Returns:
        Strings, whole numbers, or a dictionary array of int32 and strings; and a mask of the rows without an
        id, or None where each has one.

    Raises:
        pa.ArrowInvalid: the column is of a type that ids cannot be of.
    """
    if pa.types.is_dictionary(array.type):
        return _dictionary_ids(array)
    kind = array.type
    if pa.types.is_integer(kind):
        return array, np.asarray(array.is_null()) if array.null_count else None
    if pa.types.is_floating(kind) or pa.types.is_nested(kind) or pa.types.is_boolean(kind):
        raise pa.ArrowInvalid(f"ids are strings or whole numbers, and these are of type {kind}")
    array = array.cast(pa.string())
    return array, blank_ids(array)


def blank_ids(array: pa.Array) -> Bool | None:
    """Which strings are null, empty or of white space alone; None where none is."""
    if not array.null_count and _shows_no_blank(array):
        return None
    blank = pc.or_(pc.equal(array, ""), pc.utf8_is_space(array))
    mask = np.asarray(pc.fill_null(blank, True))
    return mask if mask.any() else None


def _shows_no_blank(array: pa.Array) -> bool:
    """Whether lengths and bytes alone tell that no string is blank, at a tenth of the cost of looking."""
    if not len(array):
        return True
    if pc.min(pc.binary_length(array)).as_py() == 0:
        return False
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    letters = np.frombuffer(array.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    # Up to the space are ASCII's blanks; other alphabets' are above its end.
    return len(letters) == 0 or bool(letters.min() > ord(" ") and letters.max() < 0x80)


def _dictionary_ids(array: pa.Array) -> tuple[pa.Array, Bool | None]:
    if not pa.types.is_string(array.dictionary.type):
        ids, _ = to_ids(array.dictionary)
        array = pa.DictionaryArray.from_arrays(array.indices, ids.cast(pa.string()))
    if array.type != CODED:
        array = pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), array.dictionary)
    blank = blank_ids(array.dictionary)
    if blank is None and not array.null_count:
        return array, None
    of_word = np.zeros(len(array.dictionary), bool) if blank is None else blank
    bad = np.asarray(pc.fill_null(pa.array(of_word).take(array.indices), True))
    return array, bad if bad.any() else None


def _to_kinds(array: pa.Array) -> pa.Array:
    """Names of kinds; events without one are of the kind "unknown"."""
    kinds, bad = to_ids(array)
    return kinds if bad is None else pc.if_else(pa.array(bad), UNNAMED_KIND, _plain(kinds).cast(pa.string()))


def to_values(array: pa.Array) -> tuple[Float32, Bool | None]:
    """Numbers as float32, NaN where empty; which rows are no number or infinite."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    unread: Bool | None = None
    if not _is_numeric(array.type):
        array, unread = _numbers_of(array)
    if pa.types.is_boolean(array.type) or pa.types.is_decimal(array.type):
        array = array.cast(pa.float32())
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused as such
        values = array.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    bad = np.isinf(values)
    if unread is not None:
        bad |= unread
    return values, bad if bad.any() else None


def to_positions(array: pa.Array) -> tuple[Int64, Bool | None]:
    """Whole numbers as int64, and which rows have none."""
    unread: Bool | None = None
    if not _is_numeric(array.type):
        array, unread = _numbers_of(array)
    bad = np.asarray(array.is_null())
    if unread is not None:
        bad |= unread
    if pa.types.is_floating(array.type):
        floats = np.nan_to_num(np.asarray(array.fill_null(0)), nan=0.5, posinf=0.5, neginf=0.5)
        bad |= floats != np.floor(floats)
        return floats.astype(np.int64), bad if bad.any() else None
    filled = np.asarray(array.fill_null(0).cast(pa.int64()))
    return filled, bad if bad.any() else None


def _is_numeric(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    )


def _numbers_of(array: pa.Array) -> tuple[pa.Array, Bool | None]:
    """Strings as float64, null where empty, and which rows are neither."""
    text = pc.utf8_trim_whitespace(array.cast(pa.string()))
    empty = pc.is_in(text, value_set=pa.array(EMPTY_VALUES, pa.string()))
    given = pc.if_else(empty, pa.scalar(None, pa.string()), text)
    try:
        return given.cast(pa.float64()), None
    except pa.ArrowInvalid:
        numbers = [_number(one) for one in given.to_pylist()]
        bad = np.array([value is None for value in numbers]) & np.asarray(given.is_valid())
        return pa.array(numbers, pa.float64()), bad


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
