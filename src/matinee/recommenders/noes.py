"""What viewers turned down, as targets below 0 for the linear models.

A linear model regresses what a viewer takes on what the viewer had. Whoever turned an item down is one more
row of that regression's targets: -`negative` for the item, from the history as it stands in the log (logs
are handed to a fit with the noes known by then, undated). The Gram matrix stays what it is, so that the noes
only add to the targets, and cost nothing where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from matinee.answers.decay import decayed
from matinee.answers.turned_down import noes_matrix
from matinee.core.promise import Log
from matinee.recommenders.cooccurrence import sets_of


def against(log: Log, negative: float, decays: Sequence[float], windows: Sequence[int]) -> Any | None:
    """Add up, for each item, the histories of those who turned it down.

    Args:
        log: whose `negatives` are meant.
        negative: what each no counts.
        decays: rates at which the histories fade; none: histories as sets, without their order.
        windows: events per rate, 0 for all.

    Returns:
        scipy CSR float32, shape (items, rates x items), its entries in order; None where nothing counts.
    """
    noes = noes_matrix(log.negatives, log.n_items)
    if noes is None or negative == 0.0:
        return None
    said = np.flatnonzero(np.diff(noes.indptr))
    histories = log.histories.take(said)
    features = decayed(histories, decays, windows, log.n_items) if decays else sets_of(histories, log.n_items)
    summed = (np.float32(negative) * noes[said].T @ features).tocsr()
    summed.sum_duplicates()
    return summed
