"""Looking every day does no harm: the evidence is right at every stopping time, and finds what is there."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.core.anytime import (
    Tally,
    difference_of,
    evidence_against,
    mean_of,
    tally,
    tally_hits,
)
from matinee.core.errors import InputError

PATHS = 1_500
STEPS = 250


def most_false(paths: int) -> float:
    """5 % of the paths, and what chance may add to that at three standard deviations."""
    return 0.05 * paths + 3 * math.sqrt(paths * 0.05 * 0.95)


@cache
def ruled_out(hits: int, n: int, against: float) -> bool:
    return evidence_against(tally_hits(hits, n), against) >= 20


def plain_z(hits: int, n: int, against: float) -> bool:
    """What people do who look every day with the test of a single look."""
    return n >= 10 and abs(hits - n * against) > 1.96 * math.sqrt(n * against * (1 - against))


@pytest.mark.parametrize("rate", [0.5, 0.03])
def test_whoever_looks_after_every_witness_is_wrong_as_rarely_as_promised(rate):
    random = np.random.default_rng(3)
    false, plain = 0, 0
    for _ in range(PATHS):
        hits = np.cumsum(random.random(STEPS) < rate).tolist()
        false += any(ruled_out(hit, n, rate) for n, hit in enumerate(hits, start=1))
        plain += any(plain_z(hit, n, rate) for n, hit in enumerate(hits, start=1))
    assert false <= most_false(PATHS)
    assert plain > 3 * most_false(PATHS)


def test_values_between_nothing_and_all_are_as_safe():
    random = np.random.default_rng(4)
    false = 0
    for _ in range(300):
        # As scores of rounds are: twentieths around 1/2, wide on some paths and narrow on others.
        shape = random.choice([0.2, 5.0])
        values = np.round(random.beta(shape, shape, 120) * 20) / 20
        false += any(evidence_against(tally(values[:n])) >= 20 for n in range(2, 120, 3))
    assert false <= most_false(300)


def test_two_equal_arms_are_told_apart_as_rarely_as_promised():
    random = np.random.default_rng(5)
    false, paths = 0, 30
    for path in range(paths):
        rate = (0.05, 0.5)[path % 2]
        arm = random.random(600) < 0.5
        hit = random.random(600) < rate
        for n in (40, 150, 600):
            a, b = hit[:n][~arm[:n]], hit[:n][arm[:n]]
            one, other = tally_hits(int(a.sum()), len(a)), tally_hits(int(b.sum()), len(b))
            if mean_apart(one, other):
                false += 1
                break
    assert false <= most_false(paths)


def mean_apart(one: Tally, other: Tally) -> bool:
    """Decided, by the interval and by the evidence alike."""
    found = difference_of(one, other)
    assert found.decided == (not found.low < 0 < found.high)
    return found.decided


@pytest.mark.parametrize(("rate", "witnesses"), [(0.6, 600), (0.75, 90), (0.9, 35)])
def test_what_is_there_is_found(rate, witnesses):
    random = np.random.default_rng(6)
    found = [
        evidence_against(tally_hits(int(random.binomial(witnesses, rate)), witnesses)) for _ in range(200)
    ]
    assert np.mean(np.array(found) >= 20) > 0.8


def test_a_better_arm_is_found_and_the_interval_holds_the_truth():
    random = np.random.default_rng(7)
    decided, held = 0, 0
    for _ in range(12):
        a, b = random.binomial(8_000, 0.05), random.binomial(8_000, 0.075)
        found = difference_of(tally_hits(int(a), 8_000), tally_hits(int(b), 8_000))
        decided += found.decided and found.mean > 0
        held += found.low <= 0.025 <= found.high
    assert decided >= 10
    assert held >= 11


@pytest.mark.parametrize("share_b", [0.5, 0.1])
def test_equal_arms_have_no_lift_at_any_day(share_b):
    random = np.random.default_rng(8)
    false = 0
    for _ in range(200):
        # Each viewer has a taste of their own, gets an arm by chance and says yes or no once.
        yes = random.random(2_000) < random.beta(0.5, 4.5, 2_000)
        arms = (random.random(2_000) < share_b)[yes]
        b = np.cumsum(arms).tolist()
        false += any(ruled_out(hits, n, share_b) for n, hits in enumerate(b, start=1))
    assert false <= most_false(200)


def test_clicks_of_the_same_viewers_taken_as_witnesses_say_more_than_they_know():
    random = np.random.default_rng(9)
    by_click, by_viewer = 0, 0
    for _ in range(100):
        taste, arm = random.beta(0.5, 4.5, 300), random.random(300) < 0.5
        clicks = random.binomial(30, taste)
        by_click += ruled_out(int(clicks[arm].sum()), int(clicks.sum()), 0.5)
        clicked = clicks > 0
        by_viewer += ruled_out(int((clicked & arm).sum()), int(clicked.sum()), 0.5)
    assert by_viewer <= 5
    assert by_click > 15


def test_the_interval_narrows_and_says_which_means_are_left():
    wide, narrow = mean_of(tally_hits(6, 10)), mean_of(tally_hits(600, 1_000))
    assert wide.low < narrow.low < 0.6 < narrow.high < wide.high
    assert not wide.decided
    assert narrow.decided
    assert narrow.p == pytest.approx(1 / narrow.evidence)
    # Its borders are where the evidence reaches its bar.
    for border in (narrow.low, narrow.high):
        assert evidence_against(tally_hits(600, 1_000), border) == pytest.approx(20, rel=1e-4)
    assert narrow.high - narrow.low < 0.14


def slow_capital(values: list[float], m: float) -> float:
    """The capital, one witness after the other, one bet after the other."""
    total, weights = 0.0, 0.0
    for place in range(26):
        share, weight = 0.98 * 2 ** (-place / 2), 1 / (place + 1) ** 2
        up = down = 1.0
        for x in values:
            up *= 1 - share + share * x / m
            down *= 1 - share + share * (1 - x) / (1 - m)
        total += weight * (up + down) / 2
        weights += weight
    return total / weights


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.floats(0.02, 0.98))
def test_capital_is_what_betting_one_by_one_makes(twentieths, m):
    values = [one / 20 for one in twentieths]
    assert evidence_against(tally(values), m) == pytest.approx(slow_capital(values, m), rel=1e-9)
    assert evidence_against(tally(values[::-1]), m) == evidence_against(tally(values), m)


def test_the_mixture_is_a_fair_game_whatever_the_mean():
    # Over every outcome of 8 witnesses, the expected capital is exactly what was put in.
    for m in (0.1, 0.5, 0.8):
        expected = sum(
            math.comb(8, hits) * m**hits * (1 - m) ** (8 - hits) * evidence_against(tally_hits(hits, 8), m)
            for hits in range(9)
        )
        assert expected == pytest.approx(1, rel=1e-9)


def test_without_witnesses_nothing_is_ruled_out():
    alone = mean_of(tally_hits(0, 0))
    assert (alone.low, alone.high, alone.evidence, alone.decided) == (0, 1, 1, False)
    assert math.isnan(alone.mean)
    pair = difference_of(tally_hits(0, 0), tally_hits(3, 4))
    assert (pair.low, pair.high, pair.evidence, pair.witnesses) == (-1, 1, 1, 4)


def test_all_or_none_and_a_million_are_no_trouble():
    assert mean_of(tally_hits(50, 50)).high == 1
    assert mean_of(tally_hits(0, 50)).low == 0
    assert mean_of(tally_hits(1_000_000, 1_000_000)).evidence > 1e300
    assert mean_of(tally_hits(20_000, 1_000_000), against=0.02).decided is False
    far = difference_of(tally_hits(0, 500), tally_hits(500, 500))
    assert far.decided
    assert far.high == 1


@pytest.mark.parametrize("hits", [-1, 5])
def test_more_hits_than_trials_are_refused(hits):
    with pytest.raises(InputError, match=f"found {hits} of 4"):
        tally_hits(hits, 4)


@pytest.mark.parametrize("value", [-0.1, 1.5, math.nan])
def test_values_out_of_range_are_refused(value):
    with pytest.raises(InputError, match="from 0 to 1"):
        tally([0.5, value])


def test_what_is_supposed_lies_between():
    with pytest.raises(InputError, match="against lies between 0 and 1"):
        mean_of(tally_hits(1, 2), against=1.0)
    with pytest.raises(InputError, match="alpha lies between 0 and 1"):
        difference_of(tally_hits(1, 2), tally_hits(1, 2), alpha=0)
