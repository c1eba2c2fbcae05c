"""The log as arrays: who watched what, when, and what is known of items and viewers beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pyarrow as pa

from matinee.core.types import Bool, Float32, Histories, Int64, Ragged
from matinee.data.facts import ReadReport
from matinee.data.kinds_mean import KindsMean
from matinee.data.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class InteractionLog:
    """A log of events, indexed: `read_log` makes one, recommenders are fitted on one.

    Attributes:
        viewers: ids of all viewers.
        items: ids of the whole catalogue: every item of the log and of the items file.
        histories: the positive events of each viewer, oldest first; its rows are viewer codes.
        kinds: names of the event kinds that `histories.kinds` points into.
        negatives: items that each viewer turned down, or None.
        negative_times: int64, shape (entries of negatives,), milliseconds: when; None without times.
        item_table: one row an item, in the order of the codes, with column `id` and, where known, `title`,
            `genres` (a list of strings), `available_from`, `available_until` (int64 milliseconds), `regions`,
            `in_stock`, `hidden` and any free columns.
        viewer_table: the same for viewers, or None.
        friends: each viewer's friends as viewer codes, or None.
        vectors: float32, shape (items, width): content vectors, NaN rows where an item has none; or None.
        order: what the order of a viewer's events means: "time", "order" (a column of positions) or "none".
        repeats: whether the same item again is a fair answer.
        target: what is to be predicted: an event kind, "rating", or None for every kind.
        fingerprint: SHA-256 (hex) of the log's bytes and of what its events were taken to mean.
        notes: what was done to it and what is odd, in plain words.
        meaning: what its events were taken to mean; None where it was made otherwise.
        report: what was found while it was read; None where it was made otherwise.
    """

    viewers: Vocabulary
    items: Vocabulary
    histories: Histories
    item_table: pa.Table
    kinds: tuple[str, ...] = ()
    negatives: Ragged | None = None
    negative_times: Int64 | None = None
    viewer_table: pa.Table | None = None
    friends: Ragged | None = None
    vectors: Float32 | None = None
    order: str = "none"
    repeats: bool = False
    target: str | None = None
    fingerprint: str = ""
    notes: tuple[str, ...] = field(default=())
    meaning: KindsMean | None = None
    report: ReadReport | None = None

    def __len__(self) -> int:
        """Number of positive events."""
        return len(self.histories.items)

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return len(self.items)

    @property
    def n_viewers(self) -> int:
        """Number of viewers, those without a positive event included."""
        return len(self.viewers)

    @property
    def ordered(self) -> bool:
        """Whether the order of a viewer's events means something."""
        return self.order != "none"

    def keep(self, mask: Bool) -> InteractionLog:
        """The same viewers and catalogue with only some events: bool, shape (events,)."""
        return replace(self, histories=self.histories.keep(mask))


def meaning_of(log: InteractionLog) -> KindsMean:
    """What a log's events were taken to mean; of one that does not say, what its kinds and target tell."""
    return log.meaning or KindsMean(kinds=log.kinds, target=log.target)
