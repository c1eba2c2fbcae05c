"""A network goes on from its last weights: what it learns from, what it knows again and does not forget."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.core.run import Run
from matinee.core.types import histories_of, newcomers
from matinee.recommenders import make_recommender
from matinee.recommenders.held_out import hold_out
from matinee.recommenders.network_content import watched_of
from matinee.recommenders.network_warm import (
    Warm,
    mixtures,
    renamed,
    unseen,
    warm_vectors,
    why_from_scratch,
)
from matinee.testing.made_logs import log_of
from matinee.testing.tastes import predictable_log

pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

from matinee.train.sequences import Reading, next_events

SMALL = {"width": 16, "layers": 1, "passes": 5, "batch_events": 256, "longest": 20}
rows_of = st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=5)


def counted(log):
    names = zip(log.viewers.ids(log.histories.rows()), log.items.ids(log.histories.items), strict=True)
    return Counter(names)


@settings(max_examples=60, deadline=None)
@given(rows_of, rows_of)
def test_unseen_events_are_those_that_the_other_log_lacks_each_as_often(one, other):
    old, log = log_of(one, n_items=5), log_of(other, n_items=7)
    fresh = unseen(old, log)
    assert counted(log.keep(fresh)) == counted(log) - counted(old)


def cut(log, share):
    """What the first viewers did, and of the others the first half of their events."""
    lengths = log.histories.lengths
    late = np.arange(len(lengths)) >= share * len(lengths)
    place = np.arange(len(log)) - np.repeat(log.histories.offsets[:-1], lengths)
    return log.keep(place < np.repeat(np.where(late, lengths // 2, lengths), lengths))


def test_a_pass_has_everybody_who_did_anything_new_and_others_drawn_anew():
    log = predictable_log(200)
    fresh = unseen(cut(log, 0.9), log)
    made = mixtures(log.histories, fresh, 20, 0)
    active = np.unique(log.histories.rows()[fresh])
    for number in range(3):
        mixture = made(number)
        new = mixture.take(np.arange(len(active)))
        for place, viewer in enumerate(active):
            np.testing.assert_array_equal(new.row(place)[-3:], log.histories.row(viewer)[-3:])
        assert len(active) < len(mixture) < len(log.histories)
        assert len(new.items) < len(mixture.items) < 3 * len(new.items)
    assert not np.array_equal(made(0).items, made(1).items)
    np.testing.assert_array_equal(made(2).items, mixture.items)


def test_a_long_history_is_read_from_shortly_before_what_is_new():
    histories = histories_of([list(range(100))])
    mixture = mixtures(histories, np.arange(100) >= 97, 20, 0)(0).take(np.arange(1))
    assert mixture.items.tolist() == list(range(77, 100))


def test_items_are_known_again_by_their_ids_and_new_ones_start_among_their_neighbours():
    old = log_of([[0, 1, 2], [3, 4, 5]] * 10)
    ids = ["new", *reversed(old.items.ids(range(6)))]
    rows = [[6, 5, 0, 4], [3, 2, 1]] * 10
    log = replace(log_of(rows, n_items=7), items=type(old.items)(ids))
    model = make_recommender("sequential", SMALL).fit(old, run=Run(device="cpu"))
    table = model.parts["sequential"].tensors["items"]
    found = warm_vectors(Warm(part=model.parts["sequential"], log=old, fresh=unseen(old, log)), log)
    np.testing.assert_array_equal(found[1:], table[::-1])
    np.testing.assert_array_equal(renamed(table, old, log)[0], 0.0)
    angles = (table @ found[0]) / np.linalg.norm(table, axis=1) / np.linalg.norm(found[0])
    assert angles[:3].min() > angles[3:].max()


@pytest.fixture(scope="module")
def log():
    return predictable_log(300)


def trained(log, **more):
    return make_recommender("sequential", {**SMALL, **more}).fit(log, run=Run(device="cpu"))


def ndcg(model, log):
    held = hold_out(log, 1)
    return held.ndcg(model.scores, log.n_items)


def test_what_was_learnt_is_not_forgotten(log):
    old = cut(log, 0.9)
    stale = trained(old)
    warm = make_recommender("sequential", SMALL).update(stale, log, run=Run(device="cpu"))
    assert ndcg(warm, log) > 0.95 * ndcg(stale, log) > 0.3
    changed = warm.parts["sequential"].tensors["items"] - stale.parts["sequential"].tensors["items"]
    assert 0.0 < np.abs(changed).max() < 0.5
    assert warm.parts["sequential"].settings["passes_made"] <= 2


def test_an_item_that_comes_into_fashion_is_found(log):
    """Everybody of one taste takes the new item last: it is unknown at first, then among their first."""
    new = log.n_items - 1
    mine = np.bincount(log.histories.rows()[log.histories.items < 12], minlength=300)
    fans = mine > 0.6 * log.histories.lengths
    some = fans & (np.arange(300) % 3 == 0)
    rows = [[*log.histories.row(v).tolist(), *([new] if some[v] else [])] for v in range(300)]
    later = log_of(rows, times=[list(range(len(row))) for row in rows], n_items=log.n_items)
    old = later.keep(later.histories.items != new)
    stale = trained(old)
    warm = make_recommender("sequential", SMALL).update(stale, later, run=Run(device="cpu"))
    askers = newcomers(old.histories.take(np.flatnonzero(fans & ~some)))

    def place(model):
        scores = model.scores(askers)
        return float((scores > scores[:, [new]]).sum(axis=1).mean())

    assert place(warm) < 0.5 * place(stale)


@pytest.mark.parametrize(
    ("more", "order"),
    [
        ({"opening": True}, "time"),
        ({"positions": "steps"}, "time"),
        ({"positions": "places"}, "time"),
        ({}, "none"),
    ],
)
def test_every_kind_of_network_goes_on_from_its_own_weights(log, more, order):
    log = replace(log, order=order)
    some = {**SMALL, "passes": 1, **more}
    stale = make_recommender("sequential", some).fit(cut(log, 0.95), run=Run(device="cpu"))
    warm = make_recommender("sequential", some).update(stale, log, run=Run(device="cpu"))
    one, two = (model.parts["sequential"].tensors for model in (stale, warm))
    assert one.keys() == two.keys()
    for name in one:
        assert 0.0 <= np.abs(one[name] - two[name]).max() < 0.2, name


def test_what_is_held_out_is_new_and_not_learnt(log):
    fresh = unseen(cut(log, 0.5), log)
    held = hold_out(log, 0, fresh)
    assert len(held) >= 10
    assert fresh[~held.taught].all()
    plain = replace(log, order="none")
    assert fresh[~hold_out(plain, 0, fresh).taught].all()


def test_too_much_that_is_new_asks_for_a_fit_from_scratch(log):
    part, config = trained(cut(log, 0.9), passes=1).parts["sequential"], make_recommender("sequential").config

    def why(old, now=log):
        return why_from_scratch(config, part, old, now)

    assert why(cut(log, 0.9)) == ""
    assert "new events are more than 20%" in why(cut(log, 0.2))
    few = log.keep(log.histories.items < 10)
    many = log_of([*([0] * 90 + [1] * 5 for _ in range(20)), list(range(10))])
    assert "items that nobody had watched" in why(many.keep(many.histories.items < 2), many)
    assert watched_of(few).sum() == 10
    assert "order" in why(replace(log, order="none"))


def test_what_a_cut_history_begins_with_is_not_learnt_as_what_is_watched_first():
    """An opening is taught by first events, and by no others."""
    histories = histories_of([list(range(100)), [7, 8, 9], [4, 5]])
    fresh = np.isin(np.arange(105), [98, 99, 102])
    reading = Reading(longest=10, batch_events=64, opening=True)
    taught = set()
    for number in range(30):
        mixture = mixtures(histories, fresh, 10, number)(number)
        for batch in next_events(mixture, reading, number)(0):
            outputs = batch.histories.items.shape[1] + 1
            taught |= set(batch.targets[batch.rows % outputs == 0].tolist())
    assert 7 in taught
    assert taught <= {0, 4, 7}
