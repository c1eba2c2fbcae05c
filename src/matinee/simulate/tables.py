"""The made-up world as tables and as a log in memory: what the files hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.core.types import Histories, Int64, Ragged
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary
from matinee.simulate.best import Best, find_moment
from matinee.simulate.catalogue import Catalogue, item_ids, item_table, make_catalogue
from matinee.simulate.choice import Choice
from matinee.simulate.clock import make_times
from matinee.simulate.options import SimulationOptions
from matinee.simulate.viewers import Viewers, activity, viewer_ids
from matinee.simulate.walk import Block, count_blocks, lengths_of_block, walk

FORMAT = 1


class World:
    """Everything that is made before the first event: the catalogue, and how active each viewer is.

    Args:
        options: sizes, dial, seed.
        judged: whether the best-possible figures are added up while the blocks are walked.
    """

    def __init__(self, options: SimulationOptions, *, judged: bool) -> None:
        self.options = options
        self.catalogue: Catalogue = make_catalogue(options)
        self.lengths: Int64 = activity(options)
        self._best = Best(options, self.catalogue, find_moment(options, self.lengths)) if judged else None

    def blocks(self) -> Iterator[Block]:
        """Every block in turn, made when it is asked for; judging needs all of them walked."""
        choice = Choice(self.options, self.catalogue)
        for number in range(count_blocks(self.options)):
            watch = None
            if self._best is not None:
                own = lengths_of_block(self.options, self.lengths, number)
                watch = self._best.watcher(own, make_times(self.options, own, number)[0])
            yield walk(self.options, self.catalogue, self.lengths, number, watch, choice)

    def truth(self) -> dict[str, Any]:
        """What the simulator knows and no log says: plain JSON values."""
        known: dict[str, Any] = {"format": FORMAT, "options": self.options.to_json()}
        known["chances"] = {
            "follows_on": self.options.certainty,
            "own_taste": (1 - self.options.certainty) * self.options.certainty,
            "popular_shelf": (1 - self.options.certainty) ** 2,
        }
        if self._best is not None:
            known["best_possible"] = self._best.to_json()
        return known


def event_table(world: World, block: Block) -> pa.Table:
    """The events of a block: viewer, item, time (ms since 1970, UTC); viewer by viewer, oldest first."""
    n = len(block.lengths)
    rows = pa.array(np.repeat(np.arange(n, dtype=np.int32), block.lengths))
    return pa.table(
        {
            "viewer": viewer_ids(world.options, block.viewers.first, n).take(rows),
            "item": item_ids(world.options.items).take(pa.array(block.items)),
            "time": pa.array(block.times, pa.int64()),
        }
    )


def viewer_table(world: World, viewers: Viewers) -> pa.Table:
    """The viewers of a block: id, region."""
    regions = pa.array([f"region-{number}" for number in range(1, world.options.regions + 1)], pa.string())
    return pa.table(
        {
            "id": viewer_ids(world.options, viewers.first, len(viewers.region)),
            "region": regions.take(pa.array(viewers.region)),
        }
    )


def friend_table(world: World, viewers: Viewers) -> pa.Table:
    """The friends of a block's viewers: viewer, friend; every pair in both directions."""
    ids = viewer_ids(world.options, viewers.first, len(viewers.region))
    return pa.table(
        {name: ids.take(pa.array(viewers.friends[:, side])) for side, name in enumerate(("viewer", "friend"))}
    )


def simulate_log(options: SimulationOptions) -> InteractionLog:
    """A made-up log in memory: what `simulate` writes for these options, without the files."""
    return log_with_truth(World(options, judged=False))[0]


def simulate_log_with_truth(options: SimulationOptions) -> tuple[InteractionLog, dict[str, Any]]:
    """The same log, and what the simulator knows of it (`truth.json`)."""
    return log_with_truth(World(options, judged=True))


def log_with_truth(world: World) -> tuple[InteractionLog, dict[str, Any]]:
    """The log of a world, and what is known of it."""
    options, blocks = world.options, list(world.blocks())
    pairs = np.concatenate([block.viewers.friends + np.int32(block.viewers.first) for block in blocks])
    counts = np.bincount(pairs[:, 0], minlength=options.viewers)
    items = np.concatenate([block.items for block in blocks])
    times = np.concatenate([block.times for block in blocks])
    log = InteractionLog(
        viewers=Vocabulary(viewer_ids(options, 0, options.viewers)),
        items=Vocabulary(item_ids(options.items)),
        histories=Histories(items=items, offsets=_offsets(world.lengths), times=times),
        item_table=item_table(options, world.catalogue),
        viewer_table=pa.concat_tables([viewer_table(world, block.viewers) for block in blocks]),
        friends=Ragged(values=np.ascontiguousarray(pairs[:, 1]), offsets=_offsets(counts)),
        order="time",
        fingerprint=hashlib.sha256(items.tobytes() + times.tobytes() + world.lengths.tobytes()).hexdigest(),
    )
    return log, world.truth()


def _offsets(lengths: Int64) -> Int64:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
