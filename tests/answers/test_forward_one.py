"""One history alone is answered as torch answers it, for every option."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network extra is not installed")

from tests.answers.test_network import (  # noqa: E402
    LONGEST,
    SOME,
    a_network,
    a_scorer,
    assert_equal,
    by_torch,
    some_histories,
)

from matinee.answers import forward_one  # noqa: E402 - only where torch is
from matinee.core.types import newcomers  # noqa: E402

CHOICES = list(itertools.product(["distance", "steps", "places", "none"], [False, True], [0, 1, 2, 3]))


def alone(scorer, histories):
    askers = newcomers(histories)
    rows = [scorer.score(askers.take(np.array([row]))) for row in range(len(askers))]
    return np.concatenate(rows)


@pytest.mark.parametrize(("positions", "gated", "layers"), CHOICES)
def test_alone_as_torch(positions, gated, layers):
    options = {"positions": positions, "gated": gated, "layers": layers, "times": layers == 2}
    network = a_network(seed=layers, **options)
    for times, weights in itertools.product([False, True], [False, True]):
        histories = some_histories(SOME, seed=3, times=times, weights=weights, lowest=-2)
        assert_equal(alone(a_scorer(network, **options), histories), by_torch(network, histories))


@pytest.mark.parametrize("table", [0, 2**30])
def test_with_and_without_what_is_reckoned_before(table, monkeypatch):
    monkeypatch.setattr(forward_one, "_TABLE_BYTES", table)
    network = a_network(gated=True, heads=4)
    histories = some_histories([1, 3, LONGEST, 50], times=False, weights=False)
    assert_equal(alone(a_scorer(network, gated=True, heads=4), histories), by_torch(network, histories))


def test_numbers_beyond_floats_are_met_with_maxima():
    network = a_network()
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if "attention.into" in name:
                tensor.mul_(40.0)
    histories = some_histories([LONGEST, 7], times=False, weights=False)
    found = alone(a_scorer(network), histories)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, by_torch(network, histories), rtol=1e-3, atol=1e-2)


def test_events_that_turn_from_themselves_are_weighed_all_the_same():
    """Every exponential is below the smallest float: without the maximum there is nothing to divide by."""
    network = a_network()
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if "attention.into" in name:
                width = len(tensor) // 3
                tensor[:width] *= 40.0
                tensor[width : 2 * width] = -tensor[:width]
    histories = some_histories([1, 1, 1, 2], times=False, weights=False)
    found = alone(a_scorer(network), histories)
    np.testing.assert_allclose(found, by_torch(network, histories), rtol=1e-3, atol=1e-2)


def test_a_history_of_unknown_items_alone_is_none():
    histories = some_histories([3], times=False, weights=False)
    histories.items[:] = -1
    scorer = a_scorer(a_network())
    assert not scorer.personal(newcomers(histories)).any()
    assert_equal(scorer.score(newcomers(histories)), np.zeros((1, 30), np.float32))
