import dataclasses

import numpy as np
import pytest

from matinee.core.errors import SettingsError
from matinee.core.types import histories_of, newcomers
from matinee.recommenders import make_recommender
from matinee.recommenders.held_out import hold_out, without
from matinee.recommenders.network_settings import drawn_negatives, resolved
from matinee.testing.made_logs import log_of
from matinee.testing.recommenders import RecommenderTests
from matinee.testing.tastes import predictable_log

SMALL = {"width": 16, "layers": 1, "passes": 6, "batch_events": 256, "rate": 0.01, "longest": 20}


class TestSequential(RecommenderTests):
    name = "sequential"
    settings = SMALL
    additive = False
    # By default what was turned down is kept from whoever turned it down, and teaches nobody else.
    heeds_noes = False
    moves = {  # noqa: RUF012
        "hidden": (1, 4),
        "start": ("svd", "random"),
        "negatives": (0, 8),
        "last": (0, 1),
        "average": (0.0, 0.9),
        "opening": (False, True),
        "gaps": (False, True),
        "noes": (0.0, 1.0),
        "width": (8, 16),
        "longest": (2, 20),
        "passes": (1, 4),
        "batch_events": (64, 256),
    }
    idle = {  # noqa: RUF012
        "patience": "the suite's passes are too few to lose patience",
        "content": "the suite's items are known by nothing but their ids",
        "id_dropout": "the suite's items are known by nothing but their ids",
        "kinds": "the suite's events are of one kind; test_network_context.py moves it",
        "values": "the suite's events bring no value; test_network_context.py moves it",
        "regions": "nobody knows where the suite's viewers are; test_network_context.py moves it",
        "times": "the suite's events are all a day apart, so time says nothing that distance does not",
    }


@pytest.fixture(scope="module")
def log():
    return predictable_log(300)


def test_nothing_is_learnt_from_what_is_held_out(log):
    held = hold_out(log, seed=3)
    assert 25 <= len(held) <= 31
    taught = without(log, held).histories
    assert len(taught.items) == len(log.histories.items) - len(held)
    for row, viewer in enumerate(held.askers.viewers.tolist()):
        whole = log.histories.row(viewer)
        assert held.askers.histories.row(row).tolist() == whole[:-1].tolist()
        assert taught.row(viewer).tolist() == whole[:-1].tolist()
        assert held.targets[row] == whole[-1]
    others = np.setdiff1d(np.arange(len(log.histories)), held.askers.viewers)
    assert all(taught.row(v).tolist() == log.histories.row(v).tolist() for v in others.tolist())


def test_another_seed_holds_out_others(log):
    assert hold_out(log, 0).askers.viewers.tolist() == hold_out(log, 0).askers.viewers.tolist()
    assert hold_out(log, 0).askers.viewers.tolist() != hold_out(log, 1).askers.viewers.tolist()


def test_of_a_log_without_order_any_event_is_held_out():
    log = predictable_log(300, order="none")
    held = hold_out(log, 0)
    lasts = [
        int(log.histories.row(v)[-1]) == int(t)
        for v, t in zip(held.askers.viewers, held.targets, strict=True)
    ]
    assert 0 < sum(lasts) < len(held)
    assert without(log, held).histories.lengths.sum() == len(log.histories.items) - len(held)


def test_gains_are_ndcg_of_the_full_ranking(log):
    held = hold_out(log, 0)
    scores = np.random.default_rng(0).standard_normal((len(held), log.n_items)).astype(np.float32)
    found = held.gains(scores.copy())
    for row in range(len(held)):
        seen = set(held.askers.histories.row(row).tolist())
        order = [item for item in np.argsort(-scores[row]) if int(item) not in seen]
        rank = order.index(int(held.targets[row]))
        assert found[row] == pytest.approx(1 / np.log2(rank + 2) if rank < 10 else 0.0)


@pytest.mark.long
def test_time_between_events_is_learnt_where_it_tells():
    """Whoever pauses for a month goes on with item 2, whoever does not with item 3."""
    random = np.random.default_rng(0)
    pauses = random.random(400) < 0.5
    rows = [[*random.choice([4, 5, 6], 2).tolist(), 1, 2 if pause else 3] for pause in pauses]
    day = 86_400_000
    times = [[0, day, (31 if pause else 2) * day, (32 if pause else 3) * day] for pause in pauses]
    log = log_of(rows, times=times, n_items=7)
    settings = {**SMALL, "layers": 2, "passes": 60, "batch_events": 64, "patience": 0, "dropout": 0.0}

    def told_apart(times):
        model = make_recommender("sequential", {**settings, "times": times}).fit(log)
        asked = log.histories.keep(np.tile([True, True, True, False], 400))
        scores = model.scores(newcomers(asked))
        return np.mean((scores[:, 2] > scores[:, 3]) == pauses)

    assert told_apart(True) > 0.95
    assert told_apart(False) < 0.7


def test_an_opening_tells_what_is_watched_first_from_what_follows_later():
    """Everybody begins with item 1 and then 2; later, 1 is followed by one of four others."""
    random = np.random.default_rng(0)
    rows = [[1, 2, *random.permutation([3, 4, 5, 6])[:2].tolist(), 7] for _ in range(150)]
    rows += [[8, *random.permutation([3, 4, 5, 6])[:2].tolist(), 1, 9] for _ in range(450)]
    log = log_of(rows, n_items=10, order="sequence")
    settings = {**SMALL, "layers": 2, "passes": 20, "batch_events": 128, "patience": 0, "dropout": 0.0}
    begun = newcomers(histories_of([[1]]))

    def second(opening):
        scores = make_recommender("sequential", {**settings, "opening": opening}).fit(log).scores(begun)[0]
        return scores[2] - scores[9]

    assert second(True) > max(second(False), 0.0)


def test_where_nobody_can_be_asked_all_passes_are_made():
    random = np.random.default_rng(0)
    log = log_of([[int(first), int(first) + 10] for first in random.integers(0, 10, 60)], n_items=20)
    assert not len(hold_out(log, 0))
    settings = make_recommender("sequential", {**SMALL, "patience": 1}).fit(log).parts["sequential"].settings
    assert settings["passes_made"] == SMALL["passes"]
    assert "validation" not in settings


def test_much_dropout_leaves_some_of_what_comes_in(log):
    assert resolved(make_recommender("sequential", {"dropout": 0.98}).config, log).item_dropout < 1.0


def test_sets_need_memory_for_all_pairs_of_their_items():
    rows = [list(range(start, start + 200)) for start in range(0, 20_000, 200)]
    memory = {
        order: make_recommender("sequential")
        .needs(dataclasses.replace(log_of(rows, n_items=20_000), order=order))
        .memory_bytes
        for order in ("sequence", "none")
    }
    assert memory["none"] - memory["sequence"] > 8 * 100 * (200**2 - 16 * 200) * 0.99


def test_a_large_catalogue_is_learnt_against_drawn_items():
    config = make_recommender("sequential").config
    assert drawn_negatives(config, 3_416) == 0
    assert 0 < drawn_negatives(config, 1_000_000) < 10_000
    assert drawn_negatives(make_recommender("sequential", {"negatives": 64}).config, 3_416) == 64


def test_a_start_from_what_is_watched_near_what_learns_sooner(log):
    def foretold(start):
        held = hold_out(log, 0)
        model = make_recommender("sequential", {**SMALL, "passes": 1, "start": start}).fit(log)
        return held.ndcg(model.scores, log.n_items)

    assert foretold("svd") > foretold("random") + 0.05


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("positions", "far"),
        ("start", "zeros"),
        ("decays", (0.5, 1.0)),
        ("decays", ()),
        ("width", 7),
        ("passes", 0),
        ("dropout", 1.0),
        ("temperature", 0.0),
        ("negatives", -1),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting, value):
    with pytest.raises(SettingsError, match=setting):
        make_recommender("sequential", {setting: value})
