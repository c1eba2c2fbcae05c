"""Vectors of items from what they are, as a network with content learnt them: numpy alone.

Items that were in the catalogue have theirs in the network's table, added up when it was fitted. What is here
gives items that came later a vector of the same kind, so that they can be ranked before anybody watched them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.core.promise import Part
from matinee.core.types import Float32
from matinee.data.content import Content, Features, content_of
from matinee.data.vocabulary import Vocabulary

_WORDS, _DIRECTIONS = "content.words", "content.directions"
_NAMES, _WEIGHTS, _MEAN = "content.names", "content.weights", "content.mean"


def content_vectors(tensors: Mapping[str, NDArray[Any]], content: Content, bound: float) -> Float32:
    """The vectors of items by their content alone: float32, shape (items, width).

    Args:
        tensors: `content.words` and `content.directions` of a `SequentialNetwork`.
        content: what the items are.
        bound: what no vector is longer than.
    """
    z = content.shares @ np.asarray(tensors[_WORDS]) + content.vectors @ np.asarray(tensors[_DIRECTIONS])
    z /= np.sqrt(1.0 + np.square(z / bound).sum(axis=1, keepdims=True))
    return np.asarray(z, dtype=np.float32)


def knows_content(part: Part) -> bool:
    """Whether a network was fitted with content."""
    return _NAMES in part.tensors


def arrays_of(features: Features) -> dict[str, NDArray[Any]]:
    """Features as named arrays, from which `features_of` makes them again."""
    text = "\n".join(features.names.arrow.to_pylist())
    return {
        _NAMES: np.frombuffer(text.encode(), dtype=np.uint8).copy(),
        _WEIGHTS: features.weights,
        _MEAN: features.mean,
    }


def features_of(part: Part) -> Features:
    """The features that a network with content was fitted with."""
    text = bytes(np.asarray(part.tensors[_NAMES])).decode()
    return Features(
        names=Vocabulary(text.split("\n") if text else []),
        columns=tuple(part.settings["content_columns"]),
        weights=np.asarray(part.tensors[_WEIGHTS]),
        mean=np.asarray(part.tensors[_MEAN]),
    )


def vectors_of_items(part: Part, table: pa.Table, vectors: Float32 | None = None) -> Float32:
    """Vectors that a fitted network gives to items it never saw: float32, shape (items, width).

    Args:
        part: of kind `network`, fitted with content.
        table: one row an item, with columns as the items had that it was fitted on.
        vectors: float32, shape (items, width of theirs), NaN rows where an item has none; or None.
    """
    return content_vectors(
        part.tensors, content_of(table, vectors, features_of(part)), float(part.settings["content"])
    )
