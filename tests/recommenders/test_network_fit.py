"""What a fit of a network may learn from, and whose checkpoints it may take."""

from dataclasses import replace

import numpy as np
import pytest

from matinee.core.errors import TooLarge
from matinee.core.run import Run
from matinee.recommenders import make_recommender
from matinee.recommenders.held_out import hold_out
from matinee.testing.tastes import predictable_log

pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

SETTINGS = {"width": 8, "layers": 1, "passes": 1, "batch_events": 256, "longest": 20, "patience": 0}


def fitted(log, settings=SETTINGS, **how):
    return make_recommender("sequential", settings).fit(log, run=Run(device="cpu", **how)).parts["sequential"]


def same_weights(one, other):
    return all(np.array_equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def with_other_answers(log):
    """The log, every event that a fit holds back being of another item that its viewer never had."""
    held, items = hold_out(log, 0), log.histories.items.copy()
    for viewer, event in zip(held.askers.viewers, np.flatnonzero(~held.taught), strict=True):
        row = log.histories.row(int(viewer))
        items[event] = next(item for item in range(5, 60) if item not in row)
    return replace(log, histories=replace(log.histories, items=items))


def with_other_events(log):
    """The log, each item another one: of the same sizes in everything."""
    return replace(log, histories=replace(log.histories, items=(log.histories.items + 1) % log.n_items))


@pytest.fixture(scope="module")
def log():
    return predictable_log(300)


def test_not_a_weight_depends_on_what_is_held_out(log):
    other = with_other_answers(log)
    assert not np.array_equal(hold_out(log, 0).targets, hold_out(other, 0).targets)
    one, two = fitted(log), fitted(other)
    assert same_weights(one, two)
    assert one.settings["validation"] != two.settings["validation"]


@pytest.mark.parametrize("change", [with_other_events, with_other_answers])
def test_no_checkpoint_of_another_log_is_gone_on_with(log, change, tmp_path):
    other = change(log)
    fitted(log, checkpoints=tmp_path)
    found, fresh = fitted(other, checkpoints=tmp_path), fitted(other)
    assert same_weights(found, fresh)
    assert found.settings["validation"] == fresh.settings["validation"]


def test_what_does_not_fit_is_refused_before_anything_starts(log, monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr("matinee.recommenders.network_fit.fit_network", never)
    with pytest.raises(TooLarge, match="width or batch_events"):
        fitted(log, {**SETTINGS, "width": 2**26})
