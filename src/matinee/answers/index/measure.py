"""How much of the exact answer an index finds, and what it reads for it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from matinee.answers.index.found import Index
from matinee.core.types import Float32, Int64

# Scores of a block of exact answers.
_CELLS = 2**23


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What an index comes to on some queries.

    Attributes:
        recall: the mean share of the exact best k that it finds.
        worst: the share that it finds at least for 19 in 20 queries.
        read: the mean number of numbers that it looks at.
        cpu_ms: the median time on the processor, of this machine as it was then.
    """

    recall: float
    worst: float
    read: float
    cpu_ms: float


def exact_best(vectors: Float32, asked: Float32, k: int) -> Int64:
    """The k items with the largest products, in no order: int64, shape (queries, k)."""
    k = min(k, len(vectors))
    codes = np.empty((len(asked), k), np.int64)
    size = max(1, _CELLS // max(len(vectors), 1))
    for start in range(0, len(asked), size):
        scores = asked[start : start + size] @ vectors.T
        place = scores.shape[1] - k
        codes[start : start + size] = np.argpartition(scores, place, axis=1)[:, place:]
    return codes


def measure(index: Index, asked: Float32, best: Int64, *, effort: int = 1) -> Measured:
    """Ask an index and compare.

    Args:
        index: what is measured.
        asked: float32, shape (queries, width), at least one.
        best: what `exact_best` found for them.
        effort: as `Index.best` takes it.
    """
    shares, reads, times = np.empty(len(asked)), np.empty(len(asked)), np.empty(len(asked))
    for row, (one, theirs) in enumerate(zip(asked, best, strict=True)):
        begin = time.thread_time_ns()
        found = index.best(one, best.shape[1], effort)
        times[row] = time.thread_time_ns() - begin
        shares[row] = np.isin(theirs, found.codes).mean()
        reads[row] = found.read
    return Measured(
        recall=float(shares.mean()),
        worst=float(np.quantile(shares, 0.05)),
        read=float(reads.mean()),
        cpu_ms=float(np.median(times)) / 1e6,
    )
