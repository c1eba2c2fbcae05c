"""Sorts of viewers, and of items, that may have weights of their own: each sort a quarter, or a third."""

from __future__ import annotations

import numpy as np

from matinee.answers.network import log_totals
from matinee.core.promise import Scorer
from matinee.core.types import Askers, Float64, Histories, Int64
from matinee.data.log import InteractionLog
from matinee.data.queries import Queries

_QUARTERS = 4
# Events of each viewer's own history that parts are asked to foretell, and so many more that count as a draw.
_ASKED = 3
_DRAWS = 3.0
_ASKERS = 512


def quarters(values: Float64) -> Int64:
    """Which quarter each value is in, 0 for the lowest: int64, of the same shape."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(ranks * _QUARTERS // max(len(values), 1), dtype=np.int64)


def by_length(queries: Queries) -> Int64:
    """Viewers by the length of their history."""
    return quarters(queries.lengths.astype(np.float64))


def by_sureness(network: Scorer, queries: Queries) -> Int64:
    """Viewers by how sure the network is: the entropy of its chances, the surest first."""
    entropies = []
    for start in range(0, len(queries), _ASKERS):
        rows = np.arange(start, min(start + _ASKERS, len(queries)))
        logs = np.array(network.score(queries.askers(rows)))
        logs -= log_totals(logs)[:, None]
        entropies.append(-(np.exp(logs) * logs).sum(axis=1))
    return quarters(np.concatenate(entropies).astype(np.float64))


def by_lead(network: Scorer, partner: Scorer, floor: float, log: InteractionLog, viewers: Int64) -> Int64:
    """Viewers by how much better the network foretold the last events of their train history than a partner.

    The mean lead in log chance, shrunk to 0 as if some more events had been a draw; the partner's lead first.
    Both parts were fitted on these very events.
    """
    leads = np.zeros(len(viewers))
    counts = np.zeros(len(viewers))
    for back in range(1, _ASKED + 1):
        able = np.flatnonzero(log.histories.lengths[viewers] > back)
        for rows in np.array_split(able, max(1, len(able) // _ASKERS)):
            askers, targets = _before(log.histories, viewers[rows], back)
            at = np.arange(len(rows))
            logs = np.array(network.score(askers))
            lead = logs[at, targets] - log_totals(logs)
            chances = np.maximum(np.array(partner.score(askers)), floor)
            lead -= np.log(chances[at, targets] / chances.sum(axis=1))
            leads[rows] += lead
            counts[rows] += 1
    return quarters(leads / (counts + _DRAWS))


def by_popularity(log: InteractionLog) -> Int64:
    """Items by their events: the fewest that have a third of all events, the next third, the rest."""
    events = np.bincount(log.histories.items, minlength=log.n_items)
    order = np.argsort(-events, kind="stable")
    sorts = np.empty(log.n_items, np.int64)
    before = np.cumsum(events[order]) - events[order]
    sorts[order] = np.minimum(before * 3 // max(int(events.sum()), 1), 2)
    return sorts


def _before(histories: Histories, viewers: Int64, back: int) -> tuple[Askers, Int64]:
    """Viewers as they were before an event, `back` from the end, and the item of that event."""
    some = histories.take(viewers)
    places = np.arange(len(some.items))
    ends = np.repeat(some.offsets[1:], some.lengths)
    targets = some.items[some.offsets[1:] - back].astype(np.int64)
    return Askers(histories=some.keep(places < ends - back), viewers=viewers), targets
