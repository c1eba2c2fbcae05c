"""What may be spent: dollars, wall time, or both, whichever ends first."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from matinee.core.errors import SettingsError

_WORDS = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z$]*)\s*", re.IGNORECASE)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_EXPECTED = "expected an amount such as 5usd, 90s, 30min or 2h (a bare number is dollars)"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A limit that is never exceeded.

    Attributes:
        dollars: what all trials may cost together; None: no limit.
        seconds: wall time while the coordinator is active; what lies between a stop and going on does not
            count. None: no limit.
    """

    dollars: float | None = None
    seconds: float | None = None


def read_budget(words: str | float | Budget | Sequence[str | float]) -> Budget:
    """A budget from what a person typed: `5usd`, `90s`, `30min`, `2h`, a bare number of dollars, or several.

    Of several dollars, or several times, the least holds.

    Raises:
        SettingsError: something is no amount, or there is none.
    """
    if isinstance(words, Budget):
        return words
    given = [words] if isinstance(words, (str, int, float)) else list(words)
    if not given:
        raise SettingsError(f"No budget is given: {_EXPECTED}.")
    read = [_amount(one) for one in given]
    dollars = [amount for amount, unit in read if unit == "usd"]
    seconds = [amount * _SECONDS[unit] for amount, unit in read if unit != "usd"]
    return Budget(dollars=min(dollars, default=None), seconds=min(seconds, default=None))


def _amount(words: str | float) -> tuple[float, str]:
    """A number and its unit: usd, s, min or h."""
    found = _WORDS.fullmatch(str(words)) if not isinstance(words, bool) else None
    unit = (found[2].lower() if found else "?") or "usd"
    unit = "usd" if unit == "$" else unit
    if found is None or unit not in ("usd", *_SECONDS):
        raise SettingsError(f"Budget {words!r}: {_EXPECTED}.")
    amount = float(found[1])
    if not 0 < amount < math.inf:
        raise SettingsError(f"Budget {words!r}: {_EXPECTED}, more than 0.")
    return amount, unit
