"""A bundle by region behind a server: profile, table or request says whose model answers."""

import asyncio
from dataclasses import replace

from tests.serve.asked_world import NOW, ids, serve, the_log, watched

from matinee.answers.model import load
from matinee.answers.regions import join_regions
from matinee.answers.rules import Rules
from matinee.data.homes import homes_of, only_of
from matinee.recommenders.popularity import Popularity
from matinee.recommenders.transitions import Transitions
from matinee.serve.asking import Ask
from matinee.serve.experiments import Experiment, write_experiments
from matinee.serve.records import ViewerRecord


def regional(folder, maker=Transitions):
    """A bundle in which the twenty viewers of the north have a model of their own, and the folder."""
    log = the_log()
    shared = maker().fit(log)
    homes = homes_of(log.viewer_table, "region")
    own = maker().fit(only_of(log, homes.codes == 0))
    theirs = {"north": (own.parts, own.context.popularity)}
    model = replace(shared, parts=join_regions(shared.name, shared.parts, theirs, "region"))
    model.save(folder)
    return load(folder), shared, replace(own, log=log)


def listed(model, user, region=None):
    return model.recommend([user], k=8, rules=Rules(now=NOW, region=region)).items[0].tolist()


def test_viewers_are_answered_by_their_region(tmp_path):
    async def work():
        model, shared, own = regional(tmp_path / "b")
        service = await serve(tmp_path / "b")
        for user, told in (("v3", own), ("v17", own), ("v25", shared), ("v39", shared)):
            found = await service.answers.recommend(Ask(user=user, k=8, reasons=True))
            assert ids(found) == listed(told, user) == listed(model, user)
            (personal,) = told.recommend([user]).personal
            assert found.source == ("transitions" if personal else "fallback:popular")
            codes = [told.log.items.code(one.item) for one in found.items]
            said = told.reasons_of(told.askers([user]), codes, personal=personal)
            assert [list(one.reasons) for one in found.items] == said

    asyncio.run(work())


def test_a_profile_and_a_request_say_where_somebody_is(tmp_path):
    async def work():
        _, shared, own = regional(tmp_path / "b")
        service = await serve(tmp_path / "b")
        moved = Ask(user="v25", k=8)
        await service.store.put_viewers([ViewerRecord(id="v25", region="north")])
        assert ids(await service.answers.recommend(moved)) == listed(own, "v25")
        there = replace(moved, region="elsewhere")
        assert ids(await service.answers.recommend(there)) == listed(shared, "v25")
        await service.store.put_viewers([ViewerRecord(id="v3", region="elsewhere")])
        assert ids(await service.answers.recommend(Ask(user="v3", k=8))) == listed(shared, "v3")
        here = Ask(user="v3", region="north", k=8)
        assert ids(await service.answers.recommend(here)) == listed(own, "v3")

    asyncio.run(work())


def test_newcomers_are_answered_by_where_they_are(tmp_path):
    async def work():
        _, shared, own = regional(tmp_path / "b")
        service = await serve(tmp_path / "b")
        await service.store.put_viewers([ViewerRecord(id="new", region="north")])
        await service.store.add(watched("new", "i1", "i2"))
        for region, told in ((None, own), ("elsewhere", shared)):
            found = await service.answers.recommend(Ask(user="new", region=region, k=8))
            assert ids(found) == told.recommend_history([["i1", "i2"]], k=8).items[0].tolist()
        nobody = await service.answers.recommend(Ask(region="north", k=8))
        assert nobody.source == "fallback:popular"
        assert ids(nobody) == own.recommend_history([[]], k=8).items[0].tolist()

    asyncio.run(work())


def test_likeness_and_ranking_go_by_region(tmp_path):
    async def work():
        _, shared, own = regional(tmp_path / "b")
        service = await serve(tmp_path / "b")
        for region, told in (("north", own), (None, shared)):
            found = await service.answers.similar("i4", Ask(region=region, k=6))
            assert ids(found) == told.similar(["i4"], k=6).items[0].tolist()
        ranked = await service.answers.rank([f"i{n}" for n in range(40)], Ask(user="v3"))
        seen = {own.log.items.id(code) for code in own.log.histories.row(3)}
        assert [item for item in ids(ranked) if item not in seen][:8] == listed(own, "v3")

    asyncio.run(work())


def test_a_shadow_by_region_is_asked_from_where_the_viewer_is(tmp_path):
    async def work():
        _, shared, own = regional(tmp_path / "b", Popularity)
        shared.save(tmp_path / "plain")
        own.save(tmp_path / "own")
        service = await serve(tmp_path / "own", tmp_path / "b")
        only = Experiment(name="s", arms={}, shares={}, shadow="b")
        await service.store.put_notes({"experiments": write_experiments([only])})
        await service.answers.recommend(Ask(user="v9"))
        await service.bundles.settled()
        for user in ("v3", "v4", "v5"):
            await service.answers.recommend(Ask(user=user, k=8))
        await asyncio.sleep(0)
        figures = service.answers.shadows.figures()["b"]
        assert (figures.answers, figures.same) == (3, 24)

    asyncio.run(work())
