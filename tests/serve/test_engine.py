import asyncio
from dataclasses import replace

import numpy as np
import pytest
from tests.serve.asked_world import MAKERS, NOW, bundle, ids, serve, the_log, watched

from matinee.answers.model import load
from matinee.answers.rules import Rules
from matinee.recommenders.transitions import Transitions
from matinee.serve.asking import Ask
from matinee.serve.experiments import Experiment, arm_of, write_experiments
from matinee.serve.recommendation_id import read
from matinee.serve.records import Event, ItemRecord, Seen, ViewerRecord
from matinee.serve.refusals import NotFound, Refusal
from matinee.serve.service import Limits
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.store import secret_of
from matinee.testing.made_logs import ragged


def story(work):
    """Run a test's story in an event loop."""

    def run():
        asyncio.run(work())

    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return run


def history_of(*items):
    return [Seen(item, "watch", None, NOW - 1000 * (len(items) - n)) for n, item in enumerate(items)]


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_viewer_is_answered_as_the_bundle_answers(name):
    """What the store took in of a bundle gives the answers that the bundle gives without a store."""

    async def work():
        service, model = await serve(bundle(name)), load(bundle(name))
        for user in ("v0", "v5", "v17", "v39"):
            found = await service.answers.recommend(Ask(user=user, k=12, reasons=True))
            top = model.recommend([user], k=12, rules=Rules(now=NOW))
            assert ids(found) == top.items[0].tolist()
            assert found.source == top.sources[0]
            np.testing.assert_allclose(
                [one.score for one in found.items], top.scores[0], rtol=1e-5, atol=1e-6
            )
            assert found.items[0].title == f"Film {found.items[0].item[1:]}"
            code = model.log.items.code(found.items[0].item)
            personal = bool(top.personal[0])
            assert list(found.items[0].reasons) == model.reasons(
                model.askers([user]), code, personal=personal
            )

    asyncio.run(work())


@story
async def test_an_event_changes_the_next_answer():
    service = await serve()
    before = ids(await service.answers.recommend(Ask(user="v5", k=5)))
    await service.store.add(watched("v5", before[0]))
    after = await service.answers.recommend(Ask(user="v5", k=5))
    assert before[0] not in ids(after)
    await service.store.withdraw("v5", before[0])
    assert ids(await service.answers.recommend(Ask(user="v5", k=5))) == before


@story
async def test_newcomers_and_unknown_items_get_an_answer():
    service = await serve()
    for ask in (Ask(user="nobody"), Ask(), Ask(history=()), Ask(history=history_of("ghost"))):
        found = await service.answers.recommend(ask)
        assert (found.source, len(found.items)) == ("fallback:popular", 10)
    assert found.unknown == 1
    await service.store.add(watched("nobody", "ghost", "i3"))
    found = await service.answers.recommend(Ask(user="nobody"))
    assert (found.source, found.unknown) == ("transitions", 1)


@story
async def test_a_session_stands_in_place_of_the_store_and_what_if_is_not_stored():
    service = await serve()
    session = await service.answers.recommend(Ask(user="v5", history=history_of("i3", "i4")))
    assert ids(session) == ids(await service.answers.recommend(Ask(history=history_of("i3", "i4"))))
    plain = await service.answers.recommend(Ask(user="v5"))
    wondered = await service.answers.recommend(Ask(user="v5", what_if=[plain.items[0].item]))
    assert plain.items[0].item not in ids(wondered)
    assert await service.answers.recommend(replace_nonce(Ask(user="v5"))) is not None
    assert ids(await service.answers.recommend(Ask(user="v5"))) == ids(plain)


def replace_nonce(ask):
    return replace(ask, placement="elsewhere")


@story
async def test_pages_fit_each_other_and_repeats_are_as_asked():
    service = await serve()
    whole = ids(await service.answers.recommend(Ask(user="v5", k=30)))
    pages = [
        ids(await service.answers.recommend(Ask(user="v5", k=10, offset=start))) for start in (0, 10, 20)
    ]
    assert [item for page in pages for item in page] == whole
    seen = {one.item for one in await service.store.history("v5", 100)}
    assert not seen & set(whole)
    again = await service.answers.recommend(Ask(user="v5", k=40, repeats=True))
    assert seen <= set(ids(again))


@story
async def test_the_ask_says_what_must_not_and_what_may():
    service = await serve()
    first = ids(await service.answers.recommend(Ask(user="v5", k=5)))
    left = await service.answers.recommend(Ask(user="v5", k=5, exclude=[first[0], "ghost"]))
    assert ids(left)[:4] == first[1:]
    only = await service.answers.recommend(Ask(user="nobody", only=["i7", "ghost", "i9"]))
    assert set(ids(only)) == {"i7", "i9"}
    crime = await service.answers.recommend(Ask(user="nobody", k=40, categories=["Crime"]))
    assert set(ids(crime)) == {f"i{code}" for code in range(0, 40, 4)}
    assert ids(await service.answers.recommend(Ask(user="nobody", only=[]))) == []


@story
async def test_the_stores_word_on_items_counts_at_once():
    service = await serve()
    first = ids(await service.answers.recommend(Ask(user="v5", k=4)))
    changes = [
        ItemRecord(id=first[0], hidden=True),
        ItemRecord(id=first[1], available_from=NOW + 1),
        ItemRecord(id=first[2], in_stock=False),
        ItemRecord(id=first[3], regions=("south",)),
    ]
    await service.store.put_items(changes)
    assert first[3] in ids(await service.answers.recommend(Ask(user="v39", k=40, repeats=True)))
    # v5's profile, which came with the bundle, says north.
    found = ids(await service.answers.recommend(Ask(user="v5", k=40, repeats=True)))
    assert not set(first) & set(found)
    assert first[3] in ids(await service.answers.recommend(Ask(user="v5", region="south", k=40)))
    later = await service.answers.recommend(Ask(user="v5", k=40, now_ms=NOW + 1))
    assert first[1] in ids(later)
    await service.store.put_viewers([ViewerRecord(id="v5", region="south")])
    assert first[3] in ids(await service.answers.recommend(Ask(user="v5", k=40)))
    await service.store.put_items([ItemRecord(id=first[0], title="New name")])
    back = await service.answers.recommend(Ask(user="v5", k=1))
    assert (back.items[0].item, back.items[0].title) == (first[0], "New name")
    await service.store.delete_item(first[0])
    assert first[0] not in ids(await service.answers.recommend(Ask(user="v5", k=40)))


@story
async def test_items_that_only_the_store_knows():
    service = await serve()
    await service.store.put_items(
        [ItemRecord(id="new", title="New", categories=("Crime",), added_ms=NOW - 5)]
    )
    newest = await service.answers.latest(Ask(k=2, categories=["Crime"]))
    assert (newest.items[0].item, newest.source) == ("new", "latest")
    pinned = await service.answers.recommend(Ask(user="v5", pinned=["new", "ghost"], k=3))
    assert (pinned.items[0].item, pinned.items[0].score, pinned.items[0].pinned) == ("new", None, True)
    assert len(pinned.items) == 3
    fresh = await service.answers.recommend(Ask(user="v5", freshness=1.0, k=1))
    assert ids(fresh) == ["new"]
    like = await service.answers.similar("new", Ask(k=40))
    assert like.source == "fallback:categories"
    assert {int(item[1:]) % 4 for item in ids(like)[:10]} == {0}
    assert "new" not in ids(like)
    await service.store.add(
        [Event(user=f"u{n}", item="new", kind="watch", time_ms=NOW - n) for n in range(9)]
    )
    assert ids(await service.answers.popular(Ask(k=1))) == ["new"]
    ranked = await service.answers.rank(["new", "i3", "ghost", "i4", "i3"], Ask(user="v5"))
    assert ids(ranked)[2:] == ["new", "ghost"]
    assert [one.score is None for one in ranked.items] == [False, False, True, True]
    await service.store.delete_item("new")
    assert "new" not in ids(await service.answers.latest(Ask(k=50)))
    assert "new" not in ids(await service.answers.rank(["new", "i3"], Ask(user="v5")))
    with pytest.raises(NotFound, match="'new'"):
        await service.answers.similar("new", Ask())


@story
async def test_arranged_answers():
    service = await serve()
    limited = await service.answers.recommend(Ask(user="nobody", k=20, most={"series": 2}))
    series = [int(item[1:]) % 3 for item in ids(limited)]
    assert sorted(series) == [0, 0, 1, 1, 2, 2]
    best = ids(await service.answers.recommend(Ask(user="v5", k=10)))
    varied = await service.answers.recommend(Ask(user="v5", k=10, diversity=0.9))
    assert (ids(varied)[0], len(set(ids(varied)))) == (best[0], 10)
    assert ids(varied) != best
    with pytest.raises(Refusal, match="'crew'"):
        await service.answers.recommend(Ask(most={"crew": 1}))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"k": 0}, "k is"), ({"k": 501}, "k is"), ({"offset": -1}, "offset is"),
        ({"offset": 10_001}, "offset is"),
        ({"diversity": 1.1}, "diversity is"), ({"freshness": float("nan")}, "freshness is"),
        ({"most": {"series": 0}}, "most"),
    ],
)  # fmt: skip
def test_an_ask_that_contradicts_itself_is_refused(ask, words):
    async def work():
        service = await serve()
        with pytest.raises(Refusal, match=words) as refused:
            await service.answers.recommend(Ask(**ask))
        assert refused.value.status == 400

    asyncio.run(work())


@story
async def test_similar_items_are_the_models():
    service, model = await serve(), load(bundle())
    found = await service.answers.similar("i3", Ask(k=8, reasons=True))
    assert ids(found) == model.similar(["i3"], k=8, rules=Rules(now=NOW)).items[0].tolist()
    assert (found.source, found.items[0].reasons) == ("similar", ("like Film 3",))
    with pytest.raises(NotFound):
        await service.answers.similar("ghost", Ask())


@story
async def test_popular_counts_viewers_of_late_and_takes_the_bundle_where_that_is_too_little():
    service, model = await serve(), load(bundle())
    expected = np.lexsort((service.bundles.ready()[0].live.keys, -model.context.popularity))
    found = await service.answers.popular(Ask(k=5))
    assert ids(found) == [f"i{code}" for code in expected[:5]]
    await service.store.add([Event(user=f"u{n}", item="i39", kind="watch", time_ms=NOW) for n in range(3)])
    await service.store.add([Event(user=f"u{n}", item="i38", kind="dislike", time_ms=NOW) for n in range(9)])
    # Counted once a minute.
    assert ids(await service.answers.popular(Ask(k=5))) == ids(found)
    later = await service.answers.popular(Ask(k=40, now_ms=NOW + 60_001))
    assert ids(later)[0] == "i39"
    assert later.items[0].score == pytest.approx(3.0, abs=1.0)


@story
async def test_noes_are_never_recommended():
    service = await serve()
    first = ids(await service.answers.recommend(Ask(user="v5", k=3)))
    await service.store.add([Event(user="v5", item=first[0], kind="dislike", time_ms=NOW)])
    found = await service.answers.recommend(Ask(user="v5", k=40, repeats=True))
    assert first[0] not in ids(found)
    assert ids(found)


@story
async def test_what_was_seen_long_ago_does_not_come_again():
    service = await serve(limits=Limits(history=3))
    await service.store.add(watched("old", *(f"i{code}" for code in range(20))))
    await service.store.add([Event(user="old", item="i30", kind="dislike", time_ms=5)])
    found = await service.answers.recommend(Ask(user="old", k=40))
    assert set(ids(found)) == {f"i{code}" for code in range(20, 40)} - {"i30"}
    # And yet the model looks at the latest three alone.
    short = await service.answers.recommend(Ask(history=history_of("i17", "i18", "i19"), k=40))
    assert [item for item in ids(short) if item in set(ids(found))] == ids(found)


def test_noes_of_the_bundle_are_kept_and_its_deleted_are_strangers(tmp_path):
    negatives = ragged([[code] for code in range(40)])

    async def work():
        model = Transitions().fit(the_log(negatives=negatives))
        replace(model, deleted=frozenset({"v7"})).save(tmp_path / "noes")
        service = await serve(tmp_path / "noes", histories=False)
        for user, shown in (("v6", False), ("v7", True), ("nobody", True)):
            item = "i6" if user == "v6" else "i7"
            found = await service.answers.recommend(Ask(user=user, k=40, repeats=True))
            assert (item in ids(found)) is shown
        await service.store.forget("v6")
        assert "i6" in ids(await service.answers.recommend(Ask(user="v6", k=40)))

    asyncio.run(work())


@story
async def test_merged_viewers_are_one():
    service = await serve(bundle("friends"))
    await service.store.add(watched("phone", "i1", "i2"))
    await service.store.merge("phone", "v0")
    one, other = [await service.answers.recommend(Ask(user=user)) for user in ("phone", "v0")]
    assert one.source == "friends"
    assert ids(one) == ids(other)


@story
async def test_an_id_tells_where_an_answer_came_from():
    service = await serve(placements={"home": {"k": 3, "exclude": ("i1",)}})
    found = await service.answers.recommend(Ask(user="nobody", placement="home"))
    secret = secret_of({"secret": await service.store.note("secret")})
    told = read(secret, found.recommendation_id)
    assert told is not None
    assert (told.placement, told.bundle, told.source, told.arm) == (
        "home",
        "transitions",
        "fallback:popular",
        "",
    )
    assert told.time_ms == NOW
    assert len(found.items) == 3
    await service.store.put_notes({"placements": '{"home": {"k": 4}}'})
    assert len((await service.answers.recommend(Ask(placement="home"))).items) == 4


@story
async def test_an_experiment_splits_viewers_and_a_shadow_is_only_compared():
    service = await serve(bundle(), bundle("popularity"))
    spring = Experiment(
        name="spring",
        arms={"a": "transitions", "b": "popularity"},
        shares={"a": 0.5, "b": 0.5},
        shadow="popularity",
    )
    await service.store.put_notes({"experiments": write_experiments([spring])})
    await service.answers.recommend(Ask(user="v1"))
    await service.bundles.settled()
    secret = secret_of({"secret": await service.store.note("secret")})
    told = set()
    for n in range(40):
        found = await service.answers.recommend(Ask(user=f"v{n}", k=5))
        arm = arm_of(secret, spring, f"v{n}")
        assert (found.experiment, found.bundle) == (f"spring/{arm}", spring.arms[arm])
        if found.bundle == "popularity":
            told.add(arm)
    await asyncio.sleep(0)
    assert told == {"b"}
    figures = service.answers.shadows.figures()["popularity"]
    assert figures.answers == 40
    assert 0 < figures.overlap < 1
    assert (await service.answers.recommend(Ask())).experiment == ""
    over = replace(spring, running=False)
    await service.store.put_notes({"experiments": write_experiments([over])})
    await service.answers.recommend(Ask(user="v1"))
    await service.bundles.settled()
    assert (await service.answers.recommend(Ask(user="v1"))).experiment == ""
    assert [one.name for one in service.bundles.ready()] == ["transitions"]


@story
async def test_neighbours_by_the_cosine_of_histories():
    service = await serve()
    await service.store.add(watched("twin", *[one.item for one in await service.store.history("v5", 100)]))
    found = await service.answers.neighbours("v5", 5)
    assert found[0] == ("twin", pytest.approx(1.0))
    own = {one.item for one in await service.store.history("v5", 100)}
    for other, near in found:
        theirs = {one.item for one in await service.store.history(other, 100)}
        assert near == pytest.approx(len(own & theirs) / (len(own) * len(theirs)) ** 0.5)
    scores = [near for _, near in found]
    assert scores == sorted(scores, reverse=True)
    assert await service.answers.neighbours("nobody", 5) == []
    await service.store.forget("twin")
    assert "twin" not in dict(await service.answers.neighbours("v5", 5))


@story
async def test_the_catalogue_says_what_bundle_and_store_know():
    service = await serve()
    before = await service.answers.catalogue()
    await service.store.put_items([ItemRecord(id="i1", title="One")])
    after = await service.answers.catalogue()
    assert before.version != after.version
    assert after.records["i1"].title == "One"
    assert after.rows(["i1", "ghost"]).tolist() == [1, -1]
    assert after.table.column("title")[1].as_py() == "Film 1"


def test_over_a_store_in_a_file_two_services_agree(tmp_path):
    """What one process was told is in the next answer of the other."""

    async def work():
        file = tmp_path / "store.db"
        stores = [open_sqlite(file), open_sqlite(file)]
        here, there = [await serve(bundle(), bundle("popularity"), store=store) for store in stores]
        first = ids(await there.answers.recommend(Ask(user="v5", k=3)))
        assert first == load(bundle()).recommend(["v5"], k=3, rules=Rules(now=NOW)).items[0].tolist()
        await here.store.add(watched("v5", first[0]))
        assert first[0] not in ids(await there.answers.recommend(Ask(user="v5", k=3)))
        await here.store.put_items([ItemRecord(id=first[1], hidden=True)])
        assert first[1] not in ids(await there.answers.recommend(Ask(user="v5", k=3)))
        await here.bundles.activate("popularity")
        await there.answers.recommend(Ask(user="v5"))
        await there.bundles.settled()
        assert (await there.answers.recommend(Ask(user="v5"))).source == "popularity"
        for store in stores:
            await store.close()

    asyncio.run(work())
