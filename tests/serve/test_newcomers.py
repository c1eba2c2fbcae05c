"""What newcomers are shown is what is popular now, where enough people say so."""

import asyncio

import numpy as np
import pytest
from tests.serve.asked_world import NOW, bundle, ids, serve, watched

from matinee.recommenders.transitions import Transitions
from matinee.serve.asking import Ask
from matinee.serve.crowd import DAY_MS, Crowd
from matinee.serve.refusals import StoreError
from matinee.serve.service import Limits
from matinee.serve.start import start_service
from matinee.testing.made_logs import random_log
from matinee.testing.small_store import SmallStore

FRESH = [f"i{code}" for code in range(12, 24)]


async def choose(store, items, viewers, start=NOW - DAY_MS):
    for n in range(viewers):
        await store.add(watched(f"crowd-{n}", *items, start=start))


async def fallback(service, **more):
    """The second answer: the first one sees to the count, and does not wait for it."""
    ask = Ask(user="nobody", k=40, **more)
    first = await service.answers.recommend(ask)
    await service.answers.crowd.settled()
    second = await service.answers.recommend(ask)
    assert {first.source, second.source} == {"fallback:popular"}
    return first, second


def test_what_is_popular_now_goes_before_what_always_was():
    async def story():
        service = await serve()
        await choose(service.store, FRESH[:11], 5)
        await choose(service.store, FRESH[3:5], 9)
        first, second = await fallback(service)
        assert set(ids(second)[:2]) == set(FRESH[3:5])
        assert set(ids(second)[:11]) == set(FRESH[:11])
        # Of two that equally many chose, the one first that more ever did.
        even = set(FRESH[:11]) - set(FRESH[3:5])
        assert ids(second)[2:11] == [item for item in ids(first) if item in even]
        # All others follow as they did before.
        rest = [item for item in ids(first) if item not in FRESH[:11]]
        assert ids(second)[11:] == rest
        struck = await service.answers.recommend(Ask(user="nobody", exclude=FRESH[3:5], k=40))
        assert ids(struck)[0] not in FRESH[3:5]
        # Whoever has a history is answered by it.
        assert (await service.answers.recommend(Ask(user="v5"))).source == "transitions"

    asyncio.run(story())


def test_a_handful_of_people_does_not_say_what_newcomers_see():
    async def story():
        for items, viewers, start in (
            (FRESH, 4, NOW - DAY_MS),
            (FRESH[:9], 50, NOW - DAY_MS),
            (FRESH, 50, NOW - 15 * DAY_MS),
        ):
            service = await serve()
            await choose(service.store, items, viewers, start)
            first, second = await fallback(service)
            assert ids(first) == ids(second)

    asyncio.run(story())


def test_who_turned_it_down_does_not_count_for_it():
    async def story():
        service = await serve()
        await choose(service.store, FRESH, 8)
        for n in range(4):
            await service.store.add(watched(f"crowd-{n}", FRESH[0], kind="dislike"))
        _, second = await fallback(service)
        assert set(ids(second)[:11]) == set(FRESH[1:])

    asyncio.run(story())


def test_what_is_popular_in_one_bundle_is_not_told_of_another_of_its_name(tmp_path):
    Transitions().fit(random_log(5, n_items=10)).save(tmp_path / "transitions")

    async def story():
        service = await serve()
        await choose(service.store, FRESH, 6)
        crowd, old = Crowd(service.store), service.bundles.ready()[0]
        crowd.lift(old, np.zeros(40, np.float32), NOW)
        await crowd.settled()
        new = (await serve(tmp_path / "transitions")).bundles.ready()[0]
        assert new.name == old.name
        scores = np.zeros(10, np.float32)
        crowd.lift(new, scores, NOW)
        assert not scores.any()
        await crowd.settled()

    asyncio.run(story())


class Slow(SmallStore):
    """Whoever asks for what is popular would be told the count before, rather than wait."""

    async def popular(self, since_ms, most, kinds=()):
        await asyncio.sleep(0.06)
        return await super().popular(since_ms, most, kinds)


@pytest.mark.parametrize("made", [SmallStore, Slow])
def test_it_is_a_minute_old_at_most_and_nobody_waits_for_it(made):
    async def story():
        now = [NOW]
        store = made(NOW)
        service = await start_service([bundle()], store, Limits(), now_ms=lambda: now[0])
        await choose(store, FRESH[:10], 6)
        _, before = await fallback(service)
        await choose(store, FRESH[11:12], 30)
        now[0] += 59_000
        _, same = await fallback(service)
        assert ids(same) == ids(before)
        now[0] += 1_000
        first, second = await fallback(service)
        assert ids(first) == ids(before)
        assert ids(second)[0] == FRESH[11]

    asyncio.run(story())


def test_a_store_that_cannot_say_keeps_nobody_from_an_answer():
    class Silent(SmallStore):
        async def popular(self, since_ms, most, kinds=()):
            raise StoreError("gone.")

    async def story():
        service = await serve(store=Silent(NOW))
        first, second = await fallback(service)
        assert ids(first) == ids(second)

    asyncio.run(story())
