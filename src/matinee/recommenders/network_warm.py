"""What a fitted network goes on from when new events come: its own weights, and what it must not forget.

A warm fit starts from the weights of the last one. It learns from the viewers who have new events, from
what they did shortly before these too, and from others who are drawn anew for each pass, so that what was
learnt is not forgotten (rehearsal: Ratcliff 1990, "Connectionist models of recognition memory"; Robins 1995).
Items are matched by their ids. One that nobody had watched starts as what its content says, or else between
those that it was watched near.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.answers.content import knows_content, vectors_of_items
from matinee.core.promise import Part
from matinee.core.seeds import generator
from matinee.core.types import Bool, Float32, Histories, Int64
from matinee.recommenders.network_content import known_of, told_of, watched_of
from matinee.recommenders.network_context import why_read_anew
from matinee.recommenders.network_settings import SequentialConfig, resolved
from matinee.recommenders.update import new_events

# Passes, and the share of the first fit's learning rate: the cheapest of those tried on five days of 1 %
# after the .7 quantile of 2,000 viewers of MovieLens-1M with times. None could be told from the others by
# its ndcg@10 but four passes at a rate of .3, which lost.
PASSES = 1
RATE = 0.1
# Steps of a pass at least, as far as there are events for batches of some size.
STEPS = 20
LEAST_BATCH = 256
# Events of others for each event that is read of viewers with new ones, most of whose events are old.
_REPLAY = 0.5
# How far around a new item its neighbours are looked for, and what each step away counts.
_WINDOW = 8
_DECAY = 0.8
# Beyond these shares of new events, or of new items among the watched ones, a fit from scratch is due.
MOST_EVENTS = 0.2
MOST_ITEMS = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Warm:
    """A network to go on from.

    Attributes:
        part: it.
        log: what it was fitted on.
        fresh: bool, shape (events,): which events of the log that comes it has not seen.
    """

    part: Part
    log: Any
    fresh: Bool


def warm_of(part: Part, old: Any, log: Any) -> Warm:
    """What a fit on a log goes on from.

    Args:
        part: a fitted network.
        old: what it was fitted on.
        log: what is to be learnt, with ids of its own.
    """
    return Warm(part=part, log=old, fresh=unseen(old, log))


def unseen(old: Any, log: Any) -> Bool:
    """Which events of a log another log lacks: bool, shape (events,).

    Of several events of one viewer with the same item, as many as the other has are the same, the first ones.
    """
    appended = new_events(old, log)
    if appended is not None:
        return appended
    mine = _pairs(log.histories, log.n_items)
    viewers = log.viewers.codes(old.viewers.arrow).astype(np.int64)[old.histories.rows()]
    items = log.items.codes(old.items.arrow).astype(np.int64)[old.histories.items]
    theirs = np.sort(np.where((viewers >= 0) & (items >= 0), viewers * log.n_items + items, -1))
    order = np.argsort(mine, kind="stable")
    ordered = mine[order]
    rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered, side="left")
    had = np.searchsorted(theirs, ordered, side="right") - np.searchsorted(theirs, ordered, side="left")
    fresh = np.empty(len(mine), dtype=np.bool_)
    fresh[order] = rank >= had
    return fresh


def _pairs(histories: Histories, n_items: int) -> Int64:
    """One number for each event's viewer and item."""
    return histories.rows().astype(np.int64) * n_items + histories.items


def why_from_scratch(config: SequentialConfig, part: Part, old: Any, log: Any) -> str:
    """Why a fitted network cannot go on to a log; empty where it can.

    Args:
        config: of the network.
        part: it.
        old: what it was fitted on.
        log: what is to be learnt.
    """
    if old.ordered != log.ordered:
        return "one log has an order, and the other has none"
    config = resolved(config, log)
    otherwise = why_read_anew(config, part, old, log)
    if otherwise:
        return otherwise
    if not knows_content(part) and known_of(log, config.content or 0.0) is not None:
        return "it is known now what items are that nobody has watched"
    fresh = int(unseen(old, log).sum())
    if fresh > MOST_EVENTS * len(old.histories.items):
        return f"{fresh:,} new events are more than {MOST_EVENTS:.0%} of the old ones"
    watched = watched_of(log)
    new = int(np.count_nonzero(watched & ~_known_before(old, log)))
    if new > MOST_ITEMS * int(watched.sum()):
        return f"{new:,} items that nobody had watched are more than {MOST_ITEMS:.0%} of the watched ones"
    return ""


def _known_before(old: Any, log: Any) -> Bool:
    """Which items of a log somebody had watched in another: bool, shape (items,)."""
    known = np.zeros(log.n_items, dtype=np.bool_)
    codes = log.items.codes(old.items.arrow)[watched_of(old)]
    known[codes[codes >= 0]] = True
    return known


def renamed(rows: Any, old: Any, log: Any) -> Float32:
    """A row for each item of one log as rows for those of another, matched by ids; zeros where it has none.

    Args:
        rows: shape (items of the old log, numbers).
        old: the one log.
        log: the other one.

    Returns:
        float32, shape (items, numbers).
    """
    codes = log.items.codes(old.items.arrow).astype(np.int64)
    found = np.zeros((log.n_items, rows.shape[1]), np.float32)
    found[codes[codes >= 0]] = rows[codes >= 0]
    return found


def warm_vectors(warm: Warm, log: Any) -> Float32:
    """Vectors of a log's items to go on from: float32, shape (items, width)."""
    vectors = renamed(warm.part.tensors["items"], warm.log, log)
    table, told = told_of(log)
    if knows_content(warm.part) and table is not None:
        rows = np.flatnonzero(warm.log.items.codes(log.items.arrow) < 0)
        if len(rows):
            some = None if told is None else told[rows]
            vectors[rows] = vectors_of_items(warm.part, table.take(rows), some)
        return vectors
    new = watched_of(log) & ~_known_before(warm.log, log)
    return _placed(vectors, new, log.histories) if new.any() else vectors


def _placed(vectors: Float32, new: Bool, histories: Histories) -> Float32:
    """The vectors, new items each between those that it was watched near; nearer ones count more."""
    rows, items = histories.rows(), histories.items
    sums, weights = np.zeros_like(vectors), np.zeros(len(vectors), np.float32)
    for lag in range(1, min(_WINDOW, len(items) - 1) + 1):
        same = rows[lag:] == rows[:-lag]
        for mine, other in ((items[lag:], items[:-lag]), (items[:-lag], items[lag:])):
            near = np.flatnonzero(same & new[mine] & ~new[other])
            np.add.at(sums, mine[near], np.float32(_DECAY**lag) * vectors[other[near]])
            np.add.at(weights, mine[near], np.float32(_DECAY**lag))
    # One step's worth of nothing: what was watched near little is not yet sure of where it stands.
    return np.where(new[:, None], sums / (weights + np.float32(_DECAY))[:, None], vectors)


def mixtures(histories: Histories, fresh: Bool, longest: int, seed: int) -> Callable[[int], Histories]:
    """What each pass learns from: those who have new events, and others.

    Args:
        histories: everything that may be learnt.
        fresh: bool, shape (events,): what is new.
        longest: events that the network reads of one history.
        seed: draws who the others are.

    Returns:
        The histories of a pass by its number.
    """
    rows = histories.rows()
    active = np.unique(rows[fresh])
    first = np.full(len(histories), len(rows), np.int64)
    np.minimum.at(first, rows[fresh], np.flatnonzero(fresh))
    # A window drawn anywhere in what is left has new events at its end.
    near = np.arange(len(rows)) >= first[rows] - longest
    new = _from_within(histories, near).take(active)
    read = int(np.minimum(new.lengths, longest).sum())
    others = np.flatnonzero(histories.lengths > 0)
    lengths = np.minimum(histories.lengths[others], longest)

    def drawn(number: int) -> Histories:
        order = generator(seed, "rehearsed", number).permutation(len(others))
        some = others[order[: int(np.searchsorted(np.cumsum(lengths[order]), _REPLAY * read)) + 1]]
        return _joined(new, histories.take(some))

    return drawn


def _from_within(histories: Histories, kept: Bool) -> Histories:
    """The histories with their last events alone; where one begins later than it did, nobody begins."""
    found = histories.keep(kept)
    cut = found.offsets[:-1][(found.lengths > 0) & (found.lengths < histories.lengths)]
    if not len(cut):
        return found
    targets = np.ones(len(found.items), dtype=np.bool_) if found.targets is None else found.targets.copy()
    targets[cut] = False
    return replace(found, targets=targets)


def _joined(new: Histories, old: Histories) -> Histories:
    """The viewers of both, one after the other."""
    if new.targets is not None and old.targets is None:
        old = replace(old, targets=np.ones(len(old.items), dtype=np.bool_))

    def both(name: str) -> Any:
        one, other = getattr(new, name), getattr(old, name)
        return None if one is None or other is None else np.concatenate([one, other])

    names = ("items", "times", "kinds", "values", "weights", "targets")
    offsets = np.concatenate([new.offsets, new.offsets[-1] + old.offsets[1:]])
    return Histories(offsets=offsets, **{name: both(name) for name in names})


def batch_events(events: int, usual: int) -> int:
    """Events of a batch: so few that a pass over so many events has some steps."""
    return int(np.clip(events // STEPS, min(LEAST_BATCH, usual), usual))
