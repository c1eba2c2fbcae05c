"""The product of a network and other models: what all of them find likely.

score(i) = log softmax(network)(i) + sum over partners p of w_p(n) * log max(score_p(i), floor_p)

A product of experts (Hinton 2002). The part has no tensors; its settings are

- `parts`: names of the model's other parts, the network's first, then the partners';
- `floors`: for each partner the score below which it tells nothing apart, above 0;
- `lengths`: ascending numbers of events that part short histories from long ones; empty: all are alike;
- `weights`: for each partner a weight for each of these sorts of history, at least 0: for n events of known
  items that of the place `searchsorted(lengths, n, side="right")`;
- `lift`: what is added to the score of an item without an event, of which the partners know nothing: one
  number, or one for each of these sorts of history; 0 where it is not there;
- `begins`: whether those of whom nothing is known are answered by the product too, instead of by popularity.

An asker to whom one of the parts has nothing to say is answered by the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from matinee.answers.context import Context
from matinee.answers.decay import known
from matinee.answers.network import NetworkScorer, last_places, less_each, log_totals
from matinee.answers.popular import PopularScorer
from matinee.core.errors import SettingsError
from matinee.core.promise import Part, Scorer
from matinee.core.types import Askers, Bool, Float32, Float64, Histories, Int32, Int64

# Cells of a block of rows, and of a block of scores that nobody keeps.
_CELLS = 2**18
_KEPT_CELLS = 2**22
# Cells of products that stay in a cache until they are used.
_TILE_CELLS = 2**18
# Of so many items fewer than one is above a floor: what is above is then reckoned alone.
_MOST_SPARSE = 8


@runtime_checkable
class ScoresSome(Protocol):
    """A scorer that can score some items alone."""

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items: float32, shape (codes,)."""


@runtime_checkable
class LeavesOut(Protocol):
    """A scorer that knows a quick way to leave events out."""

    def without_each(self, asker: Askers, items: Int64) -> Float32:
        """One asker's scores of some items, then those without each event: float32, (items, 1 + events)."""


@runtime_checkable
class ReachesFew(Protocol):
    """A scorer of which a history may reach few items."""

    def few(self, askers: Askers) -> Any | None:
        """Scores of the items that are reached: scipy CSR, shape (askers, items); None: all may be."""


@runtime_checkable
class Multiplies(Protocol):
    """A scorer whose scores are products of vectors."""

    @property
    def item_vectors(self) -> Float32:
        """Shape (items, width)."""

    def folded(self, askers: Askers) -> Float32:
        """What each asker asks for: shape (askers, width)."""


class ProductScorer:
    """Scores by the product of ready scorers.

    Args:
        part: settings as the file's docstring names them.
        context: the size of the catalogue.
        scorers: the network's, then each partner's.

    Raises:
        SettingsError: the settings do not fit the scorers.
    """

    def __init__(self, part: Part, context: Context, scorers: Sequence[Scorer]) -> None:
        self._n = context.n_items
        self._floors = np.asarray(part.settings["floors"], dtype=np.float64)
        self._lengths = np.asarray(part.settings["lengths"], dtype=np.int64)
        # Written down, the weights of no partner have lost how many sorts of history there are.
        none = np.empty((0, len(self._lengths) + 1))
        self._weights = np.asarray(part.settings["weights"] or none, dtype=np.float64)
        if not scorers or not isinstance(scorers[0], NetworkScorer):
            raise SettingsError(f"A product needs a network first among its parts {part.settings['parts']}.")
        self._names = [str(name) for name in part.settings["parts"]]
        self._network, self._partners = scorers[0], list(scorers[1:])
        # Asking an object whether it keeps a promise takes longer than many an answer: once is enough.
        self._scoring_some = [one if isinstance(one, ScoresSome) else None for one in self._partners]
        _check(self._floors, self._lengths, self._weights, len(self._partners))
        # What is popular is the same for all: nothing personal.
        self._telling = [one for one in scorers if not isinstance(one, PopularScorer)]
        told = np.asarray(part.settings.get("lift", 0.0), dtype=np.float32)
        if told.shape not in {(), (len(self._lengths) + 1,)}:
            raise SettingsError(f"A product needs one lift, or {len(self._lengths) + 1}, found {told}.")
        self._lifts: Float32 = np.broadcast_to(told, len(self._lengths) + 1)
        self._unwatched: Bool = np.asarray(context.popularity == 0) & bool(self._lifts.any())
        self._raised = np.flatnonzero(self._unwatched)

    def score(self, askers: Askers) -> Float32:
        """The log of each item's chance, up to what is the same for all: float32, shape (askers, items)."""
        if len(askers) == 1:
            return self._score_alone(askers)
        scores = self._network.score(askers)
        sorts = self._sorts(_counts(askers.histories, self._n))
        weights = self._weights[:, sorts]
        even = (weights * np.log(self._floors)[:, None]).sum(axis=0)
        for rows in _rows(len(askers), self._n):
            scores[rows] += (even[rows] - log_totals(scores[rows]))[:, None].astype(np.float32)
        for partner, floor, mine in zip(self._partners, self._floors, weights, strict=True):
            few = partner.few(askers) if isinstance(partner, ReachesFew) else None
            if few is not None:
                _raise_few(scores, few, floor, mine)
            elif isinstance(partner, Multiplies):
                _raise_products(scores, partner.folded(askers), partner.item_vectors, (floor, mine))
            else:
                _raise_above(scores, partner.score(askers), floor, mine)
        scores[:, self._raised] += self._lifts[sorts, None]
        return scores

    def _score_alone(self, askers: Askers) -> Float32:
        """The same for one asker, who has no company to share a block with: float32, shape (1, items)."""
        scores = self._network.score(askers)
        counting = [one for one in self._counting(askers) if one[2]]
        even = sum(weight * np.log(floor) for _, floor, weight in counting)
        scores += np.float32(even - log_totals(scores)[0])
        for partner, floor, weight in counting:
            found = partner.score(askers)[0]
            cells = np.flatnonzero(found > floor)
            # Most items are at the floor of a sparse model, whose logarithm is in the scores already.
            if _MOST_SPARSE * len(cells) < len(found):
                scores[0, cells] += weight * np.log(found[cells] / np.float32(floor))
            else:
                more = np.maximum(found, np.float32(floor))
                more /= np.float32(floor)
                np.log(more, out=more)
                more *= np.float32(weight)
                scores[0] += more
        if len(self._raised):
            scores[0, self._raised] += self._lifts[self._sort_alone(askers.histories)]
        return scores

    def voices(self, asker: Askers) -> list[tuple[str, Scorer]]:
        """The parts that have a say in one asker's answer, by name, the network first."""
        counting = [pair for pair in zip(self._names[1:], self._counting(asker), strict=True) if pair[1][2]]
        return [(self._names[0], self._network), *((name, one[0]) for name, one in counting)]

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items, short of what the network's total takes from all alike."""
        scores = self._network.scores_of(asker, codes)
        for partner, floor, weight in self._counting(asker):
            if weight:
                found = self._some(partner, asker, codes)
                scores += np.float32(weight) * np.log(np.maximum(found, np.float32(floor)))
        if len(self._raised):
            scores += self._lifts[self._sort_alone(asker.histories)] * self._unwatched[codes]
        return scores

    def _counting(self, asker: Askers) -> list[tuple[Scorer, float, float]]:
        """Each partner with its floor and its weight for one asker."""
        sort = self._sort_alone(asker.histories)
        return list(zip(self._partners, self._floors.tolist(), self._weights[:, sort].tolist(), strict=True))

    def _some(self, partner: Scorer, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items by any partner."""
        some = self._scoring_some[self._partners.index(partner)]
        if some is not None:
            return some.scores_of(asker, codes)
        return np.asarray(partner.score(asker)[0, codes], dtype=np.float32)

    def alike(self, codes: Int64) -> Float32:
        """The network's likeness of some items: float32, shape (codes, codes)."""
        return self._network.alike(codes)

    def personal(self, askers: Askers) -> Bool:
        """Whether any part can say anything personal."""
        if len(askers) == 1:
            return np.array([any(one.personal(askers)[0] for one in self._telling)])
        found = [scorer.personal(askers) for scorer in self._telling]
        return np.asarray(np.any(found, axis=0), dtype=np.bool_)

    def contributions(self, asker: Askers, item: int) -> Float32:
        """The loss of an item's score when each event is left out, the weights staying what they are.

        Returns:
            float32, shape (events,).
        """
        return np.asarray(self.contributions_to(asker, np.array([item]))[0])

    def contributions_to(self, asker: Askers, items: Int64) -> Float32:
        """The same for some items: float32, shape (items, events)."""
        scores = self._network.chances_without_each(asker, items).astype(np.float64)
        for partner, floor, mine in self._counting(asker):
            if mine:
                scores += mine * np.log(np.maximum(self._without_each(partner, asker, items), floor))
        return np.asarray(scores[:, :1] - scores[:, 1:], dtype=np.float32)

    def similar(self, items: Int32) -> Float32:
        """The network's likeness."""
        return self._network.similar(items)

    def _sorts(self, counts: Int64) -> Int64:
        """Which weights histories of so many events have: int64, of the same shape."""
        return np.searchsorted(self._lengths, counts, side="right")

    def _sort_alone(self, history: Histories) -> int:
        """Which weights one history has."""
        return int(self._sorts(known(history, self._n).sum())) if len(self._lengths) else 0

    def _without_each(self, partner: Scorer, asker: Askers, items: Int64) -> Float32:
        if isinstance(partner, LeavesOut):
            return partner.without_each(asker, items)
        places = last_places(asker.histories)
        shorter = less_each(asker.histories, places)
        copies = Askers(histories=shorter, viewers=np.repeat(asker.viewers, len(shorter)))
        size = max(1, _KEPT_CELLS // max(self._n, 1))
        blocks = [np.arange(start, min(start + size, len(copies))) for start in range(0, len(copies), size)]
        found = np.concatenate([partner.score(copies.take(block))[:, items] for block in blocks])
        scores = np.repeat(found[:1], 1 + len(asker.histories.items), axis=0)
        scores[1 + places] = found[1:]
        return scores.T


def _counts(histories: Histories, n_items: int) -> Int64:
    """Events of known items of each history: int64, shape (histories,)."""
    return np.bincount(histories.rows()[known(histories, n_items)], minlength=len(histories))


def _rows(n: int, n_items: int) -> Iterator[slice]:
    """Slices of rows whose scores stay in a cache."""
    size = max(1, _CELLS // max(n_items, 1))
    for start in range(0, n, size):
        yield slice(start, start + size)


def _raise_above(scores: Float32, partner: Float32, floor: float, weights: Float64) -> None:
    """Add, in place, what a partner says of the items that it scores above its floor.

    Most cells of a sparse model are at the floor, whose logarithm is in the scores already.
    """
    n_items = scores.shape[1]
    for rows in _rows(len(scores), n_items):
        cells = np.flatnonzero(partner[rows] > floor)
        more = np.log(partner[rows].ravel()[cells])
        more -= np.float32(np.log(floor))
        more *= weights[rows].astype(np.float32)[cells // n_items]
        scores[rows].ravel()[cells] += more


def _raise_few(scores: Float32, partner: Any, floor: float, weights: Float64) -> None:
    """The same of a partner that scores few items: CSR, of the shape of `scores`."""
    places = np.flatnonzero(partner.data > floor)
    rows = np.searchsorted(partner.indptr, places, side="right") - 1
    more = np.log(partner.data[places])
    more -= np.float32(np.log(floor))
    more *= weights[rows].astype(np.float32)
    scores[rows, partner.indices[places]] += more


def _raise_products(scores: Float32, vectors: Float32, items: Float32, how: tuple[float, Float64]) -> None:
    """The same of a partner whose scores are products, which are made for a stretch of items at a time.

    Args:
        scores: float32, shape (askers, items); changed.
        vectors: float32, shape (askers, width).
        items: float32, shape (items, width).
        how: the partner's floor, and its weight for each asker.
    """
    floor, weights = how
    width = max(64, _TILE_CELLS // max(len(vectors), 1))
    for start in range(0, len(items), width):
        found = vectors @ items[start : start + width].T
        rows, columns = np.divmod(np.flatnonzero(found > floor), found.shape[1])
        more = np.log(found[rows, columns])
        more -= np.float32(np.log(floor))
        more *= weights[rows].astype(np.float32)
        scores[rows, columns + start] += more


def _check(floors: Float64, lengths: Int64, weights: Float64, partners: int) -> None:
    if floors.shape != (partners,) or not (floors > 0).all():
        raise SettingsError(f"A product of {partners} partners needs a floor above 0 each, found {floors}.")
    if lengths.ndim != 1 or (np.diff(lengths) <= 0).any():
        raise SettingsError(f"A product needs lengths that ascend, found {lengths}.")
    if weights.shape != (partners, len(lengths) + 1) or not (weights >= 0).all():
        raise SettingsError(
            f"A product needs {len(lengths) + 1} weights of at least 0 for each partner, found {weights}."
        )
