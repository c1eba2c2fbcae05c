"""Networks over histories: an item's score is the product of its vector with what the history asks for.

score(i) = vector . items[i] / temperature, with the vector from `matinee.answers.forward_pass`. The part's
tensors are those of a `SequentialNetwork` by its own names, float32; its settings are the config and
`layers`, `heads`, `gated`, `positions`, `times`, `longest`, `ordered`, `temperature` and, where there are
any, `opening` (with `begins` where that foretells first events better than popularity), `value_edges` (see
`event_context.py`) and `region_names` (see `region_vectors.py`).

Events of unknown items are left out as if they had not happened; of the rest, the last `longest` count, and
of a set, which has no last ones, any `longest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from matinee.answers.context import Context
from matinee.answers.decay import all_known, known
from matinee.answers.event_context import sorts_of
from matinee.answers.forward_pass import ForwardPass
from matinee.answers.region_vectors import Regions
from matinee.core.promise import Part
from matinee.core.seeds import shuffle_keys
from matinee.core.types import Askers, Bool, Float32, Histories, Int32, Int64
from matinee.data.homes import REGION

# Cells of a block of scores that nobody keeps.
_CELLS = 2**21

# To say why, so many of the last events are left out one by one; where a network has no quicker way than to
# be asked anew, so many that it goes through no more than these events, but at least the fewest.
LEFT_OUT = 32
_EVENTS, _FEWEST = 1_600, 8


@dataclass
class _Explanation:
    """What one history asks for, whole and without each of some events.

    Attributes:
        key: the history.
        events: how many it has.
        places: int64, shape (left out,): the positions of events that are left out, one by one.
        vectors: float32, shape (1 + left out, width).
        totals: float32, shape (1 + left out,): log sums over all items, once they are wanted.
    """

    key: tuple[bytes | None, ...]
    events: int
    places: Int64
    vectors: Float32
    totals: Float32 | None = None

    def spread(self, found: Float32) -> Float32:
        """Rows of numbers of the whole and of what is left out, with that of the whole for all else."""
        spread = np.repeat(found[:, :1], 1 + self.events, axis=1)
        spread[:, 1 + self.places] = found[:, 1:]
        return spread


class NetworkScorer:
    """Scores histories by a network that was fitted."""

    def __init__(self, part: Part, context: Context) -> None:
        self._n = context.n_items
        self._network = ForwardPass(part.tensors, part.settings)
        self._regions = Regions(part.tensors, part.settings, context.viewers)
        self._temperature = np.float32(part.settings["temperature"])
        self._keys = None if self._network.ordered else shuffle_keys(self._n)
        self._explained: _Explanation | None = None
        self._lengths: Float32 | None = None
        self._asked: tuple[Askers, Float32] | None = None

    @property
    def item_vectors(self) -> Float32:
        """What is multiplied with what is asked for: float32, shape (items, width)."""
        return self._network.items

    def asked(self, asker: Askers) -> Float32:
        """What one asker asks for: float32, shape (width,). Asked for again, it is what it was."""
        asked = self._asked
        if asked is None or not self._same(asked[0], asker):
            asked = asker, self.vectors(asker)[0]
            self._asked = asked
        return asked[1]

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items: float32, shape (codes,)."""
        return np.asarray(self._network.items.take(codes, axis=0) @ self.asked(asker), dtype=np.float32)

    def alike(self, codes: Int64) -> Float32:
        """The cosine between some items' vectors: float32, shape (codes, codes)."""
        vectors = self._network.items[codes]
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.asarray(vectors @ vectors.T, dtype=np.float32)

    def score(self, askers: Askers) -> Float32:
        """Scores of every item for every asker: float32, shape (askers, items)."""
        vectors = self.vectors(askers)
        if len(vectors) == 1:
            return np.asarray(self._network.items @ vectors[0], dtype=np.float32)[None]
        return np.asarray(vectors @ self._network.items.T, dtype=np.float32)

    def personal(self, askers: Askers) -> Bool:
        """Whether an asker's history has an item of the catalogue, or what is liked near by is known."""
        histories = askers.histories
        if self._regions and self._network.opens:
            rows = histories.rows()[known(histories, self._n)]
            met = np.bincount(rows, minlength=len(askers)) > 0
            return np.asarray(met | (self._regions.codes(askers) >= 0))
        if len(askers) == 1:
            there = all_known(histories, self._n) or known(histories, self._n).any()
            return np.array([bool(len(histories.items)) and there])
        rows = histories.rows()[known(histories, self._n)]
        return np.bincount(rows, minlength=len(askers)) > 0

    def contributions(self, asker: Askers, item: int) -> Float32:
        """The loss of an item's score when each event is left out: float32, shape (events,).

        The history is answered without each event once; an asker's further items take no more than a product.
        Of a long history the last events alone are left out (`LEFT_OUT`), of a set those whose items the
        answer itself likes best; the others are told to lose nothing.
        """
        return np.asarray(self.contributions_to(asker, np.array([item]))[0])

    def contributions_to(self, asker: Askers, items: Int64) -> Float32:
        """The same for some items: float32, shape (items, events)."""
        scores = self.without_each(asker, items)
        return np.asarray(scores[:, :1] - scores[:, 1:], dtype=np.float32)

    def without_each(self, asker: Askers, items: Int64) -> Float32:
        """One asker's scores of some items, then those without each event: float32, (items, 1 + events)."""
        explained = self._explanation(asker)
        return explained.spread(self._network.items[items] @ explained.vectors.T)

    def chances_without_each(self, asker: Askers, items: Int64) -> Float32:
        """The same of the logs of the items' chances, by the softmax over all items."""
        explained = self._explanation(asker)
        if explained.totals is None:
            explained.totals = self._totals(explained.vectors)
        return explained.spread(self._network.items[items] @ explained.vectors.T - explained.totals)

    def similar(self, items: Int32) -> Float32:
        """The cosine between items' vectors."""
        table = self._network.items
        if self._lengths is None:
            # Without a second table of the squares.
            squares = np.einsum("ij,ij->i", table, table)
            self._lengths = np.maximum(np.sqrt(squares), np.float32(1e-12))
        likeness = (table[items] / self._lengths[items, None]) @ table.T
        likeness /= self._lengths
        return np.asarray(likeness, dtype=np.float32)

    def _explanation(self, asker: Askers) -> _Explanation:
        history, region = asker.histories, self._regions.codes(asker) if self._regions else None
        arrays = (history.items, history.times, history.weights, history.kinds, history.values, region)
        key = tuple(None if array is None else array.tobytes() for array in arrays)
        explained = self._explained
        if explained is None or explained.key != key:
            places, vectors = self._without_each(history)
            if region is not None:
                vectors = vectors + self._regions.vectors(region) / self._temperature
            explained = _Explanation(key=key, events=len(history.items), places=places, vectors=vectors)
            self._explained = explained
        return explained

    def _without_each(self, history: Histories) -> tuple[Int64, Float32]:
        """Which events are left out, and what is asked for with all and without each."""
        standing, latest = self._standing(history), self._network.reads
        # Without one of the last events, one more of the earlier ones counts.
        near = _picked(history, standing[-latest - 1 :])
        whole = self._of(history)
        n = min(len(near.items), latest, LEFT_OUT)
        quickly = self._network.without_each(near, n) if n > 1 else None
        if quickly is not None:
            return standing[-n:], np.vstack([whole, quickly / self._temperature])
        n = min(n, max(_FEWEST, _EVENTS // max(len(near.items), 1)))
        likings = self._network.items[near.items[-min(len(near.items), latest) :]] @ whole[0]
        chosen = np.sort(np.argsort(-likings, kind="stable")[:n]) + max(len(near.items) - latest, 0)
        vectors = self._of(less_each(near, chosen))
        return standing[-latest - 1 :][chosen], vectors

    def _totals(self, vectors: Float32) -> Float32:
        """The log of what all items' chances are divided by: float32, shape (vectors,)."""
        totals = np.empty(len(vectors), np.float32)
        size = max(1, _CELLS // max(self._n, 1))
        for start in range(0, len(vectors), size):
            totals[start : start + size] = log_totals(vectors[start : start + size] @ self._network.items.T)
        return totals

    def vectors(self, askers: Askers) -> Float32:
        """What each asker asks for, divided by the temperature: float32, shape (askers, width)."""
        found = self._of(askers.histories)
        if self._regions:
            found += self._regions.vectors(self._regions.codes(askers)) / self._temperature
        return found

    def _same(self, one: Askers, other: Askers) -> bool:
        """Whether two askers are one, who asks again."""
        return one.histories is other.histories and (
            not self._regions or bool(self._regions.codes(one) == self._regions.codes(other))
        )

    def _of(self, histories: Histories) -> Float32:
        """What each history asks for, wherever that is: float32, shape (histories, width)."""
        if len(histories) == 1 and self._keys is None:
            return self._network.vectors(_last_known(histories, self._n, self._network.reads)) / (
                self._temperature
            )
        standing = _picked(histories, self._standing(histories))
        return self._network.vectors(standing.last(self._network.reads)) / self._temperature

    def _standing(self, histories: Histories) -> Int64:
        """Positions of the events of known items, history by history, of which the last ones count: int64.

        Those of sets stand by a hash of the item, so that which ones of a large set count is chance, and not
        the order in which it was written.
        """
        places = np.flatnonzero(known(histories, self._n))
        if self._keys is None:
            return places
        items = histories.items[places]
        weights = np.ones(len(items)) if histories.weights is None else histories.weights[places]
        return places[np.lexsort((weights, self._keys[items], histories.rows()[places]))]


def _last_known(history: Histories, n_items: int, longest: int) -> Histories:
    """One history's last events of known items."""
    if len(history.items) <= longest and all_known(history, n_items):
        return history
    places = np.flatnonzero(known(history, n_items))[-longest:]
    return _events(history, places, np.array([0, len(places)]))


def _picked(histories: Histories, places: Int64) -> Histories:
    """The same viewers with some of their events, in the order of `places`."""
    counts = np.bincount(histories.rows()[places], minlength=len(histories))
    return _events(histories, places, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]))


def _events(histories: Histories, places: Int64, offsets: Int64) -> Histories:
    """Some events, and all that a network may read of them."""
    return Histories(
        items=histories.items[places],
        offsets=offsets,
        times=None if histories.times is None else histories.times[places],
        kinds=None if histories.kinds is None else histories.kinds[places],
        values=None if histories.values is None else histories.values[places],
        weights=None if histories.weights is None else histories.weights[places],
    )


def read_beside(parts: Mapping[str, Part]) -> frozenset[str]:
    """What the networks among some parts read beside items: `kind`, `value`, `gap`, `region`."""
    found: set[str] = set()
    for part in parts.values():
        if part.kind == "network":
            found |= sorts_of(part.tensors)
            found |= {REGION} if part.settings.get("region_names") else set()
    return frozenset(found)


def log_totals(scores: Float32) -> Float32:
    """The log of each row's sum of exponentials: float32, shape (rows,)."""
    highest = scores.max(axis=1, initial=-np.inf)
    shifted = scores - highest[:, None]
    np.exp(shifted, out=shifted)
    return np.asarray(highest + np.log(shifted.sum(axis=1)), dtype=np.float32)


def last_places(history: Histories) -> Int64:
    """Where the events of one history stand that are left out one by one: int64."""
    n = len(history.items)
    return np.arange(max(n - LEFT_OUT, 0), n)


def less_each(history: Histories, places: Int64) -> Histories:
    """One history as it is, then without each of the events in some places."""
    kept = np.ones((1 + len(places), len(history.items)), dtype=np.bool_)
    kept[np.arange(1, 1 + len(places)), places] = False
    return history.take(np.zeros(len(kept), np.int64)).keep(kept.ravel())
