"""The friend challenge's rules and score, on a store alone."""

import asyncio
import random

import pytest

from matinee.serve import challenge
from matinee.serve.asking import Answer, Recommended
from matinee.serve.challenge import TEN, Brought, score_of
from matinee.serve.records import Event
from matinee.serve.refusals import Conflict, NotFound, Refusal
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


async def played(store, marked, friends=FRIENDS, now_ms=1):
    one = await challenge.begin(store, "v", 0)
    for item in friends:
        one = await challenge.pick(store, one, item)
    one = await challenge.finish_picks(store, Ten(THEIRS), one)
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


def test_a_finished_round_names_nobody_any_more():
    store = SmallStore()
    one = run(played(store, []))
    assert run(challenge.find_round(store, one.id)).user == ""


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
        for call in (challenge.pick(store, one, "x"), challenge.unpick(store, one, "f0")):
            with pytest.raises(Conflict, match="cannot be changed"):
                await call
        with pytest.raises(NotFound):
            await challenge.find_round(store, "x" * 500)
        return await challenge.mark(store, one, THEIRS, 9)

    assert run(story()).marked == ()


def test_ten_are_needed_on_both_sides():
    async def story():
        store = SmallStore()
        await store.add([Event(user="v", item="seen", kind="watch", time_ms=1)])
        one = await challenge.begin(store, "v", 0)
        with pytest.raises(Conflict, match="watched before"):
            await challenge.pick(store, one, "seen")
        with pytest.raises(Conflict, match="pick 10 more"):
            await challenge.finish_picks(store, Ten(THEIRS), one)
        with pytest.raises(Conflict, match="not picked ten titles yet"):
            await challenge.mark(store, one, [], 1)
        for item in [*FRIENDS, FRIENDS[0]]:
            one = await challenge.pick(store, one, item)
        with pytest.raises(Conflict, match="take one out"):
            await challenge.pick(store, one, "eleventh")
        with pytest.raises(Refusal, match="Only 3 titles are left"):
            await challenge.finish_picks(store, Ten(THEIRS[:3]), one)

    run(story())
