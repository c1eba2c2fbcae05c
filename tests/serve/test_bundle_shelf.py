import asyncio
import json
import shutil
import weakref

import pytest
from tests.serve.asked_world import NOW, bundle, ids, serve

from matinee.core.errors import InputError
from matinee.serve import bundle_shelf
from matinee.serve.asking import Ask
from matinee.serve.refusals import Conflict, NotFound, Refusal
from matinee.testing.small_store import SmallStore


@pytest.fixture
def folder(tmp_path):
    for name in ("transitions", "popularity"):
        shutil.copytree(bundle(name), tmp_path / name)
    return tmp_path


async def source(service, **ask):
    return (await service.answers.recommend(Ask(user="v5", **ask))).source


def test_a_bundle_several_and_a_folder_of_them(folder):
    async def story():
        for places in ([folder / "transitions", folder / "popularity"], [folder]):
            service = await serve(*places)
            assert {one.name for one in service.bundles.facts()} == {"transitions", "popularity"}
        alone = await serve(folder / "popularity")
        assert alone.bundles.names() == {"default": "popularity"}
        (facts,) = alone.bundles.facts()
        assert (facts.aliases, facts.recommender, facts.items, facts.viewers) == (
            ("default",),
            "popularity",
            40,
            40,
        )

    asyncio.run(story())


def test_places_without_bundles_are_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"no bundle is there|no such folder"):
            asyncio.run(serve(place))
    twin = tmp_path / "other" / "transitions"
    shutil.copytree(folder / "transitions", twin)
    with pytest.raises(InputError, match="both called transitions"):
        asyncio.run(serve(folder / "transitions", twin))


def test_activation_and_rollback(folder):
    async def story():
        service = await serve(folder / "transitions", folder / "popularity")
        assert service.bundles.names() == {"default": "transitions"}
        facts = await service.bundles.activate("popularity")
        assert facts.aliases == ("default",)
        assert await source(service) == "popularity"
        await service.bundles.activate("transitions", "shop")
        assert await source(service, alias="shop") == "transitions"
        assert (await service.bundles.rollback()).name == "transitions"
        assert await source(service) == "transitions"
        with pytest.raises(Conflict, match="nothing to go back to"):
            await service.bundles.rollback()
        with pytest.raises(NotFound, match="no bundle 'none'"):
            await service.bundles.activate("none")
        with pytest.raises(NotFound, match="alias 'nobody'"):
            await source(service, alias="nobody")

    asyncio.run(story())


def test_a_second_start_goes_on_with_what_was_in_use(folder):
    async def story():
        store = SmallStore(NOW)
        service = await serve(folder, store=store)
        await service.bundles.activate("popularity")
        assert (await serve(folder, store=store)).bundles.names() == {"default": "popularity"}
        # A server that was given another bundle alone answers with that one, and leaves the others' note.
        alone = await serve(folder / "transitions", store=store)
        assert alone.bundles.names() == {"default": "transitions"}
        assert json.loads(await store.note("aliases"))["default"][0] == "popularity"

    asyncio.run(story())


def test_another_process_follows_in_the_background(folder):
    async def story():
        store = SmallStore(NOW)
        here, there = [
            await serve(folder / "transitions", folder / "popularity", store=store) for _ in range(2)
        ]
        await here.bundles.activate("popularity")
        # The first answer after the change does not wait for it.
        assert await source(there) == "transitions"
        await there.bundles.settled()
        assert await source(there) == "popularity"

    asyncio.run(story())


def test_no_answer_fails_while_bundles_change(folder):
    async def story():
        store = SmallStore(NOW)
        here, there = [await serve(folder, store=store) for _ in range(2)]
        stop, found = asyncio.Event(), []

        async def ask(service):
            while not stop.is_set():
                found.append(await source(service))
                await asyncio.sleep(0)

        askers = [asyncio.create_task(ask(service)) for service in (here, there)]
        for n in range(6):
            await here.bundles.activate(("popularity", "transitions")[n % 2])
        await there.bundles.settled()
        stop.set()
        await asyncio.gather(*askers)
        assert set(found) == {"popularity", "transitions"}

    asyncio.run(story())


@pytest.mark.parametrize("harm", ["flip", "cut", "gone"])
def test_a_broken_bundle_is_refused_and_what_was_in_use_stays(folder, harm):
    file = folder / "popularity" / "items.parquet"
    raw = file.read_bytes()
    if harm == "flip":
        file.write_bytes(raw[:50] + bytes([raw[50] ^ 1]) + raw[51:])
    elif harm == "cut":
        file.write_bytes(raw[:-9])
    else:
        file.unlink()

    async def story():
        store = SmallStore(NOW)
        here, there = [
            await serve(folder / "transitions", folder / "popularity", store=store) for _ in range(2)
        ]
        with pytest.raises(Refusal, match=r"items\.parquet") as refused:
            await here.bundles.activate("popularity")
        assert refused.value.status == 409
        assert await source(here) == "transitions"
        # A note that names it, from a machine where it is whole, changes nothing here but says so.
        await store.put_notes({"aliases": json.dumps({"default": ["popularity", "transitions"]})})
        await source(there)
        await there.bundles.settled()
        assert await source(there) == "transitions"
        assert "items.parquet" in there.bundles.troubles()["popularity"]
        file.write_bytes(raw)
        there.bundles._again_at = 0.0
        await source(there)
        await there.bundles.settled()
        assert await source(there) == "popularity"
        assert not there.bundles.troubles()

    asyncio.run(story())


def test_a_note_that_nobody_can_read_keeps_nobody_from_an_answer(folder):
    async def story():
        store = SmallStore(NOW)
        service = await serve(folder / "transitions", store=store)
        await store.put_notes({"aliases": "[", "experiments": "{", "placements": "nonsense"})
        for _ in range(2):
            assert await source(service) == "transitions"
            await service.bundles.settled()
        assert "aliases" in service.bundles.troubles()["notes"]

    asyncio.run(story())


def test_bundles_that_no_alias_uses_are_dropped_from_memory(folder):
    async def story():
        service = await serve(folder / "transitions", folder / "popularity")
        old = weakref.ref(service.bundles.ready()[0].model)
        await service.bundles.activate("popularity")
        await service.bundles.settled()
        assert [one.name for one in service.bundles.ready()] == ["popularity"]
        assert old() is None
        # One that is asked for by name is loaded for that, and the next one takes its place.
        assert await source(service, bundle="transitions") == "transitions"
        assert {one.name for one in service.bundles.ready()} == {"popularity", "transitions"}
        with pytest.raises(NotFound):
            await source(service, bundle="none")

    asyncio.run(story())


def test_a_bundle_written_into_its_own_place_is_loaded_anew(folder):
    async def story():
        service = await serve(folder / "transitions", folder / "popularity")
        before = service.bundles.ready()[0].model.fingerprint
        shutil.rmtree(folder / "transitions")
        shutil.copytree(folder / "popularity", folder / "transitions")
        await service.bundles.activate("transitions")
        after = service.bundles.ready()[0]
        assert (after.name, after.model.name) == ("transitions", "popularity")
        assert after.model.fingerprint != before

    asyncio.run(story())


def test_a_bundle_that_came_later_can_be_activated(folder):
    async def story():
        service = await serve(folder)
        shutil.copytree(bundle("user_knn"), folder / "user_knn")
        await service.bundles.activate("user_knn")
        assert await source(service) == "user_knn"

    asyncio.run(story())


def test_the_deleted_leave_what_answers_from_other_people(monkeypatch):
    async def story():
        store = SmallStore(NOW)
        service = await serve(bundle("user_knn"), store=store)
        ready = service.bundles.ready()[0]
        log = ready.model.log
        busiest = log.viewers.id(int(log.histories.lengths.argmax()))
        asker = Ask(history=(await store.history(busiest, 100))[:5], k=30)
        before = await service.answers.recommend(asker)
        await store.forget(busiest)
        monkeypatch.setattr(bundle_shelf, "_BURIED_EVERY_S", -1.0)
        for _ in range(2):  # the notes of its own start are followed first
            await service.answers.recommend(asker)
            await service.bundles.settled()
        monkeypatch.undo()
        after = await service.answers.recommend(asker)
        assert ready.model.log.histories.lengths[log.viewers.code(busiest)] == 0
        assert [one.score for one in before.items] != [one.score for one in after.items]
        # A server that starts now has never known them.
        again = await (await serve(bundle("user_knn"), store=store)).answers.recommend(asker)
        assert ids(again) == ids(after)

    asyncio.run(story())
