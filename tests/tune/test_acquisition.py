import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from matinee.tune.acquisition import Worth, averaged, gittins, highest_index, log_ei, log_h
from matinee.tune.chance import Chance
from matinee.tune.cost import fit_cost
from matinee.tune.surrogate import Observed, Surrogate, fit_hyper


@pytest.mark.parametrize("z", [-8.0, -3.0, -1.0, -0.5, 0.0, 2.0, 30.0])
def test_log_h_is_the_integral(z):
    # h(z) = integral of P(N > t) over t > -z; scaled so that quadrature sees numbers near 1.
    scale = norm.logpdf(z) if z < 0 else 0.0
    integral, _ = quad(
        lambda t: np.exp(norm.logsf(t) - scale), -z, -z + 40, epsabs=0, epsrel=1e-11, limit=200
    )
    assert log_h(np.array(z)) == pytest.approx(np.log(integral) + scale, rel=1e-8, abs=1e-9)


def test_log_h_far_out_follows_its_expansion():
    for z in (-50.0, -101.0, -1e4, -1e8):
        expansion = -0.5 * z * z - 0.5 * np.log(2 * np.pi) + np.log(z**-2.0 * (1 - 3 / z**2 + 15 / z**4))
        assert log_h(np.array(z)) == pytest.approx(expansion, rel=1e-9)
    grid = np.linspace(-150, 5, 20_000)
    assert (np.diff(log_h(grid)) > 0).all()


def test_the_mean_of_an_ensemble_is_taken_of_ei_itself():
    logs, weights = np.log(np.array([[1.0, 1e-200], [3.0, 2e-200]])), np.array([0.25, 0.75])
    assert np.exp(averaged(logs, weights)) == pytest.approx([2.5, 1.75e-200])


def test_at_a_gittins_index_a_point_is_worth_its_price():
    random = np.random.default_rng(0)
    means, sds = random.standard_normal((4, 50)), 10 ** random.uniform(-3, 0.5, (4, 50))
    weights, price = np.array([0.1, 0.2, 0.3, 0.4]), random.uniform(-12, 1, 50)
    index = gittins(means, sds, weights, price)
    assert averaged(log_ei(means, sds, index), weights) == pytest.approx(price, abs=1e-6)
    assert (gittins(means, sds, weights, price + 1) < index).all()


def test_the_gradient_of_worth_is_that_of_differences():
    random = np.random.default_rng(1)
    points = random.random((15, 2))
    values = np.sin(5 * points[:, 0]) + points[:, 1]
    observed = Observed(points=points, values=values, doubts=np.zeros(15), pending=points[:0])
    model = Surrogate(observed, fit_hyper(observed, noisy=False))
    marks = np.full(len(model.hyper.weights), 1.0)
    chance = Chance(points, random.random(15) < 0.3)
    cost = fit_cost(points, [(float(np.exp(3 * x)), 0.0) for x, _ in points], 2)
    worth = Worth(model, marks, chance, cost)
    for point in random.random((5, 2)):
        value, slope = worth.slope(point)
        assert value == pytest.approx(worth.at(point[None])[0], rel=1e-6)
        for column in range(2):
            move = np.eye(2)[column] * 1e-6
            high, low = worth.at((point + move)[None])[0], worth.at((point - move)[None])[0]
            assert slope[column] == pytest.approx((high - low) / 2e-6, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize(("members", "points"), [(1, 1), (1, 40), (12, 2), (12, 256), (6, 60)])
def test_the_highest_index_is_the_highest_of_all_indices(members, points):
    random = np.random.default_rng(members * points)
    means, sds = random.normal(size=(members, points)), np.exp(random.normal(-1, 1, (members, points)))
    weights, price = random.dirichlet(np.ones(members)), random.normal(-3, 2, points)
    every = gittins(means, sds, weights, price)
    row, index = highest_index(means, sds, weights, price)
    assert index == pytest.approx(every.max(), abs=1e-7)
    assert every[row] == pytest.approx(every.max(), abs=1e-7)
