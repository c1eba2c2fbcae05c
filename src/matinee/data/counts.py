"""A log in figures, counted piece by piece, so that nothing of a log's size is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matinee.core.types import Histories, Int64
from matinee.data.log import InteractionLog

_PIECE_EVENTS = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Counts:
    """A log in figures.

    Attributes:
        viewers: viewers, those without a positive event included.
        items: the catalogue, unwatched items included.
        events: positive events.
        kinds: name of a kind -> its positive events; empty where there is one kind only.
        negatives: items that viewers turned down, each pair once.
        median_events: of the viewers with an event.
        most_events: of one viewer.
        few: viewers with one or two events: they only train.
        watched: items with an event.
        once: items with one event.
        top_share: share of the events on the hundredth of the items that is watched most, at least one item.
        repeats: events on an item that the viewer had already.
        values: least and greatest value, or None where there are no values.
        targets: events of the kind to be predicted.
    """

    viewers: int
    items: int
    events: int
    kinds: dict[str, int]
    negatives: int
    median_events: float
    most_events: int
    few: int
    watched: int
    once: int
    top_share: float
    repeats: int
    values: tuple[float, float] | None
    targets: int


def count(log: InteractionLog) -> Counts:
    """Count a log."""
    histories = log.histories
    lengths = histories.lengths
    active = lengths[lengths > 0]
    popularity = _popularity(histories, log.n_items)
    top = np.sort(popularity)[::-1][: max(1, log.n_items // 100)]
    return Counts(
        viewers=log.n_viewers,
        items=log.n_items,
        events=len(log),
        kinds=_kinds(log),
        negatives=0 if log.negatives is None else len(log.negatives.values),
        median_events=float(np.median(active)) if len(active) else 0.0,
        most_events=int(lengths.max(initial=0)),
        few=int(((lengths > 0) & (lengths < 3)).sum()),
        watched=int((popularity > 0).sum()),
        once=int((popularity == 1).sum()),
        top_share=float(top.sum() / max(len(log), 1)),
        repeats=_repeats(histories, log.n_items),
        values=_values(histories),
        targets=len(log) if histories.targets is None else int(np.count_nonzero(histories.targets)),
    )


def viewer_pieces(histories: Histories) -> Iterator[tuple[int, int]]:
    """Ranges of neighbouring viewers with a few million events each; a longer history is one of its own."""
    offsets, start = histories.offsets, 0
    while start < len(histories):
        end = int(np.searchsorted(offsets, offsets[start] + _PIECE_EVENTS, side="right")) - 1
        end = min(max(end, start + 1), len(histories))
        yield start, end
        start = end


def _pieces(n: int) -> Iterator[slice]:
    for start in range(0, n, _PIECE_EVENTS):
        yield slice(start, min(start + _PIECE_EVENTS, n))


def _popularity(histories: Histories, n_items: int) -> Int64:
    """Events of each item: int64, shape (items,)."""
    counts = np.zeros(n_items, dtype=np.int64)
    for piece in _pieces(len(histories.items)):
        counts += np.bincount(histories.items[piece], minlength=n_items)
    return counts


def _kinds(log: InteractionLog) -> dict[str, int]:
    codes = log.histories.kinds
    if codes is None:
        return {}
    counts = np.zeros(len(log.kinds), dtype=np.int64)
    for piece in _pieces(len(codes)):
        counts += np.bincount(codes[piece], minlength=len(log.kinds))
    return {kind: int(n) for kind, n in zip(log.kinds, counts, strict=True) if n}


def _repeats(histories: Histories, n_items: int) -> int:
    """Events on an item that the viewer has in an earlier one."""
    again = 0
    for start, end in viewer_pieces(histories):
        first, last = histories.offsets[start], histories.offsets[end]
        rows = np.repeat(np.arange(end - start), histories.lengths[start:end])
        pairs = rows * max(n_items, 1) + histories.items[first:last]
        pairs.sort()
        again += int(np.count_nonzero(pairs[1:] == pairs[:-1]))
    return again


def _values(histories: Histories) -> tuple[float, float] | None:
    if histories.values is None:
        return None
    low, high = np.inf, -np.inf
    for piece in _pieces(len(histories.values)):
        found = histories.values[piece]
        low = min(low, float(np.fmin.reduce(found, initial=np.inf)))
        high = max(high, float(np.fmax.reduce(found, initial=-np.inf)))
    return (low, high) if low <= high else None
