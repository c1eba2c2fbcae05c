import numpy as np
import pytest

from matinee.core.errors import SettingsError
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of

DAY = 86_400_000


def test_only_the_last_days_count_and_popularity_decides_between_equals() -> None:
    log = log_of([[0, 0, 1], [0, 2], [1, 2]], times=[[0, DAY, 40 * DAY], [0, 41 * DAY], [0, 42 * DAY]])
    scores = make_recommender("recent", {"days": 3}).fit(log).parts["recent"].tensors["scores"]
    assert scores[2] > scores[1] > 1 > scores[0] > 0


def test_the_latest_share_of_events() -> None:
    log = log_of([[0, 0, 0, 1]], times=[[0, 1, 2, 3]])
    scores = make_recommender("recent", {"share": 0.25}).fit(log).parts["recent"].tensors["scores"]
    assert scores[1] > scores[0]


def test_a_log_without_times_equals_popularity_and_says_so() -> None:
    log = log_of([[0, 1], [1]])
    part = make_recommender("recent").fit(log).parts["recent"]
    np.testing.assert_array_equal(part.tensors["scores"], [1, 2])
    assert "no times" in part.settings["note"]


@pytest.mark.parametrize("settings", [{"days": 0}, {"share": 1.5}])
def test_nothing_to_count_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        make_recommender("recent", settings)
