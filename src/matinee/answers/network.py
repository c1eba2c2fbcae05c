"""Networks over histories: an item's score is the product of its vector with what the history asks for.

score(i) = vector . items[i] / temperature, with the vector from `matinee.answers.forward_pass`. The part's
tensors are those of a `SequentialNetwork` by its own names, float32; its settings are the config and
`layers`, `heads`, `gated`, `positions`, `times`, `longest`, `ordered` and `temperature`.

Events of unknown items are left out as if they had not happened; of the rest, the last `longest` count.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matinee.answers.context import Context
from matinee.answers.decay import known
from matinee.answers.forward_pass import ForwardPass
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Histories, Int32


class NetworkScorer:
    """Scores histories by a network that was fitted."""

    def __init__(self, part: Part, context: Context) -> None:
        self._n = context.n_items
        self._network = ForwardPass(part.tensors, part.settings)
        self._temperature = np.float32(part.settings["temperature"])
        self._explained: tuple[tuple[Any, ...], Float32] | None = None

    def score(self, askers: Askers) -> Float32:
        """Scores of every item for every asker: float32, shape (askers, items)."""
        return np.asarray(self._vectors(askers.histories) @ self._network.items.T, dtype=np.float32)

    def personal(self, askers: Askers) -> Bool:
        """Whether an asker's history has an item of the catalogue."""
        histories = askers.histories
        rows = histories.rows()[known(histories, self._n)]
        return np.bincount(rows, minlength=len(askers)) > 0

    def contributions(self, asker: Askers, item: int) -> Float32:
        """The loss of an item's score when each event is left out: float32, shape (events,).

        The history is answered without each event once; an asker's further items take no more than a product.
        """
        losses = np.zeros(len(asker.histories.items), np.float32)
        places = np.flatnonzero(known(asker.histories, self._n))[-self._network.longest :]
        if len(places):
            scores = self._explanation(asker.histories) @ self._network.items[item]
            losses[places] = scores[0] - scores[1:]
        return losses

    def similar(self, items: Int32) -> Float32:
        """The cosine between items' vectors."""
        table = self._network.items
        directions = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
        return np.asarray(directions[items] @ directions.T, dtype=np.float32)

    def _explanation(self, history: Histories) -> Float32:
        """What a history asks for, whole and without each of its events that count.

        Returns:
            float32, shape (1 + events that count, width).
        """
        arrays = (history.items, history.times, history.weights)
        key = tuple(None if array is None else array.tobytes() for array in arrays)
        if self._explained is None or self._explained[0] != key:
            # Without one of the last events, one more of the earlier ones counts.
            clean = history.keep(known(history, self._n)).last(self._network.longest + 1)
            self._explained = key, self._vectors(less_each(clean, self._network.longest))
        return self._explained[1]

    def _vectors(self, histories: Histories) -> Float32:
        """What each history asks for, divided by the temperature: float32, shape (histories, width)."""
        clean = histories.keep(known(histories, self._n)).last(self._network.longest)
        return self._network.vectors(clean) / self._temperature


def less_each(history: Histories, latest: int) -> Histories:
    """One history as it is, then without each of its latest events in turn."""
    n = len(history.items)
    out = np.arange(n)[-latest:]
    kept = np.ones((1 + len(out), n), dtype=np.bool_)
    kept[np.arange(1, 1 + len(out)), out] = False
    return history.take(np.zeros(len(kept), np.int64)).keep(kept.ravel())
