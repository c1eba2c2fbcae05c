"""The made-up catalogue: scenes and genres, series and episodes, releases, and what follows on from what.

A scene is a corner of about 60 items that the same people like; every scene is of one genre. Items follow on
from each other sparsely: four followers an item, mostly of its own scene, and before them the next episode of
a series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa

from matinee.core.seeds import generator
from matinee.core.types import Float64, Int32, Int64
from matinee.simulate.descriptions import descriptions
from matinee.simulate.options import DAY_MS, MONTH_MS, SPAN_MS, START_MS, SimulationOptions
from matinee.simulate.titles import GENRES, titles

SCENE_ITEMS = 60
LEAST_SCENES = 5
SERIES_SHARE = 0.35  # of the catalogue are episodes
EPISODES = (4, 10)
POPULARITY_SPREAD = 1.0  # standard deviation of the logarithm
LATER_EPISODE = 0.15  # popularity of episodes after the first among those who come from nowhere
FOLLOWER_WEIGHTS = (0.55, 0.25, 0.13, 0.07)
NEXT_EPISODE = 0.8  # of what follows on from an episode
NEW_SHARE = 0.1  # of the catalogue are released while the log runs, at dial 1
HOT_FACTOR, HOT_DAYS = 4.0, 45.0
REGION_SPREAD = 0.8


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything that is true of the items; no viewer changes it.

    Attributes:
        series: int32, shape (items,): the series of each item, -1 for a film.
        episode: int32, shape (items,): 1 for a first episode, 0 for a film.
        unit: int32, shape (items,): the film or series that each item belongs to; a unit has one title.
        scene: int32, shape (items,): the scene of each item.
        popularity: float64, shape (items,): weight when nothing else is known.
        release: int64, shape (items,): milliseconds since 1970; no event before it.
        followers: int32, shape (items, 5): the next episode and four more; the item itself where its weight
            is 0.
        follower_weights: float64, shape (items, 5): rows sum to 1.
        region_followers: int32, shape (regions, items, 5): the same for each region, where they differ in
            what follows on; else None.
        region_follower_weights: float64, the same shape, or None.
        scene_items: int32, shape (scenes, largest scene): padded with item 0.
        scene_weights: float64, the same shape: popularity within the scene, 0 where padded.
        region_scenes: float64, shape (regions, scenes): how likely a viewer of a region takes to a scene.
        shelf: float64, shape (months x regions, items): what is popular where and when, rows sum to 1.
    """

    series: Int32
    episode: Int32
    unit: Int32
    scene: Int32
    popularity: Float64
    release: Int64
    followers: Int32
    follower_weights: Float64
    scene_items: Int32
    scene_weights: Float64
    region_scenes: Float64
    shelf: Float64
    region_followers: Int32 | None = None
    region_follower_weights: Float64 | None = None


def make_catalogue(options: SimulationOptions) -> Catalogue:
    """The catalogue of these options; the same for the same seed."""
    random = generator(options.seed, "catalogue")
    unit, series, episode = _units(options.items, random)
    n_units = int(unit[-1]) + 1
    scene = _scenes(unit, random)
    weight = np.exp(POPULARITY_SPREAD * random.standard_normal(n_units))[unit]
    popularity = np.where(episode > 1, LATER_EPISODE, 1.0) * weight
    release = _releases(options, unit, episode, random)
    scene_items, scene_weights = _by_scene(scene, popularity)
    followers, follower_weights = _followers(unit, episode, scene, scene_items, scene_weights, random)
    tilt = options.strength * REGION_SPREAD
    n_scenes = len(scene_items)
    region_scenes = np.exp(0.5 * random.standard_normal(n_scenes))[None] * np.exp(
        2 * tilt * random.standard_normal((options.regions, n_scenes))
    )
    region_popularity = popularity * np.exp(
        tilt * random.standard_normal((options.regions, n_units))[:, unit]
    )
    catalogue = Catalogue(
        series=series,
        episode=episode,
        unit=unit,
        scene=scene,
        popularity=popularity,
        release=release,
        followers=followers,
        follower_weights=follower_weights,
        scene_items=scene_items,
        scene_weights=scene_weights,
        region_scenes=region_scenes / region_scenes.sum(1, keepdims=True),
        shelf=shelf_of(region_popularity, release, options.strength),
    )
    return with_regions(options, catalogue) if options.region_difference > 0 else catalogue


def with_regions(options: SimulationOptions, catalogue: Catalogue) -> Catalogue:
    """The catalogue where each region goes on from some titles to titles of its own; episodes go on as ever.

    Streams of their own draw it, so that everything else is as it is without.
    """
    drawn = generator(options.seed, "titles that regions take otherwise")
    n_units = int(catalogue.unit[-1]) + 1
    otherwise = (drawn.random(n_units) < options.region_difference)[catalogue.unit][:, None]
    followers, weights = [], []
    for region in range(options.regions):
        own = _followers(
            catalogue.unit,
            catalogue.episode,
            catalogue.scene,
            catalogue.scene_items,
            catalogue.scene_weights,
            generator(options.seed, "followers of a region", region),
        )
        followers.append(np.where(otherwise, own[0], catalogue.followers))
        weights.append(np.where(otherwise, own[1], catalogue.follower_weights))
    return replace(catalogue, region_followers=np.stack(followers), region_follower_weights=np.stack(weights))


def item_table(options: SimulationOptions, catalogue: Catalogue) -> pa.Table:
    """The items as a table: id, title, genres, description, available_from, series, episode."""
    random = generator(options.seed, "titles")
    names = titles(int(catalogue.unit[-1]) + 1, random)
    scene_of_unit = catalogue.scene[np.unique(catalogue.unit, return_index=True)[1]]
    told = descriptions(scene_of_unit, generator(options.seed, "descriptions"))
    genre_of_scene = random.permutation(len(catalogue.scene_items)) % len(GENRES)
    second = random.integers(0, len(GENRES), len(names))[catalogue.unit]
    has_second = (random.random(len(names)) < 0.4)[catalogue.unit]
    first = genre_of_scene[catalogue.scene]
    genres = [
        [GENRES[a], GENRES[b]] if two and a != b else [GENRES[a]]
        for a, b, two in zip(first.tolist(), second.tolist(), has_second.tolist(), strict=True)
    ]
    film = catalogue.episode == 0
    shown = [
        names[unit] if episode == 0 else f"{names[unit]}: Episode {episode}"
        for unit, episode in zip(catalogue.unit.tolist(), catalogue.episode.tolist(), strict=True)
    ]
    return pa.table(
        {
            "id": item_ids(options.items),
            "title": pa.array(shown, pa.string()),
            "genres": pa.array(genres, pa.list_(pa.string())),
            "description": pa.array(told, pa.string()).take(pa.array(catalogue.unit)),
            "available_from": pa.array(catalogue.release, pa.int64()),
            "series": pa.array(
                [None if f else names[u] for f, u in zip(film, catalogue.unit, strict=True)], pa.string()
            ),
            "episode": pa.array(catalogue.episode, pa.int32(), mask=film),
        }
    )


@cache
def item_ids(n: int) -> pa.Array:
    """Ids of the items in the order of their codes; made once, since every block asks for them."""
    width = len(str(n))
    return pa.array([f"i{code:0{width}d}" for code in range(1, n + 1)], pa.string())


def _units(n_items: int, random: np.random.Generator) -> tuple[Int32, Int32, Int32]:
    """Films and series in a random order: unit, series (or -1) and episode (or 0) of each item."""
    lengths: list[int] = []
    while sum(lengths) < SERIES_SHARE * n_items:
        lengths.append(int(random.integers(EPISODES[0], EPISODES[1] + 1)))
    lengths[-1] = max(2, lengths[-1] - (sum(lengths) - int(SERIES_SHARE * n_items)))
    sizes = random.permutation(np.array(lengths + [1] * (n_items - sum(lengths))))
    unit = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    in_series = sizes[unit] > 1
    episode = np.where(in_series, np.arange(n_items) - starts + 1, 0)
    series = np.where(in_series, (np.cumsum(sizes > 1) - 1)[unit], -1)
    return unit.astype(np.int32), series.astype(np.int32), episode.astype(np.int32)


def _scenes(unit: Int32, random: np.random.Generator) -> Int32:
    """The scene of each item: units in a random order, cut into scenes of about equal size."""
    sizes = np.bincount(unit)
    n_scenes = max(LEAST_SCENES, round(len(unit) / SCENE_ITEMS))
    order = random.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    scene_of_unit = np.empty(len(sizes), dtype=np.int32)
    scene_of_unit[order] = np.minimum(before * n_scenes // len(unit), n_scenes - 1)
    return np.unique(scene_of_unit[unit], return_inverse=True)[1].astype(np.int32)


def _releases(options: SimulationOptions, unit: Int32, episode: Int32, random: np.random.Generator) -> Int64:
    """Release times: most before the log starts, the rest in its first eleven twelfths, an episode a week.

    How many are new depends on the dial: at 0 nothing is released while the log runs, since a release is a
    pattern.
    """
    n_units = int(unit[-1]) + 1
    old = START_MS - random.integers(1, 10 * 365, n_units) * DAY_MS
    new = START_MS + random.integers(0, SPAN_MS * 11 // 12 // DAY_MS, n_units) * DAY_MS
    is_new = random.random(n_units) < NEW_SHARE * options.strength
    release = np.where(is_new, new, old)[unit] + np.maximum(episode - 1, 0) * 7 * DAY_MS
    old_release = np.minimum(release, START_MS - DAY_MS)
    return np.asarray(np.where(is_new[unit], release, old_release), dtype=np.int64)


def _by_scene(scene: Int32, popularity: Float64) -> tuple[Int32, Float64]:
    """The items of each scene and their shares of it, padded to the largest scene."""
    sizes = np.bincount(scene)
    order = np.argsort(scene, kind="stable")
    column = np.arange(len(scene)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    items = np.zeros((len(sizes), sizes.max()), dtype=np.int32)
    weights = np.zeros(items.shape)
    items[scene[order], column] = order
    weights[scene[order], column] = popularity[order]
    return items, weights / weights.sum(1, keepdims=True)


def _followers(
    unit: Int32,
    episode: Int32,
    scene: Int32,
    scene_items: Int32,
    scene_weights: Float64,
    random: np.random.Generator,
) -> tuple[Int32, Float64]:
    """What follows on from each item: its next episode, three of its scene, one from anywhere.

    Nobody is led into the middle of a series: of a series only the first episode follows on from anything
    else.
    """
    n = len(unit)
    has_next = np.append(unit[1:] == unit[:-1], False)
    pull = np.sqrt(scene_weights) * (episode[scene_items] <= 1)
    mates = scene_items[scene]
    with np.errstate(divide="ignore"):
        keys = np.log(pull)[scene] + random.gumbel(size=mates.shape)
    keys[unit[mates] == unit[:, None]] = -np.inf
    best = np.argsort(-keys, axis=1)[:, :3]
    near = np.take_along_axis(mates, best, axis=1)
    known = np.isfinite(np.take_along_axis(keys, best, axis=1))
    anywhere = np.flatnonzero(episode <= 1)
    far = random.choice(anywhere, n)
    slots = np.column_stack([np.arange(n) + 1, near, far])
    usable = np.column_stack([has_next, known, unit[far] != unit])
    rest = np.array(FOLLOWER_WEIGHTS)
    # The one from anywhere is the second strongest, so that viewers leave a scene before it is used up.
    rest = rest[[0, 2, 3, 1]]
    weights = np.column_stack([np.full(n, NEXT_EPISODE / (1 - NEXT_EPISODE)), np.tile(rest, (n, 1))]) * usable
    weights[:, 0] = np.where(has_next, weights[:, 0] * np.maximum(weights[:, 1:].sum(1), 1e-9), 0.0)
    followers = np.where(usable, slots, np.arange(n)[:, None]).astype(np.int32)
    return followers, weights / np.maximum(weights.sum(1, keepdims=True), 1e-300)


def shelf_of(region_popularity: Float64, release: Int64, strength: float) -> Float64:
    """Shares of the popular shelf, one row a month and region: new releases are hot, then cool down.

    float64, shape (24 x regions, items). A release counts from the month it falls into; who draws obeys its
    day.
    """
    n_months = SPAN_MS // MONTH_MS
    start = START_MS + np.arange(n_months)[:, None] * MONTH_MS
    age_days = np.maximum(start - release, 0) / DAY_MS
    hot = 1 + strength * HOT_FACTOR * np.exp(-age_days / HOT_DAYS)
    out = release < start + MONTH_MS
    shelf = (hot * out)[:, None, :] * region_popularity
    shelf = shelf.reshape(-1, len(release))
    return np.asarray(shelf / shelf.sum(1, keepdims=True))
