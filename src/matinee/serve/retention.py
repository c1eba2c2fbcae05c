"""How long events are kept, and the daily deletion of older ones."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

from matinee.core.errors import InputError
from matinee.serve.store import Store

# The note in which whoever deletes says when, so that others, on this machine or another, need not.
NOTE = "retained_ms"

_DAY_MS = 86_400_000
_WORDS = re.compile(r"(\d{1,4})\s*(day|week|month|year)s?")


def parse_retention(words: str) -> tuple[int, str]:
    """A number and its unit, from `13months`, `400days`, `2 years`.

    Raises:
        InputError: it is something else.
    """
    found = _WORDS.fullmatch(words.strip().lower())
    if found is None or int(found[1]) == 0:
        raise InputError(f"--retain is {words!r}: expected a time such as 13months, 400days or 2years.")
    return int(found[1]), found[2]


def kept_since(words: str, now_ms: int) -> int:
    """The moment from which on events are kept.

    Args:
        words: as of `parse_retention`.
        now_ms: the moment that it is counted from.

    Raises:
        InputError: the words are no time, or one before the calendar's beginning.
    """
    number, unit = parse_retention(words)
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    try:
        if unit in ("day", "week"):
            then = now - timedelta(days=number * (7 if unit == "week" else 1))
        else:
            then = _months_before(now, number * (12 if unit == "year" else 1))
    except (ValueError, OverflowError) as error:
        raise InputError(f"--retain is {words!r}: that is before the calendar begins.") from error
    return int(then.timestamp() * 1000)


async def retain_daily(store: Store, words: str, now_ms: int) -> int | None:
    """Delete what is older than is kept, unless somebody did within the last day.

    Two who ask at the same moment both delete, which does no harm.

    Returns:
        How many events and impressions; None where it was done already.
    """
    noted = await store.note(NOTE)
    if noted is not None and 0 <= now_ms - int(noted) < _DAY_MS:
        return None
    await store.put_notes({NOTE: str(now_ms)})
    return await store.retain(kept_since(words, now_ms))


def _months_before(now: datetime, months: int) -> datetime:
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return now.replace(year=year, month=month + 1, day=min(now.day, last))
