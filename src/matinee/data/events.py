"""Events as columns of codes, in the file's order: readers hand them to meaning, and meaning to the index."""

from __future__ import annotations

from dataclasses import dataclass

from matinee.core.types import Bool, Float32, Int8, Int32, Int64
from matinee.data.vocabulary import Vocabulary


@dataclass(kw_only=True)
class Events:
    """Every event of a log, one entry a row of the file, in the file's order.

    Attributes:
        viewers: ids of the viewers, in the order of their first row.
        items: ids of the items, in the order of their first row.
        viewer: int32, shape (rows,): viewer codes.
        item: int32, shape (rows,): item codes.
        time: int64, shape (rows,): milliseconds since 1970, UTC; None where the log has no times.
        position: int64, shape (rows,): the `order` column; None where the log has none.
        kind: int8, shape (rows,): positions in `kinds`; None where the log has no kinds.
        kinds: names of the event kinds.
        value: float32, shape (rows,): ratings, counts; NaN where empty; None where the log has no values.
        weight: float32, shape (rows,): set by meaning; None: every event counts 1.
        target: bool, shape (rows,): set by meaning: whether the event is to be predicted; None: all are.
        negative: bool, shape (rows,): set by meaning: turned down; None: none is.
    """

    viewers: Vocabulary
    items: Vocabulary
    viewer: Int32
    item: Int32
    time: Int64 | None = None
    position: Int64 | None = None
    kind: Int8 | None = None
    kinds: tuple[str, ...] = ()
    value: Float32 | None = None
    weight: Float32 | None = None
    target: Bool | None = None
    negative: Bool | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.viewer)
