"""The process is held to the textbook's formula, its gradients to differences, its ensemble to draws."""

import numpy as np
import pytest

from matinee.tune.ensemble import JITTER, LEVEL, Evidence, prior_of
from matinee.tune.surrogate import Hyper, Observed, Surrogate, fit_hyper
from matinee.tune.warp import Warp, warp_of

PLAIN = Warp(middle=0.0, unit=1.0, bend=1.0, mean=0.0, spread=1.0)


def kernel(a, b, numbers):
    d = a.shape[1]
    r = np.sqrt((((a[:, None] - b[None]) / np.exp(numbers[:d])) ** 2).sum(-1))
    q = np.sqrt(5) * r
    return np.exp(numbers[d]) * (1 + q + q**2 / 3) * np.exp(-q) + LEVEL


def example(n=12, d=3, pending=0, seed=0):
    random = np.random.default_rng(seed)
    return Observed(
        points=random.random((n, d)),
        values=random.standard_normal(n),
        doubts=np.where(np.arange(n) % 4 == 0, 0.3, 0.0),
        pending=random.random((pending, d)),
    )


def hyper(d=3, members=2, seed=1):
    random = np.random.default_rng(seed)
    numbers = np.concatenate(
        [random.normal(-0.5, 0.3, (members, d + 1)), np.full((members, 1), -4.0)], axis=1
    )
    return Hyper(numbers=numbers, weights=np.full(members, 1 / members), warp=PLAIN)


def test_predictions_are_those_of_the_direct_formula():
    observed, ensemble = example(), hyper()
    asked = np.random.default_rng(2).random((7, 3))
    means, sds = Surrogate(observed, ensemble).predict(asked)
    for member, numbers in enumerate(ensemble.numbers):
        noise = np.exp(numbers[-1]) + JITTER + observed.doubts**2
        covariance = kernel(observed.points, observed.points, numbers) + np.diag(noise)
        cross = kernel(asked, observed.points, numbers)
        assert means[member] == pytest.approx(cross @ np.linalg.solve(covariance, observed.values), abs=1e-8)
        rest = kernel(asked, asked, numbers) - cross @ np.linalg.solve(covariance, cross.T)
        assert sds[member] == pytest.approx(np.sqrt(np.diag(rest)), abs=1e-6)


def test_slopes_are_those_of_the_predictions():
    model = Surrogate(example(pending=2), hyper())
    point, step = np.array([0.31, 0.77, 0.5]), 1e-6
    means, sds, mean_slopes, sd_slopes = model.slopes(point)
    there = model.predict(point[None])
    assert means == pytest.approx(there[0][:, 0])
    assert sds == pytest.approx(there[1][:, 0])
    for column in range(3):
        move = np.eye(3)[column] * step
        up, down = model.predict((point + move)[None]), model.predict((point - move)[None])
        assert mean_slopes[:, column] == pytest.approx(
            (up[0] - down[0])[:, 0] / (2 * step), rel=1e-4, abs=1e-6
        )
        assert sd_slopes[:, column] == pytest.approx((up[1] - down[1])[:, 0] / (2 * step), rel=1e-4, abs=1e-6)


def test_a_pending_point_moves_no_expectation_and_takes_doubt_away():
    known, awaited = example(), example(pending=2)
    without, with_them = Surrogate(known, hyper()), Surrogate(awaited, hyper())
    near = awaited.pending + 0.01
    assert with_them.predict(near)[0] == pytest.approx(without.predict(near)[0], abs=1e-9)
    assert (with_them.predict(near)[1] < 0.9 * without.predict(near)[1]).all()


def test_a_doubted_value_teaches_less():
    observed = Observed(
        points=np.array([[0.2], [0.8]]),
        values=np.array([2.0, 2.0]),
        doubts=np.array([0.0, 2.0]),
        pending=np.zeros((0, 1)),
    )
    means, sds = Surrogate(observed, hyper(d=1)).predict(observed.points)
    assert (np.abs(means[:, 0] - 2) < np.abs(means[:, 1] - 2)).all()
    assert (sds[:, 0] < 0.5 * sds[:, 1]).all()


@pytest.mark.parametrize("noisy", [False, True])
def test_gradient_of_the_evidence_is_that_of_differences(noisy):
    observed = example()
    evidence = Evidence(observed.points, observed.doubts**2, prior_of(3, noisy))
    numbers = np.array([-0.4, 0.2, -1.0, 0.3, -3.0])
    _, gradient = evidence.cost(numbers, observed.values)
    for at in range(5):
        move = np.eye(5)[at] * 1e-6
        up, down = (evidence.cost(numbers + sign * move, observed.values)[0] for sign in (1, -1))
        assert gradient[at] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-5)
    assert evidence.costs(numbers[None], observed.values)[0] == pytest.approx(
        evidence.cost(numbers, observed.values)[0]
    )


def test_the_ensemble_is_calibrated_on_draws_from_the_prior():
    """Of held-out values of functions drawn from the prior, nine in ten lie within the middle 90 %."""
    random = np.random.default_rng(3)
    inside, total, spreads = 0, 0, []
    prior = prior_of(2, False)
    for _ in range(25):
        numbers = np.clip(random.normal(prior.mean, prior.sd), prior.low, prior.high)
        points = random.random((40, 2))
        covariance = kernel(points, points, numbers) + np.exp(numbers[-1]) * np.eye(40)
        drawn = np.linalg.cholesky(covariance + 1e-9 * np.eye(40)) @ random.standard_normal(40)
        observed = Observed(
            points=points[:15], values=drawn[:15], doubts=np.zeros(15), pending=np.zeros((0, 2))
        )
        model = Surrogate(observed, fit_hyper(observed, noisy=False, bend=False))
        means, sds = model.predict(points[15:])
        noise = np.sqrt(sds**2 + np.exp(model.hyper.numbers[:, -1:]))
        # A draw of the mixture for each member; the middle 90 % of many.
        mixed = means[:, None] + noise[:, None] * random.standard_normal((1, 400, 1))
        weights = np.repeat(model.hyper.weights / 400, 400)
        truth = model.hyper.warp(drawn[15:])
        below = (weights[:, None] * (mixed.reshape(-1, 25) < truth)).sum(0)
        inside += int(((below > 0.05) & (below < 0.95)).sum())
        total += 25
        spreads.append(len(model.hyper.weights))
    assert 0.84 < inside / total < 0.96
    assert min(spreads) >= 3


def test_many_equal_or_absurd_values_are_survived():
    points = np.random.default_rng(4).random((20, 2))
    for values in (np.full(20, 1.0), np.r_[np.zeros(19), 1e300], np.r_[np.linspace(0, 1, 19), -1e308]):
        observed = Observed(points=points, values=values, doubts=np.zeros(20), pending=np.zeros((0, 2)))
        means, sds = Surrogate(observed, fit_hyper(observed, noisy=False)).predict(points)
        assert np.isfinite(means).all()
        assert np.isfinite(sds).all()


def test_the_same_point_twice_is_no_trouble():
    points = np.repeat(np.random.default_rng(5).random((6, 2)), 3, axis=0)
    values = np.random.default_rng(6).standard_normal(18)
    observed = Observed(points=points, values=values, doubts=np.zeros(18), pending=points[:3])
    for noisy in (False, True):
        means, _ = Surrogate(observed, fit_hyper(observed, noisy=noisy)).predict(points)
        assert np.isfinite(means).all()
    assert warp_of(values).unit > 0
