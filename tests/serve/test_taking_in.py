"""While histories go into the store, answers are as if all of them were there."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
from tests.serve.asked_world import NOW, bundle, the_log

from matinee.answers.model import load
from matinee.core.errors import InputError
from matinee.data.kinds_mean import KindsMean
from matinee.recommenders.popularity import Popularity
from matinee.serve import take_in as taking
from matinee.serve import taking_in
from matinee.serve.aliases import ALIASES_NOTE
from matinee.serve.bundle_histories import BundleHistories
from matinee.serve.ready_bundle import ready_of
from matinee.serve.records import Event, Seen, ViewerRecord
from matinee.serve.refusals import StoreFull
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.take_in import refuse_unfinished, take_in, unfinished
from matinee.serve.taking_in import TakingIn
from matinee.testing.made_logs import log_of, ragged
from matinee.testing.small_store import SmallStore


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """Every log is a large one, taken in in small pieces."""
    monkeypatch.setattr(taking_in, "_SMALL", 0)
    monkeypatch.setattr(taking, "AT_ONCE", 60)


def run(story):
    asyncio.run(story())


async def begun(store, *, first=True, said=None):
    told = TakingIn(store, (said if said is not None else []).append)
    await told.begin([ready_of(load(bundle()), "first", created_ms=NOW)], first=first)
    return told


async def histories(store):
    """What everybody's history is, v3 to v9."""
    return {f"v{n}": await store.history(f"v{n}", 1000) for n in range(3, 10)}


def test_histories_and_profiles_are_right_before_during_and_after(tmp_path):
    async def story():
        whole, store = SmallStore(), open_sqlite(tmp_path / "store.db")
        await take_in(load(bundle()), whole, created_ms=NOW)
        expected = await histories(whole)
        one, other = await begun(store), await begun(store, first=False)
        looks = 0

        class Pieces(type(store)):
            async def take_histories(self, told):
                nonlocal looks
                looks += 1
                for view in (one, other):
                    assert await histories(view) == expected
                    assert await view.history("v5", 3) == expected["v5"][-3:]
                    assert await view.history("v5", 0) == []
                    assert await view.viewer("v3") == ViewerRecord(id="v3", region="north")
                    assert await view.viewer("v30") is None
                    assert (await view.status()) == "ready, taking in the histories of first"
                return await super().take_histories(told)

        store.__class__ = Pieces
        await one.go_on()
        await one.ended()
        assert looks > 3
        assert [await view.status() for view in (one, other)] == ["ready"] * 2
        assert await histories(store) == await histories(one) == await histories(other) == expected
        assert await unfinished(store) == {}
        assert len(await store.events(most=10_000)) == len(the_log())
        await store.close()

    run(story)


def test_who_is_taken_in_between_two_questions_is_told_of_once():
    class Between(SmallStore):
        """Another process takes everybody in just before a history is read."""

        let = False

        async def history(self, user, most):
            if self.let:
                self.let = False
                await take_in(load(bundle()), self, created_ms=NOW)
            return await super().history(user, most)

    async def story():
        store = Between(NOW)
        view = await begun(store, first=False)
        expected = await view.history("v5", 1000)
        store.let = True
        assert await view.history("v5", 1000) == expected == await store.history("v5", 1000)
        assert not store.let

    run(story)


def test_what_happens_meanwhile_counts_with_what_was():
    async def story():
        store = SmallStore(NOW)
        view = await begun(store)
        before = await view.history("v5", 1000)
        now = Seen("i1", "watch", None, NOW)
        await view.add([Event(user="v5", item="i1", kind="watch", time_ms=NOW)])
        assert await view.history("v5", 1000) == [*before, now]
        gone = before[0].item
        times = sum(one.item == gone for one in before)
        assert await view.withdraw("v5", gone) == times
        left = [one for one in [*before, now] if one.item != gone]
        assert await view.history("v5", 1000) == left
        assert len(await view.events(user="v6")) == len(await view.history("v6", 1000))
        seven = await view.history("v7", 1000)
        await view.merge("v7", "new")
        assert await view.history("new", 1000) == await view.history("v7", 1000) == seven
        assert (await view.forget("v8")).events == len(the_log().histories.items[slice(*_of(8))])
        await view.add([Event(user="v9", item="i1", kind="watch", time_ms=NOW)])
        await view.forget("v9")
        await view.add([Event(user="v9", item="i2", kind="watch", time_ms=NOW + 1)])
        after = [Seen("i2", "watch", None, NOW + 1)]
        for _ in range(2):
            assert await view.history("v5", 1000) == left
            assert await view.history("v8", 1000) == []
            assert await view.viewer("v8") is None
            assert await view.history("v9", 1000) == after
            await view.go_on()
        assert await store.history("new", 1000) == seven

    run(story)


def _of(viewer):
    offsets = the_log().histories.offsets
    return int(offsets[viewer]), int(offsets[viewer + 1])


def test_whoever_was_merged_before_is_taken_in_before_anybody_is_let_in():
    async def story():
        store = SmallStore(NOW)
        await store.merge("v5", "ann")
        view = await begun(store)
        start, end = _of(5)
        assert len(await view.history("ann", 1000)) == end - start
        await view.go_on()
        assert len(await view.history("ann", 1000)) == end - start

    run(story)


def test_whoever_was_deleted_after_the_bundle_learnt_is_told_nothing_of_what_it_knows(tmp_path):
    async def story():
        store = open_sqlite(tmp_path / "store.db")
        for user in ("v3", "v4"):
            await store.forget(user)
        own = [Seen("i1", "watch", None, NOW)]
        await store.add([Event(user="v4", item="i1", kind="watch", time_ms=NOW)])
        # Dated after every deletion, and learnt before all of them.
        log = the_log()
        late = replace(log.histories, times=log.histories.times + 10**13)
        model = replace(load(bundle()), log=replace(log, histories=late))
        view = TakingIn(store, lambda words: None)
        await view.begin([ready_of(model, "first", created_ms=1)], first=True)
        assert len(await view.history("v5", 1000))
        for user in ("v5", "v6"):
            await store.forget(user)
        await store.add([Event(user="v6", item="i1", kind="watch", time_ms=NOW)])
        for _ in range(2):
            assert [await view.history(f"v{n}", 1000) for n in range(3, 7)] == [[], own, [], own]
            assert [await view.viewer(f"v{n}") for n in range(3, 7)] == [None] * 4
            assert await view.history("v7", 1000)
            await view.go_on()
        await store.close()

    run(story)


def test_a_bundle_that_learnt_of_a_new_beginning_tells_it_at_once(tmp_path):
    async def story():
        store = open_sqlite(tmp_path / "store.db")
        receipt = await store.forget("v4")
        await store.add([Event(user="v4", item="i1", kind="watch", time_ms=receipt.time_ms)])
        log = the_log()
        late = replace(log.histories, times=log.histories.times + 10**13)
        model = replace(load(bundle()), log=replace(log, histories=late))
        view = TakingIn(store, lambda words: None)
        await view.begin([ready_of(model, "first", created_ms=receipt.time_ms + 1)], first=True)
        start, end = _of(4)
        for _ in range(2):
            assert len(await view.history("v4", 1000)) == 1 + end - start
            await view.go_on()
        await store.close()

    run(story)


def test_a_run_that_was_broken_off_is_finished_once(tmp_path):
    class BrokenOff(Exception):
        pass

    async def story():
        store = open_sqlite(tmp_path / "store.db")
        view, pieces = await begun(store), []
        kept = store.take_histories

        async def some(told):
            pieces.append(told)
            if len(pieces) == 3:
                raise BrokenOff
            return await kept(told)

        store.take_histories = some
        with pytest.raises(BrokenOff):
            await view.go_on()
        del store.take_histories
        assert await unfinished(store) == {the_log().fingerprint: "first"}
        assert 0 < len(await store.events(most=10_000)) < len(the_log())
        said = []
        await (await begun(store, said=said)).go_on()
        assert len(await store.events(most=10_000)) == len(the_log())
        assert await unfinished(store) == {}
        assert len(said) == 1
        await (await begun(store)).go_on()
        assert len(await store.events(most=10_000)) == len(the_log())
        await store.close()

    run(story)


def test_a_full_disk_is_waited_for(monkeypatch):
    class Full(SmallStore):
        full = 2

        async def take_histories(self, told):
            self.full -= 1
            if self.full >= 0:
                raise StoreFull("the disk is full.")
            return await super().take_histories(told)

    async def story():
        store = Full()
        view = await begun(store)
        expected = await view.history("v5", 1000)
        await view.go_on()
        assert store.full < 0
        assert await store.history("v5", 1000) == expected

    monkeypatch.setattr(taking_in, "_AGAIN_S", 0.001)
    run(story)


def test_what_is_little_is_taken_in_before_anybody_is_let_in(monkeypatch):
    async def story():
        store = SmallStore()
        assert await (await begun(store, first=False)).status() != "ready"
        assert await store.events() == []
        assert await (await begun(store)).status() == "ready"
        assert len(await store.events(most=10_000)) == len(the_log())

    monkeypatch.setattr(taking_in, "_SMALL", 20_000)
    run(story)


def test_nobody_learns_from_a_store_that_is_not_whole():
    async def story():
        store = SmallStore()
        await refuse_unfinished(store)
        await store.put_notes({"taking_in": json.dumps({"f": "first"})})
        # A bundle that no server answers from is nobody's to wait for.
        await refuse_unfinished(store)
        await store.put_notes({ALIASES_NOTE: json.dumps({"default": ["first"]})})
        with pytest.raises(InputError, match="bundle 'first' are not all in this store yet"):
            await refuse_unfinished(store)
        await store.put_notes({"taken_in": json.dumps(["f"])})
        await refuse_unfinished(store)

    run(story)


def test_a_bundle_tells_each_viewer_once_and_whole():
    model = load(bundle())
    told = BundleHistories(model, NOW)
    seen = np.concatenate(list(told.pieces(60)))
    assert sorted(seen.tolist()) == sorted(told.codes.tolist()) == list(range(40))
    ids = told.users(told.codes)
    assert ids == sorted(ids)
    sizes = [told.size(codes) for codes in told.pieces(60)]
    assert sum(sizes) == told.events == len(model.log)
    # A viewer who alone is more than a piece is one.
    assert [len(codes) for codes in told.pieces(1)] == [1] * 40
    assert told.code("nobody") == -1


def test_a_bundle_tells_noes_made_up_times_and_leaves_out_what_is_too_long():
    meaning = KindsMean(kinds=("view", "skip"), negative=("skip",))
    log = log_of(
        [[0, 1], [], [2], [3]],
        n_items=5,
        negatives=ragged([[3], [4], [], []]),
        kinds=("view", "skip"),
        meaning=meaning,
        fingerprint="n" * 64,
    )
    long = "x" * 257
    log = replace(log, items=type(log.items)(["i0", "i1", long, "i3", "i4"]))
    log = replace(log, viewers=type(log.viewers)(["v0", "v1", "v2", long]))
    told = BundleHistories(replace(Popularity().fit(log), deleted=frozenset({"v9"})), NOW)
    assert told.left_out == 1
    assert told.users(told.codes) == ["v0", "v1", "v2"]
    assert told.seen(0) == [
        Seen("i0", "view", None, NOW - 2),
        Seen("i1", "view", None, NOW - 1),
        Seen("i3", "skip", None, NOW),
    ]
    assert told.seen(1) == [Seen("i4", "skip", None, NOW)]
    assert told.seen(2) == []
    assert told.code(long) == -1
    gone = BundleHistories(replace(Popularity().fit(log), deleted=frozenset({"v0"})), NOW)
    assert gone.code("v0") == -1
    assert gone.users(gone.codes) == ["v1", "v2"]
