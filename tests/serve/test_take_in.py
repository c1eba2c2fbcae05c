import asyncio
from dataclasses import replace

import numpy as np
import pyarrow as pa
from tests.serve.asked_world import NOW, bundle, serve, the_log

from matinee.answers.model import load
from matinee.data.kinds_mean import KindsMean
from matinee.recommenders.popularity import Popularity
from matinee.serve.records import ViewerRecord
from matinee.serve.take_in import take_in, unfinished
from matinee.testing.made_logs import log_of, ragged
from matinee.testing.small_store import SmallStore


def run(work):
    return asyncio.run(work)


def test_every_history_is_in_the_store_as_the_log_has_it():
    async def story():
        store, model = SmallStore(), load(bundle())
        taken = await take_in(model, store, created_ms=NOW)
        log = model.log
        assert taken.events == len(log.histories.items)
        for viewer in range(log.n_viewers):
            start, end = log.histories.offsets[viewer : viewer + 2]
            found = await store.history(log.viewers.id(viewer), 1000)
            assert [one.item for one in found] == log.items.ids(log.histories.items[start:end])
            assert [one.time_ms for one in found] == log.histories.times[start:end].tolist()
        assert await store.viewer("v3") == ViewerRecord(id="v3", region="north")
        assert await store.viewer("v30") is None

    run(story())


def test_once_is_enough_even_when_it_was_broken_off():
    async def story():
        store, model = SmallStore(), load(bundle())
        await take_in(model, store, created_ms=NOW)
        n = len(await store.events(most=10_000))
        assert (await take_in(model, store, created_ms=NOW)).already
        await store.put_notes({"taken_in": "[]"})
        assert (await take_in(model, store, created_ms=NOW)).events == 0
        assert len(await store.events(most=10_000)) == n

    run(story())


def test_what_is_begun_is_told_until_it_is_finished():
    class Watched(SmallStore):
        async def take_histories(self, histories):
            told.append(await unfinished(self))
            return await super().take_histories(histories)

    async def story():
        store, model = Watched(), load(bundle())
        assert await unfinished(store) == {}
        await take_in(model, store, created_ms=NOW, name="first")
        assert told
        assert all(one == {model.log.fingerprint: "first"} for one in told)
        assert await unfinished(store) == {}

    told = []
    run(story())


def test_the_deleted_stay_deleted():
    async def story():
        store = SmallStore()
        model = replace(load(bundle()), deleted=frozenset({"v4"}))
        await store.forget("v3")
        await take_in(model, store, created_ms=NOW)
        for user in ("v3", "v4"):
            assert await store.history(user, 10) == []
            assert await store.viewer(user) is None
        assert await store.history("v5", 10)

    run(story())


def test_a_profile_of_the_store_is_kept():
    async def story():
        store = SmallStore()
        await store.put_viewers([ViewerRecord(id="v3", region="south")])
        await take_in(load(bundle()), store, created_ms=NOW)
        profile = await store.viewer("v3")
        assert profile is not None
        assert profile.region == "south"

    run(story())


def test_kinds_values_noes_and_logs_without_times():
    async def story():
        store = SmallStore()
        log = log_of(
            [[0, 1], [2]],
            n_items=4,
            negatives=ragged([[3], []]),
            kinds=("view", "buy", "skip"),
            meaning=KindsMean(kinds=("view", "buy", "skip"), negative=("skip",)),
            fingerprint="n" * 64,
        )
        histories = replace(
            log.histories,
            kinds=np.array([0, 1, 1], np.int8),
            values=np.array([np.nan, 2.5, np.nan], np.float32),
        )
        model = Popularity().fit(replace(log, histories=histories))
        await take_in(model, store, created_ms=NOW)
        found = await store.history("v0", 10)
        assert [(one.item, one.kind, one.value) for one in found] == [
            ("i0", "view", None), ("i1", "buy", 2.5), ("i3", "skip", None),
        ]  # fmt: skip
        assert all(one.time_ms <= NOW for one in found)

    run(story())


def test_ids_that_no_store_takes_are_left_out():
    async def story():
        store = SmallStore()
        log = log_of([[0, 1]], times=[[1, 2]], fingerprint="l" * 64)
        long = "x" * 300
        log = replace(log, items=type(log.items)([long, "i1"]), item_table=pa.table({"id": [long, "i1"]}))
        taken = await take_in(Popularity().fit(log), store, created_ms=NOW)
        assert (taken.events, taken.left_out) == (1, 1)

    run(story())


def test_a_service_takes_in_what_is_in_use_and_may_be_told_not_to():
    async def story():
        assert await (await serve()).store.history("v5", 10)
        assert not await (await serve(histories=False)).store.history("v5", 10)
        assert the_log().n_viewers == 40

    run(story())
