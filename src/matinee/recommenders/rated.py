"""The ratings of a log as arrays, in units of their own spread: what recommenders of values learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.answers.sittings import sittings
from matinee.answers.values import era_of
from matinee.core.errors import SettingsError
from matinee.core.promise import Log
from matinee.core.types import Float64, Int64

# A log of a single value has no spread: its own unit is as good as any.
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, kw_only=True)
class Rated:
    """The events of a log that bring a value, viewer by viewer and oldest first.

    Attributes:
        viewers: int64, shape (ratings,).
        items: int64, shape (ratings,).
        values: float64, shape (ratings,): less their mean, over their standard deviation.
        sittings: int64, shape (ratings,), counted from 0; None where there are none.
        eras: int64, shape (ratings,): which of equal stretches of the log each falls into.
        n_viewers: viewers of the log.
        n_items: size of the catalogue.
        units: what turns a prediction into a value of the log: mean, scale, low, high; and where eras start.
    """

    viewers: Int64
    items: Int64
    values: Float64
    sittings: Int64 | None
    eras: Int64
    n_viewers: int
    n_items: int
    units: dict[str, Any]

    def __len__(self) -> int:
        """Number of ratings."""
        return len(self.values)


def require_values(log: Log, name: str) -> None:
    """Refuse a log without values.

    Raises:
        SettingsError: no event of the log brings a value.
    """
    values = log.histories.values
    if values is None or not len(values) or bool(np.isnan(values).all()):
        raise SettingsError(
            f"{name} learns from the values of events, and this log has none: say which column they are in "
            "(--columns value=NAME), or take a recommender that ranks items."
        )


def rated_of(log: Log, name: str, *, pause_minutes: float = 0.0, eras: int = 1) -> Rated:
    """The ratings of a log.

    Args:
        log: the log.
        name: who asks, for the refusal.
        pause_minutes: a longer pause ends a sitting; 0: sittings are not told apart.
        eras: into how many equal stretches of time the log is divided.

    Raises:
        SettingsError: no event of the log brings a value.
    """
    require_values(log, name)
    histories = log.histories
    told = np.flatnonzero(~np.isnan(np.asarray(histories.values)))
    values = np.asarray(histories.values, dtype=np.float64)[told]
    mean, scale = float(values.mean()), max(float(values.std()), _LEAST_SPREAD)
    units: dict[str, Any] = {
        "mean": mean,
        "scale": scale,
        "low": float(values.min()),
        "high": float(values.max()),
    }
    of_all = np.zeros(len(told), dtype=np.int64)
    if histories.times is not None and eras > 1:
        times = np.asarray(histories.times)[told]
        units |= {"era_start": int(times.min()), "era_ms": int(np.ptp(times)) // eras + 1}
        of_all = era_of(times, units["era_start"], units["era_ms"], eras)
    numbers = sittings(histories, pause_minutes)
    return Rated(
        viewers=histories.rows()[told].astype(np.int64),
        items=histories.items[told].astype(np.int64),
        values=(values - mean) / scale,
        sittings=None if numbers is None else np.unique(numbers[told], return_inverse=True)[1],
        eras=of_all,
        n_viewers=len(histories),
        n_items=log.n_items,
        units=units,
    )
