"""Small logs by hand, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.core.types import Ragged, histories_of
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary


def log_of(
    rows: Sequence[Sequence[int]],
    *,
    times: Sequence[Sequence[int]] | None = None,
    targets: Sequence[Sequence[bool]] | None = None,
    n_items: int | None = None,
    order: str | None = None,
    **more: Any,
) -> InteractionLog:
    """A log from lists of item codes; ids are "v0", "i0" and so on.

    Args:
        rows: each viewer's item codes, oldest first.
        times: milliseconds of each event, or None.
        targets: whether each event is to be predicted, or None.
        n_items: size of the catalogue; None: up to the highest code.
        order: what the order means; None: "time" where there are times, else "none".
        **more: further fields of the log.
    """
    histories = histories_of(rows)
    if times is not None:
        flat = np.array([t for row in times for t in row], dtype=np.int64)
        histories = replace(histories, times=flat)
    if targets is not None:
        histories = replace(histories, targets=np.array([t for row in targets for t in row], dtype=bool))
    n_items = n_items or int(histories.items.max(initial=-1)) + 1
    ids = [f"i{code}" for code in range(n_items)]
    return InteractionLog(
        viewers=Vocabulary([f"v{code}" for code in range(len(rows))]),
        items=Vocabulary(ids),
        histories=histories,
        item_table=pa.table({"id": ids}),
        order=order or ("none" if times is None else "time"),
        **more,
    )


def ragged(lists: Sequence[Sequence[int]]) -> Ragged:
    """A ragged array from plain lists."""
    made = histories_of(lists)
    return Ragged(values=made.items, offsets=made.offsets)


def random_log(seed: int, n_viewers: int = 40, n_items: int = 30, longest: int = 12) -> InteractionLog:
    """A log of random events with times."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, longest, n_viewers)
    rows = [random.integers(0, n_items, n).tolist() for n in lengths]
    times = [np.sort(random.integers(0, 1000, n)).tolist() for n in lengths]
    return log_of(rows, times=times, n_items=n_items)
