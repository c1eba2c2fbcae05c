"""What every way to the largest products gives back, and what it promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Float32, Int64


class Found(NamedTuple):
    """Some of the items with the largest products.

    Attributes:
        codes: int64, shape (found,): items, in no order.
        scores: float32, shape (found,): their products, exact.
        read: how many numbers were looked at for it: what an answer costs.
    """

    codes: Int64
    scores: Float32
    read: int


class Index(Protocol):
    """Finds the items whose vectors have the largest products with what is asked for."""

    @property
    def exact(self) -> bool:
        """Whether it never misses an item."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it was built and looks, plain JSON values; `way` is the name of the class."""

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """What is stored beside the items' vectors."""

    def best(self, asked: Float32, n: int, effort: int = 1) -> Found:
        """The n best items; fewer only if there are no more.

        Args:
            asked: float32, shape (width,).
            n: how many.
            effort: look at so many times as much as it was built to; what is exact takes no notice.
        """


def threshold(scores: Float32, n: int, block: int = 64) -> float:
    """A number that at least n scores reach, and seldom many more: the n-th best maximum of blocks."""
    blocks = len(scores) // block
    if blocks < 4 * n:
        return float(np.partition(scores, len(scores) - n)[len(scores) - n]) if n < len(scores) else -np.inf
    # Item b, b + blocks, b + 2 blocks ... form block b: the maxima are then taken along whole rows.
    maxima = scores[: blocks * block].reshape(block, blocks).max(axis=0)
    return float(np.partition(maxima, blocks - n)[blocks - n])


def largest(codes: Int64, scores: Float32, n: int, read: int) -> Found:
    """The n largest of some exact scores."""
    if len(codes) > n:
        kept = np.argpartition(-scores, n - 1)[:n]
        codes, scores = codes[kept], scores[kept]
    return Found(codes, scores, read)
