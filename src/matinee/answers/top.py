"""The best k of a catalogue: exact, ties broken by a hash of the item; and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.core.types import Bool, Float32, Int32, Int64
from matinee.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

FALLBACK = "fallback:popular"

# Blocks of this many items: the k-th best of the blocks' maxima is a bound that few more than k items reach.
_BLOCK = 64
_FEWEST_BLOCKS = 4
_LOWEST = np.finfo(np.float32).min


@dataclass(frozen=True, kw_only=True)
class TopItems:
    """Ranked items for some askers, best first.

    Where fewer than k items can be recommended, a row ends in None (items), NaN (scores) and -1 (codes); the
    tables leave these places out.

    Attributes:
        asked: who asked: viewer ids, item ids (`similar`), or positions from "0" (`recommend_history`).
        codes: int32, shape (n, k): item codes.
        scores: float32, shape (n, k).
        personal: bool, shape (n,): whether the answer is personal; else it is what is popular.
        name: the source of personal answers: the model's name.
        catalogue: ids of all items.
        unknown: int64, shape (n,): item ids of the given history that the catalogue lacks, ignored.
        column: what the tables call the first column.
    """

    asked: pa.Array
    codes: Int32
    scores: Float32
    personal: Bool
    name: str
    catalogue: Vocabulary
    unknown: Int64 | None = None
    column: str = "user"

    def __len__(self) -> int:
        """Number of askers."""
        return len(self.codes)

    @cached_property
    def items(self) -> NDArray[Any]:
        """Item ids: strings and None, shape (n, k)."""
        known = pa.array(self.codes.ravel(), mask=self.codes.ravel() < 0)
        ids = self.catalogue.arrow.take(known).to_pylist()
        items = np.empty(self.codes.shape, dtype=object)
        items.ravel()[:] = ids
        return items

    @property
    def sources(self) -> list[str]:
        """Where each answer comes from: the model's name, or `fallback:popular`."""
        return [self.name if personal else FALLBACK for personal in self.personal]

    def to_arrow(self) -> pa.Table:
        """One row an item: who asked, rank (from 1), item, score, source."""
        rows, ranks = np.nonzero(self.codes >= 0)
        sources = pc.if_else(pa.array(self.personal), self.name, FALLBACK)
        return pa.table(
            {
                self.column: self.asked.cast(pa.large_string()).take(pa.array(rows)),
                "rank": pa.array(ranks + 1, pa.int32()),
                "item": self.catalogue.arrow.take(pa.array(self.codes[rows, ranks])),
                "score": pa.array(self.scores[rows, ranks]),
                "source": sources.cast(pa.large_string()).take(pa.array(rows)),
            }
        )

    def to_pandas(self) -> pd.DataFrame:
        """The table of `to_arrow` as a pandas frame.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame


def asked_of(ids: Sequence[str]) -> pa.Array:
    """The ids of askers as `TopItems` keeps them."""
    return pa.array(list(ids), pa.large_string())


def top_k(scores: Float32, k: int, keys: Int64) -> tuple[Int32, Float32]:
    """The k best items of each row, exactly.

    A first pass over the maxima of blocks of items gives each row a bound that at least k items reach; only
    those few are sorted.

    Args:
        scores: float32, shape (n, items): higher is better; -inf where an item must not be shown.
        k: how many.
        keys: int64, shape (items,): among equal scores the smaller key comes first.

    Returns:
        Codes int32, shape (n, k), -1 where there is no further item, and scores float32, NaN there.
    """
    n, n_items = scores.shape
    codes = np.full((n, k), -1, dtype=np.int32)
    best = np.full((n, k), np.nan, dtype=np.float32)
    if not n or not n_items or not k:
        return codes, best
    bound = _bound(scores, min(k, n_items))
    reached = scores >= bound[:, None]
    # Rows where very many items tie at the bound (a sparse model's zeros) are settled one at a time.
    crowded = np.zeros(0, dtype=np.int64)
    if np.count_nonzero(reached) > n * (2 * k + 64):
        crowded = np.flatnonzero(np.count_nonzero(reached, axis=1) > 4 * k + 256)
        reached[crowded] = False
    flat = np.flatnonzero(reached)
    rows, columns = np.divmod(flat, n_items)
    if len(crowded):
        picked = [_settle(scores[row], k, keys) for row in crowded]
        rows = np.concatenate([rows, np.repeat(crowded, [len(one) for one in picked])])
        columns = np.concatenate([columns, *picked])
    order = np.lexsort((keys[columns], -scores[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    ranks = np.arange(len(rows)) - np.searchsorted(rows, np.arange(n))[rows]
    kept = ranks < k
    rows, columns, ranks = rows[kept], columns[kept], ranks[kept]
    codes[rows, ranks] = columns
    best[rows, ranks] = scores[rows, columns]
    return codes, best


def top_k_of_one(scores: Float32, k: int, keys: Int64) -> tuple[Int64, Float32]:
    """The k best items of one asker, exactly as `top_k` finds them, at less cost.

    Args:
        scores: float32, shape (items,): -inf where an item must not be shown.
        k: how many.
        keys: int64, shape (items,) or longer: among equal scores the smaller key comes first.

    Returns:
        Codes int64 and scores float32, best first: as many as can be shown, k at most.
    """
    n = len(scores)
    wanted = min(k, n)
    if wanted < 1:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    width = n // max(_FEWEST_BLOCKS * wanted, 1)
    maxima = scores
    if width > 1:
        width = min(width, _BLOCK)
        blocks = n // width
        maxima = np.maximum.reduce(scores[: blocks * width].reshape(width, blocks), axis=0)
    place = len(maxima) - wanted
    bound = max(np.partition(maxima, place)[place], _LOWEST)
    codes = (scores >= bound).nonzero()[0]
    if len(codes) > 4 * wanted + 256:
        codes = _settle(scores, wanted, keys)
        codes = codes[scores[codes] >= _LOWEST]
    found = scores[codes]
    order = np.lexsort((keys[codes], -found))[:wanted]
    return codes[order], found[order]


def _bound(scores: Float32, k: int) -> Float32:
    """For each row a score that at least k items reach, if that many may be shown: float32, shape (n,)."""
    n, n_items = scores.shape
    blocks = n_items // _BLOCK
    maxima = scores
    if blocks >= 4 * k:
        # Item b, b + blocks, b + 2 blocks ... form block b: the maxima are then taken along whole rows.
        maxima = scores[:, : blocks * _BLOCK].reshape(n, _BLOCK, blocks).max(axis=1)
    place = maxima.shape[1] - k
    bound: Float32 = np.partition(maxima, place, axis=1)[:, place]
    return np.maximum(bound, _LOWEST)


def _settle(scores: Float32, k: int, keys: Int64) -> Int64:
    """The k best items of one row with many ties, in any order."""
    place = max(len(scores) - k, 0)
    worst = max(np.partition(scores, place)[place], _LOWEST)
    above, ties = np.flatnonzero(scores > worst), np.flatnonzero(scores == worst)
    wanted = k - len(above)
    if len(ties) > wanted:
        ties = ties[np.argpartition(keys[ties], wanted - 1)[:wanted]]
    return np.concatenate([above, ties])
