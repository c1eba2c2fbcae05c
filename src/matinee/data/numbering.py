"""Ids that are numbers behind a common prefix: coded by the number, without hashing a string.

"viewer-0001234" is "viewer-" and 1234. From prefix and number an id comes back byte for byte where all ids
are of one length ("007"), or none has a leading zero ("7"). The numbers' codes lie in a table over their
range: finding one costs the same however many ids there are, while a hash table of strings falls out of the
processor's cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.core.types import Int32, Int64

_MAX_DIGITS = 16
# Room for one number costs four bytes and is touched only where there is one.
_ROOM_FOR_ROWS, _LEAST_ROOM, _MOST_ROOM = 64, 1 << 16, 1 << 27
_PIECE_ROWS = 1 << 15
# The least number of so many digits that has no leading zero.
_LEAST = np.array([0, 0, *(10**more for more in range(1, _MAX_DIGITS))], np.int64)
_WORD = 8
_ZEROS = np.uint64(0x3030303030303030)


class Numbering:
    """Codes of ids that are numbers, by first row.

    Args:
        first: any of the ids; what stands before its last digits is the prefix that all must have.
    """

    def __init__(self, first: str | int) -> None:
        first = str(first)
        self._prefix = first.rstrip("0123456789").encode()
        self._digits: int | None = len(first.encode()) - len(self._prefix)
        self._bare = True
        self._low = self._rows = self._known = 0
        self._table = np.zeros(0, np.int32)
        self._numbers: list[Int64] = []

    def codes(self, ids: Any) -> Int32 | None:
        """Codes of some more ids.

        Args:
            ids: Arrow strings or whole numbers without nulls, at least one.

        Returns:
            int32, shape (len(ids),); None where one of them does not follow the rule or the numbers are too
            far apart for a table. The numbering is then as it was.
        """
        found = _numbers(ids, self._prefix) if pa.types.is_string(ids.type) else _whole(ids, self._prefix)
        if found is None:
            return None
        numbers, digits = found
        alike = self._digits if isinstance(digits, int) and digits == self._digits else None
        bare = self._bare and bool((numbers >= _LEAST[digits]).all())
        if alike is None and not bare:
            return None
        if not self._make_room(int(numbers.min()), int(numbers.max()), self._rows + len(numbers)):
            return None
        self._digits, self._bare = alike, bare
        self._rows += len(numbers)
        return self._codes(numbers)

    def ids(self) -> pa.Array:
        """All ids by code: Arrow strings."""
        bare = pa.array(np.concatenate([np.zeros(0, np.int64), *self._numbers])).cast(pa.string())
        padded = bare if self._digits is None else pc.utf8_lpad(bare, self._digits, "0")
        return pc.binary_join_element_wise(pa.scalar(self._prefix.decode()), padded, "")

    def _make_room(self, lowest: int, highest: int, rows: int) -> bool:
        """Widen the table to hold these numbers, unless it would outgrow the rows."""
        low, high = lowest, highest + 1
        if len(self._table):
            low, high = min(low, self._low), max(high, self._low + len(self._table))
        if high - low > min(max(_ROOM_FOR_ROWS * rows, _LEAST_ROOM), _MOST_ROOM):
            return False
        if high - low > len(self._table):
            # By half more each time, so that growing step by step stays linear.
            room = max(high - low, len(self._table) * 3 // 2)
            low = max(high - room, 0) if low < self._low else low
            wider = np.zeros(max(room, high - low), np.int32)
            wider[self._low - low : self._low - low + len(self._table)] = self._table
            self._table, self._low = wider, low
        return True

    def _codes(self, numbers: Int64) -> Int32:
        places = numbers - self._low
        codes = self._table[places]  # one more than the code; 0 where the number is new
        new = codes == 0
        if new.any():
            fresh = places[new]
            turn = np.arange(1, len(fresh) + 1, dtype=np.int32)
            self._table[fresh[::-1]] = turn[::-1]  # of several writes the last one stays: the first row
            once = fresh[self._table[fresh] == turn]
            self._table[once] = np.arange(self._known + 1, self._known + 1 + len(once), dtype=np.int32)
            codes[new] = self._table[fresh]
            self._known += len(once)
            self._numbers.append(once + self._low)
        codes -= 1
        return codes


def _numbers(ids: Any, prefix: bytes) -> tuple[Int64, Any] | None:
    """The numbers behind the prefix, and with how many digits: one figure for all, or int64, shape (ids,)."""
    ends = np.frombuffer(ids.buffers()[1], np.int32)[ids.offset : ids.offset + len(ids) + 1]
    lengths = np.diff(ends)
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest <= len(prefix) or longest - len(prefix) > _MAX_DIGITS:
        return None
    if shortest == longest:
        letters = np.frombuffer(ids.buffers()[2], np.uint8)[ends[0] : ends[-1]]
        numbers = _of_one_length(letters, longest, prefix)
        return None if numbers is None else (numbers, longest - len(prefix))
    numbers = np.empty(len(ids), np.int64)
    for length in range(shortest, longest + 1):
        chosen = lengths == length
        if chosen.any():
            found = _numbers(ids.filter(pa.array(chosen)), prefix)
            if found is None:
                return None
            numbers[chosen] = found[0]
    return numbers, (lengths - len(prefix)).astype(np.int64)


def _whole(ids: Any, prefix: bytes) -> tuple[Int64, int] | None:
    """Whole numbers as they are: 0 digits, for as numbers they have no leading zeros."""
    ends = pc.min_max(ids).as_py()
    if prefix or ends["min"] < 0 or ends["max"] >= 10**_MAX_DIGITS:
        return None
    return np.asarray(ids.cast(pa.int64())), 0


def _of_one_length(letters: NDArray[np.uint8], length: int, prefix: bytes) -> Int64 | None:
    """The numbers of ids that stand side by side, all of one length; None where one breaks the rule."""
    numbers = np.empty(len(letters) // length, np.int64)
    ahead = np.zeros(2 * _WORD, np.uint8)  # so that a short id's word, too, lies inside
    for start in range(0, len(numbers), _PIECE_ROWS):
        piece = np.concatenate([ahead, letters[start * length : (start + _PIECE_ROWS) * length]])
        rows = (len(piece) - len(ahead)) // length
        for end in range(len(prefix), 0, -_WORD):
            expected = int.from_bytes(prefix[max(end - _WORD, 0) : end].rjust(_WORD, b"\0"), "little")
            if (_words(piece, rows, length, end, min(end, _WORD)) != expected).any():
                return None
        digits = length - len(prefix)
        found = _eight_digits(_words(piece, rows, length, length, min(digits, _WORD)), min(digits, _WORD))
        if found is not None and digits > _WORD:
            rest = digits - _WORD
            more = _eight_digits(_words(piece, rows, length, length - _WORD, rest), rest)
            found = None if more is None else found + more * 10**_WORD
        if found is None:
            return None
        numbers[start : start + rows] = found
    return numbers


def _words(piece: NDArray[np.uint8], rows: int, length: int, end: int, letters: int) -> NDArray[np.uint64]:
    """Of each id the letters before one place as one integer, the first one lowest, other bytes 0."""
    words = np.ndarray((rows,), "<u8", piece, offset=_WORD + end, strides=(length,))
    others = np.uint64(8 * (_WORD - letters))
    return (words >> others) << others


def _eight_digits(words: NDArray[np.uint64], digits: int) -> Int64 | None:
    """The numbers that words of ASCII digits spell; None where one of them spells none.

    Source: D. Lemire, "Quickly parsing eight digits", 2018: digits to pairs, to fours, to eight at once.
    """
    values = words ^ (_ZEROS >> np.uint64(8 * (_WORD - digits)) << np.uint64(8 * (_WORD - digits)))
    above_nine = (values + np.uint64(0x7676767676767676)) | values
    if int(np.bitwise_or.reduce(above_nine)) & 0x8080808080808080:
        return None
    for base, shift, mask in (
        (10, 8, 0x00FF00FF00FF00FF), (100, 16, 0x0000FFFF0000FFFF), (10_000, 32, 0x00000000FFFFFFFF),
    ):  # fmt: skip
        values = (values * np.uint64(base) + (values >> np.uint64(shift))) & np.uint64(mask)
    return values.astype(np.int64)
