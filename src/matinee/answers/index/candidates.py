"""The best items of one asker among very many: what the indices propose, scored exactly by all parts.

A network and factors are products of vectors, and have an index each. What a linear model has to say is in
the rows of the items of a history. In a product of them (`matinee.answers.product`), an item that none of
its parts puts far in front has no place among the best either: the candidates are what each part proposes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from matinee.answers.index.found import Index
from matinee.core.promise import Scorer
from matinee.core.types import Askers, Float32, Int64


@runtime_checkable
class Asks(Protocol):
    """A scorer whose scores are products of items' vectors with what is asked for."""

    @property
    def item_vectors(self) -> Float32:
        """Float32, shape (items, width)."""

    def asked(self, asker: Askers) -> Float32:
        """What one asker asks for: float32, shape (width,)."""

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items: float32, shape (codes,)."""


@runtime_checkable
class Reaches(Protocol):
    """A scorer that says at once which items a history speaks of."""

    def reached(self, asker: Askers, n: int) -> Int64:
        """The n items, or fewer, that are scored highest: int64."""

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items: float32, shape (codes,)."""


@runtime_checkable
class Joins(Protocol):
    """A scorer that is made of others."""

    def voices(self, asker: Askers) -> list[tuple[str, Scorer]]:
        """The parts that have a say in one asker's answer, by name."""

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items: float32, shape (codes,)."""


class Candidates:
    """Answers one asker without a look at the whole catalogue.

    Args:
        name: the part that answers.
        scorer: its scorer.
        indices: an index for each part that is a product of vectors, by the part's name.
        spare: so many times as many candidates as asked for does a linear part of a product propose: it has
            summed up all that its rows reach by then, and costs no further look.
    """

    def __init__(self, name: str, scorer: Scorer, indices: Mapping[str, Index], spare: float = 1.0) -> None:
        self._name, self._indices, self.spare = name, dict(indices), spare
        # Asking an object whether it keeps a promise takes longer than many an answer: once is enough.
        self._joins = scorer if isinstance(scorer, Joins) else None
        self._asks = scorer if isinstance(scorer, Asks) else None

    def best(self, asker: Askers, n: int, effort: int = 1) -> tuple[Int64, Float32]:
        """About the n best items of one asker, in no order, and their scores, which are exact.

        Args:
            asker: one asker, to whom something personal can be said.
            n: how many; of a product some more are found.
            effort: look at so many times as much as usual.

        Returns:
            Codes int64 and scores float32, shape (found,).
        """
        if self._joins is not None:
            voices = self._joins.voices(asker)
            proposed = [self._proposed(name, voice, asker, n * effort, effort) for name, voice in voices]
            codes = _once(np.concatenate(proposed))
            return codes, self._joins.scores_of(asker, codes)
        if self._asks is None:
            raise TypeError(f"{self._name} is no product of vectors, so it has no index.")
        found = self._indices[self._name].best(self._asks.asked(asker), n * effort, effort)
        return found.codes, found.scores

    def scores_of(self, asker: Askers, codes: Int64) -> Float32:
        """One asker's scores of some items, comparable with those of `best`: float32, shape (codes,)."""
        scorer = self._joins or self._asks
        if scorer is None:
            raise TypeError(f"{self._name} cannot score some items alone.")
        return scorer.scores_of(asker, codes)

    def _proposed(self, name: str, voice: Any, asker: Askers, n: int, effort: int) -> Int64:
        if name in self._indices:
            return self._indices[name].best(voice.asked(asker), n, effort).codes
        codes: Int64 = voice.reached(asker, int(self.spare * n))
        return codes


def _once(codes: Int64) -> Int64:
    """The codes, ascending, each once: numpy's own way takes several times as long for so few."""
    codes.sort()
    first = np.concatenate([np.ones(min(1, len(codes)), np.bool_), codes[1:] != codes[:-1]])
    return np.asarray(codes[first])


def can_have(scorer: Scorer, parts: Mapping[str, Scorer]) -> bool:
    """Whether a model can be answered from candidates.

    Args:
        scorer: what answers.
        parts: where it joins others: those, by name.
    """
    if isinstance(scorer, Joins):
        return all(isinstance(one, (Asks, Reaches)) for one in parts.values())
    return isinstance(scorer, Asks)
