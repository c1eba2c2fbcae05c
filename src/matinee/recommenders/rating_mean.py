"""The mean of all values, for everybody and everything: what any prediction of values must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.model import Model, model_of
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Space
from matinee.recommenders.rated import rated_of


@dataclass(frozen=True, kw_only=True)
class RatingMeanConfig:
    """The mean has no settings."""


class RatingMean:
    """Predicts the mean of all values."""

    name = "rating_mean"
    predicts = "value"
    Config = RatingMeanConfig
    space: ClassVar[Space] = {}

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(RatingMeanConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        return Needs(
            memory_bytes=60 * len(log.histories.items) + 2**24, cpu_s=1e-6 * len(log.histories.items) + 0.01
        )

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 - nothing is drawn
        """Fit on a log.

        Raises:
            SettingsError: no event of the log brings a value.
        """
        mean = rated_of(log, self.name).units["mean"]
        scores = np.full(log.n_items, mean, dtype=np.float32)
        part = Part(kind="popular", settings={"mean": mean}, tensors={"scores": scores})
        return model_of(self.name, config_values(self.config), part, log)
