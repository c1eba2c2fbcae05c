import dataclasses
import tracemalloc

import numpy as np
import pytest

from matinee.answers import friends
from matinee.answers.model import Model
from matinee.core.errors import InputError
from matinee.core.types import Askers, histories_of, newcomers
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of, ragged

ROWS = [[0, 1], [0, 1, 2], [0, 3], [4], []]
FRIENDS = [[1, 2, 3], [0], [], [4], [0, 1]]


def fitted(**settings: object) -> Model:
    model: Model = make_recommender("friends", settings).fit(log_of(ROWS, friends=ragged(FRIENDS)))
    return model


def asking(viewer: int) -> Askers:
    return Askers(histories=histories_of([ROWS[viewer]]), viewers=np.array([viewer]))


def test_friends_who_share_taste_count_more() -> None:
    model = fitted(floor=0.1, backoff=0.5)
    weights = np.array([0.1 + 2 / np.sqrt(6), 0.1 + 1 / 2, 0.1])
    shares = np.array([3, 2, 1, 1, 1]) / 5
    had = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1]])
    expected = (weights @ had + 0.5 * shares) / (weights.sum() + 0.5)
    np.testing.assert_allclose(model.scorer.score(asking(0))[0], expected, rtol=1e-5)


def test_the_single_best_friend() -> None:
    scores = fitted(best_only=True, backoff=0.0).scorer.score(asking(0))[0]
    np.testing.assert_allclose(scores, [1, 1, 1, 0, 0], rtol=1e-5)


def test_without_friends_who_have_anything_popularity_answers() -> None:
    model = fitted()
    askers = Askers(histories=histories_of(ROWS), viewers=np.arange(5))
    np.testing.assert_array_equal(model.scorer.personal(askers), [True, True, False, False, True])
    np.testing.assert_array_equal(model.scores(askers)[2], model.context.popularity)


def test_a_newcomer_has_no_friends() -> None:
    model = fitted()
    np.testing.assert_array_equal(
        model.scores(newcomers(histories_of([[0, 1]])))[0], model.context.popularity
    )


def test_a_contribution_is_what_leaving_the_event_out_loses() -> None:
    scorer = fitted(floor=0.1).scorer
    found = scorer.contributions(asking(0), 2)
    lists = [[0, 1], [1], [0]]
    scores = scorer.score(Askers(histories=histories_of(lists), viewers=np.zeros(3, np.int64)))[:, 2]
    np.testing.assert_allclose(found, scores[0] - scores[1:], rtol=1e-4)
    assert found[1] > 0  # only the friend who has item 2 shares item 1


def test_a_long_history_is_laid_beside_its_friends_in_little_memory() -> None:
    rows = [list(range(6000)), [*range(3000), 6000], list(range(2000, 4000))]
    log = log_of(rows, friends=ragged([[1, 2], [], []]))
    scorer = make_recommender("friends").fit(log).scorer
    asker = Askers(histories=log.histories.take(np.array([0])), viewers=np.array([0]))
    tracemalloc.start()
    found = scorer.contributions(asker, 6000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert (found[:2000] > 0).all()
    assert (found[3000:4000] < 0).all()


def test_friends_with_long_histories_are_laid_out_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [list(range(2000))] * 10 + [[1]] * 40
    log = log_of(rows, friends=ragged([[]] * 10 + [list(range(10))] * 40))
    model = make_recommender("friends").fit(log)
    askers = Askers(histories=log.histories.take(np.arange(10, 50)), viewers=np.arange(10, 50))
    whole = model.scorer.score(askers)
    monkeypatch.setattr(friends, "_ENTRIES", 100_000)
    tracemalloc.start()
    np.testing.assert_array_equal(model.scorer.score(askers), whole)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


def test_a_newcomers_history_brings_no_friend_closer() -> None:
    found = fitted().scorer.contributions(newcomers(histories_of([[0, 1]])), 2)
    np.testing.assert_array_equal(found, [0, 0])


def test_reasons_count_friends() -> None:
    scorer = fitted().scorer
    assert scorer.reasons(asking(0), 0) == ["2 friends of yours have it"]  # type: ignore[attr-defined]
    assert scorer.reasons(asking(0), 2) == ["a friend of yours has it"]  # type: ignore[attr-defined]


def test_a_bundle_without_histories_says_nothing_personal() -> None:
    model = fitted()
    bare = dataclasses.replace(model, context=dataclasses.replace(model.context, histories=None))
    np.testing.assert_array_equal(bare.scores(asking(0))[0], model.context.popularity)


def test_a_log_without_friends_is_refused() -> None:
    with pytest.raises(InputError, match="--friends FILE"):
        make_recommender("friends").fit(log_of(ROWS))
