"""What a bundle knows of people, as a store takes it: whole histories, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.answers.model import Model
from matinee.core.types import Bool, Int64
from matinee.data.log import meaning_of
from matinee.serve.deleted_viewers import learnt_by
from matinee.serve.records import LONGEST_ID, ImportedHistories, Seen, ViewerRecord


class BundleHistories:
    """Histories, noes and profiles of a bundle's viewers, without those whom the bundle knows as deleted.

    Args:
        model: the bundle, as it was loaded.
        created_ms: when it was written: the time of events of a log without times.

    Attributes:
        codes: int64: viewers of whom there is anything to tell, in the order of their ids, in which the
            store's own index has them.
        left_out: events of viewers whose ids are longer than a store takes.
    """

    def __init__(self, model: Model, created_ms: int) -> None:
        self._log, self._deleted, self._created_ms = model.log, model.deleted, created_ms
        self._learnt_ms = learnt_by(model, created_ms)
        log = model.log
        self._kinds = np.array([*log.kinds, meaning_of(log).main_kind(), _no_of(log)], dtype=object)
        self._main, self._no = len(self._kinds) - 2, len(self._kinds) - 1
        self._long_items, self._long_kinds = _long(log.items.arrow), _long(pa.array(self._kinds.tolist()))
        self._sizes = np.diff(log.histories.offsets)
        if log.negatives is not None:
            self._sizes = self._sizes + np.diff(log.negatives.offsets)
        table = log.viewer_table
        self._names = [] if table is None else [name for name in table.column_names if name != "id"]
        gone = np.zeros(len(log.viewers), bool)
        gone[[code for code in map(log.viewers.code, sorted(model.deleted)) if code >= 0]] = True
        long = _long(log.viewers.arrow)
        self.left_out = int(self._sizes[long & ~gone].sum())
        tells = np.full(len(gone), bool(self._names)) | (self._sizes > 0)
        order = np.asarray(pc.sort_indices(log.viewers.arrow), dtype=np.int64)
        self.codes: Int64 = order[(tells & ~gone & ~long)[order]]

    @property
    def events(self) -> int:
        """How many events there are to tell, those that the store will leave out included."""
        return int(self._sizes[self.codes].sum())

    def pieces(self, events: int) -> Iterator[Int64]:
        """The codes of all viewers, in pieces of about so many events; each viewer's are in one."""
        ends = np.cumsum(self._sizes[self.codes] + 1)
        start = 0
        while start < len(ends):
            before = ends[start - 1] if start else 0
            end = max(start + 1, int(np.searchsorted(ends, before + events, side="right")))
            yield self.codes[start:end]
            start = end

    def size(self, codes: Int64) -> int:
        """How many events some viewers have."""
        return int(self._sizes[codes].sum())

    def users(self, codes: Int64) -> list[str]:
        """The ids of some viewers."""
        return list(self._log.viewers.ids(codes))

    def code(self, user: str) -> int:
        """A viewer's code; -1 where there is nothing to tell of them."""
        code = int(self._log.viewers.code(user))
        if code < 0 or user in self._deleted or len(user) > LONGEST_ID:
            return -1
        return code if self._names or self._sizes[code] else -1

    def mark(self, code: int) -> str:
        """The event id by which a store knows a viewer's history again."""
        return f"{self._log.fingerprint[:32]}:v{code}"

    def of(self, codes: Int64) -> ImportedHistories:
        """What is known of some viewers, without events whose ids are longer than a store takes."""
        log = self._log
        viewer, item, kind, time_ms, value = self._columns(codes)
        lengths = np.bincount(viewer, minlength=len(codes))
        return ImportedHistories(
            users=self.users(codes),
            marks=[self.mark(code) for code in codes.tolist()],
            lengths=lengths.tolist(),
            items=log.items.ids(item),
            kinds=self._kinds[kind].tolist(),
            times_ms=time_ms.tolist(),
            values=value,
            learnt_ms=self._learnt_ms,
            profiles=self._profiles(codes),
        )

    def seen(self, code: int) -> list[Seen]:
        """One viewer's history."""
        told = self.of(np.array([code], dtype=np.int64))
        return list(map(Seen, told.items, told.kinds, told.values, told.times_ms))

    def profile(self, code: int) -> ViewerRecord | None:
        """One viewer's profile; None where nothing is known."""
        found = self._profiles(np.array([code], dtype=np.int64))
        return found[0] if found else None

    def _columns(self, codes: Int64) -> tuple[Int64, Int64, Int64, Int64, list[float | None]]:
        """Viewers' places in `codes`, items, kinds, times and values of their events, viewer by viewer."""
        histories, negatives = self._log.histories, self._log.negatives
        viewer, at = _entries(histories.offsets, codes)
        item = np.asarray(histories.items[at], dtype=np.int64)
        kind = (
            np.full(len(at), self._main) if histories.kinds is None else histories.kinds[at].astype(np.int64)
        )
        if histories.times is None:
            # They come one after the other, and before everything that happens from now on.
            time_ms = self._created_ms + at - histories.offsets[codes + 1][viewer]
        else:
            time_ms = np.asarray(histories.times[at], dtype=np.int64)
        value = np.full(len(at), np.nan) if histories.values is None else histories.values[at].astype(float)
        if negatives is not None:
            who, where = _entries(negatives.offsets, codes)
            viewer = np.concatenate([viewer, who])
            item = np.concatenate([item, negatives.values[where]])
            kind = np.concatenate([kind, np.full(len(where), self._no)])
            time_ms = np.concatenate([time_ms, np.full(len(where), self._created_ms)])
            value = np.concatenate([value, np.full(len(where), np.nan)])
        order = np.argsort(viewer, kind="stable")
        order = order[~(self._long_items[item] | self._long_kinds[kind])[order]]
        told = value[order].astype(object)
        told[np.isnan(value[order])] = None
        return viewer[order], item[order], kind[order], time_ms[order], told.tolist()

    def _profiles(self, codes: Int64) -> list[ViewerRecord]:
        if not self._names or self._log.viewer_table is None:
            return []
        rows = self._log.viewer_table.take(pa.array(codes)).to_pylist()
        return [one for one in (_profile(row, self._names) for row in rows) if one is not None]


def _no_of(log: Any) -> str:
    return str(next(iter(meaning_of(log).negative), "dislike"))


def _long(ids: pa.Array) -> Bool:
    """Which ids are longer than a store takes."""
    lengths = pc.fill_null(pc.utf8_length(ids), 0)
    return np.asarray(lengths, dtype=np.int64) > LONGEST_ID


def _entries(offsets: Int64, codes: Int64) -> tuple[Int64, Int64]:
    """The entries of some rows: whose each is, as a place in `codes`, and where it lies."""
    lengths = offsets[codes + 1] - offsets[codes]
    row = np.repeat(np.arange(len(codes)), lengths)
    first = np.cumsum(lengths) - lengths
    return row, np.arange(len(row)) - first[row] + offsets[codes][row]


def _profile(row: dict[str, Any], names: Sequence[str]) -> ViewerRecord | None:
    region = row.get("region")
    known = {name: _plain(row[name]) for name in names if name != "region" and row[name] is not None}
    if region is None and not known:
        return None
    return ViewerRecord(id=row["id"], region=None if region is None else str(region), attributes=known)


def _plain(cell: Any) -> Any:
    """A cell as a JSON value."""
    if isinstance(cell, list):
        return [_plain(one) for one in cell]
    return cell if isinstance(cell, (str, int, float, bool)) else str(cell)
