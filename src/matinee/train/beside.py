"""What a log says beside which items were watched: of each event, of each viewer, and what was not wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Bool, Int32, Int64


@dataclass(frozen=True, kw_only=True)
class Noes:
    """What was turned down, by the last event before it: event e's are `items[starts[e]:starts[e + 1]]`.

    Attributes:
        items: int32, shape (noes,): item codes.
        starts: int64, shape (events + 1,).
    """

    items: Int32
    starts: Int64

    def after(self, events: Int64) -> tuple[Int64, Int64]:
        """What was turned down after some events: positions among `events`, and items, both int64."""
        return self.within(events, events + 1)

    def within(self, firsts: Int64, ends: Int64) -> tuple[Int64, Int64]:
        """What was turned down after the events from `firsts` to before `ends`: as `after` says it."""
        lengths = self.starts[ends] - self.starts[firsts]
        begins = np.cumsum(lengths) - lengths
        picked = np.repeat(self.starts[firsts] - begins, lengths) + np.arange(int(lengths.sum()))
        return np.repeat(np.arange(len(firsts)), lengths), self.items[picked].astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What is known beside items.

    Attributes:
        codes: by sort, int8, shape (events,): what else is known of each event (`answers.event_context`).
        regions: int64, shape (viewers,): where each is, -1 where that is not known; None: it does not matter.
        noes: what was turned down; None: it teaches nothing.
    """

    codes: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)
    regions: Int64 | None = None
    noes: Noes | None = None


def noes_of_rows(noes: Noes, read: Int64, there: Bool, outputs: int, skipped: int) -> tuple[Int64, Int64]:
    """Which outputs of a batch must not ask for which items.

    Args:
        noes: what was turned down.
        read: int64, shape (histories, events): positions of the events that are read.
        there: bool, of the same shape: which of them are no filling.
        outputs: of each history.
        skipped: outputs before that of the first event.

    Returns:
        Flat positions of outputs and items, int64, shape (noes,).
    """
    histories, columns = np.nonzero(there)
    owners, items = noes.after(read[histories, columns])
    rows = histories * outputs + columns + skipped
    return rows[owners], items
