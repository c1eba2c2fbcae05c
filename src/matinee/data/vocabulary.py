"""Ids and codes: an id is the string that the log has, a code its position in the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.core.types import Int32
from matinee.data.id_lookup import IdLookup, lookup_of


class Vocabulary:
    """The ids of all viewers or all items; the code of an id is its position.

    Ids are strings, kept byte for byte: "7", "007" and "7.0" are three ids.

    Args:
        ids: the distinct ids, in the order of their codes: Arrow strings, or any iterable of them.
    """

    def __init__(self, ids: pa.Array | Iterable[str]) -> None:
        array = ids if isinstance(ids, pa.Array) else pa.array(list(ids), pa.large_string())
        self._ids = array.cast(pa.large_string())

    def __len__(self) -> int:
        """Number of ids."""
        return len(self._ids)

    def __contains__(self, id_: str) -> bool:
        """Whether the id is known."""
        return self.code(id_) >= 0

    @property
    def arrow(self) -> pa.Array:
        """All ids in the order of their codes, as Arrow large strings."""
        return self._ids

    def id(self, code: int) -> str:
        """The id of one code."""
        return str(self._ids[int(code)].as_py())

    def ids(self, codes: Any) -> list[str]:
        """The ids of some codes."""
        return list(self._ids.take(pa.array(np.asarray(codes, dtype=np.int64))).to_pylist())

    def code(self, id_: str) -> int:
        """The code of one id, or -1 where it is unknown."""
        return self.lookup.code(id_)

    def codes(self, ids: Sequence[str] | pa.Array) -> Int32:
        """The codes of some ids, -1 where unknown: int32, shape (len(ids),)."""
        asked = (
            ids if isinstance(ids, (pa.Array, pa.ChunkedArray)) else pa.array(list(ids), pa.large_string())
        )
        if len(asked) < 1_000:
            return np.array(self.lookup.codes(asked.to_pylist()), dtype=np.int32)
        found = pc.fill_null(pc.index_in(asked.cast(pa.large_string()), value_set=self._ids), -1)
        if isinstance(found, pa.ChunkedArray):
            found = found.combine_chunks()
        return np.asarray(found, dtype=np.int32)

    @cached_property
    def lookup(self) -> IdLookup:
        """Knows the code of every id; made when somebody first asks, and of this process alone."""
        return lookup_of(self._ids)

    def __getstate__(self) -> dict[str, Any]:
        """The ids: another process has other hashes."""
        return {"_ids": self._ids}
