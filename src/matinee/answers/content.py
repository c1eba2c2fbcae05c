"""Vectors of items from what they are, as a network with content learnt them: numpy alone.

Items of the catalogue have theirs in the network's table since it was fitted. What is here gives items that
came later a vector of the same kind, so that they can be ranked before anybody watched them:

vector = base + sum over features f of share(f) words[f] + (their vector from a file) @ directions
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.core.promise import Part
from matinee.core.types import Float32
from matinee.data.content import Features, content_of
from matinee.data.vocabulary import Vocabulary

_BASE, _WORDS, _DIRECTIONS = "content.base", "content.words", "content.directions"
_NAMES, _WEIGHTS, _MEAN = "content.names", "content.weights", "content.mean"


def knows_content(part: Part) -> bool:
    """Whether a network was fitted with content."""
    return _NAMES in part.tensors


def arrays_of(
    features: Features, base: Float32, words: Float32, directions: Float32
) -> dict[str, NDArray[Any]]:
    """Features, and the map from them to vectors, as the named arrays that are read here again.

    Args:
        features: those that are known.
        base: float32, shape (width,): the vector of an item of which nothing is known.
        words: float32, shape (features, width).
        directions: float32, shape (numbers of a vector from a file, width).
    """
    text = "\n".join(features.names.arrow.to_pylist())
    return {
        _BASE: base,
        _WORDS: words,
        _DIRECTIONS: directions,
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
    content = content_of(table, vectors, features_of(part))
    found = content.shares @ np.asarray(part.tensors[_WORDS])
    found += content.vectors @ np.asarray(part.tensors[_DIRECTIONS])
    return np.asarray(found + part.tensors[_BASE], dtype=np.float32)
