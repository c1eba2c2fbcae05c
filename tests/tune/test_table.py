import pytest
from tests.tune.logs import begun, whole_study

from matinee.tune.table import sight_of


def test_a_study_at_a_glance_shows_what_runs_the_best_and_the_latest():
    recorder = begun(dollars=10.0, seconds=100.0)
    whole_study(recorder)
    seen = sight_of(recorder.study, most=3)
    assert [(row.number, row.state, row.best) for row in seen.rows] == [
        (5, "running", False),
        (1, "done", True),
        (4, "preempted", False),
    ]
    assert [row.value for row in seen.rows] == [5.2, 1.5, 4.2]
    assert seen.rows[0].share == pytest.approx(2 / 3)
    assert seen.counts == {"done": 1, "stopped": 1, "failed": 1, "preempted": 1, "running": 1}
    assert seen.spent_share == pytest.approx(0.0615)
    assert seen.left_s == 100.0
    assert seen.left_dollars == pytest.approx(10 - 0.615 - 0.9)


def test_an_empty_study_has_nothing_to_show():
    seen = sight_of(begun(dollars=1.0).study)
    assert (seen.rows, seen.counts, seen.spent_share, seen.left_s) == ((), {}, 0.0, None)
