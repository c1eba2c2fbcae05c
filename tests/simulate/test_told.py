"""What content tells of the made-up catalogue, and what an oracle makes of it."""

from __future__ import annotations

import numpy as np

from matinee.simulate import SimulationOptions
from matinee.simulate.catalogue import item_table, make_catalogue
from matinee.simulate.choice import Choice, Situation
from matinee.simulate.descriptions import IN_ONE, WORDS
from matinee.simulate.told import as_told

OPTIONS = SimulationOptions(viewers=500, items=300, events=10_000, seed=4)


def test_descriptions_are_of_a_title_and_tell_its_scene() -> None:
    catalogue = make_catalogue(OPTIONS)
    told = item_table(OPTIONS, catalogue).column("description").to_pylist()
    of_unit = dict(zip(catalogue.unit.tolist(), told, strict=True))
    assert [of_unit[unit] for unit in catalogue.unit.tolist()] == told
    words = [set(text.lower().replace(",", "").rstrip(".").split()) & set(WORDS) for text in of_unit.values()]
    assert all(1 <= len(found) <= IN_ONE for found in words)
    scene = {unit: catalogue.scene[row] for row, unit in enumerate(catalogue.unit.tolist())}
    scenes = [scene[unit] for unit in of_unit]
    shared = np.array([[len(one & other) for other in words] for one in words], dtype=float)
    np.fill_diagonal(shared, np.nan)
    same = np.equal.outer(scenes, scenes)
    assert np.nanmean(shared[same]) > 3 * np.nanmean(shared[~same])


def test_expected_chances_are_chances_and_know_nothing_of_popularity() -> None:
    catalogue = make_catalogue(OPTIONS)
    told = as_told(OPTIONS, catalogue)
    np.testing.assert_allclose(told.follower_weights.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(told.scene_weights.sum(axis=1), 1.0)
    random = np.random.default_rng(0)
    seen, recent = random.random((20, 300)) < 0.1, random.integers(0, 300, (20, 3)).astype(np.int32)
    np.put_along_axis(seen, recent, True, axis=1)
    situation = Situation(
        seen=seen,
        recent=recent,
        scenes=random.integers(0, int(catalogue.scene.max()) + 1, (20, 3)).astype(np.int32),
        region=random.integers(0, OPTIONS.regions, 20).astype(np.int32),
        time=np.full(20, catalogue.release.max() + 1),
    )
    chances = Choice(OPTIONS, told).chances(situation)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    # Films of a scene that were out long ago are all alike to one who knows nothing but content.
    old = (catalogue.episode == 0) & (catalogue.release < np.quantile(catalogue.release, 0.5))
    for row in range(20):
        for scene in range(int(catalogue.scene.max()) + 1):
            alike = chances[row, old & (catalogue.scene == scene) & ~situation.seen[row]]
            # New releases are hotter, and a little of that is left.
            assert np.ptp(alike) < 0.02 * max(alike.max(initial=0.0), 1e-9) + 1e-4


def test_the_next_episode_follows_as_surely_as_it_really_does() -> None:
    catalogue = make_catalogue(OPTIONS)
    told = as_told(OPTIONS, catalogue)
    rows = np.flatnonzero(catalogue.unit[1:] == catalogue.unit[:-1])
    np.testing.assert_allclose(
        told.follower_weights[rows, rows + 1], catalogue.follower_weights[rows, 0], atol=1e-9
    )


def test_mean_followers_of_many_catalogues_are_the_expected_ones() -> None:
    """By how much each scene follows on from an item: a mean over its items of what really follows."""
    catalogue = make_catalogue(OPTIONS)
    told = as_told(OPTIONS, catalogue)
    n_scenes = int(catalogue.scene.max()) + 1
    members = np.eye(n_scenes)[catalogue.scene]
    really = np.zeros((OPTIONS.items, n_scenes))
    owners = np.repeat(np.arange(OPTIONS.items), catalogue.followers.shape[1])
    np.add.at(
        really, (owners, catalogue.scene[catalogue.followers].ravel()), catalogue.follower_weights.ravel()
    )
    of_scene = members.T @ (told.follower_weights @ members) / members.sum(axis=0)[:, None]
    np.testing.assert_allclose(members.T @ really / members.sum(axis=0)[:, None], of_scene, atol=0.06)
