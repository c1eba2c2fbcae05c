"""From ids to codes: a dictionary of few ids, numbers of 64 bits in order of very many.

A million ids as a dictionary take 150 MB and half a second; as the hashes that Python itself gives to texts,
sorted, 12 MB and half the time. These hashes are keyed anew in every process, so nobody can make up ids that
share one: an unknown id among a million is taken for a known one in one of 10^13 cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from matinee.core.types import Int32, Int64

# More ids than that are looked up by their hashes.
MANY = 200_000
_AT_ONCE = 16_384


class IdLookup(Protocol):
    """Knows the code of every id."""

    @property
    def distinct(self) -> bool:
        """Whether no id is there twice."""

    def code(self, id_: str) -> int:
        """The code of an id, -1 where it is unknown."""

    def codes(self, ids: Sequence[str]) -> list[int]:
        """The codes of some ids, -1 where one is unknown."""


class FewIds:
    """A dictionary.

    Args:
        ids: large strings, in the order of their codes.
    """

    def __init__(self, ids: pa.Array) -> None:
        self._n = len(ids)
        self._code_of: dict[str, int] = {id_: code for code, id_ in enumerate(ids.to_pylist())}

    @property
    def distinct(self) -> bool:
        """Whether no id is there twice."""
        return len(self._code_of) == self._n

    def code(self, id_: str) -> int:
        """The code of an id, -1 where it is unknown."""
        return self._code_of.get(id_, -1)

    def codes(self, ids: Sequence[str]) -> list[int]:
        """The codes of some ids, -1 where one is unknown."""
        code_of = self._code_of.get
        return [code_of(one, -1) for one in ids]


class ManyIds:
    """Sorted hashes.

    Args:
        ids: large strings, in the order of their codes.
    """

    def __init__(self, ids: pa.Array) -> None:
        hashes: Int64 = np.empty(len(ids), np.int64)
        for start in range(0, len(ids), _AT_ONCE):
            some = ids.slice(start, _AT_ONCE).to_pylist()
            hashes[start : start + len(some)] = np.fromiter(map(hash, some), np.int64, len(some))
        self._codes: Int32 = np.argsort(hashes).astype(np.int32)
        self._hashes = hashes[self._codes]
        alike = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        pairs = np.stack([self._codes[alike], self._codes[alike + 1]], axis=1).tolist()
        self._distinct = not any(ids[one].as_py() == ids[other].as_py() for one, other in pairs)

    @property
    def distinct(self) -> bool:
        """Whether no id is there twice."""
        return self._distinct

    def code(self, id_: str) -> int:
        """The code of an id, -1 where it is unknown."""
        return self.codes([id_])[0]

    def codes(self, ids: Sequence[str]) -> list[int]:
        """The codes of some ids, -1 where one is unknown."""
        asked = np.fromiter(map(hash, ids), np.int64, len(ids))
        places = np.minimum(np.searchsorted(self._hashes, asked), len(self._hashes) - 1)
        codes: list[int] = np.where(self._hashes[places] == asked, self._codes[places], -1).tolist()
        return codes


def lookup_of(ids: pa.Array) -> IdLookup:
    """What looks up some ids: large strings, in the order of their codes."""
    return ManyIds(ids) if len(ids) > MANY else FewIds(ids)
