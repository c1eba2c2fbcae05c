"""The suite, what weights are chosen, and what values and friends do to an answer."""

from dataclasses import replace

import numpy as np
import pytest

import matinee
from matinee.answers.by_value import by_value
from matinee.core.errors import SettingsError
from matinee.core.types import Askers, histories_of
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of, ragged
from matinee.testing.recommenders import RecommenderTests
from matinee.testing.tastes import predictable_log

SMALL = {"ials.factors": 8, "ials.epochs": 3}


class TestEnsemble(RecommenderTests):
    name = "ensemble"
    parts = frozenset({"ensemble", "ials", "ease"})
    # The weights are given: chosen ones may differ between two logs that a test compares.
    settings = {**SMALL, "weights": (1.0, 0.5)}  # noqa: RUF012 - the suite reads it, nobody writes it
    additive = False
    idle = {  # noqa: RUF012
        "ials": "its own suite moves each of its settings",
        "ease": "its own suite moves each of its settings",
        "graph_filter": "its own suite moves each of its settings",
        "user_knn": "its own suite moves each of its settings",
        "friends": "its own suite moves each of its settings",
        "values": "the suite's log has no values",
        "graph_filter.ideal": "no partner here",
        "graph_filter.popularity": "no partner here",
    }
    moves = {  # noqa: RUF012
        "weights": ((1.0, 0.0), (1.0, 1.0)),
        "partners": (("ials", "ease"), ("ease", "graph_filter")),
    }


@pytest.fixture(scope="module")
def log():
    return predictable_log(300, order="none")


def test_a_part_that_knows_nothing_gets_no_say(log):
    settings = {**SMALL, "partners": ("ease", "friends"), "friends.floor": 1.0, "friends.backoff": 1e6}
    model = make_recommender("ensemble", settings).fit(log)
    assert model.parts["ensemble"].settings["parts"] == ["ease"]
    assert model.parts["ensemble"].settings["held_back"] > 200


def test_who_has_friends_and_no_history_is_answered_by_what_they_have(tmp_path):
    # Five viewers of one taste, five of another; the last has no event, and friends of the second taste.
    rows = [[0, 1, 2, 3]] * 5 + [[4, 5, 6, 7]] * 5 + [[]]
    friends = [[one for one in range(5) if one != me] for me in range(5)]
    friends += [[one for one in range(5, 11) if one != me] for me in range(5, 10)] + [[5, 6, 7, 8, 9]]
    log = log_of(rows, order="none", friends=ragged(friends))
    model = make_recommender("ensemble", {**SMALL, "weights": (1.0, 1.0), "ials.friends": 1.0}).fit(log)
    model.save(tmp_path / "bundle")
    loaded = matinee.load(tmp_path / "bundle")
    found = loaded.recommend([log.viewers.id(10)], k=4)
    assert found.sources == ["ensemble"]
    assert set(found.codes[0].tolist()) == {4, 5, 6, 7}


def test_a_stranger_with_a_history_is_answered_from_it(log):
    model = make_recommender("ensemble", {**SMALL, "weights": (1.0, 1.0)}).fit(log)
    asked = Askers(histories=log.histories.take(np.array([3, 3])), viewers=np.array([3, -1]))
    known, stranger = model.scorer.score(asked)
    assert not np.allclose(known, stranger)
    assert model.scorer.personal(asked).all()


def test_what_was_heard_often_counts_more_and_unknown_values_count_as_one():
    values = np.array([0.0, 3.0, 15.0, np.nan, 7.0], np.float32)
    histories = replace(histories_of([[0, 1, 2, 3], [4]]), values=values)
    found = by_value(histories, 1.0)
    np.testing.assert_allclose(found.weights, [0.0, 1.0, 2.0, 1.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(by_value(histories, 2.0).weights, [0.0, 1.0, 4.0, 1.0, 1.0], rtol=1e-6)
    assert by_value(histories, 0.0) is histories
    assert by_value(histories_of([[1]]), 1.0).weights is None


def test_values_change_an_answer(log):
    random = np.random.default_rng(0)
    values = random.integers(1, 100, len(log.histories.items)).astype(np.float32)
    valued = replace(log, histories=replace(log.histories, values=values))
    fitted = [
        make_recommender("ensemble", {**SMALL, "weights": (1.0, 1.0), "values": power}).fit(valued)
        for power in (0.0, 1.0)
    ]
    asker = Askers(histories=valued.histories.take(np.array([0])), viewers=np.array([0]))
    alike, counted = (model.scorer.score(asker) for model in fitted)
    assert not np.allclose(alike, counted)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"partners": ("eese",)}, "ease"),
        ({"partners": ("ease", "ease")}, "each once"),
        ({"weights": (1.0,)}, "2 weights"),
        ({"weights": (0.0, 0.0)}, "one above"),
        ({"values": -1.0}, "at least 0"),
        ({"ease": 3}, "ease.KEY=VALUE"),
        ({"ease.dropout": 1.0}, "below 1"),
        ({"ials.friends": -0.1}, "at least 0"),
    ],
)
def test_settings_that_do_not_fit(settings, words):
    with pytest.raises(SettingsError, match=words):
        make_recommender("ensemble", settings).fit(predictable_log(20))
