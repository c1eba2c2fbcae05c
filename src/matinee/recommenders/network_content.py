"""What `sequential` learns of items by what they are: features, where to start from, what is kept.

The map from features to vectors starts as the ridge regression of the vectors that items start from, so that
an item nobody watched begins among those that are like it. Each item's own vector starts as what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.answers.content import arrays_of, content_vectors
from matinee.core.promise import Log
from matinee.core.types import Bool, Float32
from matinee.data.content import Content, Features, content_of, is_described, learn_features

# How hard the regression is pulled to zero, in items of which a feature is all that is known.
_RIDGE = 3.0
_TURNS = 30

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a fit knows of its items.

    Attributes:
        features: those that it learns from.
        content: what the items are, by these features.
        watched: bool, shape (items,): which items somebody watched.
        bound: what no vector by content alone is longer than.
    """

    features: Features
    content: Content
    watched: Bool
    bound: float

    def folded(self, state: Arrays) -> dict[str, NDArray[Any]]:
        """A network's tensors with what items are like by their content in its table of items."""
        more = content_vectors(state, self.content, self.bound)
        return {**state, "items": np.asarray(state["items"] + more, dtype=np.float32)}

    def kept(self, state: Arrays) -> dict[str, NDArray[Any]]:
        """The same, and what it takes to give vectors to items that come later."""
        return {**self.folded(state), **arrays_of(self.features)}

    def start(self, vectors: Float32) -> tuple[dict[str, Float32], Float32]:
        """Where the map and the items' own vectors start from.

        Args:
            vectors: float32, shape (items, width): what items that were watched start from.

        Returns:
            The map's two matrices by name; and the items' own vectors, zeros where nobody watched.
        """
        wanted = np.where(self.watched[:, None], vectors, np.float32(0.0))
        words, directions = _regress(self.content, wanted, self.watched)
        state = {"content.words": words, "content.directions": directions}
        rest = wanted - content_vectors(state, self.content, self.bound)
        return state, np.where(self.watched[:, None], rest, np.float32(0.0))


def known_of(log: Log, bound: float) -> Known | None:
    """What is known of a log's items; None where nothing is, or nothing is wanted."""
    table, vectors = told_of(log)
    if bound <= 0.0 or table is None:
        return None
    watched = watched_of(log)
    features = learn_features(table, vectors, watched)
    if not len(features.names) and not len(features.mean):
        return None
    content = content_of(table, vectors, features)
    return Known(features=features, content=content, watched=watched, bound=bound)


def told_of(log: Log) -> tuple[pa.Table | None, Float32 | None]:
    """The table of a log's items and their vectors; no table where neither says what items are."""
    table, vectors = getattr(log, "item_table", None), getattr(log, "vectors", None)
    if table is None or (vectors is None and not is_described(table)):
        return None, None
    return table, vectors


def watched_of(log: Log) -> Bool:
    """Which items somebody watched: bool, shape (items,)."""
    return np.bincount(log.histories.items, minlength=log.n_items) > 0


def _regress(content: Content, wanted: Float32, watched: Bool) -> tuple[Float32, Float32]:
    """Ridge regression of vectors on content, by conjugate gradients: all columns at once."""
    shares = content.shares[np.flatnonzero(watched)]
    vectors, wanted = content.vectors[watched], wanted[watched]
    n_features = shares.shape[1]

    def normal(x: Any) -> Any:
        made = shares @ x[:n_features] + vectors @ x[n_features:]
        return np.concatenate([shares.T @ made, vectors.T @ made]) + _RIDGE * x

    residual = np.concatenate([shares.T @ wanted, vectors.T @ wanted]).astype(np.float64)
    found, along = np.zeros_like(residual), residual.copy()
    size = np.square(residual).sum(axis=0)
    for _ in range(_TURNS):
        turned = normal(along)
        step = size / np.maximum((along * turned).sum(axis=0), 1e-30)
        found += step * along
        residual -= step * turned
        before, size = size, np.square(residual).sum(axis=0)
        along = residual + size / np.maximum(before, 1e-30) * along
    return found[:n_features].astype(np.float32), found[n_features:].astype(np.float32)
