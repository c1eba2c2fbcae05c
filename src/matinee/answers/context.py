"""What a scorer may need beside its part's tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from matinee.core.promise import Log
from matinee.core.types import Float32, Histories, Ragged


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a scorer may need beside its part's tensors; a bundle carries it.

    Attributes:
        n_items: size of the catalogue.
        popularity: float32, shape (items,): weighted events of each item in the fit's log.
        histories: the histories that the model was fitted on, or None where the bundle has none.
        friends: the fit's friends, or None.
        negatives: what each viewer of the fit turned down, or None.
        repeats: whether the same item again is a fair answer.
        viewers: what is known of each viewer of the fit, one row each, or None.
    """

    n_items: int
    popularity: Float32
    histories: Histories | None = None
    friends: Ragged | None = None
    negatives: Ragged | None = None
    repeats: bool = False
    viewers: pa.Table | None = None


def context_of(log: Log) -> Context:
    """What scorers need of the log that a model was fitted on."""
    histories = log.histories
    popularity = np.bincount(histories.items, weights=histories.weights, minlength=log.n_items)
    return Context(
        n_items=log.n_items,
        popularity=popularity.astype(np.float32),
        histories=histories,
        friends=log.friends,
        negatives=log.negatives,
        repeats=log.repeats,
        viewers=getattr(log, "viewer_table", None),
    )
