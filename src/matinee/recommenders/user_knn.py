"""User-based nearest neighbours: what the viewers closest in taste have.

Closeness is the cosine between histories whose rare items count more (Breese, Heckerman, Kadie 1998, "inverse
user frequency"); the arithmetic stands in `matinee.answers.neighbours`. Where the order of events means
something, the asker's latest events count most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.model import Model, model_of
from matinee.answers.taste import taste_matrix
from matinee.core.errors import SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span
from matinee.recommenders.ease import UNORDERED


@dataclass(frozen=True, kw_only=True)
class UserKnnConfig:
    """Settings of `UserKnn`.

    Attributes:
        neighbours: how many of the closest viewers vote; more is smoother and more popular.
        shrink: added to the product of two histories' lengths; more mistrusts short histories.
        power: exponent of a neighbour's likeness; more listens to the closest only.
        rarity: exponent of an item's inverse viewer frequency when tastes are compared; 0 counts all alike.
        discount: exponent of an item's viewers that divides its votes; more recommends rarer items.
        decay: what each later event multiplies an event of the asker's history with; less forgets faster.
            Not used where the log has no order.
        negative: how much a neighbour's no to an item counts against it; 1 as much as having it counts for.
    """

    neighbours: int = 200
    shrink: float = 10.0
    power: float = 1.5
    rarity: float = 1.5
    discount: float = 0.2
    decay: float = 0.6
    negative: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what makes no neighbours."""
        if self.neighbours < 1:
            raise SettingsError(f"user_knn needs neighbours of at least 1, found {self.neighbours}.")
        if self.shrink < 0 or self.negative < 0 or self.power <= 0:
            raise SettingsError("user_knn needs shrink and negative of at least 0 and power above 0.")
        if not 0.0 < self.decay <= 1.0:
            raise SettingsError(f"user_knn needs a decay above 0 and at most 1, found {self.decay}.")


class UserKnn:
    """What the viewers closest in taste have."""

    name = "user_knn"
    Config = UserKnnConfig
    space: ClassVar[Space] = {
        "neighbours": Span(low=20, high=1000, log=True, whole=True),
        "shrink": Span(low=0.1, high=50.0, log=True),
        "power": Span(low=0.5, high=3.0),
        "rarity": Span(low=0.0, high=2.5),
        "discount": Span(low=0.0, high=0.4),
        "decay": Choice((0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(UserKnnConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit and its answers will take: histories as matrices, by viewer and by item."""
        events = len(log.histories.items)
        return Needs(memory_bytes=80 * events + 16 * log.n_items + 2**28, cpu_s=6e-7 * events)

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 (nothing here is random)
        """Fit on a log.

        Raises:
            TooLarge: the fit would need more memory than there is.
        """
        require(self.needs(log).memory_bytes, "user_knn", "give a shorter log")
        had = taste_matrix(log.histories, log.n_items)
        watchers = np.bincount(had.indices, minlength=log.n_items).astype(np.float64)
        rarity = np.log1p(len(log.histories) / np.maximum(watchers, 1.0)) ** self.config.rarity
        settings: dict[str, Any] = config_values(self.config)
        if not log.ordered:
            settings |= {"decay": 1.0, "note": UNORDERED}
        part = Part(
            kind="neighbours",
            settings=settings,
            tensors={
                "item_weights": rarity.astype(np.float32),
                "vote_weights": (np.maximum(watchers, 1.0) ** -self.config.discount).astype(np.float32),
            },
        )
        return model_of(self.name, config_values(self.config), part, log)
