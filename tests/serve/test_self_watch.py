"""What a server finds out about itself is reckoned once, whoever asks, and keeps nobody waiting."""

import asyncio
import time
from functools import wraps

import numpy as np
import pytest
from tests.serve.asked_world import NOW, serve, watched

from matinee.core.types import histories_of
from matinee.serve.attribution import Followed, share_of
from matinee.serve.drift import Events, drift_of
from matinee.serve.monitoring import Coverage, Figures
from matinee.serve.monitoring_words import TOO_FEW, look
from matinee.serve.refusals import StoreError
from matinee.serve.self_watch import Held
from matinee.serve.sqlite_store import open_sqlite


def story(test):
    """A test that is a coroutine."""

    @wraps(test)
    def told(**given):
        asyncio.run(test(**given))

    return told


class Counter:
    """Counts how often it is asked, and takes its time."""

    def __init__(self):
        self.asked, self.may = 0, asyncio.Event()

    async def __call__(self):
        self.asked += 1
        await self.may.wait()
        return self.asked


@story
async def test_however_many_ask_it_is_reckoned_once_and_again_for_another_key():
    count = Counter()
    held = Held(count, 60)
    asks = [asyncio.create_task(held.value("a")) for _ in range(5)]
    await asyncio.sleep(0)
    count.may.set()
    assert await asyncio.gather(*asks) == [1] * 5
    assert await held.value("a") == 1
    assert await held.value("b") == 2
    brief = Held(count, 0)
    brief_first = await brief.value("a")
    await asyncio.sleep(0.001)
    assert await brief.value("a") == brief_first + 1


@story
async def test_who_does_not_wait_is_told_what_was_found_last():
    count = Counter()
    held = Held(count, 60)
    assert await held.value("a", 0.01) is None
    count.may.set()
    assert await held.value("a") == 1
    count.may.clear()
    assert await held.value("b", 0.01) == 1
    waits = asyncio.create_task(held.value("b"))
    await asyncio.sleep(0)
    # Somebody who asks while another key is reckoned is not given that.
    other = asyncio.create_task(held.value("c"))
    await asyncio.sleep(0)
    count.may.set()
    assert (await waits, await other) == (2, 3)
    count.may.clear()
    assert await held.value("d", 0) == 3
    await held.close()


@story
async def test_a_failure_is_told_and_the_next_ask_tries_again():
    tries = []

    async def reckon():
        tries.append(1)
        if len(tries) == 1:
            raise StoreError("The store cannot be reached.")
        return "there"

    held = Held(reckon, 60)
    with pytest.raises(StoreError, match="cannot be reached"):
        await held.value("a")
    assert await held.value("a") == "there"


def drift_among(viewers, each, *, groups=30, other=False):
    random = np.random.default_rng(3)
    learnt = [random.integers(0, groups // 2, 12).tolist() for _ in range(400)]
    low = groups // 2 if other else 0
    now = [random.integers(low, low + groups // 2, each).tolist() for _ in range(viewers)]
    return drift_of(events(now), events(learnt), groups)


def events(rows):
    histories = histories_of(rows)
    return Events(groups=histories.items, offsets=histories.offsets)


@pytest.mark.parametrize(
    ("viewers", "each", "groups", "said"),
    [
        (1, 1, 30, TOO_FEW),
        (1, 5000, 30, TOO_FEW),
        (29, 10, 30, TOO_FEW),
        (199, 1, 30, TOO_FEW),
        (40, 6, 30, "some"),
        # Where there are far more titles than choices, chance alone looks like another world.
        (40, 6, 100_000, TOO_FEW),
    ],
)
def test_drift_is_not_told_of_too_few(viewers, each, groups, said):
    drift = drift_among(viewers, each, groups=groups, other=True)
    assert drift.viewers == viewers
    assert drift.drifted is (said == "some")
    row = next(one for one in look(figures(drift)) if one["name"] == "drift of titles")
    assert row["value"] == said
    assert row["well"] is (said != "some")


def figures(drift, shown=10, viewers=5):
    rate = share_of("fallbacks", [n % viewers for n in range(shown)], [True] * shown)
    return Figures(
        since_ms=0,
        events=1,
        viewers=1,
        fallbacks=rate,
        coverage=Coverage(items=100, shown=3, watched=3, half=1),
        drift_items=drift,
        drift_categories=None,
        unknown=rate,
        age_days=1,
        new_events=1,
        followed=Followed(),
    )


def test_shares_of_too_few_are_not_told_either():
    few = {one["name"]: one for one in look(figures(None))}
    for name in ("answers for anybody", "the catalogue", "new items"):
        assert few[name]["value"] == TOO_FEW
        assert few[name]["well"]
    many = {one["name"]: one for one in look(figures(None, shown=300, viewers=40))}
    assert many["answers for anybody"]["value"] == "100.0 %"
    assert not many["new items"]["well"]
    assert many["the catalogue"]["value"] == "3.0 % shown"


@story
async def test_others_are_answered_while_a_server_looks_at_itself(tmp_path):
    store = open_sqlite(tmp_path / "store.db")
    for day in range(20):
        start = NOW - day * 86_400_000
        await store.add([one for n in range(1000) for one in watched(f"v{n}", f"i{n % 40}", start=start)])
    service, turns = await serve(store=store, histories=False), []

    async def beat():
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - began)

    beating = asyncio.create_task(beat())
    found = await service.watch.figures()
    beating.cancel()
    await store.close()
    assert found.events == 20_000
    # What this thread does between two chances of somebody else, in seconds of its own.
    assert len(turns) > 80
    # A collection of the garbage of all tests before may fall into one or two of them.
    assert sorted(turns)[-3] < 0.01
