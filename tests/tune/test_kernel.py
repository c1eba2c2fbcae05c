import numpy as np
import pytest

from matinee.tune.kernel import differences, matern, squared_distances


def test_matern_is_one_at_home_and_follows_the_formula():
    r = np.array([0.0, 0.3, 1.0, 4.0])
    alike, _ = matern(r**2)
    q = np.sqrt(5) * r
    assert alike == pytest.approx((1 + q + q**2 / 3) * np.exp(-q), rel=1e-13)
    assert alike[0] == 1.0


def test_slope_is_minus_twice_that_in_the_squared_distance():
    squares = np.array([1e-3, 0.2, 1.0, 9.0])
    step = 1e-6
    numeric = (matern(squares + step)[0] - matern(squares - step)[0]) / (2 * step)
    assert matern(squares)[1] == pytest.approx(-2 * numeric, rel=1e-5)


def test_distances_agree_with_all_pairs_written_out():
    random = np.random.default_rng(0)
    points, others, lengths = random.random((5, 3)), random.random((4, 3)), random.random((2, 3)) + 0.1
    found = squared_distances(points, others, lengths)
    for member in range(2):
        for i in range(5):
            for j in range(4):
                direct = (((points[i] - others[j]) / lengths[member]) ** 2).sum()
                assert found[member, i, j] == pytest.approx(direct, rel=1e-9)
    apart = differences(points)
    assert apart.shape == (3, 25)
    assert apart[1].reshape(5, 5)[2, 4] == (points[2, 1] - points[4, 1]) ** 2
