"""What was turned down: known from its own day on, and to nobody before."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.core.types import Ragged
from matinee.data.log import InteractionLog
from matinee.data.queries import Queries
from matinee.data.split import Split, split_log
from matinee.testing.made_logs import log_of, ragged, random_log

N_ITEMS = 60
NOES = 12


def dated(log: InteractionLog, seed: int) -> InteractionLog:
    """The log with noes at random times."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, NOES, log.n_viewers)
    times = random.integers(0, 1000, counts.sum())
    values = random.integers(0, log.n_items, counts.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return replace(log, negatives=Ragged(values=values, offsets=offsets), negative_times=times)


def noes_of(log: InteractionLog, viewer: int, until: float = np.inf) -> list[int]:
    """What one viewer had turned down before a moment."""
    part = slice(log.negatives.offsets[viewer], log.negatives.offsets[viewer + 1])
    return log.negatives.values[part][log.negative_times[part] < until].tolist()


def told(queries: Queries, viewer: int) -> list[int]:
    return queries.negatives.row(viewer).tolist()


def fitted(split: Split, viewer: int, part: str = "train") -> list[int]:
    return getattr(split, part).negatives.row(viewer).tolist()


def places(split: Split, log: InteractionLog, queries: Queries) -> dict[int, int]:
    """The time of the event that each viewer is asked to predict first."""
    return {
        int(viewer): int(log.histories.times[end])
        for viewer, end in zip(queries.viewers[::-1], queries.ends[::-1], strict=True)
    }


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_leave_one_out_tells_each_viewers_noes_up_to_their_own_held_out_events(seed):
    log = dated(random_log(seed), seed)
    split = split_log(replace(log, repeats=True), "leave-one-out")
    validated, tested = (places(split, log, q) for q in (split.validation, split.test))
    assert tested
    for viewer in range(log.n_viewers):
        first = validated.get(viewer, tested.get(viewer, np.inf))
        assert fitted(split, viewer) == noes_of(log, viewer, first)
        if viewer in validated:
            assert told(split.validation, viewer) == noes_of(log, viewer, first)
        if viewer in tested:
            assert told(split.test, viewer) == noes_of(log, viewer, tested[viewer])
            assert fitted(split, viewer, "train_and_validation") == noes_of(log, viewer, tested[viewer])


def test_leave_one_out_by_hand():
    log = log_of(
        [[0, 1, 2, 3]],
        times=[[10, 20, 30, 40]],
        n_items=10,
        negatives=ragged([[4, 5, 6, 7]]),
        negative_times=np.array([5, 25, 30, 45]),
    )
    split = split_log(log, "leave-one-out")
    assert told(split.validation, 0) == fitted(split, 0) == [4, 5]
    assert told(split.test, 0) == fitted(split, 0, "train_and_validation") == [4, 5, 6]


def test_time_split_tells_noes_up_to_the_start_of_each_stretch():
    log = dated(random_log(3, n_viewers=80), 3)
    split = split_log(log, "time-split")
    times, division = log.histories.times, split.division
    start, moment = times[~division.train].min(), times[~division.both].min()
    assert start < moment
    for viewer in range(log.n_viewers):
        assert fitted(split, viewer) == told(split.validation, viewer) == noes_of(log, viewer, start)
        both = fitted(split, viewer, "train_and_validation")
        assert both == told(split.test, viewer) == noes_of(log, viewer, moment)
    # Otherwise nothing above would tell one moment from the other.
    counts = [len(part.negatives.values) for part in (split.train, split.train_and_validation, log)]
    assert counts == sorted(set(counts))


def test_new_viewers_keep_noes_of_what_is_hidden_and_teach_none():
    log = dated(log_of([list(range(10))] * 40, times=[list(range(0, 1000, 100))] * 40, n_items=N_ITEMS), 1)
    split = split_log(log, "new-viewers")
    held = {*split.test.viewers.tolist(), *split.validation.viewers.tolist()}
    assert len(held) == 8
    for viewer in range(40):
        if viewer in held:
            assert fitted(split, viewer) == fitted(split, viewer, "train_and_validation") == []
            assert told(split.test, viewer) == told(split.validation, viewer) == noes_of(log, viewer, 800)
        else:
            assert fitted(split, viewer) == noes_of(log, viewer)
    assert any(noes_of(log, viewer) != noes_of(log, viewer, 800) for viewer in held)


def test_given_validates_with_the_noes_before_what_was_carved_and_tests_with_all():
    log = dated(log_of([list(range(10))] * 6, times=[list(range(0, 1000, 100))] * 6, n_items=N_ITEMS), 1)
    split = split_log(log, test=log_of([[20]] * 6, n_items=N_ITEMS))
    for viewer in range(6):
        assert fitted(split, viewer) == told(split.validation, viewer) == noes_of(log, viewer, 900)
        both = fitted(split, viewer, "train_and_validation")
        assert both == told(split.test, viewer) == noes_of(log, viewer)
    assert len(split.train.negatives.values) < len(log.negatives.values)


@pytest.mark.parametrize("protocol", ["leave-one-out", "random-holdout", "new-viewers", "given"])
def test_undated_noes_are_told_less_what_was_chosen_after_all(protocol):
    rows = [list(range(10))] * 40
    test = log_of([[11]] * 40, n_items=13) if protocol == "given" else None
    log = log_of(rows, n_items=13, order="order", negatives=ragged([[*range(10), 12]] * 40))
    split = split_log(log, protocol, test=test)
    # The held-out items themselves may be answered; everything else that was turned down may not.
    asked = split.validation if protocol == "given" else split.test
    for query, viewer in enumerate(asked.viewers):
        targets = set(asked.targets.row(query).tolist())
        assert targets
        assert not targets & set(told(asked, viewer))
        assert 12 in told(asked, viewer)
