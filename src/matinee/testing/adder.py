"""A process that adds events to a store and says which are acknowledged, until it is killed.

    python -m matinee.testing.adder URL NAME [CALLS]

Each of CALLS at once adds call after call of one to five events and an impression, with ids that say which
call they are of; after each acknowledgement a line `call events` is written to standard output.
"""

from __future__ import annotations

import asyncio
import os
import sys

from matinee.serve.open_store import open_store
from matinee.serve.records import Event, Impression
from matinee.serve.store import Store


def call_of(name: str, caller: int, number: int) -> tuple[list[Event], list[Impression]]:
    """What one call adds; all of it must be found, or nothing."""
    key = f"{name}.{caller}.{number}"
    count = 1 + (caller + number) % 5
    events = [
        Event(user=key, item=f"{n}/{count}", kind="view", time_ms=number, value=n / 3, event_id=f"{key}.{n}")
        for n in range(count)
    ]
    return events, [Impression(user=key, items=("a", "b"), time_ms=number, event_id=key)]


async def _keep_adding(store: Store, name: str, caller: int) -> None:
    number = 0
    while True:
        events, shown = call_of(name, caller, number)
        await store.add(events, shown)
        os.write(1, f"{events[0].user} {len(events)}\n".encode())
        number += 1


async def _main(url: str, name: str, calls: int) -> None:
    store = await open_store(url)
    await asyncio.gather(*(_keep_adding(store, name, caller) for caller in range(calls)))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 16))
