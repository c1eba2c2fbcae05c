"""Batches become events: ids become codes, batch by batch, in bounded memory.

Batches bring ids plain or with a small dictionary each. A few million rows' worth of them are brought onto
one dictionary by Arrow (a segment); the segments' dictionaries are joined onto the log's whenever they
outweigh it, so that every dictionary is hashed a bounded number of times. Codes stay int32 all the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.core.errors import DataError
from matinee.core.types import Bool, Int32
from matinee.data.events import Events
from matinee.data.numbering import Numbering
from matinee.data.values import Columns
from matinee.data.vocabulary import Vocabulary

_SEGMENT_ROWS = 1 << 23
_SEGMENT_BYTES = 1 << 28
_MAX_KINDS = 127


class Coder:
    """Ids of one role to codes, numbered by first row."""

    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._segments: list[Int32] = []
        self._map_of: list[int] = []  # each segment's place among the dictionaries
        self._maps: list[Int32] = []  # of each dictionary that was joined
        self._joining: list[Any] = []
        self._numbering: Numbering | None = None
        self._tries_numbers = True
        self._known = pa.array([], pa.string())
        self._forgot = False

    def add(self, ids: Any, *, in_order: bool) -> None:
        """Take in one batch without nulls.

        Args:
            ids: strings, whole numbers, or a dictionary array of int32 and strings.
            in_order: whether its dictionary is in the order of its rows and holds no id without a row.
        """
        if self._tries_numbers and not pa.types.is_dictionary(ids.type) and self._add_numbers(ids):
            return
        if self._waiting and self._waiting[0].type != ids.type:
            self.close_segment()
        self._close_numbering()
        self._waiting.append(ids if in_order or not pa.types.is_dictionary(ids.type) else _in_order(ids))
        self._waiting_rows += len(ids)
        self._waiting_bytes += ids.nbytes
        if self._waiting_rows >= _SEGMENT_ROWS or self._waiting_bytes >= _SEGMENT_BYTES:
            self.close_segment()

    def _add_numbers(self, ids: Any) -> bool:
        """Code one batch by its numbers; False, now and from then on, where it has others."""
        if not len(ids):
            return True
        if self._waiting:
            self.close_segment()
        self._numbering = self._numbering or Numbering(ids[0].as_py())
        codes = self._numbering.codes(ids)
        if codes is None:
            self._tries_numbers = False
            return False
        self._segments.append(codes)
        self._map_of.append(len(self._maps) + len(self._joining))
        return True

    def _close_numbering(self) -> None:
        """Its dictionary waits for the others; segments that were coded by it come before all that follow."""
        if self._numbering is not None:
            self._joining.append(self._numbering.ids())
            self._numbering = None

    def close_segment(self) -> int:
        """Bring what waits onto one dictionary.

        Returns:
            How many segments there are now; `forget` takes it.
        """
        if self._waiting:
            whole = pa.chunked_array(self._waiting)
            rows, self._waiting, self._waiting_rows, self._waiting_bytes = len(whole), [], 0, 0
            has_dictionaries = pa.types.is_dictionary(whole.type)
            chunks = (whole.unify_dictionaries() if has_dictionaries else whole.dictionary_encode()).chunks
            del whole
            codes = np.empty(rows, np.int32)
            start = 0
            for chunk in chunks:
                codes[start : start + len(chunk)] = np.asarray(chunk.indices)
                start += len(chunk)
            self._segments.append(codes)
            self._map_of.append(len(self._maps) + len(self._joining))
            self._joining.append(chunks[-1].dictionary.cast(pa.string()))
            if sum(map(len, self._joining)) > max(len(self._known), 1 << 20):
                self._join()
        return len(self._segments)

    def forget(self, segments: int) -> None:
        """Drop what came after `close_segment` returned this number."""
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
        self._close_numbering()
        self._join()
        self._forgot = True
        del self._segments[segments:], self._map_of[segments:]
        if not segments:
            self._known, self._maps = self._known[:0], []

    def _join(self) -> None:
        """Join the waiting segments' dictionaries onto the log's, which keeps its numbers."""
        if not self._joining:
            return
        parts = [_enumerated(self._known), *map(_enumerated, self._joining)]
        chunks = pa.chunked_array(parts).unify_dictionaries().chunks
        self._maps += [np.asarray(chunk.indices) for chunk in chunks[1:]]
        self._known = chunks[-1].dictionary
        self._joining = []

    def finish(self) -> tuple[Vocabulary, Int32]:
        """The vocabulary, and the codes of all rows: int32."""
        self.close_segment()
        self._close_numbering()
        self._join()
        known, renumbered = self._known, None
        if self._forgot:  # the rows that were dropped may have been an id's only ones
            used = self._used()
            known = known.filter(pa.array(used))
            renumbered = (np.cumsum(used) - 1).astype(np.int32)
        codes = np.empty(sum(map(len, self._segments)), np.int32)
        start = 0
        for place, segment in enumerate(self._segments):
            numbers = self._maps[self._map_of[place]]
            self._segments[place] = segment[:0]  # its memory goes before the next one is copied
            final = numbers if renumbered is None else renumbered[numbers]
            np.take(final, segment, out=codes[start : start + len(segment)], mode="clip")
            start += len(segment)
        return Vocabulary(known), codes

    def _used(self) -> Bool:
        """Which of the known ids have a row: bool, shape (ids,)."""
        used = np.zeros(len(self._known), bool)
        for segment, place in zip(self._segments, self._map_of, strict=True):
            numbers = self._maps[place]
            taken = np.zeros(len(numbers), bool)
            taken[segment] = True
            used[numbers[taken]] = True
        return used


def _enumerated(ids: Any) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(np.arange(len(ids), dtype=np.int32)), ids)


def _in_order(ids: Any) -> Any:
    """The same ids with a dictionary in the order of their first rows, without ids that no row has."""
    codes = np.asarray(ids.indices)
    n = len(codes)
    first = np.full(len(ids.dictionary), n, np.int32)
    first[codes[::-1]] = np.arange(n - 1, -1, -1, dtype=np.int32)  # of several writes the last one stays
    order = np.argsort(first, kind="stable")[: int((first < n).sum())].astype(np.int32)
    number = np.empty(len(first), np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(number[codes]), ids.dictionary.take(pa.array(order)))


class Gather:
    """Takes in parsed batches and gives all of a log's events.

    Args:
        roles: the roles that every batch brings.
    """

    def __init__(self, roles: Mapping[str, Any] | tuple[str, ...]) -> None:
        self._coders = {role: Coder() for role in roles if role in ("user", "item", "kind")}
        self._numbers: dict[str, list[NDArray[Any]]] = {
            role: [] for role in roles if role in ("time", "order", "value")
        }
        self.rows = 0

    def add(self, columns: Columns, *, in_order: bool) -> None:
        """Take in one batch without bad rows."""
        for role, coder in self._coders.items():
            coder.add(columns.coded[role], in_order=in_order)
        for role, chunks in self._numbers.items():
            chunks.append(columns.numbers[role])
        self.rows += len(columns)

    def mark(self) -> dict[str, int]:
        """Where the gathering stands; `rewind` takes it."""
        marks = {role: coder.close_segment() for role, coder in self._coders.items()}
        return marks | {role: len(chunks) for role, chunks in self._numbers.items()} | {"rows": self.rows}

    def rewind(self, mark: Mapping[str, int]) -> None:
        """Drop what came after a mark."""
        for role, coder in self._coders.items():
            coder.forget(mark[role])
        for role, chunks in self._numbers.items():
            del chunks[mark[role] :]
        self.rows = mark["rows"]

    def finish(self) -> Events:
        """All events, in the order of the files.

        Raises:
            DataError: the column of kinds has too many different ones to be that.
        """
        viewers, viewer = self._coders.pop("user").finish()
        items, item = self._coders.pop("item").finish()
        kinds: tuple[str, ...] = ()
        kind = None
        if "kind" in self._coders:
            names, codes = self._coders.pop("kind").finish()
            if len(names) > _MAX_KINDS:
                raise DataError(
                    f"the column taken for the kind of event has {len(names)} values, more than {_MAX_KINDS}",
                    value=names.id(_MAX_KINDS),
                    remedy="Name the right column, or none: --columns kind=",
                )
            kinds, kind = tuple(names.ids(range(len(names)))), codes.astype(np.int8)
        value = self._joined("value")
        return Events(
            viewers=viewers, items=items, viewer=viewer, item=item, kind=kind, kinds=kinds,
            time=self._joined("time"), position=self._joined("order"),
            value=None if value is None or np.isnan(value).all() else value,
        )  # fmt: skip

    def _joined(self, role: str) -> NDArray[Any] | None:
        """One column in one piece, its chunks freed as they are copied."""
        chunks = self._numbers.pop(role, None)
        if not chunks:
            return None
        whole = np.empty(self.rows, chunks[0].dtype)
        end = self.rows
        while chunks:
            chunk = chunks.pop()
            whole[end - len(chunk) : end] = chunk
            end -= len(chunk)
        return whole
