"""Batches made ahead: the same ones in the same order, errors where they are met, no thread left behind."""

import threading
from itertools import islice

import pytest
import torch
from tests.train.test_learner import events

from matinee.train.ahead import Ahead, Shapes, events_of_shape, taken_ahead
from matinee.train.learner import Filled
from matinee.train.sequences import Reading, next_events
from matinee.train.tensors import tensors_of


def passes():
    return next_events(events(), Reading(longest=20, batch_events=128), 0)


def threads() -> int:
    return sum(thread.name == "batches" for thread in threading.enumerate())


def test_the_same_batches_in_the_same_order():
    made, ahead = passes(), taken_ahead(passes(), None, pinned=False)
    for number in range(2):
        assert len(ahead(number)) == len(made(number))
        for one, other in zip(made(number), ahead(number), strict=True):
            for here, there in zip(tensors_of(one), tensors_of(other), strict=True):
                assert torch.equal(here, there)
    assert not threads()


def test_whoever_leaves_early_leaves_no_thread():
    batches = iter(taken_ahead(passes(), Shapes(batch_events=128, longest=20), pinned=False)(0))
    assert all(isinstance(batch, Filled) for batch in islice(batches, 2))
    assert threads() == 1
    batches.close()
    assert not threads()


def test_an_error_is_raised_where_the_batch_is_taken():
    class Breaks:
        def __len__(self):
            return 3

        def __iter__(self):
            yield None
            raise ValueError("the second one")

    found = []
    with pytest.raises(ValueError, match="the second one"):
        found.extend(Ahead(made=Breaks(), pinned=False))
    assert found == [None]
    assert not threads()


@pytest.mark.parametrize(("events", "wanted"), [(1, 8), (8, 8), (63, 64), (65, 80), (199, 208), (257, 288)])
def test_events_are_filled_up_to_few_lengths(events, wanted):
    assert events_of_shape(events) == wanted
