"""The made-up viewers: who is how active, where they live, whom they know, what they like.

Everything but activity is made block by block, each block from its own random stream: friends are of one
block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.core.seeds import generator
from matinee.core.types import Float64, Int32, Int64
from matinee.simulate.catalogue import Catalogue
from matinee.simulate.options import SimulationOptions

CIRCLE = 9  # friends come in circles of this size
KNOWS = 0.8  # of a circle's pairs are friends
ACQUAINTANCES = 0.5  # friends outside the circle, of each viewer
SHARED_TASTE = 0.85  # of a viewer's scenes are the circle's
STAYS_AT_HOME = 0.95  # of a circle live in its region
ACTIVITY_SPREAD = 0.8  # standard deviation of the logarithm
LEAST_EVENTS = 5  # of a viewer, where there are enough events
SCENE_SHARES = np.array([0.85, 0.10, 0.05])  # of the three scenes that a viewer likes at any time


@dataclass(frozen=True, kw_only=True)
class Viewers:
    """The viewers of one block, in the order of their codes.

    Attributes:
        first: code of the block's first viewer.
        region: int32, shape (viewers,).
        circle: int32, shape (viewers,): who has friends in common.
        circle_scenes: int32, shape (circles, 3): what a circle likes.
        scenes: int32, shape (viewers, 3): what each likes at the start, most liked first.
        friends: int32, shape (pairs, 2): positions in the block, both directions, sorted.
    """

    first: int
    region: Int32
    circle: Int32
    circle_scenes: Int32
    scenes: Int32
    friends: Int32


def activity(options: SimulationOptions) -> Int64:
    """Events of each viewer: int64, shape (viewers,); skewed, and their sum is met exactly."""
    random = generator(options.seed, "activity")
    least = min(LEAST_EVENTS, options.events // options.viewers)
    weights = np.exp(ACTIVITY_SPREAD * random.standard_normal(options.viewers))
    room = float(options.most_events - least)
    wanted = float(options.events - least * options.viewers)
    extra = np.zeros(options.viewers)
    while wanted - extra.sum() > 0.5:
        # What the cap cuts off is given to the others; each round fills at least one viewer or ends.
        open_ = extra < room
        extra = np.minimum(extra + (wanted - extra.sum()) * weights * open_ / (weights * open_).sum(), room)
    lengths = least + np.floor(extra).astype(np.int64)
    missing = options.events - int(lengths.sum())
    open_rows = np.flatnonzero(lengths < options.most_events)
    order = open_rows[np.argsort(-(extra - np.floor(extra))[open_rows], kind="stable")]
    lengths[order[:missing]] += 1
    return lengths


def make_viewers(options: SimulationOptions, catalogue: Catalogue, block: int) -> Viewers:
    """The viewers of block number `block`."""
    random = generator(options.seed, "viewers", block)
    first = block * options.block
    n = min(options.block, options.viewers - first)
    n_circles = -(-n // CIRCLE)
    circle = random.permutation(np.arange(n) // CIRCLE).astype(np.int32)
    sizes = 0.6 ** np.arange(options.regions)
    region_of_circle = random.choice(options.regions, n_circles, p=sizes / sizes.sum())
    elsewhere = random.choice(options.regions, n, p=sizes / sizes.sum())
    region = np.where(random.random(n) < STAYS_AT_HOME, region_of_circle[circle], elsewhere).astype(np.int32)
    circle_scenes = draw_scenes(catalogue, np.repeat(region_of_circle, 3), random).reshape(-1, 3)
    own = draw_scenes(catalogue, np.repeat(region, 3), random).reshape(-1, 3)
    scenes = np.where(random.random((n, 3)) < SHARED_TASTE, circle_scenes[circle], own)
    return Viewers(
        first=first,
        region=region,
        circle=circle,
        circle_scenes=circle_scenes,
        scenes=scenes.astype(np.int32),
        friends=_friends(circle, random),
    )


def draw_scenes(catalogue: Catalogue, regions: NDArray[np.integer], random: np.random.Generator) -> Int32:
    """A scene for each entry, as its region likes them: int32, shape of `regions` (one dimension)."""
    return pick_rows(stack(catalogue.region_scenes), regions, random.random(len(regions)))


def stack(shares: Float64) -> Float64:
    """Running sums of distributions, row r between r and r + 1, so that one search draws from all of them.

    Args:
        shares: float64, shape (distributions, columns): rows sum to 1.
    """
    running = np.cumsum(shares, axis=1)
    return np.asarray(running / running[:, -1:] + np.arange(len(shares))[:, None])


def pick_rows(stacked: Float64, rows: NDArray[np.integer], uniform: Float64) -> Int32:
    """A draw from one distribution a row.

    Args:
        stacked: the distributions, as `stack` makes them.
        rows: shape (n,): the distribution of each draw.
        uniform: float64, shape (n,), in [0, 1).

    Returns:
        The column drawn, int32, shape (n,).
    """
    columns = stacked.shape[1]
    found = np.searchsorted(stacked.ravel(), rows + uniform, side="right") - rows * columns
    return np.asarray(np.minimum(found, columns - 1), dtype=np.int32)


def viewer_ids(options: SimulationOptions, first: int, n: int) -> pa.Array:
    """Ids of n viewers from code `first` on."""
    width = len(str(options.viewers))
    return pa.array([f"v{code:0{width}d}" for code in range(first + 1, first + n + 1)], pa.string())


def _friends(circle: Int32, random: np.random.Generator) -> Int32:
    """Who is whose friend, in both directions: most pairs of a circle, and a few others."""
    n = len(circle)
    order = np.argsort(circle, kind="stable")
    pairs = []
    for step in range(1, CIRCLE):
        a, b = order[:-step], order[step:]
        pairs.append(np.column_stack([a, b])[circle[a] == circle[b]])
    inside = np.concatenate(pairs)
    inside = inside[random.random(len(inside)) < KNOWS]
    outside = random.integers(0, n, (int(ACQUAINTANCES * n / 2), 2))
    both = np.concatenate([inside, outside[outside[:, 0] != outside[:, 1]]])
    both = np.concatenate([both, both[:, ::-1]])
    return np.unique(both, axis=0).astype(np.int32)
