"""How far a blend raises items that nobody watched, chosen on events held out."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from matinee.answers.model import load
from matinee.core.run import Run
from matinee.core.types import newcomers
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of

pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

TASTES, OF_EACH = 5, 12
N_ITEMS = TASTES * OF_EACH
TASTE_OF = np.arange(N_ITEMS) % TASTES
COLD = np.arange(N_ITEMS) >= N_ITEMS - TASTES * 2
SETTINGS = {
    "sequential": {"width": 16, "layers": 1, "passes": 6, "batch_events": 256, "longest": 20, "patience": 0},
    "ials": {"factors": 8, "epochs": 3},
}


def town(described=True):
    """Viewers of one taste each; two items of each taste have come so lately that nobody watched them."""
    random = np.random.default_rng(0)
    warm = [np.flatnonzero((taste == TASTE_OF) & ~COLD) for taste in range(TASTES)]
    rows = [random.permutation(warm[viewer % TASTES])[:6].tolist() for viewer in range(300)]
    log = log_of(rows, times=[list(range(len(row))) for row in rows], n_items=N_ITEMS)
    columns = {"id": log.items.arrow, "title": log.items.arrow}
    if described:
        columns["genres"] = pa.array([[f"Genre {taste}"] for taste in TASTE_OF])
    return replace(log, item_table=pa.table(columns))


def fitted(log, **settings):
    return make_recommender("blend", {**SETTINGS, **settings}).fit(log, run=Run(device="cpu"))


@pytest.fixture(scope="module")
def log():
    return town()


@pytest.fixture(scope="module")
def model(log):
    return fitted(log)


def ranks_of_own_cold_items(model, log):
    """Where the two cold items of a viewer's taste stand among all that the viewer has not seen."""
    scores = np.array(model.scores(newcomers(log.histories)))
    scores[log.histories.rows(), log.histories.items] = -np.inf
    order = np.argsort(np.argsort(-scores, axis=1), axis=1)
    mine = COLD[None, :] & (TASTE_OF[None, :] == (np.arange(len(scores)) % TASTES)[:, None])
    return order[mine].reshape(len(scores), -1)


def test_items_nobody_watched_stand_among_the_others(log, model):
    """Four watched items and two new ones of the viewer's taste are unseen: all are as likely."""
    assert model.parts["blend"].settings["lift"] > 0.0
    ranks = ranks_of_own_cold_items(model, log)
    assert np.median(ranks) < 6
    plain = replace(model.parts["blend"], settings={**model.parts["blend"].settings, "lift": 0.0})
    lowered = replace(model, parts={**model.parts, "blend": plain})
    assert np.median(ranks_of_own_cold_items(lowered, log)) > np.median(ranks)


def test_given_weights_are_lifted_for_all_the_same(log):
    settings = fitted(log, weights=(1.0, 0.5)).parts["blend"].settings
    assert settings["weights"] == [[1.0], [0.5]]
    assert settings["lift"] > 0.0


def test_of_items_that_nothing_is_known_of_none_is_lifted():
    assert "lift" not in fitted(town(described=False)).parts["blend"].settings


def test_a_lift_survives_being_written(log, model, tmp_path):
    model.save(tmp_path / "bundle")
    asked = newcomers(log.histories.take(np.arange(3)))
    # The closed forms are written in bf16.
    np.testing.assert_allclose(load(tmp_path / "bundle").scores(asked), model.scores(asked), atol=0.02)
