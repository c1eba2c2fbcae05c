import numpy as np

from matinee.core.space import Choice, Span, draw


def test_draws_stay_inside_and_reach_both_halves_of_a_log_range():
    random = np.random.default_rng(0)
    drawn = np.array([Span(low=1, high=10_000, log=True).draw(random) for _ in range(500)])
    assert drawn.min() >= 1
    assert drawn.max() <= 10_000
    assert 0.4 < np.mean(drawn < 100) < 0.6


def test_whole_numbers_and_choices():
    random = np.random.default_rng(0)
    points = [
        draw({"k": Span(low=5, high=9, whole=True), "norm": Choice(("l1", "l2"))}, random) for _ in range(99)
    ]
    assert {point["k"] for point in points} == {5, 6, 7, 8, 9}
    assert {point["norm"] for point in points} == {"l1", "l2"}
