"""Values predicted from an asker's ratings of the nearest items: item-based nearest neighbours on residuals.

s(i, j) = n_ij / (n_ij + shrink) * sum d_i d_j / sqrt(sum d_i^2 * sum d_j^2)

over the n_ij viewers who rated both, with d what their rating differs from mean and biases (Koren 2010,
"Factor in the neighbors"). Each item keeps its `neighbours` nearest of positive likeness. How an answer is
made of them: `matinee.answers.value_neighbours`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix, vstack

from matinee.answers.compact import largest, sparse_tensors
from matinee.answers.model import Model, model_of
from matinee.core.errors import SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span
from matinee.core.types import Float64
from matinee.recommenders.rated import Rated, rated_of, require_values

_ROUNDS = 10
# Rows of likenesses that are made at a time: bounded memory whatever the catalogue.
_ROWS = 512


@dataclass(frozen=True, kw_only=True)
class RatingKnnConfig:
    """Settings of `RatingKnn`.

    Attributes:
        neighbours: likenesses kept of each item; more hears more of the asker's ratings.
        shrink: viewers in common at which half a likeness is believed; more trusts chance less.
        bias_ridge: pull of biases to zero, in ratings; more trusts items and viewers with few ratings less.
        doubt: likeness that the biases alone count as; more stays closer to them.
    """

    neighbours: int = 300
    shrink: float = 100.0
    bias_ridge: float = 4.0
    doubt: float = 0.3

    def __post_init__(self) -> None:
        """Refuse what finds no neighbour."""
        if self.neighbours < 1:
            raise SettingsError(f"rating_knn needs neighbours of at least 1, found {self.neighbours}.")
        for name in ("shrink", "bias_ridge", "doubt"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"rating_knn needs {name} above 0, found {getattr(self, name)}.")


class RatingKnn:
    """Predicts from what the asker gave to like items."""

    name = "rating_knn"
    predicts = "value"
    Config = RatingKnnConfig
    space: ClassVar[Space] = {
        "neighbours": Choice((50, 100, 300, 1000)),
        "shrink": Span(low=5.0, high=200.0, log=True),
        "bias_ridge": Span(low=0.5, high=30.0, log=True),
        "doubt": Span(low=0.03, high=3.0, log=True),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(RatingKnnConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        events = len(log.histories.items)
        pairs = float((log.histories.lengths.astype(np.float64) ** 2).sum())
        kept = min(self.config.neighbours, log.n_items) * log.n_items
        memory = 150 * events + 24 * kept + 40 * _ROWS * log.n_items + 2**26
        return Needs(
            memory_bytes=int(memory), cpu_s=1e-7 * pairs + 1e-6 * events + 1e-7 * log.n_items**2 + 0.01
        )

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 - nothing is drawn
        """Fit on a log.

        Raises:
            SettingsError: no event of the log brings a value.
            TooLarge: the fit would need more memory than there is.
        """
        require_values(log, self.name)
        needed = self.needs(log).memory_bytes
        require(needed, f"{self.name} over {log.n_items:,} items", "set fewer neighbours")
        rated, config = rated_of(log, self.name), self.config
        theirs, its = biases(rated, config.bias_ridge)
        left = rated.values - theirs[rated.viewers] - its[rated.items]
        part = Part(
            kind="value_neighbours",
            settings={**config_values(config), **rated.units},
            tensors={**sparse_tensors(_likeness(rated, left, config)), "biases": its.astype(np.float32)},
        )
        return model_of(self.name, config_values(config), part, log)


def biases(rated: Rated, ridge: float) -> tuple[Float64, Float64]:
    """How kind each viewer is, and what each item gets, less the mean: float64, (viewers,) and (items,)."""
    theirs, its = np.zeros(rated.n_viewers), np.zeros(rated.n_items)
    many = np.bincount(rated.viewers, minlength=len(theirs)) + ridge
    often = np.bincount(rated.items, minlength=len(its)) + ridge
    for _ in range(_ROUNDS):
        its = np.bincount(rated.items, rated.values - theirs[rated.viewers], len(its)) / often
        theirs = np.bincount(rated.viewers, rated.values - its[rated.items], len(theirs)) / many
    return theirs, its


def _likeness(rated: Rated, left: Float64, config: RatingKnnConfig) -> Any:
    """s: scipy CSR float32, shape (items, items), the largest of each row."""
    shape = rated.n_items, rated.n_viewers
    where = rated.items, rated.viewers
    # Who rated an item twice counts with the sum, as one viewer.
    table = csr_matrix((left, where), shape=shape)
    seen = csr_matrix((np.ones_like(table.data), table.indices, table.indptr), shape=shape)
    squares = table.multiply(table).tocsr()
    kept = []
    for start in range(0, rated.n_items, _ROWS):
        part = slice(start, min(start + _ROWS, rated.n_items))
        products = (table[part] @ table.T).toarray()
        common = (seen[part] @ seen.T).toarray()
        sizes = (squares[part] @ seen.T).toarray() * (seen[part] @ squares.T).toarray()
        like = products / np.sqrt(np.maximum(sizes, 1e-24)) * common / (common + config.shrink)
        like[np.arange(len(like)), np.arange(part.start, part.stop)] = 0.0
        block = csr_matrix(np.maximum(like, 0.0).astype(np.float32))
        kept.append(largest(block, config.neighbours))
    return vstack(kept, format="csr")
