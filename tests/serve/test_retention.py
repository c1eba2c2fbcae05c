"""How long events are kept, in calendar months, and that they go once a day."""

import asyncio
from datetime import UTC, datetime

import pytest

from matinee.core.errors import InputError
from matinee.serve.open_store import open_store
from matinee.serve.records import Event
from matinee.serve.retention import kept_since, retain_daily


def ms(*day: int) -> int:
    return int(datetime(*day, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("words", "now", "since"),
    [
        ("13months", ms(2026, 3, 31, 12), ms(2025, 2, 28, 12)),
        ("1 month", ms(2024, 3, 30), ms(2024, 2, 29)),
        ("2years", ms(2024, 2, 29), ms(2022, 2, 28)),
        ("400days", ms(2026, 1, 1), ms(2024, 11, 27)),
        ("1week", ms(2026, 1, 8), ms(2026, 1, 1)),
    ],
)
def test_months_are_the_calendars(words, now, since):
    assert kept_since(words, now) == since


@pytest.mark.parametrize("words", ["", "soon", "0days", "-1days", "13", "13 moons", "9999years"])
def test_refuses_what_is_no_time(words):
    with pytest.raises(InputError, match="--retain"):
        kept_since(words, ms(2026, 1, 1))


def test_older_events_go_once_a_day(tmp_path):
    async def story() -> None:
        store = await open_store(f"sqlite:///{tmp_path}/s.db")
        now = ms(2026, 3, 1)
        old, new = (
            Event(user="u", item=item, kind="view", time_ms=now - days * 86_400_000)
            for item, days in (("old", 40), ("new", 10))
        )
        await store.add([old, new])
        assert await retain_daily(store, "1month", now) == 1
        assert [one.item for one in await store.history("u", 10)] == ["new"]
        assert await retain_daily(store, "1week", now + 3_600_000) is None
        assert await retain_daily(store, "1week", now + 86_400_000) == 1
        assert await store.history("u", 10) == []
        await store.close()

    asyncio.run(story())
