"""What `sequential` learns of items by what they are: features, where to start from, what is kept.

The map from features to vectors starts as the ridge regression of the vectors that items start from, so that
an item nobody watched begins among those that are like it. Each item's own vector starts as what is left.
Once the network is trained, the map that is kept is the ridge regression of the vectors that came of it: it
foretells the vectors of items left out better than the one that was trained along, which has learnt by heart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.answers.content import arrays_of, features_of
from matinee.core.promise import Log, Part
from matinee.core.seeds import generator
from matinee.core.types import Bool, Float32, Int64
from matinee.data.content import Content, Features, content_of, is_described, learn_features
from matinee.recommenders.content_regression import choose_ridge, regress

# How hard the regression is pulled to zero, in items of which a feature is all that is known.
_RIDGE = 3.0

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
        more = bounded_vectors(state, self.content, self.bound)
        return {**state, "items": np.asarray(state["items"] + more, dtype=np.float32)}

    def kept(self, state: Arrays, seed: int) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What answers: tensors, and what the settings must tell of them.

        Items that nobody watched are as the regression of all others has them, and it is kept for items that
        come later.
        """
        tensors, watched = self.folded(state), np.flatnonzero(self.watched)
        ridge = choose_ridge(self.content, tensors["items"], watched, seed)
        made = regress(self.content, tensors["items"], watched, ridge)
        items = np.where(self.watched[:, None], tensors["items"], made.vectors(self.content))
        tensors |= {"items": items, **arrays_of(self.features, made.base, made.words, made.directions)}
        return tensors, {"content_columns": list(self.features.columns), "content_ridge": ridge}

    def start(self, vectors: Float32) -> tuple[dict[str, Float32], Float32]:
        """Where the map and the items' own vectors start from.

        Args:
            vectors: float32, shape (items, width): what items that were watched start from.

        Returns:
            The map's two matrices by name; and the items' own vectors, zeros where nobody watched.
        """
        wanted = np.where(self.watched[:, None], vectors, np.float32(0.0))
        made = regress(self.content, wanted, np.flatnonzero(self.watched), _RIDGE, based=False)
        state = {"content.words": made.words, "content.directions": made.directions}
        rest = wanted - bounded_vectors(state, self.content, self.bound)
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


def bounded_vectors(state: Arrays, content: Content, bound: float) -> Float32:
    """What `ItemContent` makes of content, in numpy: float32, shape (items, width).

    Args:
        state: `content.words` and `content.directions` of a `SequentialNetwork`.
        content: what the items are.
        bound: what no vector is longer than.
    """
    z = content.shares @ state["content.words"] + content.vectors @ state["content.directions"]
    z /= np.sqrt(1.0 + np.square(z / bound).sum(axis=1, keepdims=True))
    return np.asarray(z, dtype=np.float32)


def taken_for_unwatched(part: Part, log: Log, share: float, seed: int) -> tuple[Int64, Float32]:
    """Some of the watched items, with the vectors they would have had if nobody had watched them.

    Args:
        part: a network with content, fitted on the log.
        log: its log.
        share: how many of the watched items.
        seed: draws which.

    Returns:
        Their codes, int64, ascending; and float32, shape (codes, width), by a regression of the others.
    """
    table, vectors = told_of(log)
    watched = np.flatnonzero(watched_of(log))
    drawn = generator(seed, "taken for unwatched").random(len(watched)) < share
    if table is None or drawn.all():
        return watched[:0], np.zeros((0, part.tensors["items"].shape[1]), np.float32)
    content = content_of(table, vectors, features_of(part))
    ridge = float(part.settings["content_ridge"])
    made = regress(content, np.asarray(part.tensors["items"]), watched[~drawn], ridge)
    return watched[drawn], made.vectors(content)[watched[drawn]]
