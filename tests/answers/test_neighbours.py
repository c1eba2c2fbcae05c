import numpy as np
import pytest

from matinee.answers.model import Model
from matinee.core.types import Askers, histories_of, newcomers
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of, ragged

SETTINGS = {"neighbours": 2, "shrink": 0.5, "power": 2.0, "rarity": 1.0, "discount": 0.3}


def fitted(rows: list[list[int]]) -> Model:
    model: Model = make_recommender("user_knn", SETTINGS).fit(log_of(rows))
    return model


def by_hand(
    rows: list[list[int]], history: list[int], own: int = -1, noes: list[list[int]] | None = None
) -> np.ndarray:
    """The file's formulas, a viewer at a time."""
    n_items = max(max(row) for row in rows) + 1
    had = np.array([[item in row for item in range(n_items)] for row in rows], dtype=float)
    watchers = np.maximum(had.sum(axis=0), 1)
    rarity = np.log1p(len(rows) / watchers)
    query = np.isin(np.arange(n_items), history) * rarity
    likeness = []
    for viewer, row in enumerate(had * rarity):
        length = np.linalg.norm(row) * np.linalg.norm(query)
        likeness.append(0.0 if viewer == own else row @ query / (length + 0.5))
    floor = np.sort(likeness)[-2]
    votes = [like**2 if like >= floor and like > 0 else 0.0 for like in likeness]
    against = [[item in row for item in range(n_items)] for row in noes or [[]] * len(rows)]
    return np.asarray((votes @ (had - 0.5 * np.array(against))) * watchers**-0.3)


def test_scores_are_those_of_the_formula() -> None:
    rows = [[0, 1, 2], [1, 2, 3, 3], [4, 0], [2, 5], [1, 5, 4]]
    model = fitted(rows)
    for history in ([1, 2], [4], [0, 5, 5]):
        found = model.scorer.score(newcomers(histories_of([history])))[0]
        np.testing.assert_allclose(found, by_hand(rows, history), rtol=1e-5)


def test_neighbours_vote_against_what_they_turned_down() -> None:
    rows, noes = [[0, 1, 2], [1, 2, 3], [4, 0], [2, 5]], [[5], [], [3, 2], []]
    log = log_of(rows, negatives=ragged(noes))
    model = make_recommender("user_knn", {**SETTINGS, "negative": 0.5}).fit(log)
    for own, asker in ((-1, newcomers(histories_of([[0, 2]]))), (1, _viewer(rows, 1))):
        scores = model.scorer.score(asker)[0]
        wanted = by_hand(rows, asker.histories.row(0).tolist(), own=own, noes=noes)
        np.testing.assert_allclose(scores, wanted, rtol=1e-5)
        for item in range(6):
            assert model.scorer.contributions(asker, item).sum() == pytest.approx(scores[item], rel=1e-4)
    assert scores[5] < 0


def _viewer(rows: list[list[int]], viewer: int) -> Askers:
    return Askers(histories=histories_of([rows[viewer]]), viewers=np.array([viewer]))


def test_nobody_is_their_own_neighbour() -> None:
    rows = [[0, 1, 2], [1, 2, 3], [4, 0], [2, 5]]
    model = fitted(rows)
    asker = Askers(histories=histories_of([rows[0]]), viewers=np.array([0]))
    np.testing.assert_allclose(model.scorer.score(asker)[0], by_hand(rows, rows[0], own=0), rtol=1e-5)


def test_a_viewer_whose_items_nobody_else_has_hears_nothing_personal() -> None:
    model = fitted([[0, 1], [2, 3], [2]])
    asker = Askers(histories=histories_of([[0, 1], [2, 3]]), viewers=np.array([0, 1]))
    np.testing.assert_array_equal(model.scorer.personal(asker), [False, True])
    np.testing.assert_array_equal(model.scores(asker)[0], model.context.popularity)


def test_neighbours_who_tie_all_vote() -> None:
    model = fitted([[0, 1], [0, 2], [0, 3]])
    scores = model.scorer.score(newcomers(histories_of([[0]])))[0]
    assert scores[1] == scores[2] == scores[3] > 0
