"""What is liked where an asker is: a learnt vector of the region, added to what the network asks for.

Where somebody is, the asker says, or the table of viewers does; a region that the fit did not know adds
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.core.types import Askers, Float32, Int64
from matinee.data.homes import column_of_homes, homes_of


def region_codes(names: list[str], viewers: pa.Table | None) -> Int64:
    """Where each viewer of a table is, as a position among names; -1 where none of them is known: int64."""
    homes = homes_of(viewers, column_of_homes(viewers))
    places = {name: place for place, name in enumerate(names)}
    known = np.array([*(places.get(name, -1) for name in homes.names), -1], dtype=np.int64)
    return np.asarray(known[homes.codes], dtype=np.int64)


class Regions:
    """The vectors that a network adds to what is asked for.

    Args:
        tensors: of a `SequentialNetwork`, by its own names: float32.
        settings: `region_names`, where the network knows any.
        viewers: the fit's table of viewers, or None.
    """

    def __init__(
        self, tensors: Mapping[str, NDArray[Any]], settings: Mapping[str, Any], viewers: pa.Table | None
    ) -> None:
        self._names = [str(name) for name in settings.get("region_names", ())]
        self._places = {name: place for place, name in enumerate(self._names)}
        self._viewers = viewers
        # Of a region that nobody knows, the last one.
        self._table: Float32 | None = None
        if self._names:
            table = np.asarray(tensors["regions.table"], dtype=np.float32)
            self._table = np.vstack([table, np.zeros_like(table[:1])])

    def __bool__(self) -> bool:
        """Whether it knows any region."""
        return self._table is not None

    def codes(self, askers: Askers) -> Int64:
        """Where askers are: int64, shape (askers,), -1 where that is not known."""
        homes = self._homes
        there = (askers.viewers >= 0) & (askers.viewers < len(homes))
        found = np.full(len(askers), -1, np.int64)
        found[there] = homes[askers.viewers[there]]
        for row, name in enumerate(askers.regions or ()):
            if name is not None:
                found[row] = self._places.get(name.strip(), -1)
        return found

    def vectors(self, codes: Int64) -> Float32:
        """What is added to what is asked for somewhere: float32, shape (codes, width)."""
        if self._table is None:
            raise ValueError("This network knows no regions.")
        return self._table[codes]

    @cached_property
    def _homes(self) -> Int64:
        return region_codes(self._names, self._viewers)
