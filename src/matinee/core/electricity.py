"""What an hour of one's own machine costs: electricity, so that 5 usd is about a week."""

from __future__ import annotations

import os

from matinee.core.errors import SettingsError

WATTS = 100.0
PRICE_PER_KWH = 0.30  # dollars


def electricity_dollars(wall_s: float, more_watts: float = 0.0) -> float:
    """Dollars of electricity for so many wall seconds.

    Args:
        wall_s: the seconds.
        more_watts: what is drawn beside the machine's own power, such as a GPU's.

    The machine's power and the price are those of `MATINEE_WATTS` and `MATINEE_PRICE_PER_KWH` where set.

    Raises:
        SettingsError: one of them is no number, or negative.
    """
    kilowatts = (_number("MATINEE_WATTS", WATTS) + more_watts) / 1000
    return wall_s / 3600 * kilowatts * _number("MATINEE_PRICE_PER_KWH", PRICE_PER_KWH)


def _number(variable: str, default: float) -> float:
    words = os.environ.get(variable, "").strip()
    try:
        value = float(words) if words else default
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise SettingsError(f"{variable} is {words!r}: expected a number, such as {default:g}.")
    return value
