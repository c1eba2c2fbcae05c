"""Randomness is an argument: every random stream is named, and grows from one seed."""

from __future__ import annotations

import hashlib

import numpy as np

from matinee.core.types import Int64


def generator(seed: int, *names: object) -> np.random.Generator:
    """The random stream of this name: the same seed and names give the same numbers on every machine."""
    digest = hashlib.blake2b(repr((seed, *names)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def shuffle_keys(n: int, seed: int = 0) -> Int64:
    """A fixed order of n codes that has nothing to do with how they are numbered: int64, shape (n,).

    Ties in scores are broken by it in answers given to people; code i's key depends on i and the seed alone
    (splitmix64, Steele et al. 2014), so that it stays when the catalogue grows.
    """
    z = np.arange(1, n + 1, dtype=np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    with np.errstate(over="ignore"):
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(1)).astype(np.int64)
