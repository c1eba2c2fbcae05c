from dataclasses import replace

import numpy as np
import pytest

from matinee.answers import friends, neighbours
from matinee.answers.taste import directions, item_likeness, taste_matrix
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import ragged, random_log


def test_likeness_is_the_cosine_between_columns() -> None:
    log = random_log(1)
    matrix = taste_matrix(log.histories, 30, decay=0.7)
    dense = matrix.toarray().astype(np.float64)
    lengths = np.maximum(np.linalg.norm(dense, axis=0), 1e-12)
    wanted = (dense.T @ dense) / lengths / lengths[:, None]
    items = np.array([3, 7, 29, 7], np.int32)
    np.testing.assert_allclose(item_likeness(directions(matrix), items), wanted[items], atol=1e-6)


@pytest.mark.parametrize(("name", "module"), [("friends", friends), ("user_knn", neighbours)])
def test_the_whole_log_is_measured_once(name: str, module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(module, "directions", lambda matrix: calls.append(1) or directions(matrix))
    model = make_recommender(name).fit(replace(random_log(1), friends=ragged([[1]] * 40)))
    for item in (1, 2, 3):
        assert model.scorer.similar(np.array([item], np.int32)).shape == (1, 30)
    assert len(calls) == 1
