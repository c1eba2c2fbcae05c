"""Viewers who merged: pairs of an old id and a new one, chains followed to their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.core.errors import DataError
from matinee.core.types import Int32, Int64
from matinee.core.words import counted
from matinee.data.events import Events
from matinee.data.table import SideTable, read_table
from matinee.data.vocabulary import Vocabulary

OLD_WORDS = ("old", "oldid", "olduser", "olduserid", "oldviewer", "oldviewerid", "alias", "from", "mergedid")
NEW_WORDS = ("new", "newid", "newuser", "newuserid", "newviewer", "newviewerid", "to", "into", "id", "userid")


def read_aliases(path: Path) -> dict[str, str]:
    """Read pairs (old id, new id), with a header or not, and follow every chain to its end.

    An id that stands for itself is no alias. The same pair twice is one.

    Returns:
        old id -> the id that it has in the end.

    Raises:
        DataError: the file is unusable, an old id has two new ones, or aliases run in a circle; it names
            the ids.
    """
    table = read_table(path, OLD_WORDS, NEW_WORDS)
    old, new = _pair_columns(table)
    direct: dict[str, str] = {}
    for row, (a, b) in enumerate(
        zip(table.strings(old).to_pylist(), table.strings(new).to_pylist(), strict=True)
    ):
        if not a or not b:
            raise table.error("expected two ids", row, new if a else old, "")
        if direct.setdefault(a, b) != b:
            raise table.error(
                f"viewer {a!r} already became {direct[a]!r}", row, new, b, "Give each old id one new id."
            )
    direct = {a: b for a, b in direct.items() if a != b}
    return _follow(direct, path)


def rename(ids: pa.Array, aliases: Mapping[str, str]) -> pa.Array:
    """Ids with every old one replaced by what it became; Arrow large strings."""
    if not aliases:
        return ids
    old = pa.array(list(aliases), pa.large_string())
    new = pa.array(list(aliases.values()), pa.large_string())
    return pc.coalesce(new.take(pc.index_in(ids, value_set=old)), ids)


def merge_viewers(events: Events, aliases: Mapping[str, str]) -> tuple[Events, str]:
    """Give viewers who merged one history under the id that they have in the end.

    By time, where there are times. In a log with an `order` column alone, the history of the older id comes
    first: positions of two viewers do not compare.

    Returns:
        The events with new viewer codes, in the order of the first row of each merged viewer, and what was
        done.
    """
    renamed = rename(events.viewers.arrow, aliases)
    distinct = pc.unique(renamed)
    code_of = np.asarray(pc.index_in(renamed, value_set=distinct), dtype=np.int32)
    position = events.position
    if position is not None and events.time is None:
        position = position + _shifts(events, aliases, code_of)[events.viewer]
    merged = replace(
        events,
        viewers=Vocabulary(distinct),
        viewer=code_of[events.viewer].astype(np.int32),
        position=position,
    )
    known = sum(1 for id_ in aliases if id_ in events.viewers)
    note = (
        f"{counted(known, 'viewer of the log goes', 'viewers of the log go')} by another id since they merged"
    )
    unknown = len(aliases) - known
    return merged, note + (
        f"; {counted(unknown, 'old id', 'old ids')} of the aliases not in the log" if unknown else ""
    )


def _pair_columns(table: SideTable) -> tuple[str, str]:
    names = table.columns.column_names
    if len(names) < 2:
        raise DataError(f"expected two columns, old id and new id, found {len(names)}", file=table.path)
    old, new = table.column_of(OLD_WORDS), table.column_of(NEW_WORDS)
    return (old, new) if old and new and old != new else (names[0], names[1])


def _follow(direct: Mapping[str, str], path: Path) -> dict[str, str]:
    """The end of every chain; each id is walked once."""
    final: dict[str, str] = {}
    for start in direct:
        chain, at = [start], direct[start]
        walked = {start}
        while at in direct and at not in final:
            if at in walked:
                circle = [*chain[chain.index(at) :], at]
                raise DataError(
                    f"aliases run in a circle: {' -> '.join(circle)}",
                    file=path,
                    remedy="Take one of them out.",
                )
            walked.add(at)
            chain.append(at)
            at = direct[at]
        end = final.get(at, at)
        final.update(dict.fromkeys(chain, end))
    return final


def _shifts(events: Events, aliases: Mapping[str, str], code_of: Int32) -> Int64:
    """How far the positions of each old viewer code move back: int64, shape (viewers before merging,).

    Within a merged viewer the ids that were given up come first, in the order of their first row.
    """
    length = np.zeros(len(events.viewers), dtype=np.int64)
    np.maximum.at(length, events.viewer, np.asarray(events.position, dtype=np.int64) + 1)
    current = np.array([id_ not in aliases for id_ in events.viewers.arrow.to_pylist()], dtype=bool)
    order = np.lexsort((np.arange(len(length)), current, code_of))
    before = np.cumsum(length[order]) - length[order]
    group = code_of[order]
    begins = np.flatnonzero(np.concatenate([[True], np.diff(group) != 0]))
    starts = np.repeat(before[begins], np.diff(np.append(begins, len(group))))
    shift = np.empty(len(length), dtype=np.int64)
    shift[order] = before - starts
    return shift
