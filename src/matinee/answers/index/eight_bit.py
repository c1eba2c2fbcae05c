"""Vectors in 8 bits a number: each dimension has steps of its own."""

from __future__ import annotations

import numpy as np

from matinee.core.types import Float32, Int8

_MOST = 127
_ROWS = 65_536


def steps_of(vectors: Float32) -> Float32:
    """The step of each dimension, so that its largest number still fits: float32, shape (width,)."""
    largest = np.maximum(vectors.max(axis=0, initial=0.0), -vectors.min(axis=0, initial=0.0))
    return np.asarray(np.maximum(largest / _MOST, np.float32(1e-30)), dtype=np.float32)


def eight_bit(vectors: Float32, steps: Float32) -> Int8:
    """The nearest whole numbers of steps: int8, the shape of the vectors; vectors is about codes * steps."""
    codes = np.empty(vectors.shape, np.int8)
    for start in range(0, len(vectors), _ROWS):
        codes[start : start + _ROWS] = np.rint(vectors[start : start + _ROWS] / steps)
    return codes
