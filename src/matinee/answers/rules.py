"""What may be shown to whom: seen items, noes, availability, stock, regions, and what the asker rules out.

None of it needs a new fit: the rules strike items out of the scores.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.core.errors import InputError
from matinee.core.types import Askers, Bool, Float32, Int32, Int64, Ragged
from matinee.data.homes import column_of_homes, homes_of

# Moments before and after all others: the ends of windows that have none.
ALWAYS, NEVER = -(2**63), 2**63 - 1
_NO = ("", "0", "false", "no", "n", "f")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What one call asks of its answers.

    Attributes:
        exclude: item ids that are not wanted; unknown ones are ignored.
        only: item ids to choose from; None: the whole catalogue.
        repeats: whether items of the asker's history may come again; None: as the log says.
        now: the moment of the answer, in milliseconds since 1970 UTC or as a datetime; None: the clock's.
        region: where the asker is; None: what the viewers' table says. An asker whose region nobody knows is
            not held to regions.
    """

    exclude: Sequence[str] = ()
    only: Sequence[str] | None = None
    repeats: bool | None = None
    now: int | datetime | None = None
    region: str | None = None

    @property
    def now_ms(self) -> int:
        """The moment of the answer in milliseconds since 1970, UTC."""
        if self.now is None:
            return int(time.time() * 1000)
        return int(self.now.timestamp() * 1000) if isinstance(self.now, datetime) else int(self.now)


class Shelf:
    """The items that one call may show, worked out once for all of its askers.

    Args:
        log: the log that the model was fitted on: catalogue, tables, noes.
        rules: what the call asks.

    Attributes:
        region: where all of its askers are; None: where they are known to be.

    Raises:
        InputError: a list of ids is a single string.
    """

    def __init__(self, log: Any, rules: Rules) -> None:
        self._repeats = log.repeats if rules.repeats is None else rules.repeats
        self._negatives: Ragged | None = log.negatives
        struck = ~available(log.item_table, rules.now_ms)
        struck[_codes(log.items, rules.exclude, "exclude")] = True
        if rules.only is not None:
            others = np.ones(log.n_items, dtype=bool)
            others[_codes(log.items, rules.only, "only")] = False
            struck |= others
        self._struck = np.flatnonzero(struck)
        self._regions = _Regions(log, rules.region)
        self.region = rules.region

    @property
    def repeats(self) -> bool:
        """Whether items of the asker's history may come again."""
        return bool(self._repeats)

    def clear(self, scores: Float32, askers: Askers) -> None:
        """Strike out, in place, what each asker must not be shown: float32, shape (askers, items)."""
        histories = askers.histories
        if not self._repeats:
            scores[histories.rows(), histories.items] = -np.inf
        if self._negatives is not None:
            rows, items = _entries(self._negatives, askers.viewers)
            scores[rows, items] = -np.inf
        self._regions.clear(scores, askers.viewers)
        self.clear_common(scores)

    def clear_common(self, scores: Float32) -> None:
        """Strike out, in place, what nobody must be shown."""
        if len(self._struck):
            scores[:, self._struck] = -np.inf


def available(items: pa.Table, now_ms: int) -> Bool:
    """Which items can be had at a moment: bool, shape (items,).

    An item is out before `available_from`, from `available_until` on, when `hidden`, and when `in_stock` says
    no; an empty cell rules nothing out.
    """
    windows = windows_of(items)
    return windows.open & (windows.since <= now_ms) & (windows.until > now_ms)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """When each item of a catalogue can be had, whatever the moment is.

    Attributes:
        since: int64, shape (items,): not before this moment; the least there is where nothing is said.
        until: int64, shape (items,): not from this moment on; the greatest there is where nothing is said.
        open: bool, shape (items,): neither hidden nor out of stock.
    """

    since: Int64
    until: Int64
    open: Bool


def windows_of(items: pa.Table) -> Windows:
    """The windows that a table of items tells of; an empty cell rules nothing out."""
    since, until = np.full(items.num_rows, ALWAYS), np.full(items.num_rows, NEVER)
    if "available_from" in items.column_names:
        since = _milliseconds(items, "available_from", ALWAYS)
    if "available_until" in items.column_names:
        until = _milliseconds(items, "available_until", NEVER)
    fine = np.ones(items.num_rows, dtype=bool)
    if "in_stock" in items.column_names:
        fine &= _truth(items, "in_stock", empty=True)
    if "hidden" in items.column_names:
        fine &= ~_truth(items, "hidden", empty=False)
    return Windows(since=since, until=until, open=fine)


def regions_of(items: pa.Table) -> set[str]:
    """Every region that an item is limited to; empty where none is."""
    return {region for one in word_lists_of(items, "regions") for region in one}


class _Regions:
    """Items that are limited to regions, and where each viewer is."""

    def __init__(self, log: Any, region: str | None) -> None:
        self._limits = word_lists_of(log.item_table, "regions")
        self._limited = np.array([bool(one) for one in self._limits], dtype=bool)
        self._names: list[str] = [] if region is None else [region.strip()]
        self._homes: Int64 | None = None
        if region is None and self._limited.any():
            homes = homes_of(log.viewer_table, column_of_homes(log.viewer_table))
            self._names, self._homes = list(homes.names), homes.codes
        self._struck_in: dict[int, Int64] = {}

    def clear(self, scores: Float32, viewers: Int64) -> None:
        """Strike out, in place, what each viewer's region shuts out."""
        if not self._limited.any() or not self._names:
            return
        homes = np.zeros(len(viewers), dtype=np.int64)
        if self._homes is not None:
            there = (viewers >= 0) & (viewers < len(self._homes))
            homes = np.where(there, self._homes[np.where(there, viewers, 0)], -1)
        for home in np.unique(homes[homes >= 0]):
            scores[np.ix_(np.flatnonzero(homes == home), self._struck(int(home)))] = -np.inf

    def _struck(self, home: int) -> Int64:
        if home not in self._struck_in:
            name = self._names[home]
            shut = [code for code in np.flatnonzero(self._limited) if name not in self._limits[code]]
            self._struck_in[home] = np.array(shut, dtype=np.int64)
        return self._struck_in[home]


def _codes(items: Any, ids: Sequence[str], what: str) -> Int32:
    if isinstance(ids, str):
        raise InputError(
            f"{what} expects a list of item ids, found the single text {ids!r}: write [{ids!r}]."
        )
    codes: Int32 = items.codes(list(ids))
    return codes[codes >= 0]


def _entries(ragged: Ragged, viewers: Int64) -> tuple[Int64, Int32]:
    """Positions in `viewers` and values of their ragged rows; a code below 0 has none."""
    known = np.flatnonzero((viewers >= 0) & (viewers < len(ragged)))
    starts, ends = ragged.offsets[viewers[known]], ragged.offsets[viewers[known] + 1]
    lengths = ends - starts
    firsts = np.cumsum(lengths) - lengths
    picked = np.repeat(starts - firsts, lengths) + np.arange(int(lengths.sum()))
    return np.repeat(known, lengths), ragged.values[picked]


def _milliseconds(items: pa.Table, name: str, empty: int) -> Int64:
    column = items.column(name)
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("ms"))
    whole = pc.fill_null(column.cast(pa.int64(), safe=False), empty)
    return np.asarray(whole, dtype=np.int64)


def _truth(items: pa.Table, name: str, *, empty: bool) -> Bool:
    """A column of yes and no, however it is written: bool, shape (rows,)."""
    column = items.column(name)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        truth = pc.invert(pc.is_in(words, value_set=pa.array(_NO, words.type)))
        truth = pc.if_else(pc.is_null(words), pa.scalar(None, pa.bool_()), truth)
    elif pa.types.is_boolean(column.type):
        truth = column
    else:
        truth = pc.greater(column, 0)
    return np.asarray(pc.fill_null(truth, empty), dtype=bool)


def word_lists_of(table: pa.Table | None, name: str) -> list[list[str]]:
    """A column of lists of strings, or of strings parted by "|": a list for each row."""
    if table is None or name not in table.column_names:
        return []
    cells = table.column(name).to_pylist()
    return [_words(cell) for cell in cells]


def _words(cell: Any) -> list[str]:
    if cell is None:
        return []
    parts = cell if isinstance(cell, list) else str(cell).split("|")
    return [str(part).strip() for part in parts if part is not None and str(part).strip()]
