"""A bundle's items with what the store says of them laid over it: every answer obeys the latest word.

The items of the bundle keep their codes; items that only the store knows have the codes behind them, in the
order in which they came. What a record says of windows, stock, regions and hiding replaces the bundle's
word; title and categories do where it has any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.answers.rules import ALWAYS, NEVER, windows_of, word_lists_of
from matinee.core.seeds import shuffle_keys
from matinee.core.types import Bool, Float32, Int64
from matinee.data.log import InteractionLog
from matinee.serve.records import ItemRecord

CATEGORIES = ("categories", "genres")
# Categories whose items are kept at hand.
_MASKS = 64


class LiveItems:
    """What can be shown of one bundle, and of what came since.

    Args:
        log: the bundle's log: its catalogue, and histories where it has any.
        created_ms: when the bundle was written: what it does not know came later.
        ties: seed of the order among equal scores.
    """

    def __init__(self, log: InteractionLog, created_ms: int = 0, ties: int = 0) -> None:
        self.known = log.n_items
        self.records: dict[str, ItemRecord] = {}
        self._table, self._created, self._ties = log.item_table, created_ms, ties
        self._codes: dict[str, int] = {}
        self._of_bundle = log.items
        self._ids: dict[int, str] = {}
        self._called: dict[int, str | None] = {}
        windows = windows_of(log.item_table)
        self._since, self._until, self._open = windows.since.copy(), windows.until.copy(), windows.open.copy()
        self._limits = {
            code: frozenset(names)
            for code, names in enumerate(word_lists_of(log.item_table, "regions"))
            if names
        }
        self._new: list[str] = []
        self._said: dict[int, ItemRecord] = {}
        self._arrived = _arrivals(log, windows.since)
        self.keys = shuffle_keys(self.known, ties)
        # What is derived of all this, until something changes: struck items and from when until when.
        self._struck: Int64 = np.zeros(0, np.int64)
        self._from_ms, self._to_ms = NEVER, ALWAYS
        self._shut: dict[str | None, Int64] = {}
        self._named: tuple[frozenset[str], dict[str, list[int]], list[int]] | None = None
        self._masks: dict[str, Bool] = {}
        self._newness: Float32 | None = None

    @property
    def size(self) -> int:
        """How many items there are, those that only the store knows included."""
        return self.known + len(self._new)

    @property
    def regional(self) -> bool:
        """Whether any item is limited to regions."""
        return bool(self._limits)

    def update(self, records: Iterable[ItemRecord]) -> None:
        """Lay what the store says over the bundle: records of changed items, the deleted included."""
        # Two who asked at the same time may bring what they learnt in another order.
        changed = [one for one in records if one.version >= self._version_of(one.id)]
        before = len(self._new)
        for record in changed:
            self.records[record.id] = record
            if self.code(record.id) < 0:
                self._codes[record.id] = self.size
                self._new.append(record.id)
        if len(self._new) > before:
            self._grow(len(self._new) - before)
        for record in changed:
            self._say(record)
        if changed:
            self._forget_derived()

    def code(self, id_: str) -> int:
        """The code of an item; -1 where neither bundle nor store knows it."""
        code = self._of_bundle.code(id_)
        return self._codes.get(id_, -1) if code < 0 else code

    def codes(self, ids: Sequence[str]) -> list[int]:
        """The codes of some items; -1 where neither bundle nor store knows one."""
        found = self._of_bundle.lookup.codes(ids)
        if not self._codes:
            return found
        new = self._codes
        return [new.get(one, -1) if code < 0 else code for one, code in zip(ids, found, strict=True)]

    def id(self, code: int) -> str:
        """The id of a code."""
        if code >= self.known:
            return self._new[code - self.known]
        found = self._ids.get(code)
        if found is None:
            found = self._ids[code] = self._of_bundle.id(code)
        return found

    def title(self, code: int) -> str | None:
        """What people call an item; None where nobody said."""
        record = self._said.get(code)
        if record is not None and record.title is not None:
            return record.title
        if code >= self.known or self._titles is None:
            return None
        if code not in self._called:
            title = self._titles[code].as_py()
            self._called[code] = None if title is None else str(title)
        return self._called[code]

    def struck(self, now_ms: int) -> Int64:
        """Codes of items that nobody is shown at a moment: int64."""
        if not self._from_ms <= now_ms < self._to_ms:
            shown = self._open & (self._since <= now_ms) & (self._until > now_ms)
            self._struck = np.flatnonzero(~shown)
            moments = np.concatenate([self._since, self._until])
            self._from_ms = int(moments[moments <= now_ms].max(initial=ALWAYS))
            self._to_ms = int(moments[moments > now_ms].min(initial=NEVER))
        return self._struck

    def shut(self, region: str) -> Int64:
        """Codes of items that are limited to other regions: int64."""
        # Askers name what they like; all regions that no item names have one answer.
        known = region if region in self._said_words[0] else None
        found = self._shut.get(known)
        if found is None:
            found = np.array([code for code, names in self._limits.items() if known not in names], np.int64)
            self._shut[known] = found
        return found

    def of_categories(self, names: Iterable[str]) -> Bool:
        """Which items are of any of some categories: bool, shape (size,)."""
        mask = np.zeros(self.size, dtype=bool)
        for name in names:
            mask |= self._of_category(name)
        return mask

    def categories(self, code: int) -> tuple[str, ...]:
        """An item's categories."""
        record = self._said.get(code)
        if record is not None and (record.categories or code >= self.known):
            return record.categories
        return self._bundle_categories(code)

    def values(self, column: str, code: int) -> tuple[Any, ...]:
        """What an item has in a column of the catalogue, or in an attribute of its record: any number."""
        if column in CATEGORIES:
            return self.categories(code)
        record = self._said.get(code)
        cell = None if record is None else record.attributes.get(column)
        if cell is None and code < self.known and column in self._table.column_names:
            cell = self._column(column)[code].as_py()
        if cell is None:
            return ()
        return (
            tuple(_hashable(one) for one in cell) if isinstance(cell, (list, tuple)) else (_hashable(cell),)
        )

    def has_column(self, column: str) -> bool:
        """Whether anything is known of a column."""
        if column in CATEGORIES or column in self._table.column_names:
            return True
        return any(column in record.attributes for record in self.records.values())

    @property
    def arrived(self) -> Int64:
        """When each item came, milliseconds: int64, shape (size,); the least number where nobody knows."""
        return self._arrived

    @property
    def newness(self) -> Float32:
        """From 0, the oldest, to 1, the newest, by rank; items that came together have one: float32."""
        if self._newness is None:
            _, ranks = np.unique(self._arrived, return_inverse=True)
            self._newness = (ranks / max(int(ranks.max(initial=0)), 1)).astype(np.float32)
        return self._newness

    def _version_of(self, id_: str) -> int:
        record = self.records.get(id_)
        return 0 if record is None else record.version

    def _grow(self, n: int) -> None:
        self._since = np.concatenate([self._since, np.full(n, ALWAYS)])
        self._until = np.concatenate([self._until, np.full(n, NEVER)])
        self._open = np.concatenate([self._open, np.ones(n, bool)])
        self._arrived = np.concatenate([self._arrived, np.full(n, ALWAYS)])
        self.keys = shuffle_keys(self.size, self._ties)

    def _say(self, record: ItemRecord) -> None:
        code = self.code(record.id)
        self._said[code] = record
        self._since[code] = ALWAYS if record.available_from is None else record.available_from
        self._until[code] = NEVER if record.available_until is None else record.available_until
        self._open[code] = not (record.deleted or record.hidden or record.in_stock is False)
        self._limits.pop(code, None)
        if record.regions:
            self._limits[code] = frozenset(record.regions)
        if record.added_ms is not None:
            self._arrived[code] = record.added_ms
        elif code >= self.known:
            self._arrived[code] = self._created + record.version

    def _forget_derived(self) -> None:
        self._from_ms, self._to_ms = NEVER, ALWAYS
        self._shut, self._masks, self._newness, self._named = {}, {}, None, None

    def _of_category(self, name: str) -> Bool:
        mask = self._masks.get(name)
        if mask is None:
            mask = np.zeros(self.size, dtype=bool)
            mask[self._shelves.get(name, np.zeros(0, np.int64))] = True
            _, said, replaced = self._said_words
            mask[replaced] = False
            mask[said.get(name, [])] = True
            # Askers name what they like: what there is nothing of is not kept, nor more than a few.
            if mask.any():
                if len(self._masks) >= _MASKS:
                    self._masks.clear()
                self._masks[name] = mask
        return mask

    @property
    def _said_words(self) -> tuple[frozenset[str], dict[str, list[int]], list[int]]:
        """Regions that items name, items of each category by the store's word, and for which that counts."""
        if self._named is None:
            shelves: dict[str, list[int]] = {}
            replaced = []
            for code, record in self._said.items():
                if record.categories or code >= self.known:
                    replaced.append(code)
                    for name in record.categories:
                        shelves.setdefault(name, []).append(code)
            self._named = (frozenset().union(*self._limits.values()), shelves, replaced)
        return self._named

    @cached_property
    def _titles(self) -> Any:
        if "title" not in self._table.column_names:
            return None
        return self._column("title")

    def _column(self, name: str) -> Any:
        column = self._table.column(name)
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    @cached_property
    def _genres(self) -> Any:
        """The bundle's categories as a list column, or None."""
        name = next((one for one in CATEGORIES if one in self._table.column_names), None)
        if name is None:
            return None
        column = self._column(name)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            return column
        return pa.array(word_lists_of(self._table, name), pa.list_(pa.large_string()))

    @cached_property
    def _shelves(self) -> Mapping[str, NDArray[Any]]:
        """The bundle's items of each category."""
        if self._genres is None:
            return {}
        parents = np.asarray(pc.list_parent_indices(self._genres))
        words = pc.list_flatten(self._genres).dictionary_encode()
        codes = np.asarray(pc.fill_null(words.indices, -1))
        order = np.argsort(codes, kind="stable")
        names = words.dictionary.to_pylist()
        starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
        return {str(name): parents[order[starts[i] : starts[i + 1]]] for i, name in enumerate(names)}

    def _bundle_categories(self, code: int) -> tuple[str, ...]:
        cell = None if code >= self.known or self._genres is None else self._genres[code].as_py()
        return tuple(str(one) for one in cell or () if one is not None)


def _arrivals(log: InteractionLog, since: Int64) -> Int64:
    """When the bundle's items came: when they could first be had, else when they were first chosen."""
    arrived = since.copy()
    times = log.histories.times
    if times is not None and len(times):
        first = np.full(log.n_items, NEVER)
        np.minimum.at(first, log.histories.items, times)
        unsaid = (arrived == ALWAYS) & (first != NEVER)
        arrived[unsaid] = first[unsaid]
    return arrived


def _hashable(cell: Any) -> Any:
    return cell if isinstance(cell, (str, int, float, bool)) else repr(cell)
