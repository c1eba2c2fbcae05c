from functools import partial

import numpy as np

from matinee.answers.top import FALLBACK
from matinee.core.types import histories_of, newcomers
from matinee.testing.made_logs import log_of
from matinee.testing.recommenders import RecommenderTests
from matinee.testing.tastes import drifting_log


class TestRecent(RecommenderTests):
    name = "recent"
    heeds_noes = False
    personal = False
    likeness = False
    predictable = staticmethod(drifting_log)
    patternless = staticmethod(partial(drifting_log, drift=False))
    moves = {"share": (0.05, 0.5)}  # noqa: RUF012 - the suite reads it, nobody writes it


def test_a_stranger_is_answered_by_what_is_recent_and_the_source_says_that_nothing_is_known():
    from matinee.recommenders import make_recommender

    days = 86_400_000 * np.array([[0, 1, 100], [0, 1, 101]])
    log = log_of([[0, 1, 2], [0, 1, 3]], times=days.tolist(), n_items=5)
    model = make_recommender("recent", {"days": 30}).fit(log)
    scores = model.scores(newcomers(histories_of([[], [0]])))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert set(np.argsort(-scores[0])[:2]) == {2, 3}
    assert model.recommend(["a stranger"], k=1).sources == [FALLBACK]
    assert model.recommend_history([["i0"], []], k=1).sources == ["recent", FALLBACK]
