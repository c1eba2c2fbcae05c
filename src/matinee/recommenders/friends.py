"""Friends: what an asker's real friends have, weighted by shared taste, backed off to popularity.

The likeness of an asker and a friend is the cosine of their histories, shrunk where they share few items; the
arithmetic stands in `matinee.answers.friends`. Whoever has no friends is answered by popularity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.model import Model, model_of
from matinee.answers.taste import taste_matrix
from matinee.core.errors import InputError, SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span


@dataclass(frozen=True, kw_only=True)
class FriendsConfig:
    """Settings of `Friends`.

    Attributes:
        best_only: ask the single friend closest in taste instead of all.
        power: exponent of a friend's weight; more listens to the closest friends only, 0 to all alike.
        shrink: shared items at which a likeness counts half; more mistrusts short common histories.
        floor: what a friend without shared taste counts; more trusts the link itself.
        backoff: how many ordinary friends' weight popularity has; more recommends safer items.
    """

    best_only: bool = False
    power: float = 1.0
    shrink: float = 0.0
    floor: float = 0.01
    backoff: float = 0.1

    def __post_init__(self) -> None:
        """Refuse weights below nothing."""
        for name in ("power", "shrink", "floor", "backoff"):
            if getattr(self, name) < 0:
                raise SettingsError(f"friends needs {name} of at least 0, found {getattr(self, name)}.")


class Friends:
    """What friends have, weighted by shared taste."""

    name = "friends"
    Config = FriendsConfig
    space: ClassVar[Space] = {
        "best_only": Choice((False, False, False, True)),
        "power": Span(low=0.25, high=3.0),
        "shrink": Span(low=0.1, high=20.0, log=True),
        "floor": Span(low=1e-4, high=0.3, log=True),
        "backoff": Span(low=1e-3, high=3.0, log=True),
    }
    # Whether all friends or the one closest in taste: validation says, even where nothing else is tried.
    variants: ClassVar[tuple[dict[str, Any], ...]] = ({"best_only": True},)

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(FriendsConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        events = len(log.histories.items)
        return Needs(memory_bytes=60 * events + 16 * log.n_items, cpu_s=4e-7 * events)

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 (nothing here is random)
        """Fit on a log.

        Raises:
            InputError: the log has no friends.
            TooLarge: the fit would need more memory than there is.
        """
        if log.friends is None:
            raise InputError(
                "The recommender friends needs to know who is whose friend, and the log does not say: "
                "give --friends FILE, or leave friends out."
            )
        require(self.needs(log).memory_bytes, "friends", "give a shorter log")
        had = taste_matrix(log.histories, log.n_items)
        shares = np.bincount(had.indices, minlength=log.n_items) / max(len(log.histories), 1)
        settings = config_values(self.config)
        part = Part(kind="friends", settings=settings, tensors={"shares": shares.astype(np.float32)})
        return model_of(self.name, settings, part, log)
