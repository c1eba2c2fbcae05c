"""Which events may be held back: those that are to be foretold, and that an answer may name."""

import numpy as np
import pytest

from matinee.recommenders.held_out import hold_out
from matinee.testing.made_logs import log_of

VIEWERS = 400
EVEN = np.arange(VIEWERS) % 2 == 0


@pytest.mark.parametrize("order", ["sequence", "none"])
def test_an_event_that_is_not_to_be_foretold_is_not_held_back(order):
    rows = [[0, 1, 2, 3]] * VIEWERS
    targets = [[not even] * 4 for even in EVEN.tolist()]
    held = hold_out(log_of(rows, targets=targets, order=order), 0)
    assert len(held) > 10
    assert not EVEN[held.askers.viewers].any()


@pytest.mark.parametrize("repeats", [False, True])
def test_an_item_that_the_viewer_had_before_is_held_back_only_where_it_is_a_fair_answer(repeats):
    rows = [[0, 1, 2, 1 if even else 3] for even in EVEN.tolist()]
    held = hold_out(log_of(rows, order="sequence", repeats=repeats), 0)
    assert len(held) > 10
    assert EVEN[held.askers.viewers].any() == repeats
    assert not EVEN[held.askers.viewers].all()
