"""What an asker's friends have, weighted by shared taste, backed off to what everybody has.

score(i) = (sum over friends f of w_f * [f has i] + backoff * share_i) / (sum of w_f + backoff)

where w_f = link_f * (floor + cosine(asker, f) * shared / (shared + shrink)) ** power, `shared` counts the
items that both have, and share_i (tensor `shares`) is the share of viewers who have item i: the backoff is as
good as one more friend, of weight `backoff`, who is everybody. With `best_only` the friend of the greatest
weight alone is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from matinee.answers.context import Context
from matinee.answers.links import links_of
from matinee.answers.taste import (
    Sparse,
    blocks,
    directions,
    empty_matrix,
    item_likeness,
    scaled,
    taste_matrix,
)
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Histories, Int32, Int64

# Histories laid beside friends': at most this many entries at a time.
_ENTRIES = 4_000_000


class FriendsScorer:
    """Scores askers by what their friends have; friends are known by viewer code.

    A newcomer, and whoever's friends have nothing, has no answer of their own here.
    """

    def __init__(self, part: Part, context: Context) -> None:
        settings = part.settings
        self._n_items = context.n_items
        self._best_only = bool(settings["best_only"])
        self._shrink = float(settings["shrink"])
        self._floor = float(settings["floor"])
        self._power = float(settings["power"])
        self._backoff = float(settings["backoff"])
        self._shares: Float32 = np.asarray(part.tensors["shares"], dtype=np.float32)
        known = context.histories is not None and context.friends is not None
        self._histories = context.histories if known else None
        self._friends = context.friends if known else None

    def score(self, askers: Askers) -> Float32:
        """What each asker's friends have, backed off to everybody's shares."""
        scores = np.zeros((len(askers), self._n_items), dtype=np.float32)
        for block, weights in self._weights(askers):
            had = (weights @ self._had).toarray() + np.float32(self._backoff) * self._shares
            scores[block] = had / self._total(weights)[:, None]
        return scores

    def personal(self, askers: Askers) -> Bool:
        """Whether an asker has a friend who has anything."""
        there = (self._lengths > 0).astype(np.float32)
        return np.asarray((self._links(askers.viewers) @ there) > 0)

    def reasons(self, askers: Askers, item: int) -> list[str]:
        """How many of an asker's friends have the item; nothing where none has."""
        links = self._links(askers.viewers)
        n = int(self._had[links.indices, item].astype(bool).sum())
        return [f"{n} friends of yours have it" if n > 1 else "a friend of yours has it"] if n else []

    def contributions(self, asker: Askers, item: int) -> Float32:
        """How much of an item's score is lost when an event is left out of the history.

        The history tells friends apart, it does not score by itself, so the score is no sum over events.

        Returns:
            float32, shape (events,): positive where the event brought friends closer who have the item; zero
            for an item that the history has several times, since the others still stand for it.
        """
        parts = np.zeros(len(asker.histories.items), dtype=np.float32)
        links = self._links(asker.viewers)
        if not links.nnz or not len(parts):
            return parts
        codes, places, times = np.unique(asker.histories.items, return_inverse=True, return_counts=True)
        once = times == 1
        had = self._had[links.indices][:, codes]
        shared = np.asarray(had.sum(axis=1), dtype=np.float32).ravel()
        with_item = self._had[links.indices, item].toarray().ravel()
        whole = self._asked(links, shared[:, None], len(codes), with_item, item)
        lost = np.zeros(len(codes), dtype=np.float32)
        for block in blocks(np.full(int(once.sum()), links.nnz), _ENTRIES):
            out = np.flatnonzero(once)[block]
            left = shared[:, None] - had[:, out].toarray()
            lost[out] = whole - self._asked(links, left, len(codes) - 1, with_item, item)
        return lost[places]

    def _asked(self, links: Sparse, shared: Float32, length: int, with_item: Float32, item: int) -> Float32:
        """One asker's score of an item for each of some histories of `length` items.

        `shared` counts what each friend has in common with each history: float32, shape (friends, histories);
        `with_item` tells which of them have the item: float32, shape (friends,).
        """
        weights = self._weight(links.data[:, None], shared, length, self._lengths[links.indices][:, None])
        n = weights.shape[1]
        offsets = np.arange(n + 1) * len(weights)
        friends = np.tile(np.arange(len(weights)), n)
        rows = csr_matrix((weights.T.ravel(), friends, offsets), shape=(n, len(weights)))
        chosen = _best_of(rows) if self._best_only else rows
        backoff = np.float32(self._backoff * self._shares[item])
        return np.asarray((chosen @ with_item + backoff) / self._total(chosen), dtype=np.float32)

    def similar(self, items: Int32) -> Float32:
        """Likeness of items: the cosine between who has them."""
        return item_likeness(self._directions, items)

    @cached_property
    def _directions(self) -> Sparse:
        return directions(self._had)

    @cached_property
    def _had(self) -> Sparse:
        """Who has what, an event's weight aside: float32, shape (viewers, items)."""
        if self._histories is None:
            return empty_matrix(0, self._n_items)
        had = taste_matrix(self._histories, self._n_items)
        had.data[:] = 1.0
        return had

    @cached_property
    def _lengths(self) -> Int64:
        return np.asarray(np.diff(self._had.indptr), dtype=np.int64)

    def _links(self, viewers: Int64) -> Sparse:
        """Each asker's friends: sparse float32 link weights, shape (askers, viewers)."""
        return links_of(self._friends, viewers, len(self._lengths))

    def _weights(self, askers: Askers) -> Iterator[tuple[slice, Sparse]]:
        """What each friend counts for each asker: blocks of sparse float32 rows, shape (askers, viewers)."""
        links = self._links(askers.viewers)
        # Laid side by side: an asker's history once for each friend, and each friend's.
        costs = np.diff(links.indptr) * (askers.histories.lengths + 1) + links.astype(bool) @ self._lengths
        for block in blocks(costs, _ENTRIES):
            rows = np.arange(block.start, block.stop)
            weights = self._weigh(askers.histories.take(rows), links[rows])
            yield block, _best_of(weights) if self._best_only else weights

    def _weigh(self, histories: Histories, links: Sparse) -> Sparse:
        """The weights of one block's friends, in the places of their links."""
        rows = np.repeat(np.arange(len(histories)), np.diff(links.indptr))
        query = taste_matrix(histories, self._n_items)
        query.data[:] = 1.0
        had = self._had[links.indices]
        shared = np.asarray(query[rows].multiply(had).sum(axis=1), dtype=np.float32).ravel()
        data = self._weight(links.data, shared, np.diff(query.indptr)[rows], self._lengths[links.indices])
        return csr_matrix((data, links.indices, links.indptr), shape=links.shape)

    def _weight(self, link: Float32, shared: Float32, own: Any, theirs: Int64) -> Float32:
        """What a friend counts who has `theirs` items, `shared` of them among the asker's `own`."""
        lengths = np.sqrt(own).astype(np.float32) * np.sqrt(theirs).astype(np.float32)
        taste = shared / np.maximum(lengths, 1e-12) * shared / np.maximum(shared + self._shrink, 1e-12)
        return np.asarray(
            np.where(theirs == 0, 0.0, link * (self._floor + taste) ** self._power), dtype=np.float32
        )

    def _total(self, weights: Sparse) -> Float32:
        """The weight of an asker's friends and of everybody: float32, shape (askers,), above 0."""
        return np.asarray(weights.sum(axis=1), dtype=np.float32).ravel() + np.float32(self._backoff + 1e-12)


def _best_of(weights: Sparse) -> Sparse:
    """The greatest entry of each row alone; of equals all, each with its share of one."""
    if not weights.nnz:
        return weights
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    greatest = np.zeros(weights.shape[0], np.float32)
    np.maximum.at(greatest, rows, weights.data)
    best = (weights.data == greatest[rows]) & (weights.data > 0)
    equals = np.bincount(rows[best], minlength=weights.shape[0]).astype(np.float32)
    kept = csr_matrix((weights.data * best, weights.indices, weights.indptr), shape=weights.shape)
    kept.eliminate_zeros()
    return scaled(kept, rows=np.asarray(1.0 / np.maximum(equals, 1.0), np.float32))
