"""The value that an asker would give to an item, from what they gave to the items nearest to it.

value(u, i) = mean + scale * (b_i + b_u + sum_j s(i, j) d_uj / (doubt + sum_j s(i, j)))

over the items j that the asker rated, with d_uj what their rating differs from the biases. The items' biases
are the tensor `biases`, likenesses s a sparse matrix (`indptr`, `indices`, `data`); b_u is solved from the
asker's ratings with the pull `bias_ridge`, so newcomers are answered like anybody.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from matinee.answers.bf16 import float32_of
from matinee.answers.context import Context
from matinee.answers.values import within
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Float64, Int32, Int64


class ValueNeighboursScorer:
    """Predicts values from an asker's ratings of like items; time plays no part."""

    def __init__(self, part: Part, context: Context) -> None:
        self._settings = dict(part.settings)
        self._biases = np.asarray(part.tensors["biases"], dtype=np.float64)
        n = context.n_items
        data = float32_of(part.tensors["data"])
        rows = csr_matrix((data, part.tensors["indices"], part.tensors["indptr"]), shape=(n, n))
        # By the item that was rated: what it says of each other.
        self._says = rows.T.tocsr()
        self._likeness = rows

    def score(self, askers: Askers) -> Float32:
        """The predicted value of every item."""
        told = np.empty((len(askers), len(self._biases)), dtype=np.float32)
        for row in range(len(askers)):
            rated, left, own = self._asked(askers, row)
            near = self._says[rated]
            weight = np.asarray(near.sum(axis=0)).ravel()
            told[row] = self._told(self._biases + own + (near.T @ left) / (self._doubt + weight))
        return told

    def values(self, askers: Askers, rows: Int64, items: Int32, times: Int64 | None) -> Float32:
        """The value that some askers would give to some items; see `ValuesScorer.values`."""
        del times
        told = np.empty(len(rows), dtype=np.float32)
        bounds = np.searchsorted(rows, np.arange(len(askers) + 1))
        for row in range(len(askers)):
            part = slice(bounds[row], bounds[row + 1])
            if part.start == part.stop:
                continue
            scores = self.score(askers.take(np.array([row])))[0]
            own = self._asked(askers, row)[2]
            stranger = self._told(np.array([own]))[0]
            told[part] = np.where(items[part] >= 0, scores[items[part]], stranger)
        return told

    def personal(self, askers: Askers) -> Bool:
        """Whether an asker's history has a rating."""
        history = askers.histories
        if history.values is None:
            return np.zeros(len(askers), dtype=np.bool_)
        return np.bincount(history.rows()[~np.isnan(history.values)], minlength=len(askers)) > 0

    def contributions(self, asker: Askers, item: int) -> Float32:
        """What the prediction loses when an event is left out: float32, shape (events,)."""
        n = len(asker.histories.items)
        kept = ~np.eye(n, dtype=np.bool_)
        copies = asker.take(np.zeros(n, dtype=np.int64))
        without = Askers(histories=copies.histories.keep(kept.ravel()), viewers=copies.viewers)
        return np.asarray(self.score(asker)[0, item] - self.score(without)[:, item], dtype=np.float32)

    def similar(self, items: Int32) -> Float32:
        """The kept likenesses; an item is most like itself."""
        likeness = self._likeness[items].toarray().astype(np.float32)
        likeness[np.arange(len(items)), items] = 1.0
        return np.asarray(likeness, dtype=np.float32)

    @property
    def _doubt(self) -> float:
        return float(self._settings["doubt"])

    def _asked(self, askers: Askers, row: int) -> tuple[Int32, Float64, float]:
        """What one asker rated, how much it differs from the biases, and how kind they are."""
        part = slice(askers.histories.offsets[row], askers.histories.offsets[row + 1])
        codes, values = askers.histories.items[part], askers.histories.values
        if values is None:
            return codes[:0], np.zeros(0), 0.0
        told = ~np.isnan(values[part])
        codes = codes[told]
        left = (values[part][told] - self._settings["mean"]) / self._settings["scale"] - self._biases[codes]
        own = float(left.sum() / (len(left) + self._settings["bias_ridge"]))
        return codes, left - own, own

    def _told(self, raw: Float64) -> Float32:
        told = raw * self._settings["scale"] + self._settings["mean"]
        return within(told, self._settings["low"], self._settings["high"])
