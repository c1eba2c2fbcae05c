"""What is popular is counted about once a minute, and nobody waits for a long count twice."""

import asyncio

import pytest

from matinee.core.errors import MatineeError
from matinee.data.kinds_mean import KindsMean
from matinee.serve.crowd import Crowd
from matinee.serve.records import Event
from matinee.serve.refusals import StoreError
from matinee.testing.small_store import SmallStore


class Slow(SmallStore):
    """A store that counts slowly, when it is let."""

    def __init__(self):
        super().__init__()
        self.asked, self.let, self.broken = 0, asyncio.Event(), False

    async def popular(self, since_ms, most, kinds=()):
        self.asked += 1
        await self.let.wait()
        await asyncio.sleep(0.06)
        if self.broken:
            raise StoreError("store.db: the disk failed.")
        return await super().popular(since_ms, most, kinds)

    async def watch(self, *users):
        await self.add([Event(user=user, item="i", kind="view", time_ms=1) for user in users])


def run(story):
    asyncio.run(story())


def test_many_who_ask_at_once_wait_for_one_count():
    async def story():
        store = Slow()
        await store.watch("a", "b")
        crowd = Crowd(store)
        asking = [asyncio.create_task(crowd.counts(5, KindsMean())) for _ in range(20)]
        await asyncio.sleep(0)
        asking[0].cancel()
        store.let.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [[("i", 2)]] * 19
        # Those who chose, and those who turned down.
        assert store.asked == 2

    run(story)


def test_a_long_count_is_told_while_it_is_counted_again_unless_it_is_old():
    async def story():
        store = Slow()
        store.let.set()
        crowd, minute = Crowd(store), 60_000
        await store.watch("a")
        assert await crowd.counts(0, KindsMean()) == [("i", 1)]
        await store.watch("b")
        store.let.clear()
        # Nobody lets it count: an answer that waited would not come.
        assert await asyncio.wait_for(crowd.counts(minute, KindsMean()), 30) == [("i", 1)]
        store.let.set()
        while await crowd.counts(minute, KindsMean()) != [("i", 2)]:
            await asyncio.sleep(0.01)
        assert store.asked == 4
        await store.watch("c")
        assert await crowd.counts(12 * minute, KindsMean()) == [("i", 3)]

    run(story)


def test_a_count_that_fails_is_tried_again():
    async def story():
        store = Slow()
        store.let.set()
        store.broken = True
        crowd = Crowd(store)
        await store.watch("a")
        with pytest.raises(MatineeError, match="the disk failed"):
            await crowd.counts(0, KindsMean())
        store.broken = False
        assert await crowd.counts(0, KindsMean()) == [("i", 1)]

    run(story)
