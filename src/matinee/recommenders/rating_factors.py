"""Values predicted by biases and factors: ridge regression, each side in turn, on the other's.

min over b, x, y of  sum over ratings (r - b_u - b_i - x_u . y_i)^2
    + bias_ridge * (|b_u|^2 + |b_i|^2) + ridge * (|x_u|^2 + |y_i|^2)

with r in units of the values' standard deviation ("regularised SVD", Funk 2006; solved as in Koren, Bell and
Volinsky 2009). A viewer's own numbers are solved from their ratings when they ask. Without factors it is the
classic baseline of the Netflix Prize: what the item gets, and how kind the viewer is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.model import Model, model_of
from matinee.core.errors import SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.seeds import generator
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span
from matinee.core.types import Float64
from matinee.recommenders.rated import Rated, rated_of, require_values
from matinee.recommenders.rating_sides import side_of


@dataclass(frozen=True, kw_only=True)
class RatingBiasesConfig:
    """Settings of `RatingBiases`.

    Attributes:
        epochs: passes over the log; more converges further.
        bias_ridge: pull of biases to zero, in ratings; more trusts items and viewers with few ratings less.
    """

    epochs: int = 10
    bias_ridge: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what learns nothing."""
        _check(self, "rating_biases", at_least_one=("epochs",), positive=("bias_ridge",))


@dataclass(frozen=True, kw_only=True)
class RatingFactorsConfig:
    """Settings of `RatingFactors`.

    Attributes:
        factors: numbers per item and viewer; more tells finer tastes apart and costs their square.
        epochs: passes over the log; more converges further.
        ridge: pull of factors to zero, in ratings; more is smoother.
        bias_ridge: pull of biases to zero, in ratings; more trusts items and viewers with few ratings less.
    """

    factors: int = 8
    epochs: int = 15
    ridge: float = 10.0
    bias_ridge: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what learns nothing."""
        _check(
            self,
            "rating_factors",
            at_least_one=("factors", "epochs"),
            positive=("ridge", "bias_ridge"),
        )


class RatingBiases:
    """Predicts what the item gets, plus how kind the viewer is."""

    name = "rating_biases"
    predicts = "value"
    Config = RatingBiasesConfig
    space: ClassVar[Space] = {"bias_ridge": Span(low=0.5, high=30.0, log=True)}

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(RatingBiasesConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        return _needs(log, self.config.epochs, 0)

    def fit(self, log: Log, *, seed: int = 0) -> Model:
        """Fit on a log.

        Raises:
            SettingsError: no event of the log brings a value.
            TooLarge: the fit would need more memory than there is.
        """
        require_values(log, self.name)
        require(self.needs(log).memory_bytes, self.name, "take a part of the log")
        pulls = np.array([self.config.bias_ridge])
        part = _alternate(rated_of(log, self.name), self.config, pulls, generator(seed, self.name))
        return model_of(self.name, config_values(self.config), part, log)


class RatingFactors:
    """Predicts by biases and factors, without implicit feedback or time."""

    name = "rating_factors"
    predicts = "value"
    Config = RatingFactorsConfig
    space: ClassVar[Space] = {
        "factors": Choice((4, 8, 16, 32)),
        "ridge": Span(low=3.0, high=40.0, log=True),
        "bias_ridge": Span(low=0.5, high=30.0, log=True),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(RatingFactorsConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        return _needs(log, self.config.epochs, self.config.factors)

    def fit(self, log: Log, *, seed: int = 0) -> Model:
        """Fit on a log.

        Raises:
            SettingsError: no event of the log brings a value.
            TooLarge: the fit would need more memory than there is.
        """
        require_values(log, self.name)
        config = self.config
        require(self.needs(log).memory_bytes, f"{config.factors} factors of values", "set fewer factors")
        pulls = np.array([config.bias_ridge, *[config.ridge] * config.factors])
        part = _alternate(rated_of(log, self.name), config, pulls, generator(seed, self.name))
        return model_of(self.name, config_values(config), part, log)


def _alternate(
    rated: Rated,
    config: RatingBiasesConfig | RatingFactorsConfig,
    pulls: Float64,
    random: np.random.Generator,
) -> Part:
    """Solve viewers and items in turn: one point instead of many draws."""
    width = len(pulls)
    viewers = side_of(rated.viewers, rated.items, rated.n_viewers, width, None)
    items = side_of(rated.items, rated.viewers, rated.n_items, width, None)
    viewers.precision = items.precision = np.diag(pulls)
    items.vectors = random.standard_normal(items.vectors.shape) * (0.1 * (np.arange(width) > 0))
    for _ in range(config.epochs):
        wanted = rated.values - items.vectors[rated.items, 0]
        viewers.draw_vectors(items.vectors, wanted, 1.0, None)
        wanted = rated.values - viewers.vectors[rated.viewers, 0]
        items.draw_vectors(viewers.vectors, wanted, 1.0, None)
    return Part(
        kind="values",
        settings={**config_values(config), **rated.units},
        tensors={
            "items": items.vectors[:, None].astype(np.float32),
            "stranger": np.zeros((1, width), np.float32),
            "means": np.zeros((1, width), np.float32),
            "precisions": np.diag(pulls)[None].astype(np.float32),
            "noise": np.ones(1, np.float32),
        },
    )


def _needs(log: Log, epochs: int, factors: int) -> Needs:
    events, rows, width = len(log.histories.items), len(log.histories) + log.n_items, factors + 1
    flops = epochs * (4.0 * events * width**2 + rows * width**3)
    return Needs(
        memory_bytes=120 * events + 32 * rows * width + 2**26,
        cpu_s=flops / 2e9 + epochs * (1.5e-5 * rows + 1e-7 * events) + 0.01,
    )


def _check(config: object, name: str, *, at_least_one: tuple[str, ...], positive: tuple[str, ...]) -> None:
    for field in at_least_one:
        if getattr(config, field) < 1:
            raise SettingsError(f"{name} needs {field} of at least 1, found {getattr(config, field)}.")
    for field in positive:
        if getattr(config, field) <= 0:
            raise SettingsError(f"{name} needs {field} above 0, found {getattr(config, field)}.")
