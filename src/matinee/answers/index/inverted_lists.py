"""Nearly exact: items in lists by the nearest of many centres, in 8 bits; the best lists alone are read.

An inverted file (Sivic and Zisserman 2003; Jegou et al. 2011) for products. The items' mean, which adds the
same to all products, is taken off first. Items whose vectors are long, which are most of what is ever found,
lie far apart and get centres of their own; the many short ones share a few long lists about the mean, which
are seldom read. The lists whose centres have the largest products are read; of what their 8-bit codes say is
best, the products are reckoned again exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.index.eight_bit import eight_bit, steps_of
from matinee.answers.index.found import Found, largest, threshold
from matinee.answers.index.k_means import k_means, nearest
from matinee.core.types import Float32, Int64

# Codes are read this many at a time, so that they stay in a cache as float32.
_ROWS = 2_048
# So many more items than asked for are reckoned exactly: what 8 bits put out of order is among them.
_SPARE = 1.5
_LEAST_SPARE = 32


class InvertedLists:
    """Reads the lists whose items are likely to have the largest products.

    Args:
        tensors: `centres` (lists, width); `offsets` (lists + 1,), where each list begins; `order` (items,),
            the items list by list; `codes` (items, width), int8, and `steps` (width,).
        settings: `probes`, how many lists are read.
        vectors: float32, shape (items, width).
    """

    exact = False

    def __init__(
        self, tensors: Mapping[str, NDArray[Any]], settings: Mapping[str, Any], vectors: Float32
    ) -> None:
        self._tensors, self._vectors = dict(tensors), vectors
        self.probes = int(settings["probes"])
        self._centres: Float32 = tensors["centres"]
        self._starts: Int64 = tensors["offsets"][:-1]
        self._sizes: Int64 = np.diff(tensors["offsets"])
        self._order, self._codes, self._steps = tensors["order"], tensors["codes"], tensors["steps"]
        self._block = np.empty((_ROWS, vectors.shape[1]), np.float32)

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it looks."""
        return {"way": "inverted_lists", "lists": len(self._centres), "probes": self.probes}

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """What is stored."""
        return self._tensors

    def best(self, asked: Float32, n: int, effort: int = 1) -> Found:
        """As of Index. Not for two threads at once."""
        lists = self._lists(asked, effort * self.probes)
        starts, sizes = self._starts[lists], self._sizes[lists]
        sums = self._products(starts.tolist(), sizes.tolist(), asked * self._steps)
        wanted = int(_SPARE * n) + _LEAST_SPARE
        kept = np.flatnonzero(sums >= threshold(sums, wanted, 16)) if len(sums) > wanted else None
        codes = self._order[_places(starts, sizes, kept)].astype(np.int64)
        scores = self._vectors.take(codes, axis=0) @ asked
        read = (len(sums) + len(codes) + len(self._centres)) * len(asked)
        return largest(codes, scores, n, read)

    def _lists(self, asked: Float32, probes: int) -> Int64:
        """The most promising lists."""
        promise = self._centres @ asked
        if probes >= len(promise):
            return np.arange(len(promise))
        return np.argpartition(-promise, probes)[:probes]

    def _products(self, starts: list[int], sizes: list[int], weights: Float32) -> Float32:
        """The products of the items of some lists, by their codes, list by list."""
        codes, block = self._codes, self._block
        sums = np.empty(sum(sizes), np.float32)
        at = 0
        for first, size in zip(starts, sizes, strict=True):
            for start in range(first, first + size, _ROWS):
                some = codes[start : min(start + _ROWS, first + size)]
                np.copyto(block[: len(some)], some)
                np.dot(block[: len(some)], weights, out=sums[at : at + len(some)])
                at += len(some)
        return sums


def _places(starts: Int64, sizes: Int64, kept: Int64 | None) -> Int64:
    """Where items stand that are counted through some stretches, one after the other; None: all of them."""
    ends = np.cumsum(sizes)
    if kept is None:
        kept = np.arange(int(ends[-1]))
    lists = np.searchsorted(ends, kept, side="right")
    return kept - (ends - sizes)[lists] + starts[lists]


def inverted_lists(vectors: Float32, lists: int, *, seed: int) -> InvertedLists:
    """Sort items into lists.

    Args:
        vectors: float32, shape (items, width).
        lists: how many.
        seed: of the centres.
    """
    away = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    centres = k_means(away, lists, seed=seed)
    owners = nearest(away, centres)
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=len(centres))
    steps = steps_of(away)
    tensors = {
        "centres": centres,
        "offsets": np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        "order": order.astype(np.int32),
        "codes": eight_bit(away, steps)[order],
        "steps": steps,
    }
    return InvertedLists(tensors, {"probes": 1}, vectors)
