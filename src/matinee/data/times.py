"""Times of any unit and type, as milliseconds since 1970, UTC.

A number's unit is told by its size: from 1973 to the year 5138 seconds, milliseconds, microseconds and
nanoseconds do not overlap. So each number is read by its own size, and a log whose rows mix units is read
rightly and said so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.core.types import Bool, Int64

UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
_LIMITS = np.array([1e11, 1e14, 1e17])
# What a unit's number is multiplied and divided by.
_FACTORS = ((1000, 1), (1, 1), (1, 1000), (1, 1_000_000))
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999, the last that datetime knows
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_TYPES = (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.timestamp("ns", "UTC"))


@dataclass(frozen=True, kw_only=True)
class Times:
    """Times of one batch.

    Attributes:
        ms: int64, shape (rows,): milliseconds since 1970, UTC; meaningless where bad.
        bad: bool, shape (rows,): no time, not a time, or not after 1970-01-01; None: none is.
        units: unit -> how many rows had it.
    """

    ms: Int64
    bad: Bool | None = None
    units: Mapping[str, int] = field(default_factory=dict)


def is_number(text: str) -> bool:
    """Whether a field is a plain number."""
    return _NUMBER.fullmatch(text) is not None


def is_time(text: str) -> bool:
    """Whether a field is an ISO date or moment; "2024" and "20240131" are numbers."""
    return not is_number(text) and _moment(text) is not None


def looks_like_moment(text: str) -> bool:
    """Whether a field of a file without a header can only be a time: ISO, or seconds from 1973 on."""
    return float(text) >= 1e8 if is_number(text) else is_time(text)


def is_unix_time(text: str) -> bool:
    """Whether a field is a whole number that is a time from 2001 to 2035: seconds, or milliseconds."""
    field = text.strip()
    if not field.isdecimal() or len(field) not in (10, 13):
        return False
    return 1_000_000_000 <= int(field[:10]) < 2_082_758_400


def to_ms(array: pa.Array) -> Times:
    """Milliseconds from numbers (unit by size), ISO strings, dates or Arrow timestamps; naive ones are UTC.

    Raises:
        pa.ArrowInvalid: the type cannot be a time.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _from_strings(array.cast(pa.string()))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        # A date goes through a timestamp of its own unit: Arrow has no way from days to milliseconds else.
        ms = (
            array.cast(pa.timestamp("ms"))
            if pa.types.is_date(kind)
            else pc.cast(array, _ms_type(kind), safe=False)
        )
        return _checked(_numpy(ms.cast(pa.int64())), array, {"dates": len(array)})
    if pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    if pa.types.is_null(kind):
        array = array.cast(pa.int64())
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise pa.ArrowInvalid(f"a column of type {kind} holds no times")
    return _from_numbers(array)


def _ms_type(kind: Any) -> Any:
    return pa.timestamp("ms", kind.tz)


def _numpy(array: pa.Array) -> NDArray[Any]:
    """An Arrow array of numbers as numpy, 0 where it is null."""
    return np.asarray(array.fill_null(0) if array.null_count else array)


def _checked(ms: Int64, array: pa.Array, units: Mapping[str, int]) -> Times:
    bad = ms <= 0
    if len(ms) and int(ms.max()) > _LATEST_MS:
        bad |= ms > _LATEST_MS
    if array.null_count:
        bad |= np.asarray(array.is_null())
    return Times(ms=ms, bad=bad if bad.any() else None, units=units)


def _from_numbers(array: pa.Array) -> Times:
    numbers = _numpy(array)
    if np.issubdtype(numbers.dtype, np.integer):
        numbers = numbers.astype(np.int64, copy=False)
    else:
        numbers = np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0)
    if not len(numbers):
        return Times(ms=np.zeros(0, np.int64))
    low, high = np.searchsorted(_LIMITS, [numbers.min(), numbers.max()], side="right")
    if low == high:
        return _checked(_scaled(numbers, int(low)), array, {UNITS[low]: len(numbers)})
    unit = np.searchsorted(_LIMITS, numbers, side="right")
    ms = np.zeros(len(numbers), np.int64)
    for place in range(len(UNITS)):
        ms[unit == place] = _scaled(numbers[unit == place], place)
    counts = np.bincount(unit[numbers > 0], minlength=len(UNITS))
    return _checked(ms, array, {name: int(n) for name, n in zip(UNITS, counts, strict=True) if n})


def _scaled(numbers: NDArray[Any], unit: int) -> Int64:
    times, over = _FACTORS[unit]
    if np.issubdtype(numbers.dtype, np.integer):
        return numbers * times if over == 1 else numbers // over
    scaled = np.rint(numbers * times) if over == 1 else np.floor(numbers / over)
    return np.clip(scaled, -1.0, 1e18).astype(np.int64)


def _from_strings(array: pa.Array) -> Times:
    for kind in (pa.int64(), pa.float64()):
        try:
            return _from_numbers(array.cast(kind))
        except pa.ArrowInvalid:
            continue
    moments = pc.replace_substring(array, " UTC", "Z")
    for kind in _TYPES:
        try:
            return to_ms(moments.cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            # Not all of them are written in this way, or Arrow cannot read it: the next way, or one by one.
            continue
    return _one_by_one(array)


def _one_by_one(array: pa.Array) -> Times:
    """The slow way, for columns that mix ways of writing or hold what is no time."""
    ms, bad = np.zeros(len(array), np.int64), np.zeros(len(array), bool)
    numeric = np.asarray(pc.fill_null(pc.match_substring_regex(array, f"^{_NUMBER.pattern}$"), False))
    numbers = _from_numbers(pc.utf8_trim_whitespace(array.filter(pa.array(numeric))).cast(pa.float64()))
    ms[numeric] = numbers.ms
    bad[numeric] = False if numbers.bad is None else numbers.bad
    others = np.flatnonzero(~numeric)
    moments = [None if text is None else _moment(text) for text in array.take(pa.array(others)).to_pylist()]
    ms[others] = [moment or 0 for moment in moments]
    dates = sum(moment is not None for moment in moments)
    bad |= ms <= 0
    units = {**numbers.units, **({"dates": dates} if dates else {})}
    return Times(ms=ms, bad=bad if bad.any() else None, units=units)


def _moment(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip().replace(" UTC", "Z"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
