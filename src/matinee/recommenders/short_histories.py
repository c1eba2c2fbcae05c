"""What short histories are told by: weights of their own, and what is popular of late.

After one event or two the closed forms know next to nothing, and weights that were chosen on long histories
trust them far too much. A network that knows where a history begins (`opening`) is then the better guide, and
so is what everybody chose of late. How much each counts is chosen on the first events of some of the latest
newcomers, of whom no part that is asked has learnt anything, as it is when somebody comes. Weights differ
from those of long histories only where that helps beyond chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from matinee.core.promise import Log, Part, Scorer
from matinee.core.seeds import generator
from matinee.core.statistics import sign_flip_p
from matinee.core.types import Askers, Bool, Float32, Float64, Int64
from matinee.recommenders.held_out import HeldOut, hold_out
from matinee.recommenders.network_settings import SequentialConfig, resolved
from matinee.recommenders.recent import Recent

RECENT = "recent"
# Newcomers are drawn from the latest share of the viewers who have some events, where the log has times; they
# may take a share of all events at most. Fewer than the fewest tell nothing.
_LATEST, _SHARE, _EVENTS = 0.2, 0.03, 3
_MOST, _FEWEST = 300, 40
# They are asked for what came after so many events; histories of fewer than one of these may count as short.
_AFTER = (0, 1, 2, 3, 5, 8, 12)
_SHORT = (2, 4, 8)
# Weights that are tried for short histories, of partners and of what is popular of late.
_TRIED = (0.0, 0.25, 0.5, 1.0)
_OF_NOBODY = (0.0, 0.25, 0.5, 1.0, 2.0)
_SURE = 0.01
# Scores of a batch.
_CELLS = 2**22


@dataclass(frozen=True, kw_only=True)
class Short:
    """How short histories are joined.

    Attributes:
        below: histories of fewer events are short; 1: none but the empty one.
        weights: of each partner where a history is short.
        recent: weight of what is popular of late where a history is short.
        nobody: the same where there is no history.
        begins: whether the beginning says more of the first event than popularity does.
        floor: what of late tells nothing apart.
        asked: first events that all this was chosen on.
    """

    below: int
    weights: tuple[float, ...]
    recent: float
    nobody: float
    begins: bool
    floor: float
    asked: int

    @property
    def joins_recent(self) -> bool:
        """Whether what is popular of late has a say at all."""
        return bool(self.nobody or (self.below > 1 and self.recent))

    def told(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a product whose weights are those of long histories, with those of short ones."""
        lengths = [1] if self.below == 1 else [1, self.below]
        rows = []
        for (weight,), mine in zip(settings["weights"], self.weights, strict=True):
            rows.append([0.0, weight] if self.below == 1 else [0.0, mine, weight])
        more: dict[str, Any] = {"weights": rows, "lengths": lengths, "short_held_back": self.asked}
        if self.joins_recent:
            late = [self.nobody, 0.0] if self.below == 1 else [self.nobody, self.recent, 0.0]
            more["weights"] = [*rows, late]
            more["parts"] = [*settings["parts"], RECENT]
            more["floors"] = [*settings["floors"], self.floor]
        if "lift" in settings:
            more["lift"] = self._lifts(settings, rows)
        return {**settings, **more, "begins": self.begins}

    @staticmethod
    def _lifts(settings: Mapping[str, Any], rows: Sequence[Sequence[float]]) -> list[float]:
        """The lift of each sort of history: the same share of what the partners' floors take there.

        Args:
            settings: of a product whose weights are those of long histories, its last sort.
            rows: the weights of each partner, by sort.
        """
        logs = np.log(np.asarray(settings["floors"], dtype=np.float64))
        taken = logs @ np.asarray(rows, dtype=np.float64).reshape(len(logs), -1)
        shares = taken / taken[-1] if taken[-1] else np.zeros_like(taken)
        return [float(settings["lift"] * share) for share in shares]


def hold_out_for(config: SequentialConfig, log: Log, seed: int) -> HeldOut:
    """What the fit of a network holds back: with an opening, some newcomers whole."""
    held = hold_out(log, seed)
    return hold_out_newcomers(log, held, seed) if resolved(config, log).opening else held


def hold_out_newcomers(log: Log, held: HeldOut, seed: int) -> HeldOut:
    """Hold back everything of some of the latest newcomers too; what it was where the log is too small.

    Of a log without times, or with an order alone, any viewers stand for newcomers.
    """
    viewers = _newest(log, seed)
    if not len(viewers):
        return held
    theirs = np.zeros(len(log.histories), dtype=np.bool_)
    theirs[viewers] = True
    others = held.of(np.flatnonzero(~theirs[held.askers.viewers]))
    taught = held.taught & ~theirs[log.histories.rows()]
    return replace(others, taught=taught, first=_first_events(log, viewers))


def recent_part(log: Log, seed: int) -> Part:
    """What is popular of late, by its defaults; without times: what is popular."""
    return Recent().fit(log, seed=seed).parts[RECENT]


def begins(first: HeldOut, scorer: Scorer, log: Log) -> bool:
    """Whether a scorer foretells first events better than popularity does.

    Args:
        first: the first events of newcomers.
        scorer: a network's that knows where a history begins.
        log: what it learnt from.
    """
    nobody = first.of(np.flatnonzero(first.askers.histories.lengths == 0))
    popularity = _popularity(log)
    gains = np.zeros(2)
    for some in _batches(nobody, log.n_items):
        tiled = np.tile(popularity, (len(some), 1))
        gains += some.gains(np.array(scorer.score(some.askers))).sum(), some.gains(tiled).sum()
    return bool(gains[0] > gains[1])


def choose_short(
    log: Log, first: HeldOut, scorers: Sequence[Scorer], joint: Sequence[tuple[float, float]]
) -> Short | None:
    """The weights by which the first events of newcomers are ranked best; None where nothing is to be gained.

    Args:
        log: what the scorers learnt from: nothing of these newcomers.
        first: their first events.
        scorers: the network's, then each partner's.
        joint: each partner's floor and the weight that it has for long histories.
    """
    floor = _floor_of(log)
    long = tuple(weight for _, weight in joint)
    tried = [(*long, 0.0), *product(*(_TRIED for _ in joint), _TRIED)]
    alone = [(*(0.0 for _ in joint), weight) for weight in _OF_NOBODY]
    gains, of_popularity = _all_gains(log, first, scorers, [*(one for one, _ in joint), floor], tried + alone)
    lengths = first.askers.histories.lengths
    below, chosen = _best(gains[: len(tried)], lengths, first.askers.viewers)
    at_first = gains[len(tried) :, lengths == 0].sum(axis=1)
    foretold = bool(at_first.max(initial=0.0) > of_popularity[lengths == 0].sum())
    if below == 1 and not foretold:
        return None
    *weights, recent = tried[chosen]
    return Short(
        below=below,
        weights=tuple(weights),
        recent=recent,
        nobody=_OF_NOBODY[int(np.argmax(at_first))] if foretold else 0.0,
        begins=foretold,
        floor=floor,
        asked=len(first),
    )


def _best(gains: Float64, lengths: Int64, viewers: Int64) -> tuple[int, int]:
    """Below how many events histories are short, and the place of their weights; 1 and 0 where none are.

    Args:
        gains: float64, shape (sets of weights, asked): the first set is that of long histories.
        lengths: int64, shape (asked,): events before what is asked for.
        viewers: int64, shape (asked,): who is asked.
    """
    more = gains - gains[0]
    found = []
    for below in _SHORT:
        short = (lengths > 0) & (lengths < below)
        totals = more[:, short].sum(axis=1)
        found.append((float(totals.max()), -below, int(np.argmax(totals))))
    most, below, place = max(found)
    if most <= 0.0:
        return 1, 0
    short = (lengths > 0) & (lengths < -below)
    who, rows = np.unique(viewers[short], return_inverse=True)
    by_viewer = np.bincount(rows, weights=more[place, short], minlength=len(who)).astype(np.float64)
    sure = float(sign_flip_p(by_viewer[:, None])[0]) < _SURE
    return (-below, place) if sure else (1, 0)


def _all_gains(
    log: Log,
    first: HeldOut,
    scorers: Sequence[Scorer],
    floors: Sequence[float],
    tried: Sequence[tuple[float, ...]],
) -> tuple[Float64, Float64]:
    """ndcg@10 of each asker by each set of weights, float64, (sets, askers); and by popularity, (askers,).

    Args:
        log: what the scorers learnt from.
        first: the first events of newcomers.
        scorers: the network's, then each partner's.
        floors: each partner's, then that of what is popular of late.
        tried: sets of weights, in the order of the floors.
    """
    late = np.maximum(recent_part(log, 0).tensors["scores"], np.float32(floors[-1]))
    gains, of_popularity = np.empty((len(tried), len(first))), np.empty(len(first))
    start = 0
    for some in _batches(first, log.n_items):
        rows = slice(start, start + len(some))
        network, *partners = (np.array(scorer.score(some.askers)) for scorer in scorers)
        chances = [np.maximum(one, np.float32(floor)) for one, floor in zip(partners, floors, strict=False)]
        logs = [np.log(one) for one in (*chances, late[None])]
        for place, weights in enumerate(tried):
            joined = network.copy()
            for weight, told in zip(weights, logs, strict=True):
                if weight:
                    joined += np.float32(weight) * told
            gains[place, rows] = some.gains(joined)
        of_popularity[rows] = some.gains(np.tile(_popularity(log), (len(some), 1)))
        start = rows.stop
    return gains, of_popularity


def _newest(log: Log, seed: int) -> Int64:
    """Codes of some of the latest newcomers, ascending; none where there are too few."""
    histories = log.histories
    lengths = histories.lengths
    able = np.flatnonzero(lengths >= _EVENTS)
    if histories.times is not None and len(able):
        came = np.asarray(histories.times)[histories.offsets[:-1][able]]
        able = able[np.argsort(came, kind="stable")][-int(np.ceil(_LATEST * len(able))) :]
    drawn = generator(seed, "newcomers").permutation(able)[:_MOST]
    drawn = drawn[np.cumsum(lengths[drawn]) <= _SHARE * len(histories.items)]
    return np.sort(drawn) if len(drawn) >= _FEWEST else drawn[:0]


def _first_events(log: Log, viewers: Int64) -> HeldOut:
    """What some viewers did after their first few events, where it can be asked for."""
    histories = log.histories
    asked, after = (grid.ravel() for grid in np.meshgrid(viewers, np.array(_AFTER), indexing="ij"))
    there = after < histories.lengths[asked]
    asked, after = asked[there], after[there]
    events = histories.offsets[asked] + after
    whole = histories.take(asked)
    before = np.arange(len(whole.items)) - np.repeat(whole.offsets[:-1], whole.lengths) < np.repeat(
        after, whole.lengths
    )
    short = whole.keep(before)
    targets = np.asarray(histories.items[events], dtype=np.int32)
    fair = np.ones(len(asked), dtype=np.bool_)
    if histories.targets is not None:
        fair &= histories.targets[events]
    if not log.repeats:
        again = short.items == np.repeat(targets, short.lengths)
        fair &= np.bincount(short.rows()[again], minlength=len(asked)) == 0
    askers = Askers(histories=short, viewers=asked)
    taught: Bool = np.ones(len(histories.items), dtype=np.bool_)
    all_asked = HeldOut(taught=taught, askers=askers, targets=targets, repeats=log.repeats)
    return all_asked.of(np.flatnonzero(fair))


def _popularity(log: Log) -> Float32:
    histories = log.histories
    found = np.bincount(histories.items, weights=histories.weights, minlength=log.n_items)
    return found.astype(np.float32)


def _floor_of(log: Log) -> float:
    """Half an event of middling weight: items with none of late are alike."""
    weights = log.histories.weights
    return 0.5 if weights is None or not len(weights) else max(0.5 * float(weights.mean()), 1e-6)


def _batches(held: HeldOut, n_items: int) -> list[HeldOut]:
    size = max(1, int(_CELLS / max(n_items, 1)))
    return [held.of(np.arange(start, min(start + size, len(held)))) for start in range(0, len(held), size)]
