"""Moments as they are sent, as milliseconds; those that cannot have been are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from matinee.serve.body import Contradiction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
# Clocks differ; an event from farther ahead than this is a mistake, and would stay the latest for ever.
AHEAD_MS = 24 * 3600 * 1000
# Numbers below this are seconds: as milliseconds they would lie before March 1973.
_SECONDS_BELOW = 100_000_000_000


def ms_of(sent: datetime | int | None, field: str) -> int | None:
    """A moment as milliseconds since 1970, UTC; None where none was sent.

    Raises:
        Contradiction: it is before 1970.
    """
    if sent is None or isinstance(sent, int):
        return sent
    ms = (sent - _EPOCH) // _MS
    if ms < 0:
        raise Contradiction(f"{field} is {sent.isoformat()}: expected a moment from 1970 on.", field)
    return ms


def past_ms(sent: datetime | int | None, field: str, now_ms: int) -> int:
    """The moment at which something happened; now where none was sent.

    Raises:
        Contradiction: it is before 1970, a number of seconds, or more than a day ahead of the clock.
    """
    if isinstance(sent, int) and sent < _SECONDS_BELOW:
        raise Contradiction(
            f"{field} is {_shown(sent)[:10]}; milliseconds are expected: is it in seconds? "
            "Send milliseconds, or ISO 8601.",
            field,
        )
    ms = ms_of(sent, field)
    if ms is None:
        return now_ms
    if ms > now_ms + AHEAD_MS:
        raise Contradiction(
            f"{field} is {_shown(ms)}, more than a day ahead of this server's clock, {_shown(now_ms)}: "
            "expected a moment of the past (milliseconds, if it is a number).",
            field,
        )
    return ms


def _shown(ms: int) -> str:
    return (_EPOCH + ms * _MS).isoformat(timespec="seconds").replace("+00:00", "Z")
