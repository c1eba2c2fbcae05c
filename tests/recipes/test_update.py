"""New events in a fitted model: what `matinee.update` answers is what a whole fit would."""

from dataclasses import replace

import numpy as np
import pytest

import matinee
from matinee.answers.manifest import bury
from matinee.testing.made_logs import log_of


def chains(events: int, viewers: int = 80):
    """Viewers who go on from item to item, each with so many events, some with fewer."""
    starts = np.random.default_rng(0).integers(0, 25, viewers)
    rows = [
        [int((start + step) % 25) for step in range(events - row % 3)] for row, start in enumerate(starts)
    ]
    return log_of(rows, order="order", n_items=25, fingerprint=str(events))


@pytest.mark.parametrize("name", ["transitions", "item_knn", "popularity"])
def test_an_update_answers_as_a_whole_fit_does(name, tmp_path):
    old, new = chains(9), chains(12)
    matinee.fit(old, name, seed=4).save(tmp_path / "bundle")
    model = matinee.update(matinee.load(tmp_path / "bundle"), new)
    whole = matinee.fit(new, name, seed=4)
    askers = whole.askers(new.viewers.ids(range(80)))
    np.testing.assert_allclose(model.scores(askers), whole.scores(askers), atol=1e-3)
    assert (model.facts["seed"], model.facts["fitted_on"], model.facts["split"]) == (4, "everything", None)
    assert ("update" in model.facts) == (name != "transitions")
    model.save(tmp_path / "bundle")
    assert len(matinee.load(tmp_path / "bundle").log) == len(new)


def test_an_update_of_a_held_out_model_says_that_it_saw_everything():
    log = chains(12)
    held = matinee.fit(log, "transitions", hold_out="leave-one-out")
    assert held.facts["split"]["hold_out"]
    assert matinee.update(held, log).facts["split"] is None


def test_the_deleted_stay_deleted_and_their_events_leave_the_sums(tmp_path):
    log = chains(12)
    matinee.fit(chains(9), "transitions").save(tmp_path / "bundle")
    bury(tmp_path / "bundle", frozenset(["v0"]))
    model = matinee.update(matinee.load(tmp_path / "bundle"), log)
    assert model.facts["update"] == "fitted anew: a viewer was deleted"
    assert model.deleted == {"v0"}
    assert "v0" not in model.log.viewers
    others = log_of([log.histories.row(v).tolist() for v in range(1, 80)], order="order", n_items=25)
    whole = matinee.fit(replace(others, viewers=model.log.viewers), "transitions")
    askers = whole.askers(["v1", "v2", "v79"])
    np.testing.assert_allclose(model.scores(askers), whole.scores(askers), atol=1e-4)
