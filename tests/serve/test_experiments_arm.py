import json

import pytest

from matinee.serve.experiments import Experiment, arm_of, read_experiments, write_experiments
from matinee.serve.refusals import Refusal

SECRET = b"key"
HALVES = Experiment(name="spring", arms={"a": "old", "b": "new"}, shares={"a": 0.5, "b": 0.5})
USERS = [f"user {n}" for n in range(20_000)]


def test_a_viewer_stays_in_an_arm():
    assert [arm_of(SECRET, HALVES, user) for user in USERS] == [
        arm_of(SECRET, HALVES, user) for user in USERS
    ]


def test_shares_are_kept():
    uneven = Experiment(name="x", arms={"a": "1", "b": "2", "c": "3"}, shares={"a": 0.1, "b": 0.6, "c": 0.3})
    found = [arm_of(SECRET, uneven, user) for user in USERS]
    for arm, share in uneven.shares.items():
        # Six standard deviations of a fair draw.
        assert abs(found.count(arm) / len(USERS) - share) < 6 * (share * (1 - share) / len(USERS)) ** 0.5


def test_two_experiments_split_independently():
    other = Experiment(name="summer", arms=HALVES.arms, shares=HALVES.shares)
    same = sum(arm_of(SECRET, HALVES, user) == arm_of(SECRET, other, user) for user in USERS)
    assert abs(same / len(USERS) - 0.5) < 6 * 0.5 / len(USERS) ** 0.5


def test_another_key_splits_otherwise():
    assert any(arm_of(b"other", HALVES, user) != arm_of(SECRET, HALVES, user) for user in USERS[:100])


def test_an_experiment_without_arms_has_none():
    assert arm_of(SECRET, Experiment(name="s", arms={}, shares={}, shadow="new"), "somebody") == ""


def test_experiments_survive_the_note():
    told = (HALVES, Experiment(name="s", arms={}, shares={}, shadow="new", alias="shop", since_ms=7))
    assert read_experiments(write_experiments(told)) == told
    assert told[0].bundles() == {"old", "new"}
    assert read_experiments(None) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "a/b"}, "without '/'"),
        ({"shares": {"a": 1.0}}, "shares are of"),
        ({"shares": {"a": 0.9, "b": 0.9}}, "add up to 1"),
        ({"arms": {}, "shares": {}}, "neither arms nor a shadow"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, words):
    with pytest.raises(Refusal, match=words):
        write_experiments([Experiment(**{**HALVES.to_json(), **changes})])


def test_two_that_split_one_alias_are_refused():
    with pytest.raises(Refusal, match="one alias"):
        write_experiments([HALVES, Experiment(name="b", arms=HALVES.arms, shares=HALVES.shares)])


@pytest.mark.parametrize("note", ["{", "[1]", json.dumps([{"name": "x"}])])
def test_a_note_of_something_else_is_refused(note):
    with pytest.raises(Refusal, match="experiments"):
        read_experiments(note)
