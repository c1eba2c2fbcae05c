"""What is known beside items goes along with them, and a no teaches what was asked for just before it."""

from dataclasses import replace

import numpy as np
import pytest
from tests.train.test_sequences import EVENTS, LENGTHS, LOG, OFFSETS, READING, TARGETS

from matinee.train.beside import Beside, Noes
from matinee.train.sequences import next_events, other_halves

RANDOM = np.random.default_rng(5)
CODES = {"kind": RANDOM.integers(0, 3, EVENTS).astype(np.int8), "gap": np.arange(EVENTS, dtype=np.int8)}
REGIONS = RANDOM.integers(-1, 3, len(LENGTHS))
COUNTS = RANDOM.integers(0, 3, EVENTS)
STARTS = np.concatenate([[0], np.cumsum(COUNTS)]).astype(np.int64)
# The item of a no says after which event it came.
NOES = Noes(items=(1000 + np.repeat(np.arange(EVENTS), COUNTS)).astype(np.int32), starts=STARTS)
BESIDE = Beside(codes=CODES, regions=REGIONS, noes=NOES)


@pytest.mark.parametrize("passes_of", [next_events, other_halves])
def test_codes_and_regions_are_those_of_the_events_and_viewers(passes_of):
    reading = replace(READING, beside=replace(BESIDE, noes=None))
    for batch in passes_of(LOG, reading, seed=0)(0):
        if batch is None:
            continue
        read = batch.histories
        items = read.items.numpy()
        there = np.arange(items.shape[1]) < read.lengths.numpy()[:, None]
        np.testing.assert_array_equal(read.codes["kind"].numpy()[there], CODES["kind"][items[there]])
        gaps = read.codes["gap"].numpy()
        assert not gaps[:, 0].any()
        np.testing.assert_array_equal(gaps[:, 1:][there[:, 1:]], items[:, 1:][there[:, 1:]])
        owners = np.searchsorted(OFFSETS, items[:, 0], side="right") - 1
        np.testing.assert_array_equal(read.regions, REGIONS[owners])
        assert batch.noes is None


@pytest.mark.parametrize("opening", [False, True])
def test_a_no_is_told_from_what_was_asked_for_after_the_event_before_it(opening):
    reading = replace(READING, beside=BESIDE, opening=opening, longest=12)
    found, foretold = [], []
    for batch in next_events(LOG, reading, seed=0)(0):
        if batch is None:
            continue
        items = batch.histories.items.numpy()
        assert items.shape[1] + opening <= reading.longest
        outputs = np.concatenate([np.full((len(items), int(opening)), -1), items], axis=1).ravel()
        rows, turned = (one.numpy() for one in batch.noes)
        np.testing.assert_array_equal(outputs[rows], turned - 1000)
        found += turned.tolist()
        targets = batch.targets.numpy()
        asked = outputs[batch.rows.numpy()]
        np.testing.assert_array_equal(asked[asked >= 0], targets[asked >= 0] - 1)
        foretold += targets.tolist()
    taught = np.repeat(LENGTHS + opening > 1, LENGTHS)
    firsts = np.isin(np.arange(EVENTS), OFFSETS[:-1])
    assert sorted(foretold) == np.flatnonzero(TARGETS & (opening | ~firsts)).tolist()
    # A batch that foretells nothing teaches nothing.
    expected = np.repeat(1000 + np.flatnonzero(taught), COUNTS[taught]).tolist()
    assert set(found) <= set(expected)
    assert len(found) >= 0.9 * len(expected)


def test_of_a_set_all_noes_are_told_from_what_it_asks_for():
    reading = replace(READING, beside=BESIDE)
    for batch in other_halves(LOG, reading, seed=0)(0):
        if batch is None:
            continue
        owners = np.searchsorted(OFFSETS, batch.histories.items.numpy()[:, 0], side="right") - 1
        rows, turned = (one.numpy() for one in batch.noes)
        of = np.searchsorted(OFFSETS, turned - 1000, side="right") - 1
        np.testing.assert_array_equal(owners[rows], of)
        per_viewer = [STARTS[OFFSETS[owner + 1]] - STARTS[OFFSETS[owner]] for owner in owners]
        np.testing.assert_array_equal(np.bincount(rows, minlength=len(owners)), per_viewer)
