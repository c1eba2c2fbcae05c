"""Walking the viewers of a block through their events, all of them one step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from matinee.core.seeds import generator
from matinee.core.types import Int32, Int64
from matinee.simulate.catalogue import Catalogue
from matinee.simulate.choice import LAG_SHARES, Choice, Situation
from matinee.simulate.clock import make_times
from matinee.simulate.options import SimulationOptions
from matinee.simulate.viewers import SCENE_SHARES, Viewers, draw_scenes, make_viewers

DRIFT = 0.02  # chance that a new session brings a new liking
FROM_CIRCLE = 0.5  # of new likings come from the circle of friends, the others from the region

Watch = Callable[[Int64, Situation], None]
"""Called before each step with the events about to be drawn (positions in the block) and their situations."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """The events of one block, viewer by viewer, oldest first.

    Attributes:
        number: which block.
        viewers: who they are.
        lengths: int64, shape (viewers,): events of each.
        items: int32, shape (events,).
        times: int64, shape (events,): milliseconds since 1970.
    """

    number: int
    viewers: Viewers
    lengths: Int64
    items: Int32
    times: Int64


def lengths_of_block(options: SimulationOptions, lengths: Int64, number: int) -> Int64:
    """Events of each viewer of one block."""
    return lengths[number * options.block : (number + 1) * options.block]


def count_blocks(options: SimulationOptions) -> int:
    """Number of blocks."""
    return -(-options.viewers // options.block)


def walk(
    options: SimulationOptions,
    catalogue: Catalogue,
    lengths: Int64,
    number: int,
    watch: Watch | None = None,
    choice: Choice | None = None,
) -> Block:
    """Draw the events of one block.

    Args:
        options: sizes, dial, seed.
        catalogue: what there is to watch.
        lengths: int64, shape (all viewers,): events of each.
        number: number of the block.
        watch: sees every situation before its item is drawn; it changes nothing.
        choice: the rule of this catalogue, which takes long to make of a large one; None: it is made here.
    """
    viewers = make_viewers(options, catalogue, number)
    own = lengths_of_block(options, lengths, number)
    times, starts_session = make_times(options, own, number)
    random = generator(options.seed, "walk", number)
    choice = choice or Choice(options, catalogue)
    # Longest histories first: those still at it are always the first rows, and slices need no copies.
    order = np.argsort(-own, kind="stable")
    starts = (np.cumsum(own) - own)[order]
    items = np.empty(int(own.sum()), dtype=np.int32)
    seen = np.zeros((len(own), options.items), dtype=bool)
    recent = np.full((len(own), len(LAG_SHARES)), -1, dtype=np.int32)
    scenes = viewers.scenes[order]
    for step, n in _steps(own):
        at = starts[:n] + step
        _drift(scenes, np.flatnonzero(starts_session[at]), order, (catalogue, viewers), random)
        situation = Situation(
            seen=seen[:n],
            recent=recent[:n],
            scenes=scenes[:n],
            region=viewers.region[order[:n]],
            time=times[at],
        )
        if watch is not None:
            watch(at, situation)
        chosen = choice.draw(situation, random)
        items[at] = chosen
        seen[np.arange(n), chosen] = True
        recent[:n, 1:] = recent[:n, :-1]
        recent[:n, 0] = chosen
    return Block(number=number, viewers=viewers, lengths=own, items=items, times=times)


def _steps(lengths: Int64) -> Iterator[tuple[int, int]]:
    """Each step with how many viewers have an event there."""
    longer = len(lengths) - np.cumsum(np.bincount(lengths))
    yield from enumerate(longer[:-1].tolist())


def _drift(
    scenes: Int32,
    beginners: Int64,
    order: Int64,
    around: tuple[Catalogue, Viewers],
    random: np.random.Generator,
) -> None:
    """Let some of those who begin a session take to another scene, in place of one of theirs."""
    catalogue, viewers = around
    drifting = beginners[random.random(len(beginners)) < DRIFT]
    if len(drifting) == 0:
        return
    who = order[drifting]
    slots = random.integers(0, len(SCENE_SHARES), (2, len(who)))
    circles = viewers.circle_scenes[viewers.circle[who], slots[0]]
    regions = draw_scenes(catalogue, viewers.region[who], random)
    scenes[drifting, slots[1]] = np.where(random.random(len(who)) < FROM_CIRCLE, circles, regions)
