"""Recent popularity: everybody gets what most of the latest events were of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.model import Model, model_of
from matinee.core.errors import SettingsError
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space
from matinee.core.types import Bool, Histories

_DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class RecentConfig:
    """Settings of `Recent`.

    Attributes:
        days: how far back from the log's last event to count, in days; more is steadier and staler.
        share: count this latest share of the events instead of days, 0 to 1; None: by days.
    """

    days: float = 30.0
    share: float | None = None

    def __post_init__(self) -> None:
        """Refuse what counts nothing."""
        if self.days <= 0:
            raise SettingsError(f"Setting days of recent must be above 0, found {self.days}.")
        if self.share is not None and not 0 < self.share <= 1:
            raise SettingsError(f"Setting share of recent must be above 0 and at most 1, found {self.share}.")


class Recent:
    """The items with the most events of late; overall popularity decides between equals.

    A log without times has no "of late": the model then equals popularity, and its part's setting `note`
    says so.
    """

    name = "recent"
    Config = RecentConfig
    space: ClassVar[Space] = {"days": Choice((1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0))}

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(RecentConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        events = len(log.histories.items)
        return Needs(memory_bytes=16 * log.n_items + 17 * events, cpu_s=3e-8 * events)

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 (nothing here is random)
        """Fit on a log."""
        histories = log.histories
        weights = np.ones(len(histories.items)) if histories.weights is None else histories.weights
        counts = np.bincount(histories.items, weights=weights, minlength=log.n_items)
        settings: dict[str, Any] = config_values(self.config)
        if histories.times is None:
            settings["note"] = "The log has no times: recent equals popularity."
        else:
            late = self._late(histories)
            recent = np.bincount(histories.items[late], weights=weights[late], minlength=log.n_items)
            # Overall popularity as a fraction of one event: it decides between equals and nothing else.
            counts = recent + 0.5 * counts / max(float(counts.max(initial=0)), 1e-9)
        part = Part(kind="popular", settings=settings, tensors={"scores": counts.astype(np.float32)})
        return model_of(self.name, config_values(self.config), part, log)

    def _late(self, histories: Histories) -> Bool:
        """Which events count: bool, shape (events,)."""
        times = histories.times
        if times is None or not len(times):
            return np.ones(len(histories.items), dtype=np.bool_)
        if self.config.share is not None:
            since = np.quantile(times, 1.0 - self.config.share, method="higher")
        else:
            since = times.max() - self.config.days * _DAY_MS
        return np.asarray(times >= since)
