"""Kinds, values and regions reach a network that reads them, through the store and by what is asked."""

import asyncio
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.serve.asked_world import ITEMS, NOW, ids, serve, the_log

pytest.importorskip("torch", reason="the network extra is not installed")

from matinee.answers.model import load
from matinee.answers.rules import Rules
from matinee.core.types import histories_of, newcomers
from matinee.data.kinds_mean import KindsMean
from matinee.recommenders import make_recommender
from matinee.serve.asking import Ask
from matinee.serve.records import Event, ViewerRecord

KINDS = ("view", "rating")
SETTINGS = {
    "width": 8,
    "layers": 1,
    "passes": 3,
    "longest": 20,
    "kinds": True,
    "values": True,
    "regions": True,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A bundle whose network reads everything; what it learnt is blown up, so that it tells."""
    log = the_log(kinds=KINDS)
    random = np.random.default_rng(0)
    kinds = random.integers(0, 2, len(log)).astype(np.int8)
    values = np.where(kinds == 1, random.integers(1, 6, len(log)), np.nan).astype(np.float32)
    viewers = pa.table({"id": log.viewers.arrow, "region": ["north"] * 20 + ["south"] * 20})
    log = replace(
        log,
        histories=replace(log.histories, kinds=kinds, values=values),
        viewer_table=viewers,
        meaning=KindsMean(kinds=KINDS),
    )
    model = make_recommender("sequential", SETTINGS).fit(log)
    assert model.reads == {"kind", "value", "region"}
    tensors = model.parts["sequential"].tensors
    for name in (one for one in tensors if one.startswith(("context", "regions"))):
        tensors[name][:] = random.normal(0.0, 1.0, tensors[name].shape)
    folder = tmp_path_factory.mktemp("context") / "bundle"
    model.save(folder)
    return folder


def scores_of(answer):
    return {one.item: one.score for one in answer.items}


def assert_scores(answer, scores, model):
    found = scores_of(answer)
    assert found
    for item, score in found.items():
        assert score == pytest.approx(scores[model.log.items.code(item)], rel=1e-4, abs=1e-5), item


def test_a_viewer_of_the_fit_is_answered_as_the_bundle_answers(place):
    async def work():
        service, model = await serve(place), load(place)
        for user in ("v5", "v17", "v39"):
            found = await service.answers.recommend(Ask(user=user, k=12, reasons=True))
            top = model.recommend([user], k=12, rules=Rules(now=NOW))
            assert ids(found) == top.items[0].tolist()
            np.testing.assert_allclose(list(scores_of(found).values()), top.scores[0], rtol=1e-4, atol=1e-5)
            assert all(one.reasons for one in found.items)

    asyncio.run(work())


def test_what_newcomers_did_is_read_with_its_kind_and_value(place):
    async def work():
        service, model = await serve(place), load(place)
        told = [("i3", "rating", 5.0), ("i9", "view", None), ("i4", "share", 2.0)]
        events = [
            Event(user="new", item=item, kind=kind, value=value, time_ms=NOW - 1000 + n)
            for n, (item, kind, value) in enumerate(told)
        ]
        await service.store.add(events)
        history = replace(
            histories_of([[3, 9, 4]]),
            kinds=np.array([1, 0, -1], np.int8),
            values=np.array([5.0, np.nan, 2.0], np.float32),
        )
        found = await service.answers.recommend(Ask(user="new", k=10))
        assert_scores(found, model.scores(newcomers(history))[0], model)
        there = await service.answers.recommend(Ask(user="new", k=10, region="south"))
        assert_scores(there, model.scores(newcomers(history).at("south"))[0], model)
        assert scores_of(there) != scores_of(found)

    asyncio.run(work())


def test_a_newcomer_of_whom_the_region_alone_is_known(place):
    async def work():
        service, model = await serve(place), load(place)
        nobody = newcomers(histories_of([[]]))
        await service.store.put_viewers([ViewerRecord(id="southern", region="south", attributes={})])
        asks = (
            (Ask(user="stranger", k=ITEMS, region="north"), "north"),
            (Ask(user="southern", k=ITEMS, reasons=True), "south"),
            (Ask(history=[], k=ITEMS, region="south"), "south"),
        )
        for ask, region in asks:
            found = await service.answers.recommend(ask)
            assert found.source == "sequential"
            assert_scores(found, model.scores(nobody.at(region))[0], model)
        for ask in (Ask(user="stranger"), Ask(user="stranger", region="nowhere")):
            assert (await service.answers.recommend(ask)).source == "fallback:popular"

    asyncio.run(work())
