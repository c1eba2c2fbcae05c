import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.tune.warp import warp_of

VALUES = st.lists(st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=30)


@given(VALUES, st.sampled_from([0.7, 1.0, 1.5, 2.0]))
@settings(max_examples=150, deadline=None)
def test_any_finite_values_stay_finite_and_in_order(values, bend):
    array = np.array(values)
    warped = warp_of(array, bend)(array)
    assert np.isfinite(warped).all()
    order = np.argsort(array, kind="stable")
    assert (np.diff(warped[order]) >= -1e-9).all()


def test_warped_values_have_mean_0_and_deviation_1():
    values = np.random.default_rng(0).standard_normal(50) * 7 + 3
    warped = warp_of(values, 1.5)(values)
    assert warped.mean() == pytest.approx(0, abs=1e-9)
    assert warped.std() == pytest.approx(1)


def test_one_absurd_value_leaves_the_others_apart():
    values = np.r_[np.linspace(0, 1, 20), -1e300]
    warped = warp_of(values)(values)
    assert np.ptp(warped[:20]) > 0.02
    assert warped[:20].argmax() == 19


def test_slope_and_width_are_those_of_the_curve():
    values = np.random.default_rng(1).standard_normal(40)
    warp = warp_of(values, 1.75)
    numeric = (warp(np.array([0.301])) - warp(np.array([0.299])))[0] / 0.002
    assert warp.slope(0.3) == pytest.approx(numeric, rel=1e-3)
    assert warp.width(0.3, 0.01) == pytest.approx(0.01 * numeric, rel=1e-2)


def test_log_slopes_are_those_of_the_curve_up_to_a_constant():
    values = np.random.default_rng(2).standard_normal(30) * 3
    warp = warp_of(values)
    sums, told = [], []
    for bend in (0.7, 1.0, 1.5, 2.0):
        curve = warp.bent(values, bend)
        step = 1e-5
        sums.append(np.log((curve(values + step) - curve(values - step)) / (2 * step)).sum())
        told.append(curve.log_slopes(values))
    assert np.diff(told) == pytest.approx(np.diff(sums), abs=1e-3)


def test_equal_values_become_zero():
    assert warp_of(np.full(5, 3.0))(np.full(5, 3.0)) == pytest.approx(np.zeros(5))
