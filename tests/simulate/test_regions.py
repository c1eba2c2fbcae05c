"""The dial for how far regions differ: what follows on from what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matinee.core.errors import SettingsError
from matinee.core.seeds import generator
from matinee.simulate.catalogue import make_catalogue
from matinee.simulate.choice import Choice, Situation
from matinee.simulate.options import START_MS, SimulationOptions
from matinee.simulate.tables import simulate_log

OPTIONS = SimulationOptions(viewers=80, items=60, events=900, predictability=0.6, regions=2, seed=3)
DRAWS = 40_000


def test_at_nought_nothing_is_drawn_that_was_not_before() -> None:
    catalogue = make_catalogue(OPTIONS)
    assert catalogue.region_followers is None
    other = make_catalogue(replace(OPTIONS, region_difference=1.0))
    for name in ("unit", "scene", "popularity", "release", "followers", "shelf", "region_scenes"):
        np.testing.assert_array_equal(getattr(catalogue, name), getattr(other, name))


@pytest.mark.parametrize(("difference", "share"), [(0.3, 0.3), (1.0, 1.0)])
def test_regions_go_on_otherwise_from_that_share_of_titles(difference: float, share: float) -> None:
    options = replace(OPTIONS, items=600, region_difference=difference)
    catalogue = make_catalogue(options)
    assert catalogue.region_followers is not None
    differs = (catalogue.region_followers[0] != catalogue.followers).any(axis=1)
    first = np.unique(catalogue.unit, return_index=True)[1]
    assert differs[first].mean() == pytest.approx(share, abs=0.08)
    # The next episode is what it was, wherever one is.
    series = np.flatnonzero(catalogue.unit[1:] == catalogue.unit[:-1])
    assert (catalogue.region_followers[:, series, 0] == series + 1).all()


def test_draws_have_the_chances_of_their_region() -> None:
    options = replace(OPTIONS, region_difference=1.0)
    choice = Choice(options, make_catalogue(options))
    both = Situation(
        seen=np.zeros((2, options.items), dtype=bool),
        recent=np.array([[5, 9, 11]] * 2, dtype=np.int32),
        scenes=np.array([[0, 1, 2]] * 2, dtype=np.int32),
        region=np.array([0, 1], dtype=np.int32),
        time=np.full(2, START_MS),
    )
    both.seen[:, [5, 9, 11]] = True
    chances = choice.chances(both)
    assert np.abs(chances[0] - chances[1]).sum() > 0.5
    for row in range(2):
        drawn = choice.draw(both.take(np.full(DRAWS, row)), generator(1, "draw", row))
        share = np.bincount(drawn, minlength=options.items) / DRAWS
        assert np.all(np.abs(share - chances[row]) <= 5 * np.sqrt(chances[row] / DRAWS) + 1e-9)


def test_the_same_seed_is_the_same_log_and_another_dial_another() -> None:
    options = replace(OPTIONS, region_difference=0.5)
    assert simulate_log(options).fingerprint == simulate_log(options).fingerprint
    assert simulate_log(options).fingerprint != simulate_log(OPTIONS).fingerprint


@pytest.mark.parametrize("difference", [-0.1, 1.1])
def test_the_dial_ends_at_nought_and_one(difference: float) -> None:
    with pytest.raises(SettingsError, match="region difference must be between 0 and 1"):
        replace(OPTIONS, region_difference=difference)
