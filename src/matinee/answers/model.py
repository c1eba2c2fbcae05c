"""A fitted recommender that answers: one class for every kind, made from parts that are arrays alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from matinee.answers.scorers import Context, make_scorer
from matinee.core.promise import Log, Part, Scorer
from matinee.core.types import Askers, Float32


@dataclass(frozen=True, kw_only=True)
class Model:
    """A fitted recommender.

    Attributes:
        name: the recommender's name.
        config: every setting that it was fitted with, plain JSON values.
        parts: the fitted parts by name; a plain recommender has one, a blend several.
        log: the log it was fitted on: vocabularies, items, histories, friends.
        context: what scorers need beside their part.
        facts: what the manifest says of the fit: split, seed, metrics, cost.
    """

    name: str
    config: Mapping[str, Any]
    parts: Mapping[str, Part]
    log: Any
    context: Context
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def scorer(self) -> Scorer:
        """What scores the catalogue for this model."""
        return make_scorer(self.parts[self.name], self.context)

    def scores(self, askers: Askers) -> Float32:
        """Scores of every item for every asker; popularity where nothing personal can be said.

        Returns:
            float32, shape (askers, items), higher is better. The caller keeps the batch small enough.
        """
        scores = self.scorer.score(askers)
        plain = ~self.scorer.personal(askers)
        if plain.any():
            scores[plain] = self.context.popularity
        return scores


def model_of(name: str, config: Mapping[str, Any], part: Part, log: Log) -> Model:
    """The model of a plain recommender that was just fitted on `log`."""
    return Model(name=name, config=config, parts={name: part}, log=log, context=context_of(log))


def context_of(log: Log) -> Context:
    """What scorers need of the log that a model was fitted on."""
    histories = log.histories
    popularity = np.bincount(histories.items, weights=histories.weights, minlength=log.n_items)
    return Context(
        n_items=log.n_items,
        popularity=popularity.astype(np.float32),
        histories=histories,
        friends=log.friends,
        repeats=log.repeats,
    )


def batches(n: int, n_items: int, megabytes: float = 64.0) -> Sequence[slice]:
    """Slices of n askers so that a batch's scores take about `megabytes`."""
    size = max(1, min(n, int(megabytes * 2**20 / (4 * max(n_items, 1)))))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
