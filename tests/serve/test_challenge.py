"""The friend challenge's rules and score, on a store alone."""

import asyncio
import json
import random

import pytest
from msgspec.structs import replace

from matinee.serve import challenge
from matinee.serve.asking import Answer, Recommended
from matinee.serve.challenge import TEN, Brought, score_of
from matinee.serve.open_rounds import LASTS_MS, MOST, OPEN_ROUNDS, closed, opened, viewer_in
from matinee.serve.records import Event
from matinee.serve.refusals import Conflict, NotFound, Refusal
from matinee.serve.sqlite_store import open_sqlite
from matinee.testing.small_store import SmallStore


class Ten:
    """Answers with the same items to everybody."""

    def __init__(self, items):
        self.items = items

    async def recommend(self, ask):
        assert ask.repeats is False
        items = tuple(Recommended(item=item) for item in self.items[: ask.k])
        return Answer(items=items, source="ten", recommendation_id="r", bundle="b")


THEIRS = [f"m{n}" for n in range(TEN)]
FRIENDS = [f"f{n}" for n in range(TEN)]


async def begun(store, user="v"):
    await store.add([Event(user=user, item="seen", kind="watch", time_ms=0)])
    return await challenge.begin(store, user, 0)


async def played(store, marked, friends=FRIENDS, now_ms=1):
    one = await begun(store)
    for item in friends:
        one = await challenge.pick(store, one, item, 0)
    one = await challenge.finish_picks(store, Ten(THEIRS), one, 0)
    return await challenge.mark(store, one, marked, now_ms)


def run(story):
    return asyncio.run(story)


def test_a_title_of_both_counts_for_both():
    both = [*THEIRS[:2], *FRIENDS[2:]]
    one = run(played(SmallStore(), [THEIRS[0], THEIRS[5], FRIENDS[9]], both))
    assert len(one.order) == 18
    assert challenge.brought(one)[2:] == (2, 2)


def test_marks_that_were_not_on_the_list_count_nothing():
    one = run(played(SmallStore(), ["elsewhere", THEIRS[0]]))
    assert one.marked == (THEIRS[0],)


def test_a_round_names_nobody_once_the_friend_has_picked():
    async def story():
        store = SmallStore()
        one = await begun(store, "somebody")
        assert await challenge.viewer_of(store, one, 0) == "somebody"
        for item in FRIENDS:
            one = await challenge.pick(store, one, item, 0)
        assert [key for key, note in store._notes.items() if "somebody" in note] == [OPEN_ROUNDS]
        await challenge.finish_picks(store, Ten(THEIRS), one, 0)
        assert not [key for key, note in store._notes.items() if "somebody" in note]

    run(story())


def test_who_is_deleted_leaves_their_open_rounds():
    async def story():
        store = SmallStore()
        one, other = await begun(store, "somebody"), await begun(store, "other")
        await store.forget("somebody")
        assert not [key for key, note in store._notes.items() if "somebody" in note]
        for call in (
            challenge.pick(store, one, "x", 0),
            challenge.finish_picks(store, Ten(THEIRS), replace(one, picks=tuple(FRIENDS)), 0),
        ):
            with pytest.raises(Conflict, match="over"):
                await call
        assert (await challenge.pick(store, other, "x", 0)).picks == ("x",)

    run(story())


def test_a_round_that_nobody_plays_is_over_after_a_month():
    async def story():
        store = SmallStore()
        one = await begun(store, "somebody")
        late = LASTS_MS
        assert await challenge.viewer_of(store, one, late - 1) == "somebody"
        with pytest.raises(Conflict, match="over"):
            await challenge.pick(store, one, "x", late)
        await store.add([Event(user="v", item="i", kind="watch", time_ms=0)])
        await challenge.begin(store, "v", late)
        assert "somebody" not in await store.note(OPEN_ROUNDS)

    run(story())


def test_the_oldest_round_is_over_where_there_are_too_many():
    few = opened(opened(None, "a", "u", 0), "b", "w", 1)
    assert viewer_in(closed(few, "a"), "b", 1) == "w"
    rounds = {f"{n}": ["v", n] for n in range(MOST)}
    full = opened(json.dumps(rounds), "one more", "v", 5)
    assert len(json.loads(full)) == MOST
    assert viewer_in(full, "0", 5) == ""
    assert viewer_in(full, "1", 5) == viewer_in(full, "one more", 5) == "v"


def test_no_pick_is_lost_where_two_pick_at_once(tmp_path):
    async def story():
        stores = [open_sqlite(tmp_path / "store.db") for _ in range(2)]
        try:
            one = await begun(stores[0])
            picks = (challenge.pick(stores[n % 2], one, item, 0) for n, item in enumerate(FRIENDS))
            await asyncio.gather(*picks)
            assert sorted((await challenge.find_round(stores[1], one.id)).picks) == sorted(FRIENDS)
            # What this process holds of the round is old; what is kept is what counts.
            with pytest.raises(Conflict, match="take one out first"):
                await challenge.pick(stores[0], one, "eleventh", 0)
            now = await challenge.find_round(stores[0], one.id)
            ends = (challenge.finish_picks(store, Ten(THEIRS), now, 0) for store in stores)
            found = await asyncio.gather(*ends, return_exceptions=True)
            assert sorted(isinstance(end, Conflict) for end in found) == [False, True]
            done = await challenge.find_round(stores[0], one.id)
            said = (
                challenge.mark(store, done, [item], 1) for store, item in zip(stores, THEIRS, strict=False)
            )
            assert len({end.marked for end in await asyncio.gather(*said)}) == 1
            assert len((await challenge.score(stores[0])).rounds) == 1
        finally:
            for store in stores:
                await store.close()

    run(story())


def test_rounds_that_end_at_once_are_all_in_their_lists(tmp_path):
    async def story():
        stores = [open_sqlite(tmp_path / "store.db") for _ in range(2)]
        try:
            await asyncio.gather(*(played(stores[n % 2], [], now_ms=n) for n in range(130)))
            assert len((await challenge.score(stores[0])).rounds) == 130
        finally:
            for store in stores:
                await store.close()

    run(story())


def test_who_did_nothing_can_begin_no_round():
    with pytest.raises(Refusal, match="knows nothing"):
        run(challenge.begin(SmallStore(), "nobody", 0))


def test_the_order_is_chance():
    store = SmallStore()
    firsts = {run(played(store, [])).order[0][0] for _ in range(40)}
    assert firsts == {"m", "f"}


def test_every_round_counts_once_whatever_its_list():
    async def story():
        store = SmallStore()
        for n in range(150):
            one = await played(store, THEIRS[: n % 3], now_ms=n)
            await challenge.mark(store, one, FRIENDS, n)
            await challenge.keep_listed(store, one)
        return await challenge.score(store)

    found = run(story())
    assert len(found.rounds) == 150
    assert [one.done_ms for one in found.rounds] == list(range(150))


def test_a_round_that_fell_out_of_its_list_puts_itself_back():
    async def story():
        store = SmallStore()
        one = await played(store, THEIRS)
        for place in range(64):
            if await store.note(f"challenge:done:{place}"):
                await store.put_notes({f"challenge:done:{place}": "[]"})
        assert not (await challenge.score(store)).rounds
        await challenge.keep_listed(store, one)
        return await challenge.score(store)

    assert len(run(story()).rounds) == 1


def test_the_lead_is_in_titles_of_ten():
    found = score_of([Brought("a", 1, 7, 2), Brought("b", 2, 4, 5)])
    assert found.lead.mean == pytest.approx(2)
    assert -10 <= found.lead.low < 2 < found.lead.high <= 10
    assert not found.lead.decided


def test_a_better_side_is_found_and_equal_sides_are_not():
    random.seed(1)
    better = [Brought(str(n), n, random.randint(4, 9), random.randint(1, 5)) for n in range(60)]
    assert score_of(better).lead.decided
    assert score_of(better).lead.low > 0
    wrong = 0
    for _ in range(25):
        rounds = [Brought(str(n), n, random.randint(0, 10), random.randint(0, 10)) for n in range(40)]
        wrong += any(score_of(rounds[:n]).lead.decided for n in (10, 40))
    assert wrong <= 4


def test_what_is_over_is_over():
    async def story():
        store = SmallStore()
        one = await played(store, [])
        for call in (challenge.pick(store, one, "x", 0), challenge.unpick(store, one, "f0")):
            with pytest.raises(Conflict, match="cannot be changed"):
                await call
        with pytest.raises(NotFound):
            await challenge.find_round(store, "x" * 500)
        return await challenge.mark(store, one, THEIRS, 9)

    assert run(story()).marked == ()


def test_ten_are_needed_on_both_sides():
    async def story():
        store = SmallStore()
        one = await begun(store)
        with pytest.raises(Conflict, match="watched before"):
            await challenge.pick(store, one, "seen", 0)
        with pytest.raises(Conflict, match="pick 10 more"):
            await challenge.finish_picks(store, Ten(THEIRS), one, 0)
        with pytest.raises(Conflict, match="not picked ten titles yet"):
            await challenge.mark(store, one, [], 1)
        for item in [*FRIENDS, FRIENDS[0]]:
            one = await challenge.pick(store, one, item, 0)
        with pytest.raises(Conflict, match="take one out"):
            await challenge.pick(store, one, "eleventh", 0)
        with pytest.raises(Refusal, match="Only 3 titles are left"):
            await challenge.finish_picks(store, Ten(THEIRS[:3]), one, 0)

    run(story())
