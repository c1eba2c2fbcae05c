"""How the next item is chosen, and with what chance each: the same rule drawn from and written down.

With chance p (a little above the dial: `SimulationOptions.certainty`) a viewer follows on from the last three
items, where anything unseen is left there; else, again with chance p, chooses from the three scenes that they
like; else takes from the popular shelf of month and region. Every source leaves out what the viewer has seen
and what is not released, and its shares are scaled up again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matinee.core.types import Bool, Float64, Int32, Int64
from matinee.simulate.catalogue import Catalogue
from matinee.simulate.options import MONTH_MS, START_MS, SimulationOptions
from matinee.simulate.viewers import SCENE_SHARES, pick_rows, stack

LAG_SHARES = np.array(
    [0.78, 0.16, 0.06]
)  # of what follows on from the last item, the one before, and the third
TRIES = 24  # at the shelf, before the shares are written out


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Viewers about to choose, one a row.

    Attributes:
        seen: bool, shape (n, items).
        recent: int32, shape (n, 3): the last items, latest first, -1 where there is none.
        scenes: int32, shape (n, 3): liked scenes, most liked first.
        region: int32, shape (n,).
        time: int64, shape (n,): milliseconds since 1970.
    """

    seen: Bool
    recent: Int32
    scenes: Int32
    region: Int32
    time: Int64

    def take(self, rows: Int64 | slice) -> Situation:
        """Some of the rows."""
        return Situation(
            seen=self.seen[rows],
            recent=self.recent[rows],
            scenes=self.scenes[rows],
            region=self.region[rows],
            time=self.time[rows],
        )


class Choice:
    """The rule by which viewers of one catalogue choose.

    Args:
        options: the dial.
        catalogue: what there is to choose from.
    """

    def __init__(self, options: SimulationOptions, catalogue: Catalogue) -> None:
        self._catalogue, self._dial, self._regions = catalogue, options.certainty, options.regions
        self._slots = len(LAG_SHARES) * catalogue.followers.shape[1]
        self._shelf_line = stack(catalogue.shelf)
        self._slot_line = stack(SCENE_SHARES[None])

    def draw(self, situation: Situation, random: np.random.Generator) -> Int32:
        """The next item of each viewer: int32, shape (n,)."""
        n = len(situation.time)
        uniform = random.random((4, n))
        chosen = np.full(n, -1, dtype=np.int32)
        follows = np.flatnonzero(uniform[0] < self._dial)
        chosen[follows] = _pick(*self._followers(situation, follows), uniform[2][follows])
        tastes = np.flatnonzero((chosen < 0) & (uniform[1] < self._dial))
        slot = pick_rows(self._slot_line, np.zeros(len(tastes), np.int64), uniform[3][tastes])
        chosen[tastes] = _pick(*self._scene(situation, tastes, slot), uniform[2][tastes])
        shelf = np.flatnonzero(chosen < 0)
        chosen[shelf] = self._from_shelf(situation, shelf, random)
        return chosen

    def chances(self, situation: Situation) -> Float64:
        """The chance of every item to be the next: float64, shape (n, items), rows sum to 1."""
        n = len(situation.time)
        rows = np.arange(n)
        shelf = self._catalogue.shelf[self._shelf_row(situation)] * self._open(situation)
        shelf /= shelf.sum(1, keepdims=True)
        by_taste = np.zeros_like(shelf)
        for slot, share in enumerate(SCENE_SHARES):
            items, weights = self._scene(situation, rows, np.full(n, slot))
            total = weights.sum(1, keepdims=True)
            np.add.at(by_taste, (rows[:, None], items), share * weights / np.where(total > 0, total, 1.0))
            by_taste += np.where(total > 0, 0.0, share) * shelf
        chances = (1 - self._dial) * shelf + self._dial * by_taste
        items, weights = self._followers(situation, rows)
        total = weights.sum(1, keepdims=True)
        chances *= np.where(total > 0, 1 - self._dial, 1.0)
        np.add.at(chances, (rows[:, None], items), self._dial * weights / np.where(total > 0, total, 1.0))
        return np.asarray(chances)

    def _followers(self, situation: Situation, rows: Int64) -> tuple[Int32, Float64]:
        """Items that follow on from the last ones of some rows, and their weights: both shape (rows, 15)."""
        recent = situation.recent[rows]
        known = np.maximum(recent, 0)
        items, weights = self._followers_of(known, situation.region[rows])
        weights = weights * (LAG_SHARES * (recent >= 0))[:, :, None]
        items, weights = items.reshape(len(rows), self._slots), weights.reshape(len(rows), self._slots)
        return items, weights * self._open_among(situation, rows, items)

    def _followers_of(self, items: Int32, region: Int32) -> tuple[Int32, Float64]:
        """What follows on from items of shape (rows, 3) where each row's viewer is: shape (rows, 3, 5)."""
        catalogue = self._catalogue
        if catalogue.region_followers is None or catalogue.region_follower_weights is None:
            return catalogue.followers[items], catalogue.follower_weights[items]
        where = region[:, None], items
        return catalogue.region_followers[where], catalogue.region_follower_weights[where]

    def _scene(self, situation: Situation, rows: Int64, slot: Int64 | Int32) -> tuple[Int32, Float64]:
        """Items of one liked scene a row, and their weights: both shape (rows, largest scene)."""
        scene = situation.scenes[rows, slot]
        items = self._catalogue.scene_items[scene]
        return items, self._catalogue.scene_weights[scene] * self._open_among(situation, rows, items)

    def _from_shelf(self, situation: Situation, rows: Int64, random: np.random.Generator) -> Int32:
        """Draws from the popular shelf, tried again where seen or not out, then from shares written out."""
        chosen = np.full(len(rows), -1, dtype=np.int32)
        shelf_row = self._shelf_row(situation)[rows]
        left = np.arange(len(rows))
        for _ in range(TRIES):
            if len(left) == 0:
                return chosen
            tried = pick_rows(self._shelf_line, shelf_row[left], random.random(len(left)))
            good = self._open_among(situation, rows[left], tried[:, None])[:, 0]
            chosen[left[good]] = tried[good]
            left = left[~good]
        for row in left:
            one = situation.take(rows[row : row + 1])
            shares = self._catalogue.shelf[shelf_row[row]] * self._open(one)[0]
            chosen[row] = random.choice(len(shares), p=shares / shares.sum())
        return chosen

    def _shelf_row(self, situation: Situation) -> Int64:
        months = len(self._catalogue.shelf) // self._regions
        month = np.clip((situation.time - START_MS) // MONTH_MS, 0, months - 1)
        return np.asarray(month * self._regions + situation.region)

    def _open(self, situation: Situation) -> Bool:
        return ~situation.seen & (self._catalogue.release <= situation.time[:, None])

    def _open_among(self, situation: Situation, rows: Int64, items: Int32) -> Bool:
        released = self._catalogue.release[items] <= situation.time[rows][:, None]
        return np.asarray(released & ~situation.seen[rows[:, None], items])


def _pick(items: Int32, weights: Float64, uniform: Float64) -> Int32:
    """One item a row by its weights, -1 where all are 0: int32, shape (rows,)."""
    running = np.cumsum(weights, axis=1)
    total = running[:, -1:]
    column = (running <= uniform[:, None] * total).sum(1)
    column = np.minimum(column, items.shape[1] - 1)
    return np.where(total[:, 0] > 0, items[np.arange(len(items)), column], -1).astype(np.int32)
