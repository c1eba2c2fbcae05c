"""Weights of short histories are chosen on newcomers of whom nothing is learnt, and only where they help."""

from dataclasses import replace

import numpy as np
import pytest

from matinee.answers.scorers import make_scorer
from matinee.core.types import newcomers
from matinee.recipes.rows import joined_of
from matinee.recommenders import make_recommender
from matinee.recommenders import short_histories as short
from matinee.recommenders.held_out import hold_out, without
from matinee.testing.made_logs import log_of

VIEWERS, ITEMS = 2_000, 60
AFTER = (0, 1, 2, 3, 5, 8, 12)
SMALL = {
    "sequential": {"width": 16, "layers": 1, "passes": 4, "batch_events": 512, "longest": 20},
    "ials": {"factors": 8, "epochs": 2},
}


def rows_of(seed=0, begin=True):
    """Viewers who begin with one of three items, then the next of these, and go on with any others."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(VIEWERS):
        later = random.permutation(np.arange(10, ITEMS))[: random.integers(3, 14)].tolist()
        first = int(random.integers(3))
        rows.append([first, first + 3, *later] if begin else later)
    return rows


def a_log(rows, timed=True, **more):
    day = 86_400_000
    if not timed:
        return log_of(rows, n_items=ITEMS, order="sequence", **more)
    times = [
        [day * (viewer // 10) + 1_000 * place for place in range(len(row))] for viewer, row in enumerate(rows)
    ]
    return log_of(rows, times=times, n_items=ITEMS, **more)


def held_of(log, seed=0):
    return short.hold_out_newcomers(log, hold_out(log, seed), seed)


@pytest.mark.parametrize("timed", [True, False])
def test_nothing_is_learnt_of_some_of_the_latest_newcomers(timed):
    log = a_log(rows_of(), timed)
    held = held_of(log)
    rows = log.histories.rows()
    asked = np.unique(held.first.askers.viewers)
    assert 40 <= len(asked) <= 300
    assert not held.taught[np.isin(rows, asked)].any()
    assert not np.isin(held.askers.viewers, asked).any()
    # Of all others no more is held back than in any fit.
    plain = hold_out(log, 0)
    others = ~np.isin(rows, asked)
    assert np.array_equal(held.taught[others], plain.taught[others])
    assert np.isin(rows, asked).sum() <= 0.03 * len(rows)
    assert (asked.min() >= 0.8 * VIEWERS) == timed
    assert not np.array_equal(asked, np.unique(held_of(log, 1).first.askers.viewers))


def test_newcomers_are_asked_what_came_after_their_first_events():
    log = a_log(rows_of())
    first = held_of(log).first
    asked = {}
    for row, viewer in enumerate(first.askers.viewers.tolist()):
        before = first.askers.histories.row(row).tolist()
        history = log.histories.row(viewer).tolist()
        assert history[: len(before)] == before
        assert history[len(before)] == first.targets[row]
        asked.setdefault(viewer, []).append(len(before))
    for viewer, lengths in asked.items():
        whole = len(log.histories.row(viewer))
        assert lengths == [after for after in AFTER if after < whole]


@pytest.mark.parametrize("repeats", [True, False])
def test_they_are_not_asked_for_what_no_answer_may_name(repeats):
    rows = [[*row[:2], row[0], *row[3:]] for row in rows_of()]
    targets = [[place != 1 for place in range(len(row))] for row in rows]
    first = held_of(a_log(rows, targets=targets, repeats=repeats)).first
    lengths = set(first.askers.histories.lengths.tolist())
    assert 1 not in lengths
    assert (2 in lengths) == repeats
    assert {0, 3} <= lengths


def test_of_a_small_log_nobody_is_held_back_whole():
    log = a_log(rows_of()[:200])
    assert held_of(log).first is None
    empty = log_of([], n_items=3, order="sequence")
    assert short.hold_out_newcomers(empty, hold_out(empty, 0), 0).first is None


class Says:
    """Scores `right` for what is right, `wrong` for all else; of histories of some lengths nothing."""

    def __init__(self, first, right, wrong, lengths=(1, 2, 3, 5, 8, 12)):
        self.said = {}
        for row, viewer in enumerate(first.askers.viewers.tolist()):
            n = int(first.askers.histories.lengths[row])
            if n in lengths:
                self.said[viewer, n] = int(first.targets[row])
        self.right, self.wrong = right, wrong

    def score(self, askers):
        scores = np.full((len(askers), ITEMS), self.wrong, np.float32)
        for row, key in enumerate(
            zip(askers.viewers.tolist(), askers.histories.lengths.tolist(), strict=True)
        ):
            if key in self.said:
                scores[row, self.said[key]] = self.right
        return scores


def chosen(log, first, network, partner, weight):
    return short.choose_short(log, first, [network, partner], [(1e-2, weight)])


def test_a_partner_that_misleads_short_histories_alone_loses_its_say_there():
    log = a_log(rows_of())
    first = held_of(log).first
    knows = Says(first, 1.0, 0.0)
    # Of what is right after one event, two and three it says too little, by log(100) = 4.6.
    misleads = Says(first, 1e-2, 1.0, (1, 2, 3))
    found = chosen(without(log, held_of(log)), first, knows, misleads, 1.0)
    assert (found.below, found.weights) == (4, (0.0,))
    assert found.asked == len(first)


def test_where_short_histories_need_no_other_weights_they_have_none():
    log = a_log(rows_of())
    held = held_of(log)
    knows = Says(held.first, 1.0, 0.0)
    nothing = Says(held.first, 0.0, 0.0, ())
    for partner in (knows, nothing):
        found = chosen(without(log, held), held.first, knows, partner, 1.0)
        assert found is None or found.below == 1


def test_what_a_few_newcomers_might_have_done_by_chance_changes_no_weight():
    gains = np.zeros((3, 60))
    gains[1, :3] = 1.0
    lengths, viewers = np.ones(60, np.int64), np.arange(60)
    assert short._best(gains, lengths, viewers) == (1, 0)
    gains[2, :20] = 0.5
    assert short._best(gains, lengths, viewers) == (2, 2)
    # The same from one viewer alone tells nothing.
    assert short._best(gains, lengths, np.zeros(60, np.int64)) == (1, 0)


def test_short_histories_count_as_short_as_far_as_it_helps():
    lengths = np.tile(AFTER, 50)
    viewers = np.repeat(np.arange(50), len(AFTER))
    for below in (2, 4, 8):
        gains = np.zeros((2, len(lengths)))
        gains[1] = np.where(lengths < below, 1.0, -1.0)
        assert short._best(gains, lengths, viewers) == (below, 1)


@pytest.mark.parametrize("begin", [True, False])
def test_a_blend_knows_what_people_begin_with(begin):
    log = a_log(rows_of(begin=begin))
    model = make_recommender("blend", {**SMALL, "sequential": {**SMALL["sequential"], "opening": True}}).fit(
        log
    )
    settings = model.parts["blend"].settings
    assert bool(settings.get("begins")) == bool(model.parts["sequential"].settings["begins"])
    top = model.recommend_history([[]], k=3)
    assert top.sources == ["fallback:popular"]
    if begin:
        assert settings["begins"]
        assert sorted(top.codes[0].tolist()) == [0, 1, 2]
        nexts = model.recommend_history([["i0"], ["i1"], ["i2"]], k=1)
        assert nexts.codes[:, 0].tolist() == [3, 4, 5]
        assert nexts.sources == ["blend"] * 3
        assert len(settings["lengths"]) >= 1
        assert settings["short_held_back"] == len(held_of(log).first)
    else:
        # Where all items are alike at all times, nothing is to be known of the first ones.
        assert settings["lengths"] in ([], [1])


def test_the_blend_is_fitted_without_the_newcomers_it_is_joined_on(monkeypatch):
    log = a_log(rows_of())
    asked = []
    plain = short._all_gains

    def watched(taught, first, *more):
        asked.append((taught, first))
        return plain(taught, first, *more)

    monkeypatch.setattr(short, "_all_gains", watched)
    settings = {**SMALL, "sequential": {**SMALL["sequential"], "opening": True, "passes": 1}}
    make_recommender("blend", settings).fit(log)
    ((taught, first),) = asked
    assert not taught.histories.lengths[np.unique(first.askers.viewers)].any()
    # Without an opening nobody is held back whole, and nothing is asked.
    settings["sequential"]["opening"] = False
    model = make_recommender("blend", settings).fit(log)
    assert len(asked) == 1
    assert model.parts["blend"].settings["lengths"] == []


@pytest.mark.parametrize(("below", "recent", "nobody"), [(4, 0.5, 0.25), (1, 0.0, 1.0), (8, 0.0, 0.0)])
def test_a_product_is_told_how_short_histories_are_joined(below, recent, nobody):
    log = a_log(rows_of()[:300])
    model = make_recommender("blend", {**SMALL, "weights": (1.5, 0.75)}).fit(log)
    chosen = short.Short(
        below=below, weights=(0.5, 0.25), recent=recent, nobody=nobody, begins=True, floor=0.5, asked=9
    )
    parts = {**model.parts, "recent": short.recent_part(log, 0)}
    settings = chosen.told(parts["blend"].settings)
    part = type(parts["blend"])(kind="product", settings=settings, tensors={})
    told = joined_of(replace(model, parts={**parts, "blend": part}))
    assert told["weights"] == {"sequential": 1.0, "transitions": 1.5, "ials": 0.75}
    assert told["short_below"] == (None if below == 1 else below)
    lists = log.histories.take(np.arange(20))
    for n, weights, late in ((1, (0.5, 0.25), recent), (3, (0.5, 0.25), recent), (9, (1.5, 0.75), 0.0)):
        asked = newcomers(
            lists.keep(np.arange(len(lists.items)) - np.repeat(lists.offsets[:-1], lists.lengths) < n)
        )
        asked = asked.take(np.flatnonzero(asked.histories.lengths == n))
        used = (weights, late) if n < below else ((1.5, 0.75), 0.0)
        alike = {
            **parts["blend"].settings,
            "parts": ["sequential", "transitions", "ials", "recent"],
            "floors": [*parts["blend"].settings["floors"], 0.5],
            "weights": [[one] for one in (*used[0], used[1])],
        }
        plain = type(part)(kind="product", settings=alike, tensors={})
        expected = make_scorer(plain, model.context, parts).score(asked)
        np.testing.assert_allclose(make_scorer(part, model.context, parts).score(asked), expected, atol=1e-4)
    assert ("recent" in settings["parts"]) == bool(recent or nobody)


def test_where_partners_say_less_items_that_nobody_watched_are_raised_less():
    """A lift makes up for the partners' floors, and for nothing where these are silent."""
    told = {"parts": ["sequential", "ials"], "floors": [0.01], "weights": [[2.0]], "lengths": [], "lift": 6.0}
    chosen = short.Short(
        below=4, weights=(0.5,), recent=0.25, nobody=1.0, begins=True, floor=0.5, asked=100
    ).told(told)
    assert chosen["weights"][0] == [0.0, 0.5, 2.0]
    assert chosen["lift"] == pytest.approx([0.0, 1.5, 6.0])
    assert len(chosen["lift"]) == len(chosen["lengths"]) + 1
