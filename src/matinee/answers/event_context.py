"""What is known of an event beside its item, as codes: its kind, its value, the time since the event before.

Code 0 stands for what nobody said. Training reads events by the same codes as answering does.

- kind: 1 + the kind's position among the log's kinds;
- value: 1 + how many of the `value_edges` are not above it;
- gap: 1 + the octave of seconds since the event before, of those that are read (0 for the first).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.layers import octaves
from matinee.core.types import Float32, Histories, Int64

KIND, VALUE, GAP = "kind", "value", "gap"
# Octaves of seconds (`layers.octaves`), and "nobody said".
GAPS = 34
_TABLES = "context.tables."


def sorts_of(tensors: Mapping[str, NDArray[Any]]) -> set[str]:
    """Which sorts of code a network knows."""
    return {name.removeprefix(_TABLES) for name in tensors if name.startswith(_TABLES)}


def kind_codes(kinds: NDArray[Any] | None, n: int, known: int) -> Int64:
    """Codes of n events' kinds; those below 0, or beyond the `known` ones, are not known."""
    if kinds is None:
        return np.zeros(n, np.int64)
    codes = np.asarray(kinds, dtype=np.int64) + 1
    return np.where((codes > 0) & (codes <= known), codes, 0)


def value_codes(values: Float32 | None, n: int, edges: Float32) -> Int64:
    """Codes of n events' values; nan is not known."""
    if values is None:
        return np.zeros(n, np.int64)
    codes = 1 + np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), 0, codes).astype(np.int64)


def gap_codes(times: Int64 | None, firsts: Int64, n: int) -> Int64:
    """Codes of the time before each of n events.

    Args:
        times: int64, shape (n,), milliseconds; None where nobody knows.
        firsts: positions of events that no other one comes before.
        n: how many.
    """
    codes = np.zeros(n, np.int64)
    if times is None or n < 2:
        return codes
    codes[1:] = 1 + octaves(np.maximum(np.diff(times), 0) / 1000.0)
    codes[firsts[firsts < n]] = 0
    return codes


class EventContext:
    """The vectors that a network adds to events.

    Args:
        tensors: of a `SequentialNetwork`, by its own names: float32.
        settings: with values, `value_edges`.

    Attributes:
        sorts: which sorts of code it knows.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> None:
        self._tables: dict[str, Float32] = {
            name: np.asarray(tensors[_TABLES + name], dtype=np.float32) for name in sorted(sorts_of(tensors))
        }
        self.sorts = frozenset(self._tables)
        self._edges = np.asarray(settings.get("value_edges", ()), dtype=np.float32)

    def vectors(self, histories: Histories) -> Float32 | None:
        """What is added to each event: float32, shape (events, width); None: nothing is to any.

        Args:
            histories: the events that are read, and no others.
        """
        found: Float32 | None = None
        for name, table in self._tables.items():
            more = table[self._codes(name, histories, len(table))]
            found = more if found is None else found + more
        return found

    def _codes(self, name: str, histories: Histories, known: int) -> Int64:
        n = len(histories.items)
        if name == KIND:
            return kind_codes(histories.kinds, n, known - 1)
        if name == VALUE:
            return value_codes(histories.values, n, self._edges)
        return gap_codes(histories.times, histories.offsets[:-1], n)
