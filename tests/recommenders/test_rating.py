import dataclasses

import numpy as np
import pytest

from matinee.core.errors import SettingsError
from matinee.core.types import Askers, histories_of, newcomers
from matinee.recommenders import RECOMMENDERS, make_recommender
from matinee.testing.made_logs import log_of
from matinee.testing.recommenders import RecommenderTests
from matinee.testing.tastes import camps_log, predictable_log, rated_log

SMALL = {"factors": 4, "warm_up": 5, "draws": 8, "apart": 1, "axes": 20}
VALUES = [name for name in RECOMMENDERS if getattr(RECOMMENDERS[name], "predicts", "") == "value"]


class ValueTests(RecommenderTests):
    weighs = heeds_noes = False
    margin = None
    made = staticmethod(rated_log)


class TestRating(ValueTests):
    name = "rating"
    settings = SMALL
    moves = {"warm_up": (2, 9), "draws": (2, 8), "apart": (1, 2), "caution": (0.0, 2.0)}  # noqa: RUF012


class TestRatingFactors(ValueTests):
    name = "rating_factors"
    settings = {"factors": 4, "ridge": 0.5}  # noqa: RUF012
    moves = {"epochs": (1, 15)}  # noqa: RUF012


class TestRatingBiases(ValueTests):
    name = "rating_biases"
    likeness = False
    strangers = True
    moves = {"epochs": (1, 10)}  # noqa: RUF012


class TestRatingKnn(ValueTests):
    name = "rating_knn"
    additive = False
    moves = {"neighbours": (1, 50)}  # noqa: RUF012


class TestRatingMean(ValueTests):
    name = "rating_mean"
    personal = likeness = False


def rated(seed=0, noise=0.3, n=300):
    """A rated log of whose every fourth event nothing is told, and these events."""
    log = rated_log(predictable_log(n, seed=seed), seed=seed, noise=noise)
    held = np.random.default_rng(seed).random(len(log)) < 0.25
    return log.keep(~held), log.histories.rows()[held].astype(np.int64), log.histories.keep(held)


def error(name, log, rows, events, times=None, **settings):
    model = make_recommender(name, settings).fit(log)
    askers = Askers(histories=log.histories, viewers=np.arange(len(log.histories)))
    told = model.values(askers, rows, events.items, times)
    return float(np.sqrt(np.mean((told - events.values) ** 2)))


def test_biases_predict_better_than_the_mean():
    held = rated()
    mean, biases = (error(name, *held) for name in ("rating_mean", "rating_biases"))
    assert biases < 0.97 * mean


def test_neighbours_and_factors_tell_two_camps_apart_and_biases_do_not():
    log = camps_log()
    held = np.random.default_rng(3).random(len(log)) < 0.2
    asked = log.keep(~held), log.histories.rows()[held].astype(np.int64), log.histories.keep(held)
    assert error("rating_knn", *asked) < 0.6
    factors = error("rating_factors", *asked)
    assert factors < 0.6
    assert error("rating", *asked, **SMALL) < factors
    assert error("rating_biases", *asked) > 0.9


@pytest.mark.parametrize("name", VALUES)
def test_values_drawn_at_random_are_not_predicted_better_than_by_their_mean(name):
    log, rows, events = rated()
    random = np.random.default_rng(4)
    drawn = random.integers(1, 6, len(log)).astype(np.float32)
    log = dataclasses.replace(log, histories=dataclasses.replace(log.histories, values=drawn))
    events = dataclasses.replace(events, values=random.integers(1, 6, len(rows)).astype(np.float32))
    settings = SMALL if name == "rating" else {}
    assert error(name, log, rows, events, **settings) > 0.99 * float(events.values.std())


@pytest.mark.parametrize("name", VALUES)
def test_a_log_without_values_is_refused_in_one_sentence(name):
    with pytest.raises(
        SettingsError, match=f"{name} learns from the values of events, and this log has none"
    ):
        make_recommender(name).fit(predictable_log(20))


@pytest.mark.parametrize("name", VALUES)
def test_values_stay_within_the_logs_scale_for_whoever_and_whatever_is_asked(name):
    log, _, _ = rated(n=100)
    model = make_recommender(name, SMALL if name == "rating" else {}).fit(log)
    asked = newcomers(histories_of([[], [0, 1], [3]]))
    rows, items = np.array([0, 0, 1, 2, 2]), np.array([-1, 3, 74, -1, 5], dtype=np.int32)
    times = np.array([0, 10**13, 5, 6, 7])
    told = model.values(asked, rows, items, times)
    assert told.dtype == np.float32
    assert ((told >= log.histories.values.min()) & (told <= log.histories.values.max())).all()


def test_a_newcomer_is_answered_from_their_ratings_as_a_viewer_with_the_same():
    log, _, _ = rated()
    model = make_recommender("rating", SMALL).fit(log)
    one = log.histories.take(np.array([7]))
    known = model.scores(Askers(histories=one, viewers=np.array([7])))
    np.testing.assert_array_equal(model.scores(newcomers(one)), known)
    turned = dataclasses.replace(one, values=6.0 - one.values)
    assert np.abs(model.scores(newcomers(turned)) - known).max() > 0.3


def test_ratings_of_one_sitting_share_a_mood():
    # Forty viewers rate forty items in ten sittings of four, each sitting in a mood of its own.
    random = np.random.default_rng(1)
    rows = [random.permutation(40).tolist() for _ in range(40)]
    moods = np.repeat(random.standard_normal((40, 10)), 4, axis=1)
    hours = [[3_600_000 * (place // 4) + 1_000 * place for place in range(40)] for _ in rows]
    log = log_of(rows, times=hours, target="rating")
    values = (3 + moods.ravel() + 0.2 * random.standard_normal(1600)).astype(np.float32)
    log = dataclasses.replace(log, histories=dataclasses.replace(log.histories, values=values))
    held = random.random(1600) < 0.25
    asked = log.keep(~held), log.histories.rows()[held].astype(np.int64), log.histories.keep(held)
    with_moods = error("rating", *asked, asked[2].times, **SMALL)
    assert with_moods < 0.6
    assert error("rating", *asked, **SMALL) > 0.9
    assert error("rating", *asked, asked[2].times, **SMALL, pause_minutes=0) > 0.9


def test_an_item_that_one_happy_viewer_rated_does_not_lead_the_list():
    log = rated_log(predictable_log(200))
    rows = [log.histories.row(viewer).tolist() for viewer in range(200)]
    rows[0].append(74)
    values = [*np.split(log.histories.values, log.histories.offsets[1:-1])]
    values[0] = np.append(values[0], np.float32(5.0))
    told = log_of(rows, n_items=75, target="rating")
    told = dataclasses.replace(
        told, histories=dataclasses.replace(told.histories, values=np.concatenate(values))
    )
    model = make_recommender("rating", SMALL).fit(told)
    asked = newcomers(told.histories.take(np.arange(1, 60)))
    place = (model.scores(asked) > model.scores(asked)[:, [74]]).sum(axis=1)
    assert np.median(place) > 5
    careful = make_recommender("rating", SMALL | {"caution": 2.0}).fit(told)
    later = (careful.scores(asked) > careful.scores(asked)[:, [74]]).sum(axis=1)
    assert np.median(later) > np.median(place)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("rating", {"draws": 0}),
        ("rating", {"caution": -1}),
        ("rating_factors", {"ridge": 0}),
        ("rating_biases", {"epochs": 0}),
        ("rating_knn", {"doubt": 0}),
        ("rating_knn", {"neighbours": 0}),
    ],
)
def test_settings_that_learn_nothing_are_refused(name, settings):
    with pytest.raises(SettingsError, match=f"{name} needs {next(iter(settings))}"):
        make_recommender(name, settings)
