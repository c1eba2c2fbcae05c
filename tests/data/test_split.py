from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.core.errors import InputError, SettingsError
from matinee.data.queries import Queries
from matinee.data.split import default_protocol, split_log, tied_times
from matinee.data.vocabulary import Vocabulary
from matinee.testing.made_logs import log_of, ragged, random_log


def asked(queries: Queries) -> list[tuple[int, list[int], list[int]]]:
    askers = queries.askers(np.arange(len(queries)))
    return [
        (int(queries.viewers[q]), askers.histories.row(q).tolist(), queries.targets.row(q).tolist())
        for q in range(len(queries))
    ]


def test_leave_one_out_gives_the_last_event_to_the_test_and_the_one_before_to_validation():
    split = split_log(log_of([[0, 1, 2, 3], [4, 5], [6, 7, 8]], order="order"), "leave-one-out")
    assert split.train.histories.items.tolist() == [0, 1, 4, 5, 6]
    assert split.train_and_validation.histories.items.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert asked(split.validation) == [(0, [0, 1], [2]), (2, [6], [7])]
    assert asked(split.test) == [(0, [0, 1, 2], [3]), (2, [6, 7], [8])]
    assert len(split.newcomers) == 0


def test_leave_one_out_predicts_only_events_of_the_target_kind():
    rows = [[0, 1, 2, 3, 4]]
    split = split_log(
        log_of(rows, targets=[[True, True, False, True, False]], order="order"), "leave-one-out"
    )
    assert asked(split.validation) == [(0, [0], [1])]
    assert asked(split.test) == [(0, [0, 1, 2], [3])]
    assert split.train.histories.items.tolist() == [0]


def test_repeated_targets_are_left_out_and_counted_unless_repeats_are_fair():
    rows = [[0, 1, 2, 0], [0, 1, 2, 3]]
    split = split_log(log_of(rows, order="order"), "leave-one-out")
    assert asked(split.test) == [(1, [0, 1, 2], [3])]
    assert split.left_out == 1
    fair = split_log(log_of(rows, order="order", repeats=True), "leave-one-out")
    assert [q[2] for q in asked(fair.test)] == [[0], [3]]
    assert fair.left_out == 0


TIMED = [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
TIMES = [[0, 10, 50, 60], [20, 30, 40], [50, 51, 52]]


def test_time_split_has_one_moment_for_everybody():
    # Ten events; the 0.9 quantile is the last time, so a test with a moment of its own is asked here.
    log = log_of(TIMED, times=TIMES)
    split = split_log(log, "time-split", targets="successive")
    assert asked(split.test) == [(0, [0, 1, 2], [3])]
    assert split.train_and_validation.histories.times.max() < 60


def test_time_split_successive_asks_each_later_event_with_the_history_up_to_it():
    rows = [list(range(15)), [15, 16, 17, 18], [19]]
    times = [[*range(14), 98], [97, 98, 99, 100], [99]]  # the 0.9 quantile is 99
    log = log_of(rows, times=times)
    split = split_log(log, targets="successive")
    assert split.protocol == "time-split"
    assert asked(split.test) == [(1, [15, 16], [17]), (1, [15, 16, 17], [18])]
    assert asked(split.newcomers) == []


def test_viewers_without_a_past_are_newcomers_however_much_they_do_later():
    rows = [list(range(27)), [27, 28, 29]]
    log = log_of(rows, times=[list(range(27)), [90, 91, 92]])
    split = split_log(log, targets="successive")
    assert len(split.test) == 0
    assert asked(split.newcomers) == [(1, [], [27]), (1, [27], [28]), (1, [27, 28], [29])]


@given(st.integers(0, 10_000), st.sampled_from(["next", "successive"]))
@settings(max_examples=40, deadline=None)
def test_time_split_shows_nothing_after_the_moment_to_any_fit(seed, targets):
    log = random_log(seed)
    split = split_log(log, "time-split", targets=targets)
    division = split.division
    moment = log.histories.times[~division.both].min()
    assert (log.histories.times[division.both] < moment).all()
    validated = log.histories.times[division.both & ~division.train]
    if len(validated):
        assert (split.train.histories.times < validated.min()).all()
    past = defaultdict(int)
    for viewer, time in zip(log.histories.rows(), log.histories.times, strict=True):
        past[int(viewer)] += int(time < moment)
    for viewer, history, items in asked(split.test) + asked(split.newcomers):
        assert len(items) == 1
        assert items[0] not in history
        assert len(log.histories.row(viewer)) >= 3
        assert history == log.histories.row(viewer)[: len(history)].tolist()
        if targets == "next":
            assert len(history) == past[viewer]
        else:
            assert log.histories.row(viewer)[len(history)] == items[0]
    assert all(past[q[0]] > 0 for q in asked(split.test))
    assert all(past[q[0]] == 0 for q in asked(split.newcomers))


def test_successive_validation_asks_nobody_without_a_past_before_its_stretch():
    # One event a moment, 100 in all: validation is from 81 on, the test from 90 on.
    times = [[*range(81), 83], [81, 82, *range(84, 90), *range(91, 96)], [90, *range(96, 100)]]
    split = split_log(log_of(times, times=times), "time-split", targets="successive")
    assert asked(split.validation) == [(0, list(range(81)), [83])]
    assert {q[0] for q in asked(split.test)} == {1}
    assert {q[0] for q in asked(split.newcomers)} == {2}


def test_time_split_says_what_it_did():
    split = split_log(random_log(1))
    assert split.why.startswith("time-split, because the log has real times")
    assert "was seen by any fit" in split.why


def test_undated_negatives_are_not_seen_in_a_time_split_and_dated_ones_only_from_before():
    log = log_of(TIMED, times=TIMES, n_items=12, negatives=ragged([[10], [11], []]))
    assert split_log(log, "time-split").train.negatives is None
    dated = log_of(
        TIMED,
        times=TIMES,
        n_items=12,
        negatives=ragged([[10, 11], [11], []]),
        negative_times=np.array([5, 99, 99]),
    )
    assert split_log(dated, "time-split").train.negatives.values.tolist() == [10]


def test_what_was_chosen_after_all_is_no_negative():
    log = log_of([[0, 1, 2, 3]], order="order", n_items=6, negatives=ragged([[3, 5]]))
    split = split_log(log, "leave-one-out")
    assert split.test.negatives.values.tolist() == [5]
    assert split.train.negatives.values.tolist() == [5]


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_random_holdout_gives_one_tenth_to_each(seed):
    random = np.random.default_rng(seed)
    rows = [random.permutation(60)[: random.integers(0, 45)].tolist() for _ in range(20)]
    log = log_of(rows, n_items=60)
    split = split_log(log, "random-holdout", seed=seed)
    held = {q[0]: q for q in asked(split.test)}
    chosen = {q[0]: q for q in asked(split.validation)}
    for viewer, row in enumerate(rows):
        train = split.train.histories.row(viewer).tolist()
        if len(row) < 3:
            assert train == row
            assert viewer not in held
            continue
        _, history, test = held[viewer]
        _, earlier, validation = chosen[viewer]
        assert len(test) == max(1, len(row) // 10)
        assert len(validation) == max(1, len(row) // 10)
        assert earlier == train
        assert set(history) == set(train) | set(validation)
        assert sorted(train + test + validation) == sorted(row)


def test_random_holdout_depends_on_the_seed_alone():
    log = log_of([list(range(20))] * 5)
    same = [asked(split_log(log, "random-holdout", seed=s).test) for s in (0, 0, 1)]
    assert same[0] == same[1] != same[2]


def test_new_viewers_are_disjoint_and_tell_four_fifths():
    log = log_of([list(range(10))] * 40, order="order")
    split = split_log(log, "new-viewers")
    test = {q[0] for q in asked(split.test)}
    validation = {q[0] for q in asked(split.validation)}
    taught = set(np.flatnonzero(split.train.histories.lengths).tolist())
    assert len(test) == len(validation) == 4
    assert not test & validation
    assert taught == set(range(40)) - test - validation
    assert all(q[1] == list(range(8)) and q[2] == [8, 9] for q in asked(split.test))


def test_given_takes_the_test_from_another_log_by_its_ids():
    log = log_of([[0, 1, 2, 3], [1, 2]], n_items=6)
    other = log_of([[3, 5], [4]], n_items=6)  # v0 chose i3 and i5; v1 chose i4
    split = split_log(log, test=other)
    assert split.protocol == "given"
    assert split.refit
    assert asked(split.test) == [(0, [0, 1, 2, 3], [5]), (1, [1, 2], [4])]
    assert split.left_out == 1
    assert len(split.train_and_validation) == len(log)
    assert len(split.train) == len(log) - 1  # of the viewer with three events or more


def test_given_carves_the_last_events_where_there_is_an_order():
    log = log_of([list(range(20)), [5, 6, 7], [1, 2]], n_items=25, order="order")
    split = split_log(log, test=log_of([[22]] * 3, n_items=25))
    assert asked(split.validation) == [(0, list(range(18)), [18, 19]), (1, [5, 6], [7])]
    assert split.train.histories.items.tolist() == [*range(18), 5, 6, 1, 2]


def test_given_counts_unknown_items_as_misses_and_unknown_viewers_as_newcomers():
    log = log_of([[0, 1, 2, 3]], n_items=4)
    other = log_of([[7, 8], [1]], n_items=9)
    split = split_log(log, test=other)
    assert asked(split.test) == [(0, [0, 1, 2, 3], [-1, -1])]
    assert asked(split.newcomers) == [(-1, [], [1])]


def test_the_default_protocol_follows_what_the_log_has():
    assert default_protocol(log_of([[0, 1]], times=[[1, 2]]))[0] == "time-split"
    assert default_protocol(log_of([[0, 1]], times=[[1, 1]]))[0] == "leave-one-out"
    assert default_protocol(log_of([[0, 1]], order="order"))[0] == "leave-one-out"
    assert default_protocol(log_of([[0, 1]]))[0] == "random-holdout"


def test_tied_times_are_counted_within_viewers_only():
    assert tied_times(log_of([[0, 1]])) is None
    assert tied_times(log_of([[0, 1, 2], [], [3]], times=[[5, 5, 9], [], [9]])) == 0.5


@pytest.mark.parametrize(
    ("protocol", "more", "words"),
    [
        ("leave-one-out", {}, "needs an order"),
        ("time-split", {}, "needs times"),
        ("leave-on-out", {}, "did you mean 'leave-one-out'"),
        ("random-holdout", {"targets": "successive"}, "belong to a time-split"),
        ("given", {}, "--test FILE"),
        ("new-viewers", {}, "ten viewers"),
    ],
)
def test_what_a_log_does_not_support_is_one_sentence(protocol, more, words):
    with pytest.raises(InputError, match=words):
        split_log(log_of([[0, 1, 2, 3]]), protocol, **more)


def rated_log(seed=0, n_viewers=30):
    """A log whose value tells viewer, item and time apart."""
    random = np.random.default_rng(seed)
    rows = [random.permutation(12)[: random.integers(3, 12)].tolist() for _ in range(n_viewers)]
    times = [np.sort(random.integers(0, 10**6, len(row))).tolist() for row in rows]
    log = log_of(rows, times=times, target="rating", n_items=12)
    values = (log.histories.rows() * 100 + log.histories.items).astype(np.float32)
    return replace(log, histories=replace(log.histories, values=values))


@pytest.mark.parametrize("protocol", ["leave-one-out", "time-split", "random-holdout", "new-viewers"])
def test_queries_know_what_was_given_to_each_target_and_when(protocol):
    log = rated_log()
    events = log.histories
    when = {(v, i): t for v, i, t in zip(events.rows(), events.items, events.times, strict=True)}
    split = split_log(log, protocol)
    for queries in (split.validation, split.test, split.newcomers, split.test.take(np.array([0]))):
        owners = np.repeat(queries.viewers, np.diff(queries.targets.offsets))
        np.testing.assert_array_equal(queries.values, owners * 100 + queries.targets.values)
        pairs = zip(owners, queries.targets.values, strict=True)
        np.testing.assert_array_equal(queries.times, [when[pair] for pair in pairs])
    assert len(split.test) > 0


def test_a_given_tests_values_stay_with_their_items_and_viewers_also_where_the_log_lacks_them():
    log = rated_log(n_viewers=4)
    test = log_of([[11, 3, 5, 4], [2, 1]], times=[[1, 2, 3, 4], [5, 6]], target="rating")
    values = np.array([1, 2, 3, 4, 5, 6], np.float32)
    test = replace(test, histories=replace(test.histories, values=values), viewers=Vocabulary(["v1", "new"]))
    ids = [*[f"i{n}" for n in range(4)], "x", "y", *[f"i{n}" for n in range(6, 12)]]
    test = replace(test, items=Vocabulary(ids))
    known = set(log.histories.row(1).tolist())
    queries = split_log(log, "given", test=test).division.test
    told = dict(zip(queries.viewers.tolist(), range(2), strict=True))
    own = slice(*queries.targets.offsets[[told[1], told[1] + 1]])
    # Of v1 the items x and y come first, which the log lacks; then what v1 had not rated yet.
    fair = [(code, value) for code, value in ((3, 2.0), (11, 1.0)) if code not in known]
    assert queries.targets.values[own].tolist() == [-1, -1, *[code for code, _ in fair]]
    assert queries.values[own].tolist() == [3.0, 4.0, *[value for _, value in fair]]
    other = slice(*queries.targets.offsets[[told[-1], told[-1] + 1]])
    assert queries.values[other].tolist() == [6.0, 5.0]
    assert queries.times[other].tolist() == [6, 5]


def test_a_test_without_values_judges_no_prediction():
    with pytest.raises(SettingsError, match="The test has no values"):
        split_log(rated_log(), "given", test=log_of([[1, 2]], target="rating"))


def test_a_ranking_does_not_carry_values_along():
    assert split_log(replace(rated_log(), target=None), "random-holdout").test.values is None


def test_a_log_too_short_to_judge_by_says_so():
    with pytest.raises(SettingsError, match="Nothing to judge by"):
        split_log(log_of([[0, 1], [1]]), "random-holdout")
