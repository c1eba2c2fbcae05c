"""Popularity: everybody gets what most events were of. The floor that every other recommender must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.model import Model, model_of
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Space


@dataclass(frozen=True, kw_only=True)
class PopularityConfig:
    """Settings of `Popularity`: there are none."""


class Popularity:
    """The items with the most events, each by its weight."""

    name = "popularity"
    Config = PopularityConfig
    space: ClassVar[Space] = {}

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(PopularityConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        return Needs(memory_bytes=16 * log.n_items, cpu_s=1e-8 * len(log.histories.items))

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 (nothing here is random)
        """Fit on a log."""
        histories = log.histories
        counts = np.bincount(histories.items, weights=histories.weights, minlength=log.n_items)
        settings = config_values(self.config)
        part = Part(kind="popular", settings=settings, tensors={"scores": counts.astype(np.float32)})
        return model_of(self.name, settings, part, log)
