"""Sums over pairs of events of one history, lag by lag: what follows what, and how soon.

`pair_sums` adds up, for every pair of items (newer, older), decay ** lag * weight_older * serve_newer over
all pairs of events at most `window` apart. From such sums the closed forms take all they need of a log: a
Gram matrix of decayed histories, targets, directed neighbours. No row of a design matrix is ever made: the
cost is events x window, the memory that of the result and one block of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from matinee.core.types import Float64, Histories, Int32, Int64

_CELLS = 2**18
_PAIRS = 2**20
LONGEST = 5_000


def pair_sums(
    histories: Histories, n_items: int, decay: float, window: int, serves: Sequence[Float64]
) -> list[Any]:
    """Sum decayed pairs (newer item, older item) over all histories.

    Args:
        histories: oldest event first; `weights`, where given, scale the older event of a pair.
        n_items: size of the catalogue.
        decay: what one step between the two events multiplies a pair with.
        window: the greatest lag that is looked at; at least 1.
        serves: for each result, what the newer event of a pair counts: float64, shape (events,).

    Returns:
        One scipy CSR matrix per serve, float32, shape (items, items), rows newer items, columns older ones:
        cell (j, i) sums decay ** lag * weight * serve over lags 1 to window.

    Raises:
        ValueError: the window is less than 1.
    """
    import scipy.sparse

    if window < 1:
        raise ValueError(f"Pairs of events at most {window} apart are none: a window is at least 1.")
    powers = np.float64(decay) ** np.arange(window + 1)
    reach = np.minimum(positions(histories), window)
    useful = (reach > 0) & np.logical_or.reduce([serve != 0.0 for serve in serves])
    pieces: list[list[Any]] = [[] for _ in serves]
    crowded = float(reach[useful].sum()) * 16 > float(n_items) ** 2
    for low, high, events in _item_blocks(histories.items, n_items, np.where(useful, reach, 0), crowded):
        batches = _batches(events, reach)
        pairs = (_pairs(histories, some, reach[some], (low, powers, serves)) for some in batches)
        add = _add_dense if crowded else _add_sparse
        for piece, block in zip(pieces, add(pairs, len(serves), (high - low, n_items)), strict=True):
            piece.append(block)
    return [scipy.sparse.vstack(piece, format="csr") for piece in pieces]


def near_sums(histories: Histories, n_items: int, decay: float, window: int) -> Any:
    """Sum decay ** distance over all pairs of events of a history, an event with itself included.

    Returns:
        scipy CSR float32, shape (items, items), symmetric and positive semidefinite (up to the cut of the
        window).
    """
    import scipy.sparse

    weights = np.ones(len(histories.items)) if histories.weights is None else histories.weights
    (pairs,) = pair_sums(histories, n_items, decay, window, [weights.astype(np.float64)])
    same = np.bincount(histories.items, weights.astype(np.float64) ** 2, n_items).astype(np.float32)
    return (pairs + pairs.T + scipy.sparse.diags_array(same)).tocsr()


def latest(histories: Histories) -> Histories:
    """The latest 5,000 events of each history: pairs go by the square, and no bot may decide a fit's cost."""
    longest = int(histories.lengths.max(initial=0))
    return histories.last(LONGEST) if longest > LONGEST else histories


def sets_of(histories: Histories, n_items: int) -> Any:
    """Histories without their order; a cell is the summed weight of the viewer's events of the item.

    Without weights an item counts 1, however often it occurs. Of a longer history only the last 5,000
    events count (`latest`).

    Returns:
        scipy CSR float32, shape (viewers, items).
    """
    import scipy.sparse

    histories = latest(histories)
    weights = np.ones(len(histories.items), np.float32) if histories.weights is None else histories.weights
    sets = scipy.sparse.csr_matrix(
        # Copies: summing sorts in place, and the log may be a read-only map.
        (weights.copy(), histories.items.copy(), histories.offsets.copy()),
        shape=(len(histories), n_items),
    )
    sets.sum_duplicates()
    if histories.weights is None:
        sets.data[:] = 1.0
    return sets


def pairs_within(lengths: Int64, window: int) -> float:
    """How many pairs the sums of a log go over: events at most `window` apart; 0: all pairs of `sets_of`."""
    counts = lengths.astype(np.float64)
    if not window:
        return float((np.minimum(counts, LONGEST) ** 2).sum())
    return float((np.minimum(window, counts) * counts).sum())


def distinct_pairs(histories: Histories, window: int, every: int = 64) -> float:
    """About how many different pairs of items (newer, older) meet within a window, from a sample.

    Args:
        histories: oldest event first.
        window: the greatest lag of a pair.
        every: pairs whose newer item is one of so many are looked at.
    """
    reach = np.minimum(positions(histories), window)
    newer = np.flatnonzero((histories.items % every == 0) & (reach > 0))
    if not len(newer):
        return 0.0
    met = reach[newer]
    ends = np.cumsum(met)
    older = np.repeat(newer, met) - (np.arange(1, int(ends[-1]) + 1) - np.repeat(ends - met, met))
    keys = np.repeat(histories.items[newer].astype(np.int64), met) << 32 | histories.items[older]
    return float(len(np.unique(keys))) * every


def remaining(serve: Float64, histories: Histories, rate: float) -> Float64:
    """Add up what comes later, seen from each event q: sum over t > q of rate ** (t - 1 - q) * serve_t.

    By doubling: log2(longest history) passes over the events.

    Args:
        serve: float64, shape (events,): what each event counts.
        histories: whose events they are.
        rate: what one step multiplies with, 0 to 1.

    Returns:
        float64, shape (events,).
    """
    ends = np.repeat(histories.offsets[1:], histories.lengths)
    total = _ahead(serve, ends, 1)
    step = 1
    longest = int(histories.lengths.max(initial=0))
    while step < longest and rate**step > 1e-12:
        total += rate**step * _ahead(total, ends, step)
        step *= 2
    return total


def _ahead(values: Float64, ends: Int64, step: int) -> Float64:
    """Each event's value `step` events later in its history, 0 beyond the end."""
    later = np.arange(len(values)) + step
    inside = later < ends
    return np.where(inside, values[np.where(inside, later, 0)] if len(values) else values, 0.0)


def positions(histories: Histories) -> Int64:
    """How many events of its history lie before each event: int64, shape (events,)."""
    return np.arange(len(histories.items)) - np.repeat(histories.offsets[:-1], histories.lengths)


def _item_blocks(items: Int32, n_items: int, reach: Int64, crowded: bool) -> Iterator[tuple[int, int, Int64]]:
    """Ranges of newer items, each with its events that reach back.

    Where pairs crowd, a range's cells fit a cache; else its pairs fit a batch, so that few ranges do for many
    items.
    """
    used = np.flatnonzero(reach)
    ordered = used[np.argsort(items[used], kind="stable")]
    if crowded:
        starts = np.arange(0, n_items, max(1, _CELLS // n_items))
    else:
        pairs = np.cumsum(np.bincount(items[used], weights=reach[used], minlength=n_items))
        starts = np.flatnonzero(np.diff(pairs // _PAIRS, prepend=-1.0))
    starts = np.append(starts, n_items)
    cuts = np.searchsorted(items[ordered], starts)
    for low, high, first, last in zip(starts[:-1], starts[1:], cuts[:-1], cuts[1:], strict=True):
        yield int(low), int(high), ordered[first:last]


def _batches(events: Int64, reach: Int64) -> Iterator[Int64]:
    """The events in batches that reach back over about a million pairs each."""
    pairs = np.cumsum(reach[events])
    cuts = np.searchsorted(pairs, np.arange(_PAIRS, int(pairs[-1]) if len(pairs) else 0, _PAIRS))
    yield from (some for some in np.split(events, cuts) if len(some))


def _pairs(
    histories: Histories, newer: Int64, reach: Int64, how: tuple[int, Float64, Sequence[Float64]]
) -> tuple[Int64, Int32, list[Float64]]:
    """The pairs that reach back from some events: row in their block, older item, and one count per serve.

    `how` is the block's first item, the powers of the decay and the serves.
    """
    low, powers, serves = how
    ends = np.cumsum(reach)
    lags = np.arange(1, int(ends[-1]) + 1) - np.repeat(ends - reach, reach)
    older = np.repeat(newer, reach) - lags
    counts = powers[lags]
    if histories.weights is not None:
        counts = counts * histories.weights[older]
    rows = np.repeat((histories.items[newer] - low).astype(np.int64), reach)
    return rows, histories.items[older], [counts * np.repeat(serve[newer], reach) for serve in serves]


def _add_dense(pairs: Iterator[Any], results: int, shape: tuple[int, int]) -> list[Any]:
    """Add pairs up in a table of all cells of a block."""
    import scipy.sparse

    cells = np.zeros((results, shape[0] * shape[1]))
    for rows, older, counts in pairs:
        keys = rows * shape[1] + older
        for r, count in enumerate(counts):
            cells[r] += np.bincount(keys, weights=count, minlength=cells.shape[1])
    used = np.flatnonzero(cells.any(axis=0))
    columns = (used % shape[1]).astype(np.int32)
    indptr = np.searchsorted(used, np.arange(shape[0] + 1) * shape[1]).astype(np.int32)
    found = []
    for table in cells:
        counts = table[used].astype(np.float32)
        found.append(scipy.sparse.csr_matrix((counts, columns.copy(), indptr.copy()), shape=shape))
        found[-1].eliminate_zeros()
    return found


def _add_sparse(pairs: Iterator[Any], results: int, shape: tuple[int, int]) -> list[Any]:
    """Add pairs up by sorting them: for a catalogue of which few pairs ever meet."""
    import scipy.sparse

    sums = [scipy.sparse.csr_matrix(shape, dtype=np.float64) for _ in range(results)]
    for rows, older, counts in pairs:
        for r, count in enumerate(counts):
            sums[r] = sums[r] + scipy.sparse.csr_matrix((count, (rows, older)), shape=shape)
    return [total.astype(np.float32) for total in sums]
