"""Who is whose friend, for some askers: sparse rows of link weights."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from matinee.answers.taste import Sparse
from matinee.core.types import Float32, Int64, Ragged


def links_of(friends: Ragged | None, viewers: Int64, n_viewers: int) -> Sparse:
    """Each asker's friends.

    Args:
        friends: lists of viewer codes of the fit, or None.
        viewers: int64, shape (askers,): the askers' own codes; one that the fit doesn't know has no friends.
        n_viewers: viewers of the fit.

    Returns:
        Link weights, sparse float32, shape (askers, viewers); a friend who is named twice counts twice.
    """
    chosen = Ragged(values=np.zeros(0, np.int32), offsets=np.zeros(len(viewers) + 1, np.int64))
    weights = np.zeros(0, np.float32)
    if friends is not None and len(friends):
        chosen, weights = _take(friends, viewers)
    links = csr_matrix((weights, chosen.values, chosen.offsets), shape=(len(viewers), n_viewers))
    links.sum_duplicates()
    return links


def _take(friends: Ragged, viewers: Int64) -> tuple[Ragged, Float32]:
    """The friends of some viewers with their weights; a code that the fit doesn't know has none."""
    known = (viewers >= 0) & (viewers < len(friends))
    at = np.where(known, viewers, 0)
    lengths = np.where(known, friends.offsets[at + 1] - friends.offsets[at], 0)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    picked = np.repeat(friends.offsets[at] - offsets[:-1], lengths) + np.arange(offsets[-1])
    weights = np.ones(len(picked), np.float32) if friends.weights is None else friends.weights[picked]
    return Ragged(values=friends.values[picked], offsets=offsets), weights
