"""A large catalogue is answered from candidates as it would be answered by a look at all items."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from tests.serve.large_world import ITEMS, bundle

from matinee.serve.asking import Ask
from matinee.serve.metrics import Metrics
from matinee.serve.page.health import Counted, counted_facts, read_figures
from matinee.serve.ready_bundle import read_ready
from matinee.serve.recheck import RecheckFigures, Rechecks, recall_of
from matinee.serve.records import ItemRecord, Seen
from matinee.serve.service import Limits
from matinee.serve.start import start_service
from matinee.testing.small_store import SmallStore

NOW = 1_800_000_000_000
ASKS = {
    "plain": Ask(),
    "paged": Ask(k=7, offset=20),
    "again": Ask(repeats=True),
    "excluded": Ask(exclude=tuple(f"i{code}" for code in range(0, ITEMS, 3))),
    "only": Ask(only=("i5", "i7", "i11", "i13", "nobody")),
    "categories": Ask(categories=("Crime",)),
    "pinned": Ask(pinned=("i2999", "new", "i0")),
    "most": Ask(k=12, most={"genres": 6}),
    "very many": Ask(k=500),
    "fresh": Ask(freshness=0.5),
}


def histories(n=40):
    random = np.random.default_rng(3)
    for _ in range(n):
        codes = random.integers(0, ITEMS, random.integers(1, 30))
        yield [Seen(f"i{code}", "watch", None, NOW - 1000 * (len(codes) - n)) for n, code in enumerate(codes)]


async def both(store):
    large, small = [
        await start_service([bundle(name)], store, Limits(), now_ms=lambda: NOW)
        for name in ("large", "small")
    ]
    return large.answers, small.answers


@pytest.mark.parametrize("name", sorted(ASKS))
def test_answers_are_those_of_a_full_look(name):
    async def work():
        store = SmallStore(NOW)
        await store.put_items([ItemRecord(id="new", title="New"), ItemRecord(id="i0", hidden=True)])
        large, small = await both(store)
        same = shared = items = 0
        for history in histories():
            ask = replace(ASKS[name], history=history)
            mine, theirs = await large.recommend(ask), await small.recommend(ask)
            assert mine.source == theirs.source == "blend"
            assert len(mine.items) == len(theirs.items)
            ids, told = ([one.item for one in answer.items] for answer in (mine, theirs))
            same += ids == told
            shared, items = shared + len({*ids} & {*told}), items + len(ids)
        assert shared >= 0.95 * items
        # At most so many of a kind: the last of a page come from far down, where an index sees less.
        assert same >= (25 if name == "most" else 39)

    asyncio.run(work())


def test_a_given_list_is_put_into_the_same_order():
    async def work():
        large, small = await both(SmallStore(NOW))
        items = ["nobody", *(f"i{code}" for code in range(0, ITEMS, 37)), "i37"]
        for history in histories(10):
            ask = Ask(history=history)
            mine, theirs = await large.rank(items, ask), await small.rank(items, ask)
            assert [one.item for one in mine.items] == [one.item for one in theirs.items]
            assert mine.source == theirs.source

    asyncio.run(work())


def test_what_is_struck_out_leaves_no_answer_short():
    async def work():
        store = SmallStore(NOW)
        gone = [ItemRecord(id=f"i{code}", hidden=True) for code in range(ITEMS) if code % 10]
        await store.put_items(gone)
        large, small = await both(store)
        for history in histories(10):
            ask = Ask(history=history, k=25)
            mine, theirs = await large.recommend(ask), await small.recommend(ask)
            assert [one.item for one in mine.items] == [one.item for one in theirs.items]
            assert len(mine.items) == 25
            assert all(int(one.item[1:]) % 10 == 0 for one in mine.items)

    asyncio.run(work())


def test_one_answer_in_so_many_is_checked_and_counted():
    async def work():
        large, _ = await both(SmallStore(NOW))
        large.rechecks = Rechecks(one_in=4)
        for history in histories(9):
            await large.recommend(Ask(history=history))
        for _ in range(2000):
            if large.rechecks.figures.answers == 3:
                break
            await asyncio.sleep(0.01)
        news = large.rechecks.news()
        assert news.answers == 3
        assert 2.85 <= news.of_100 <= 3.0
        assert 2.9 <= news.of_10 <= 3.0
        assert large.rechecks.news().answers == 0

    asyncio.run(work())


def test_newcomers_and_small_catalogues_are_not_checked():
    async def work():
        large, small = await both(SmallStore(NOW))
        assert (await large.recommend(Ask(user="nobody"))).source == "fallback:popular"
        await small.recommend(Ask(history=next(histories())))
        assert large.rechecks.figures.answers == small.rechecks.figures.answers == 0

    asyncio.run(work())


def test_recall_is_told_of_figures():
    assert recall_of({}) is None
    values = {
        "matinee_rechecked_answers_total": 4.0,
        "matinee_rechecked_recall_10_total": 3.9,
        "matinee_rechecked_recall_100_total": 3.8,
    }
    assert recall_of(values) == (4, pytest.approx(0.975), pytest.approx(0.95))
    shown = {fact.name: fact for fact in counted_facts(Counted(values=values))}
    assert shown["recall@100"].value == "95.0 %"
    assert shown["recall@100"].well
    values["matinee_rechecked_recall_100_total"] = 3.6
    assert not {fact.name: fact for fact in counted_facts(Counted(values=values))}["recall@100"].well


def test_rechecks_reach_the_figures_of_the_process(monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)

    async def work():
        large = await start_service([bundle("large")], SmallStore(NOW), Limits(), now_ms=lambda: NOW)
        metrics = Metrics()
        large.answers.rechecks.figures = RecheckFigures(answers=4, of_10=3.9, of_100=3.8)
        await metrics.look(large, 1)
        await metrics.look(large, 1)
        told = recall_of(read_figures(await metrics.text()).values)
        assert told == (4, pytest.approx(0.975), pytest.approx(0.95))

    asyncio.run(work())


def test_some_items_are_likened_as_all_are():
    ready = read_ready(bundle("large"), "large")
    codes = np.array([3, 50, 2_999, ITEMS + 1])
    whole = ready.model.scorer.similar(codes[:3].astype(np.int32))[:, codes[:3]]
    np.testing.assert_allclose(ready.likeness(codes)[:3, :3], whole, atol=1e-5)
    assert not ready.likeness(codes)[3].any()
