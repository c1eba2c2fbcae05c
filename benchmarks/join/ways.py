"""Ways to join what a network and closed forms say of every item.

A way has settings to choose from, and for a batch of askers makes the joined scores of each setting in turn.
What is looked at again and again is made once: `Said` has everything that the parts say of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from matinee.core.types import Float32, Int64

# What `transitions` cannot tell from nothing, as in the recommender `blend`.
FLOOR = 2e-4
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
_FEW = (1.0, 1.5, 2.0)
_ITEM_WEIGHTS = (1.0, 1.5, 2.0, 2.5)
_THIRD_WEIGHTS = (0.1, 0.25, 0.5, 0.75, 1.0)
# Floors of a third partner, as shares of an asker's best score.
_THIRD_FLOORS = (0.1, 0.01)
# Cormack et al. 2009, "Reciprocal rank fusion", takes 60.
_RECIPROCAL = 60.0


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the parts say of a batch.

    Attributes:
        network: log of each item's chance: float32, shape (askers, items).
        partners: the scores of each closed form by its name, of the same shape.
    """

    network: Float32
    partners: Mapping[str, Float32]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to join.

    Attributes:
        name: what the table calls it.
        settings: what there is to choose from, in the order of `tables`.
        tables: the joined scores of a batch by each of the settings: shape (askers, items).
        parts: names of the closed forms that it asks.
        labels: int64, shape (viewers,): whose settings are chosen together; None: everybody's.
    """

    name: str
    settings: Sequence[tuple[Any, ...]]
    tables: Callable[[Said], Iterator[Float32]]
    parts: tuple[str, ...] = ()
    labels: Int64 | None = None


def network_alone() -> Way:
    return Way(name="network alone", settings=[()], tables=lambda said: iter([said.network.copy()]))


def alone(partner: str) -> Way:
    def tables(said: Said) -> Iterator[Float32]:
        yield np.array(said.partners[partner])

    return Way(name=f"{partner} alone", settings=[()], tables=tables, parts=(partner,))


def product_with(
    partner: str,
    name: str,
    *,
    weights: Sequence[float] = WEIGHTS,
    floors: Sequence[float] = (FLOOR,),
    labels: Int64 | None = None,
) -> Way:
    """Log chance of the network + weight * log of the partner's score, which counts as its floor at least."""

    def tables(said: Said) -> Iterator[Float32]:
        for floor in floors:
            more = _log_above(said.partners[partner], floor)
            for weight in weights:
                yield said.network + np.float32(weight) * more

    settings = [(weight, floor) if len(floors) > 1 else (weight,) for floor in floors for weight in weights]
    return Way(name=name, settings=settings, tables=tables, parts=(partner,), labels=labels)


def product_by_item(partner: str, name: str, sorts: Int64) -> Way:
    """The product with a weight for each sort of item: `sorts` is int64, shape (items,), from 0 to 2."""
    settings = list(product(_ITEM_WEIGHTS, repeat=3))

    def tables(said: Said) -> Iterator[Float32]:
        more = _log_above(said.partners[partner], FLOOR)
        for weights in settings:
            yield said.network + np.array(weights, np.float32)[sorts] * more

    return Way(name=name, settings=settings, tables=tables, parts=(partner,))


def product_of_three(partner: str, third: str, name: str) -> Way:
    """The product with a third part, whose scores are shares of the asker's best."""
    settings = list(product(_THIRD_FLOORS, _THIRD_WEIGHTS, _FEW))

    def tables(said: Said) -> Iterator[Float32]:
        more = _log_above(said.partners[partner], FLOOR)
        bases = [said.network + np.float32(weight) * more for weight in _FEW]
        for floor in _THIRD_FLOORS:
            third_more = _log_above(_shares(said.partners[third]), floor)
            for weight in _THIRD_WEIGHTS:
                for base in bases:
                    yield base + np.float32(weight) * third_more

    return Way(name=name, settings=settings, tables=tables, parts=(partner, third))


def product_of_four(partner: str, others: tuple[str, str], name: str) -> Way:
    """The product with two more, of floor .01 each."""
    settings = list(product(_THIRD_WEIGHTS[:4], _THIRD_WEIGHTS[:4], _FEW))

    def tables(said: Said) -> Iterator[Float32]:
        more = _log_above(said.partners[partner], FLOOR)
        left, right = (_log_above(_shares(said.partners[other]), 0.01) for other in others)
        for first, second, weight in settings:
            yield (
                said.network
                + np.float32(weight) * more
                + np.float32(first) * left
                + np.float32(second) * right
            )

    return Way(name=name, settings=settings, tables=tables, parts=(partner, *others))


def sum_of_chances(partner: str, name: str) -> Way:
    """A mixture: (1 - share) * chance by the network + share * chance by the partner."""
    settings = [(share,) for share in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)]

    def tables(said: Said) -> Iterator[Float32]:
        ours: Float32 = np.exp(said.network)
        theirs: Float32 = np.maximum(said.partners[partner], np.float32(0.0))
        theirs /= np.maximum(theirs.sum(axis=1, keepdims=True), 1e-12)
        for (share,) in settings:
            yield np.float32(1.0 - share) * ours + np.float32(share) * theirs

    return Way(name=name, settings=settings, tables=tables, parts=(partner,))


def sum_of_ranks(partner: str, name: str, *, reciprocal: bool) -> Way:
    """Ranks, or reciprocals of ranks, added up: the partner's times a weight."""
    settings = [(weight,) for weight in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)]

    def tables(said: Said) -> Iterator[Float32]:
        ours, theirs = (_ranks(scores) for scores in (said.network, said.partners[partner]))
        if reciprocal:
            ours, theirs = (1.0 / (_RECIPROCAL + ranks) for ranks in (ours, theirs))
        sign = np.float32(1.0 if reciprocal else -1.0)
        for (weight,) in settings:
            yield sign * (ours + np.float32(weight) * theirs)

    return Way(name=name, settings=settings, tables=tables, parts=(partner,))


def _log_above(scores: Float32, floor: float) -> Float32:
    """How far a score's logarithm lies above its floor's: float32, of the same shape, at least 0."""
    return np.log(np.maximum(scores, np.float32(floor))) - np.float32(np.log(floor))


def _shares(scores: Float32) -> Float32:
    """Scores as shares of each asker's best."""
    shares: Float32 = scores / np.maximum(scores.max(axis=1, keepdims=True), np.float32(1e-9))
    return shares


def _ranks(scores: Float32) -> Float32:
    """How many items score higher, 0 for the best: float32, of the same shape."""
    ranks = np.empty_like(scores)
    order = np.argsort(-scores, axis=1, kind="stable")
    np.put_along_axis(ranks, order, np.arange(scores.shape[1], dtype=np.float32)[None], axis=1)
    return ranks
