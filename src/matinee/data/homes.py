"""Where viewers are at home: one column of their table, such as the region, as names and codes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.core.errors import InputError
from matinee.core.types import Bool, Int64, Ragged
from matinee.data.columns import plain_name
from matinee.data.log import InteractionLog
from matinee.data.viewers import REGION_WORDS

# The column that a request's region, a server's profiles and the limits of items speak of.
REGION = "region"


@dataclass(frozen=True, kw_only=True, slots=True)
class Homes:
    """The home of each viewer.

    Attributes:
        column: the column of the viewers' table that says it.
        names: every home that anybody has, in the order of the alphabet.
        codes: int64, shape (viewers,): positions in `names`, -1 where nothing is known.
    """

    column: str
    names: tuple[str, ...]
    codes: Int64

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of who is where."""
        words = hashlib.sha256("\0".join((self.column, *self.names)).encode())
        words.update(np.ascontiguousarray(self.codes).tobytes())
        return words.hexdigest()


def homes_of(table: pa.Table | None, column: str) -> Homes:
    """Where a table's viewers are; of a cell with several words the first counts, blank ones say nothing.

    Args:
        table: one row a viewer; None: nothing is known of anybody.
        column: its column; one that it lacks says nothing either.
    """
    if table is None or column not in table.column_names:
        return Homes(column=column, names=(), codes=np.zeros(0, np.int64))
    cells = table.column(column).combine_chunks()
    if pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type):
        cells = pa.array([cell[0] if cell else None for cell in cells.to_pylist()], pa.string())
    words = pc.utf8_trim_whitespace(cells.cast(pa.string()))
    coded = pc.dictionary_encode(pc.if_else(pc.equal(words, ""), None, words))
    found: list[str] = coded.dictionary.to_pylist()
    names = sorted(found)
    place = {name: number for number, name in enumerate(names)}
    # The last one stands for a code of -1.
    places = np.array([*(place[name] for name in found), -1], dtype=np.int64)
    codes = np.asarray(pc.fill_null(coded.indices, -1), dtype=np.int64)
    return Homes(column=column, names=tuple(names), codes=places[codes])


def column_of_homes(table: pa.Table | None) -> str:
    """The column of a table of viewers that says where they are."""
    names = () if table is None else table.column_names
    return REGION if REGION in names or "regions" not in names else "regions"


def homes_by(log: InteractionLog, column: str) -> Homes:
    """Where a log's viewers are, by a column that somebody named.

    Raises:
        InputError: the log has no table of viewers, the table has no such column, or the column says nothing.
    """
    table = log.viewer_table
    if table is None:
        raise InputError(
            f"--by {column} needs a table of viewers with that column: name its file (--viewers FILE)."
        )
    names = [name for name in table.column_names if name != "id"]
    known = next((name for name in names if plain_name(name) == plain_name(column)), None)
    if known is None and plain_name(column) in REGION_WORDS and REGION in names:
        # A table's country or market is read as its region.
        known = REGION
    if known is None:
        there = ", ".join(names) or "no other column than the ids"
        raise InputError(f"--by {column}: the viewers' table has no such column; it has {there}.")
    homes = homes_of(table, known)
    if not homes.names:
        raise InputError(f"--by {column}: that column of the viewers' table is empty for everybody.")
    return homes


def only_of(log: InteractionLog, viewers: Bool) -> InteractionLog:
    """The log with the events and noes of some viewers alone; catalogue, viewers and codes stay.

    Args:
        log: any log.
        viewers: bool, shape (viewers,): whose are kept.
    """
    kept = log.keep(viewers[log.histories.rows()])
    negatives = log.negatives
    if negatives is None:
        return kept
    lengths = np.diff(negatives.offsets)
    mask = np.repeat(viewers, lengths)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.where(viewers, lengths, 0))])
    weights = None if negatives.weights is None else negatives.weights[mask]
    times = log.negative_times
    return replace(
        kept,
        negatives=Ragged(values=negatives.values[mask], offsets=offsets, weights=weights),
        negative_times=None if times is None else times[mask],
    )
