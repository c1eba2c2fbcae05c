"""The best that anybody could do: the figures of one who knows every chance, at the protocols' test targets.

The simulator knows the distribution from which each target is drawn. The best list for recall@k and ndcg@k
holds the k most probable items in the order of their chances; its expected figures are sums of those chances,
so nothing is drawn to find them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from matinee.core.types import Bool, Float64, Int64
from matinee.simulate.catalogue import Catalogue
from matinee.simulate.choice import Choice, Situation
from matinee.simulate.clock import make_times
from matinee.simulate.options import MINUTE_MS, SPAN_MS, START_MS, SimulationOptions
from matinee.simulate.walk import Watch, count_blocks, lengths_of_block

CUTOFFS = (10, 20)
LEAST_HISTORY = 3  # viewers with fewer events only train
SPLIT_QUANTILE = 0.9
MOST_CELLS = 2**27  # targets x items that are written out; of a larger log one viewer in n is judged
CHUNK_CELLS = 2**23
PROTOCOLS = ("leave-one-out", "time-split-next", "time-split-successive")


@dataclass(kw_only=True)
class Tally:
    """Sums over the targets of one protocol: the best list's chances by rank, and the number of targets."""

    targets: int = 0
    by_rank: Float64 = field(default_factory=lambda: np.zeros(max(CUTOFFS)))

    def to_json(self) -> dict[str, Any]:
        """The best-possible `recall@k` and `ndcg@k`: means over targets, null where there are none."""
        gains = 1 / np.log2(np.arange(2, len(self.by_rank) + 2))
        mean = self.by_rank / max(self.targets, 1)
        figures: dict[str, Any] = {"targets": self.targets}
        for k in CUTOFFS:
            figures[f"recall@{k}"] = float(mean[:k].sum()) if self.targets else None
            figures[f"ndcg@{k}"] = float((mean * gains)[:k].sum()) if self.targets else None
        return figures


class Best:
    """Adds up the best-possible figures while the blocks are walked.

    Args:
        options: sizes and dial.
        catalogue: the catalogue of the walk.
        moment: milliseconds since 1970: the time-split's moment.
    """

    def __init__(self, options: SimulationOptions, catalogue: Catalogue, moment: int) -> None:
        self._choice, self._items, self.moment = Choice(options, catalogue), options.items, moment
        cells = (options.viewers + (1 - SPLIT_QUANTILE) * options.events) * options.items
        self.every = int(-(-cells // MOST_CELLS))
        self.tallies = {name: Tally() for name in PROTOCOLS}

    def watcher(self, lengths: Int64, times: Int64) -> Watch:
        """What watches the walk of one block, given the block's lengths and times."""
        asked = _targets(lengths, times, self.moment)
        judged = np.repeat(np.arange(len(lengths)) % self.every == 0, lengths)
        wanted = judged & np.logical_or.reduce(list(asked.values()))

        def watch(at: Int64, situation: Situation) -> None:
            rows = np.flatnonzero(wanted[at])
            size = max(1, CHUNK_CELLS // self._items)
            for start in range(0, len(rows), size):
                some = rows[start : start + size]
                self._add(
                    self._choice.chances(situation.take(some)), {n: m[at[some]] for n, m in asked.items()}
                )

        return watch

    def to_json(self) -> dict[str, Any]:
        """The figures of every protocol, the moment, and how many viewers were judged: plain JSON values."""
        figures: dict[str, Any] = {name: tally.to_json() for name, tally in self.tallies.items()}
        figures["moment"] = self.moment
        figures["judged"] = "every target" if self.every == 1 else f"one viewer in {self.every}"
        return figures

    def _add(self, chances: Float64, asked: dict[str, Bool]) -> None:
        most = min(max(CUTOFFS), chances.shape[1])
        top = np.sort(-np.partition(-chances, most - 1, axis=1)[:, :most], axis=1)[:, ::-1]
        for name, mask in asked.items():
            self.tallies[name].targets += int(mask.sum())
            self.tallies[name].by_rank[:most] += top[mask].sum(0)


def find_moment(options: SimulationOptions, lengths: Int64) -> int:
    """The time before which nine tenths of all events lie, to the minute: milliseconds since 1970.

    Times do not depend on what is watched, so that they are drawn here once before the walk, block by block.
    """
    counts = np.zeros(SPAN_MS // MINUTE_MS + 1, dtype=np.int64)
    for number in range(count_blocks(options)):
        times, _ = make_times(options, lengths_of_block(options, lengths, number), number)
        minutes = np.clip((times - START_MS) // MINUTE_MS, 0, len(counts) - 1)
        counts += np.bincount(minutes, minlength=len(counts))
    before = np.cumsum(counts)
    return int(START_MS + (np.searchsorted(before, SPLIT_QUANTILE * before[-1]) + 1) * MINUTE_MS)


def _targets(lengths: Int64, times: Int64, moment: int) -> dict[str, Bool]:
    """Which events of a block are targets, under each protocol: bool, shape (events,)."""
    ends = np.cumsum(lengths)
    starts = ends - lengths
    able = np.repeat(lengths >= LEAST_HISTORY, lengths)
    last = np.zeros(len(times), dtype=bool)
    last[ends - 1] = True
    late = times >= moment
    past = np.repeat(~late[starts], lengths)
    successive = able & late & past
    first_late = successive & ~np.concatenate([np.zeros(1, dtype=bool), late[:-1]])
    return dict(zip(PROTOCOLS, (able & last, first_late, successive), strict=True))
