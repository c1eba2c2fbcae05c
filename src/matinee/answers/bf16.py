"""Floats of 16 bits with the range of those of 32, kept as their bit patterns: numpy has no type for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Float32


def bf16(array: Float32) -> NDArray[np.uint16]:
    """Round float32 to the nearest bf16 (ties to even), kept as its bit pattern; finite values only."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16)


def float32_of(array: NDArray[Any]) -> Float32:
    """A tensor as it is reckoned with: bf16 bit patterns become float32."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(array, dtype=np.float32)
