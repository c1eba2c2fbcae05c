"""What an experiment shows on the scoreboard, by events that bring the id of the answer they followed."""

import asyncio
import math

import pytest

from matinee.serve.asking import Ask
from matinee.serve.experiments import Experiment, write_experiments
from matinee.serve.page.arms import Followed, arms_of, verdict
from matinee.serve.recommendation_id import Told, make
from matinee.serve.records import Event
from matinee.testing.small_store import SmallStore

TEST = Experiment(name="nets", arms={"old": "b1", "new": "b2"}, shares={"old": 0.5, "new": 0.5})


def test_a_better_arm_is_certain_and_an_equal_one_is_not():
    better = arms_of(TEST, {"old": 400, "new": 560})
    assert better[0].lift is None
    assert better[1].lift.mean == pytest.approx(1.4)
    assert verdict(better) == "Against old: new does better. That is certain enough to stop."
    assert "does worse" in verdict(arms_of(TEST, {"old": 560, "new": 400}))
    assert "No difference is certain yet" in verdict(arms_of(TEST, {"old": 100, "new": 112}))
    assert "Nobody has followed" in verdict(arms_of(TEST, {"old": 0, "new": 0}))


def test_shares_count():
    uneven = Experiment(name="n", arms={"a": "x", "b": "y"}, shares={"a": 0.9, "b": 0.1})
    assert arms_of(uneven, {"a": 900, "b": 100})[1].lift.mean == pytest.approx(1)


def test_a_viewer_counts_once_and_forged_ids_do_not_count():
    async def story():
        store, secret = SmallStore(), b"k" * 32
        await store.put_notes({"secret": secret.hex()})
        id_ = {arm: make(secret, Told(arm=f"nets/{arm}")) for arm in ("old", "new")}
        forged = make(b"other" * 8, Told(arm="nets/new"))
        events = [("u1", id_["old"]), ("u1", id_["old"]), ("u2", id_["new"]), ("u3", forged), ("u4", None)]
        await store.add(
            [Event(user=user, item="i", kind="k", time_ms=1, recommendation_id=one) for user, one in events]
        )
        followed = Followed(store)
        assert await followed.catch_up()
        assert await followed.catch_up()
        return [arm.followed for arm in followed.arms(TEST)]

    assert asyncio.run(story()) == [1, 1]


@pytest.mark.parametrize(("name", "counts"), [("n" * 35, [1, 0]), ("n" * 60, [0, 0])])
def test_names_longer_than_an_id_holds_are_never_mixed_up(name, counts):
    async def story():
        store, secret = SmallStore(), b"k" * 32
        long = Experiment(name=name, arms=TEST.arms, shares=TEST.shares)
        await store.put_notes({"secret": secret.hex()})
        id_ = make(secret, Told(arm=f"{long.name}/old"))
        await store.add([Event(user="u", item="i", kind="k", time_ms=1, recommendation_id=id_)])
        followed = Followed(store)
        await followed.catch_up()
        return followed.arms(long)

    assert [arm.followed for arm in asyncio.run(story())] == counts


def test_the_scoreboard_shows_an_experiment_as_it_runs(site):
    service, do = site.server.service, site.server.do
    name = service.bundles.facts()[0].name
    running = Experiment(
        name="<b>bold", arms={"old": name, "new": name}, shares={"old": 0.5, "new": 0.5}, since_ms=1
    )
    do(service.store.put_notes({"experiments": write_experiments([running])}))
    # What is new is loaded behind the first ask that sees it.
    do(service.answers.recommend(Ask(user="v001", k=1)))
    do(service.bundles.settled())
    followed = {"old": 0, "new": 0}
    for place in range(100, 130):
        answer = do(service.answers.recommend(Ask(user=f"v{place}", k=1)))
        followed[answer.experiment.rpartition("/")[2]] += 1
        event = Event(
            user=f"v{place}",
            item=answer.items[0].item,
            kind="watch",
            time_ms=service.now_ms(),
            recommendation_id=answer.recommendation_id,
        )
        do(service.store.add([event]))
    text = site.get("/scoreboard").text
    assert min(followed.values()) > 0
    for count in followed.values():
        assert f"<td>{count}</td>" in text
    assert "<b>bold" not in text
    assert "No difference is certain yet" in text
    assert "times as often followed as old" in text
    assert not math.isnan(arms_of(running, followed)[1].lift.mean)
