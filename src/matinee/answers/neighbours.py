"""What the closest in taste have: user-based nearest neighbours, answered from the fit's own histories.

likeness(q, v) = q . f_v / (|q| |f_v| + shrink), where q and f_v are histories as sparse rows whose entries
are event weights times the part's tensor `item_weights`; the viewers of the `neighbours` greatest likenesses
vote for what they have with likeness ** power, and against what they turned down with `negative` times
as much; an item's votes are multiplied by `vote_weights`.
An asker who is a viewer of the fit is no neighbour of their own. Those who tie with the last neighbour all
vote, so that the order of the viewers means nothing.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from matinee.answers.context import Context
from matinee.answers.taste import (
    Sparse,
    blocks,
    directions,
    empty_matrix,
    event_weights,
    item_likeness,
    row_norms,
    scaled,
    strongest_events,
    taste_matrix,
)
from matinee.answers.turned_down import noes_matrix
from matinee.core.promise import Part
from matinee.core.types import Askers, Bool, Float32, Histories, Int32, Int64

# Likenesses of a block of askers are kept below this many (viewer, asker) pairs: 12 bytes each.
_PAIRS = 4_000_000


class NeighboursScorer:
    """Scores askers by the votes of those closest in taste.

    Without the fit's histories (`--no-histories`) nobody is close to anybody, and nothing personal is said.
    """

    def __init__(self, part: Part, context: Context) -> None:
        settings = part.settings
        self._n_items = context.n_items
        self._neighbours = int(settings["neighbours"])
        self._shrink = float(settings["shrink"])
        self._power = float(settings["power"])
        self._decay = float(settings["decay"])
        self._item_weights: Float32 = np.asarray(part.tensors["item_weights"], dtype=np.float32)
        self._vote_weights: Float32 = np.asarray(part.tensors["vote_weights"], dtype=np.float32)
        self._negative = float(settings.get("negative", 0.0))
        self._histories = context.histories
        self._negatives = context.negatives
        self._asked: tuple[Askers, tuple[Sparse, Sparse]] | None = None

    def score(self, askers: Askers) -> Float32:
        """The votes of each asker's neighbours for every item."""
        scores = np.zeros((len(askers), self._n_items), dtype=np.float32)
        query = self._query(askers.histories)
        for block in blocks(self._met(query), _PAIRS):
            votes = self._votes(query[block], askers.viewers[block])
            scores[block] = (votes @ self._ballot).toarray() * self._vote_weights
        return scores

    def personal(self, askers: Askers) -> Bool:
        """Whether anybody else has anything of an asker's history."""
        had = self._had
        query = self._query(askers.histories)
        own = askers.viewers.astype(np.int64)
        mine = query.multiply(_rows_or_nothing(had, own)) > 0
        watchers = np.diff(self._by_item.indptr)
        others = scaled((query > 0).astype(np.float32), columns=watchers.astype(np.float32))
        total = np.asarray(others.sum(axis=1)).ravel() - np.asarray(mine.sum(axis=1)).ravel()
        return np.asarray(total > 0.5)

    def contributions(self, asker: Askers, item: int) -> Float32:
        """What each event adds to an item's votes: the share of each neighbour's vote that it brought about.

        Returns:
            float32, shape (events,), adding up to the score; of several events of one item the strongest
            has all.
        """
        one = asker.histories
        parts = np.zeros(len(one.items), dtype=np.float32)
        query, votes = self._voted(asker)
        with_item = self._ballot[votes.indices, item].toarray().ravel() * self._vote_weights[item]
        paid = votes.data * with_item
        voters = votes.indices[paid != 0]
        shares = self._tastes[voters].multiply(query).tocsr()
        totals = np.asarray(shares.sum(axis=1), dtype=np.float32).ravel()
        per_item = np.asarray((paid[paid != 0] / np.maximum(totals, 1e-30)) @ shares).ravel()
        events = strongest_events(one, event_weights(one, self._decay))
        parts[events] = per_item[one.items[events]]
        return parts

    def similar(self, items: Int32) -> Float32:
        """Likeness of items: the cosine between who has them."""
        return item_likeness(self._directions, items)

    @cached_property
    def _directions(self) -> Sparse:
        return directions(self._had)

    @cached_property
    def _had(self) -> Sparse:
        """Who has what: float32, shape (viewers, items)."""
        if self._histories is None:
            return empty_matrix(0, self._n_items)
        return taste_matrix(self._histories, self._n_items)

    @cached_property
    def _ballot(self) -> Sparse:
        """What each viewer votes for, and below 0 against: float32, shape (viewers, items)."""
        noes = None if self._histories is None else noes_matrix(self._negatives, self._n_items)
        return self._had if noes is None else (self._had - np.float32(self._negative) * noes).tocsr()

    @cached_property
    def _tastes(self) -> Sparse:
        """Histories as they are compared."""
        return scaled(self._had, columns=self._item_weights)

    @cached_property
    def _by_item(self) -> Sparse:
        """The tastes' transpose: float32, shape (items, viewers)."""
        return self._tastes.T.tocsr()

    @cached_property
    def _norms(self) -> Float32:
        return row_norms(self._tastes)

    def _voted(self, asker: Askers) -> tuple[Sparse, Sparse]:
        """One asker's query and votes; asked for again, they are what they were."""
        voted = self._asked
        if voted is None or voted[0] is not asker:
            query = self._query(asker.histories)
            voted = asker, (query, self._votes(query, asker.viewers))
            self._asked = voted
        return voted[1]

    def _query(self, histories: Histories) -> Sparse:
        return scaled(taste_matrix(histories, self._n_items, self._decay), columns=self._item_weights)

    def _met(self, query: Sparse) -> Float32:
        """How many viewers an asker has anything in common with, at most: float32, shape (askers,)."""
        watchers = np.diff(self._by_item.indptr).astype(np.float32)
        met = np.asarray(scaled((query > 0).astype(np.float32), columns=watchers).sum(axis=1)).ravel()
        return np.asarray(np.minimum(met, len(self._norms)), dtype=np.float32)

    def _votes(self, query: Sparse, own: Int64) -> Sparse:
        """What each viewer's vote counts for each asker: sparse float32, shape (askers, viewers)."""
        products = (query @ self._by_item).tocsr()
        rows = np.repeat(np.arange(products.shape[0]), np.diff(products.indptr))
        likeness = products.data / (
            row_norms(query)[rows] * self._norms[products.indices] + self._shrink + 1e-12
        )
        likeness[products.indices == own[rows]] = 0.0
        floors = _floors(likeness, products.indptr, self._neighbours)
        likeness[likeness < floors[rows]] = 0.0
        votes = csr_matrix((likeness**self._power, products.indices, products.indptr), shape=products.shape)
        votes.eliminate_zeros()
        votes.sort_indices()
        return votes


def _floors(values: Float32, offsets: Int32, k: int) -> Float32:
    """The k-th greatest value of each row, at least the least positive float: float32, shape (rows,)."""
    floors = np.full(len(offsets) - 1, np.finfo(np.float32).tiny, dtype=np.float32)
    for row in np.flatnonzero(np.diff(offsets) > k):
        part = values[offsets[row] : offsets[row + 1]]
        floors[row] = max(floors[row], np.partition(part, len(part) - k)[len(part) - k])
    return floors


def _rows_or_nothing(matrix: Sparse, rows: Int64) -> Sparse:
    """Some rows of a matrix, an empty one for a code below 0."""
    known = np.flatnonzero(rows >= 0)
    picks = csr_matrix(
        (np.ones(len(known), np.float32), (known, rows[known])), shape=(len(rows), matrix.shape[0])
    )
    return picks @ matrix
