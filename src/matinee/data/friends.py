"""Friends: pairs of viewers become each viewer's list of friends.

Friendship is taken both ways, whatever the direction that a file gives it: what a friend has is worth
knowing to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matinee.core.errors import DataError
from matinee.core.types import Bool, Float32, Int32, Ragged
from matinee.data.aliases import rename
from matinee.data.cells import numbers
from matinee.data.table import SideTable, read_table
from matinee.data.vocabulary import Vocabulary

LEFT_WORDS = (
    "userid",
    "user",
    "viewerid",
    "viewer",
    "userid1",
    "user1",
    "trustor",
    "follower",
    "source",
    "id",
)
RIGHT_WORDS = ("friendid", "friend", "userid2", "user2", "trustee", "followee", "target", "otherid")
WEIGHT_WORDS = ("weight", "strength", "trust", "value")


@dataclass(frozen=True, kw_only=True)
class Links:
    """Links as a file has them, in codes; those that are no friendship are already gone."""

    left: Int32
    right: Int32
    weight: Float32


def read_friends(
    path: Path, viewers: Vocabulary, aliases: Mapping[str, str], *, skip_bad: bool = False
) -> tuple[Ragged, tuple[str, ...]]:
    """Read pairs of viewers, with a header or not, with a weight in a third column or not.

    A pair given in both directions, or twice, counts once, with the greater weight. A viewer is no friend of
    their own; a weight of 0 or less is no friendship.

    Args:
        path: the file.
        viewers: the viewers of the log; links of others are left out and counted.
        aliases: old id -> new id of viewers who merged.
        skip_bad: leave malformed rows out and count them.

    Returns:
        Each viewer's friends in ascending order of code, weights where they differ; and what was found, in
        words.

    Raises:
        DataError: the file has fewer than two columns, or a weight is no number.
    """
    table = read_table(path, LEFT_WORDS, RIGHT_WORDS, skip_bad=skip_bad)
    links, notes = _links(table, viewers, aliases)
    rows = np.concatenate([links.left, links.right]).astype(np.int64)
    friends = np.concatenate([links.right, links.left])
    weights = np.concatenate([links.weight, links.weight])
    # The heaviest of equal links comes first and is the one that stays.
    order = np.lexsort((-weights, friends, rows))
    rows, friends, weights = rows[order], friends[order], weights[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (np.diff(rows) != 0) | (np.diff(friends) != 0)
    rows, friends, weights = rows[new], friends[new], weights[new]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(rows, minlength=len(viewers)))])
    ragged = Ragged(
        values=friends.astype(np.int32),
        offsets=offsets.astype(np.int64),
        weights=None if len(weights) == 0 or bool((weights == weights[0]).all()) else weights,
    )
    pairs = f"{path.name}: {len(table):,} links are {len(friends) // 2:,} pairs of friends"
    return ragged, (*table.notes, pairs, *notes)


def _links(
    table: SideTable, viewers: Vocabulary, aliases: Mapping[str, str]
) -> tuple[Links, tuple[str, ...]]:
    left, right, weight = _columns(table)
    codes = [viewers.codes(rename(table.strings(name), aliases)) for name in (left, right)]
    weights = _weights(table, weight)
    known: Bool = (codes[0] >= 0) & (codes[1] >= 0)
    kept = known & (codes[0] != codes[1]) & (weights > 0)
    notes = []
    if not known.all():
        notes.append(f"{table.path.name}: {int((~known).sum()):,} links name viewers who are not in the log")
    if (gone := int((known & ~kept).sum())) > 0:
        notes.append(f"{table.path.name}: {gone:,} links are of a viewer to itself, or weigh 0 or less")
    return Links(left=codes[0][kept], right=codes[1][kept], weight=weights[kept]), tuple(notes)


def _columns(table: SideTable) -> tuple[str, str, str | None]:
    names = table.columns.column_names
    if len(names) < 2:
        raise DataError(f"expected two columns of viewer ids, found {len(names)}", file=table.path)
    left, right = table.column_of(LEFT_WORDS), table.column_of(RIGHT_WORDS)
    if left is None or right is None or left == right:
        left, right = names[0], names[1]
    if not table.named:
        return left, right, names[2] if len(names) > 2 else None
    return left, right, table.column_of(WEIGHT_WORDS)


def _weights(table: SideTable, name: str | None) -> Float32:
    """float32, shape (rows,): 1 where a file has none."""
    if name is None:
        return np.ones(len(table), dtype=np.float32)
    found = numbers(table.columns.column(name))
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        row = int(bad[0])
        value = table.columns.column(name)[row].as_py()
        raise table.error("expected a number as weight of a friendship", row, name, value)
    return found.astype(np.float32)
