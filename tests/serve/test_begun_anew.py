"""Who was deleted and begins anew is a newcomer to every bundle that was written before."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.serve.asked_world import NOW, ids, serve, the_log, watched

from matinee.recommenders.friends import Friends
from matinee.recommenders.ials import Ials
from matinee.recommenders.transitions import Transitions
from matinee.recommenders.user_knn import UserKnn
from matinee.serve.asking import Ask
from matinee.serve.deleted_viewers import deleted_since
from matinee.serve.near_viewers import near_viewers
from matinee.serve.records import ViewerRecord
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.take_in import take_in
from matinee.testing.made_logs import ragged
from matinee.testing.small_store import SmallStore

MAKERS = {"friends": Friends, "user_knn": UserKnn, "ials": Ials, "noes": Transitions}
NEW = [f"i{code}" for code in range(3, 39, 4)]


def a_log(name):
    """The shared log; of v0 it knows friends, a region and, where they are wanted, twenty noes."""
    if name != "noes":
        return the_log()
    return the_log(negatives=ragged([list(range(20, 40))] + [[] for _ in range(39)]))


def written(folder, name):
    MAKERS[name]().fit(a_log(name)).save(folder)
    return folder


def past_the_second(moment_ms):
    """A bundle says the second in which it was written."""
    while time.time_ns() // 1_000_000 // 1000 <= moment_ms // 1000:
        time.sleep(0.02)


async def likeness(service, user, other):
    """Both answers, which have to be the same or not."""
    found = [await service.answers.recommend(Ask(user=one, k=30)) for one in (user, other)]
    return [[(one.item, one.score) for one in answer.items] for answer in found]


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_an_older_bundle_knows_nothing_of_them_however_much_is_new(tmp_path, name):
    async def story():
        old = written(tmp_path / "old", name)
        store = open_sqlite(tmp_path / "store.db")
        try:
            service = await serve(old, store=store)
            was = await service.answers.recommend(Ask(user="v0"))
            assert was.source != "fallback:popular"
            await store.forget("v0")
            assert (await service.answers.recommend(Ask(user="v0"))).source == "fallback:popular"
            for n in range(1, len(NEW), 2):
                for user in ("v0", "stranger"):
                    await store.add(watched(user, *NEW[n - 1 : n + 1], start=NOW - 500_000 + 10_000 * n))
                theirs, anybodys = await likeness(service, "v0", "stranger")
                assert theirs == anybodys
            again = await serve(old, store=store)
            theirs, anybodys = await likeness(again, "v0", "stranger")
            assert theirs == anybodys
            log = again.bundles.ready()[0].model.log
            if name in ("friends", "user_knn"):
                assert log.histories.lengths[log.viewers.code("v0")] == 0
        finally:
            await store.close()

    asyncio.run(story())


@pytest.mark.parametrize("name", ["friends", "noes"])
def test_a_bundle_that_was_written_after_may_know_them_again(tmp_path, name):
    async def story():
        store = open_sqlite(tmp_path / "store.db")
        try:
            receipt = await store.forget("v0")
            for user in ("v0", "stranger"):
                await store.add(watched(user, *NEW[:4]))
            past_the_second(receipt.time_ms)
            service = await serve(written(tmp_path / "new", name), store=store)
            theirs, anybodys = await likeness(service, "v0", "stranger")
            assert theirs != anybodys
        finally:
            await store.close()

    asyncio.run(story())


def test_what_counts_is_when_the_events_were_read(tmp_path):
    """A fit goes on while people ask to be deleted: what it had read before must not be used either."""

    async def story():
        store = open_sqlite(tmp_path / "store.db")
        try:
            read_ms = time.time_ns() // 1_000_000
            receipt = await store.forget("v0")
            for user in ("v0", "stranger"):
                await store.add(watched(user, *NEW[:4]))
            past_the_second(receipt.time_ms)
            model = Friends().fit(the_log())
            replace(model, facts={**model.facts, "read_ms": read_ms}).save(tmp_path / "late")
            service = await serve(tmp_path / "late", store=store)
            theirs, anybodys = await likeness(service, "v0", "stranger")
            assert theirs == anybodys
        finally:
            await store.close()

    asyncio.run(story())


def test_what_was_learnt_in_the_moment_of_the_deletion_is_used_no_more():
    async def story():
        store = SmallStore(NOW)
        await store.forget("v0")
        await store.add(watched("v0", "i1"))
        assert await deleted_since(store, ["v0", "v1"], NOW) == {"v0"}
        assert await deleted_since(store, ["v0", "v1"], NOW + 1) == frozenset()

    asyncio.run(story())


def test_who_is_merged_into_them_does_not_bring_them_back(tmp_path):
    async def story():
        store = open_sqlite(tmp_path / "store.db")
        try:
            service = await serve(written(tmp_path / "old", "friends"), store=store)
            await store.forget("v0")
            for user in ("v0", "stranger"):
                await store.add(watched(user, *NEW[:4]))
            await store.merge("cookie", "v0")
            theirs, anybodys = await likeness(service, "cookie", "stranger")
            assert theirs == anybodys
            # Nor does an id that was deleted come back under the name of somebody who never was.
            await store.forget("v7")
            await store.add(watched("v7", *NEW[:4]))
            await store.merge("v7", "somebody")
            theirs, anybodys = await likeness(service, "v7", "stranger")
            assert theirs == anybodys
        finally:
            await store.close()

    asyncio.run(story())


def test_no_older_bundle_is_taken_in_of_them(tmp_path):
    async def story():
        store = open_sqlite(tmp_path / "store.db")
        log = replace(the_log(), fingerprint="e" * 64)
        # Clocks of senders run ahead: what is dated after the deletion may have been done before it.
        late = log.histories.times + (NOW - int(log.histories.times.min()))
        log = replace(log, histories=replace(log.histories, times=late))
        try:
            model = Transitions().fit(log)
            receipt = await store.forget("v0")
            await store.add(watched("v0", *NEW[:2]))
            assert (await take_in(model, store, created_ms=receipt.time_ms)).events
            assert [one.item for one in await store.history("v0", 99)] == NEW[:2]
            assert await store.viewer("v0") is None
            assert await store.viewer("v1") == ViewerRecord(id="v1", region="north")
        finally:
            await store.close()

    asyncio.run(story())


def test_their_old_taste_makes_nobody_their_neighbour(tmp_path):
    async def story():
        store = open_sqlite(tmp_path / "store.db")
        try:
            service = await serve(written(tmp_path / "old", "ials"), store=store)
            ready = service.bundles.ready()[0]
            log = ready.model.log
            own = await store.history("v1", 100)
            codes = log.items.codes([one.item for one in own])
            twin = next(
                f"v{viewer}"
                for viewer in range(2, log.n_viewers)
                if np.isin(
                    log.histories.items[slice(*log.histories.offsets[viewer : viewer + 2])], codes
                ).any()
            )
            assert twin in dict(await near_viewers(store, ready, "v1", 100, NOW))
            await store.forget(twin)
            await store.add(watched(twin, "ghost"))
            assert twin not in dict(await near_viewers(store, ready, "v1", 100, NOW))
            assert ids(await service.answers.recommend(Ask(user="v1")))
        finally:
            await store.close()

    asyncio.run(story())
