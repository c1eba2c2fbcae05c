"""How well a model foretells the last event of each viewer: small, slow and obvious, for tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from matinee.answers.model import Model
from matinee.core.types import Askers, Float64
from matinee.data.log import InteractionLog


def foresight(
    fit: Callable[[InteractionLog], Model], log: InteractionLog, k: int = 5, seed: int = 0
) -> Float64:
    """Fit on all but each viewer's last event, and see whether the top k foretell it.

    Args:
        fit: fits a model on a log.
        log: every viewer has two events or more.
        k: length of the lists.
        seed: which permutation the askers come in.

    Returns:
        float64, shape (viewers,): 1 where the last event is among the k best unseen items, 0 where not;
        ties in scores count as the share of their random orders in which it is.
    """
    histories = log.histories
    last = histories.offsets[1:] - 1
    past = np.ones(len(histories.items), dtype=np.bool_)
    past[last] = False
    known = log.keep(past)
    model = fit(known)
    asking = np.random.default_rng(seed).permutation(len(histories))
    scores = model.scores(Askers(histories=known.histories.take(asking), viewers=asking.astype(np.int64)))
    hits = np.zeros(len(histories))
    for row, viewer in enumerate(asking):
        scores[row, known.histories.row(viewer)] = -np.inf
        target = scores[row, histories.items[last[viewer]]]
        better = int((scores[row] > target).sum())
        equal = int((scores[row] == target).sum())
        hits[viewer] = np.clip((k - better) / equal, 0.0, 1.0)
    return hits
