"""A log without some of its viewers: what a fit is given after people asked to be deleted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pyarrow as pa

from matinee.core.types import Int64, Ragged
from matinee.data.fingerprint import fingerprint_ids
from matinee.data.log import InteractionLog
from matinee.data.queries import take_rows
from matinee.data.vocabulary import Vocabulary


def forget(log: InteractionLog, viewers: Collection[str]) -> InteractionLog:
    """The log as if these viewers had never been in it: ids, events, noes, friends and table rows.

    It has a fingerprint of its own, made of the log's and of those who are left: whoever forgets the same
    viewers of the same log finds it again.

    Args:
        log: any log; its catalogue stays whole.
        viewers: ids; those that the log lacks are ignored.
    """
    gone = np.unique(log.viewers.codes(sorted(viewers)))
    gone = gone[gone >= 0]
    if not len(gone):
        return log
    kept = np.delete(np.arange(len(log.viewers), dtype=np.int64), gone)
    rows = pa.array(kept)
    negatives = log.negatives
    times = log.negative_times
    if negatives is not None and times is not None:
        times = times[np.isin(_owners(negatives), kept)]
    left = Vocabulary(log.viewers.arrow.take(rows))
    return replace(
        log,
        viewers=left,
        histories=log.histories.take(kept),
        negatives=None if negatives is None else take_rows(negatives, kept),
        negative_times=times,
        viewer_table=None if log.viewer_table is None else log.viewer_table.take(rows),
        friends=None
        if log.friends is None
        else _recoded(take_rows(log.friends, kept), kept, len(log.viewers)),
        fingerprint=sha256(f"{log.fingerprint} {fingerprint_ids(left)}".encode()).hexdigest(),
    )


def _owners(ragged: Ragged) -> Int64:
    return np.repeat(np.arange(len(ragged), dtype=np.int64), np.diff(ragged.offsets))


def _recoded(friends: Ragged, kept: Int64, n: int) -> Ragged:
    """Friends under the codes of the viewers who are left; links to the others are cut."""
    codes = np.full(n, -1, dtype=np.int32)
    codes[kept] = np.arange(len(kept), dtype=np.int32)
    values = codes[friends.values]
    there = values >= 0
    counted = np.concatenate([np.zeros(1, np.int64), np.cumsum(there, dtype=np.int64)])
    weights = None if friends.weights is None else friends.weights[there]
    return Ragged(values=values[there], offsets=counted[friends.offsets], weights=weights)
