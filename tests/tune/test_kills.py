"""Workers and coordinators that are killed; `python benchmarks/tuning_kills.py` does it a hundred times."""

import pytest

from matinee.testing.study_kills import STEPS, WORKERS, kill_study


def survived(folder, *, kills, trials):
    found = kill_study(folder, kills=kills, trials=trials)
    assert found.kills > 0
    assert (found.lost, found.twice, found.same_trials) == (0, 0, True)
    # What a kill hits does the step again that it was in, and no more: at most one of each worker.
    assert found.steps_again <= found.kills * WORKERS
    assert 0 <= found.lost_dollars < found.spent_dollars <= found.budget_dollars
    assert found.attempts <= found.trials + found.kills * WORKERS
    return found


def test_a_study_survives_a_dozen_kills(tmp_path):
    found = survived(tmp_path, kills=12, trials=12)
    assert STEPS == 10
    assert found.coordinators > 0


@pytest.mark.long
def test_a_study_survives_a_hundred_kills(tmp_path):
    survived(tmp_path, kills=100, trials=60)
