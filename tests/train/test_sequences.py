"""What a step reads and what it must foretell, event by event: each event's item is its own position."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from matinee.core.types import Histories
from matinee.train.sequences import Reading, next_events, other_halves

READING = Reading(longest=10, batch_events=40, times=True)
LENGTHS = np.array([1, 2, 3, 5, 8, 10, 11, 0, 4, 9])
EVENTS = int(LENGTHS.sum())
WEIGHTS = np.random.default_rng(0).random(EVENTS).astype(np.float32) + 0.1
TARGETS = np.random.default_rng(1).random(EVENTS) < 0.7
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
LOG = Histories(
    items=np.arange(EVENTS, dtype=np.int32),
    offsets=OFFSETS,
    times=1_600_000_000_000 + 7_000 * np.arange(EVENTS),
    weights=WEIGHTS,
    targets=TARGETS,
)
FIRSTS = OFFSETS[:-1][LENGTHS > 0]


def foretold(batch):
    """Targets of a batch, once everything that it says of them is found to be theirs."""
    read, targets = batch.histories, batch.targets.numpy()
    assert TARGETS[targets].all()
    np.testing.assert_array_equal(batch.weights, WEIGHTS[targets])
    np.testing.assert_array_equal(read.weights, WEIGHTS[read.items])
    np.testing.assert_array_equal(read.seconds, LOG.times[read.items] / 1000.0)
    return targets


def test_every_event_but_the_first_is_foretold_once_from_the_one_before():
    found = []
    for batch in next_events(LOG, READING, seed=0)(0):
        targets = foretold(batch)
        np.testing.assert_array_equal(batch.histories.items.flatten()[batch.rows], targets - 1)
        assert not np.isin(targets, FIRSTS).any()
        found += targets.tolist()
    assert sorted(found) == [at for at in range(EVENTS) if TARGETS[at] and at not in FIRSTS]


@pytest.mark.parametrize("last", [1, 3])
def test_the_last_events_alone_are_foretold_where_that_is_asked(last):
    plain = replace(LOG, targets=None)
    batches = next_events(plain, replace(READING, last=last), seed=0)(0)
    found = sorted(at for batch in batches if batch for at in batch.targets.tolist())
    ends = itertools.pairwise(OFFSETS)
    assert found == [at for first, end in ends for at in range(max(first + 1, end - last), end)]


def test_as_many_events_as_are_asked_for_are_read_of_a_long_history():
    long = Histories(items=np.arange(50, dtype=np.int32), offsets=np.array([0, 50]))
    for number in range(5):
        (batch,) = next_events(long, READING, seed=0)(number)
        assert batch.histories.items.shape == (1, 10)
        np.testing.assert_array_equal(batch.targets, batch.histories.items[0] + 1)


def test_a_set_is_cut_into_what_is_read_and_what_is_foretold_anew_in_every_pass():
    draw, times_read, times_foretold = other_halves(LOG, READING, seed=0), np.zeros(EVENTS), np.zeros(EVENTS)
    for number in range(30):
        for batch in draw(number):
            if batch is None:
                continue
            targets = foretold(batch)
            for row, (items, length) in enumerate(
                zip(batch.histories.items.numpy(), batch.histories.lengths.tolist(), strict=True)
            ):
                read, wanted = items[:length], targets[batch.rows.numpy() == row]
                (owner,) = set(np.searchsorted(OFFSETS, read, side="right") - 1)
                whole = np.arange(OFFSETS[owner], OFFSETS[owner + 1])
                assert length == max(len(whole) // 2, 1)
                assert sorted([*read, *wanted]) == [at for at in whole if at in read or TARGETS[at]]
                times_read[read] += 1
            times_foretold[targets] += 1
    shared = np.repeat(LENGTHS, LENGTHS) > 1
    assert (times_read[shared] > 0).all()
    np.testing.assert_array_equal(times_foretold > 0, TARGETS & shared)


@pytest.mark.parametrize("passes_of", [next_events, other_halves])
def test_a_passs_number_and_seed_say_all_of_it(passes_of):
    def targets(seed, number):
        return torch.cat([batch.targets for batch in passes_of(LOG, READING, seed)(number) if batch])

    assert torch.equal(targets(0, 1), targets(0, 1))
    assert not torch.equal(targets(0, 1), targets(0, 2))
    assert not torch.equal(targets(0, 1), targets(1, 1))


def test_with_an_opening_the_first_event_is_foretold_too():
    reading = replace(READING, longest=20, opening=True)
    found = []
    for batch in next_events(LOG, reading, seed=0)(0):
        if batch is None:
            continue
        targets = foretold(batch)
        # Outputs are one more than the events that are read: the opening's, then each event's.
        outputs = batch.histories.items.shape[1] + 1
        read = np.concatenate([np.full((len(batch.histories.items), 1), -1), batch.histories.items], axis=1)
        before = read.reshape(-1)[batch.rows.numpy()]
        first = np.isin(targets, FIRSTS)
        np.testing.assert_array_equal(batch.rows.numpy() % outputs == 0, first)
        np.testing.assert_array_equal(before[~first], targets[~first] - 1)
        found += targets.tolist()
    assert sorted(found) == np.flatnonzero(TARGETS).tolist()


def test_a_window_that_begins_later_does_not_pretend_to_begin():
    long = replace(LOG, offsets=np.array([0, EVENTS]), targets=None)
    reading = replace(READING, opening=True)
    for number in range(10):
        (batch,) = next_events(long, reading, seed=0)(number)
        items, rows = batch.histories.items.numpy(), batch.rows.numpy()
        # The opening is one of the ten that are read.
        assert items.shape[1] == 9
        assert (0 in rows) == (0 in batch.targets)
