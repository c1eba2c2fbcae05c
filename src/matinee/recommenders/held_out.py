"""What a fit holds back from its own log, to know when to stop and how much to trust which part.

Of some viewers, drawn by the seed, the last event is held back (of a log without an order, one event at
random): nothing is learnt from it, and after every pass the fit asks what it would have recommended. Nobody
else's events are touched, and the judge's own validation and test never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.core.promise import Log
from matinee.core.seeds import generator
from matinee.core.types import Askers, Bool, Float32, Float64, Histories, Int32, Int64

# So many viewers tell passes and weights apart, and hardly anything is lost by not learning from them.
_MOST = 2_000
_SHARE = 0.1
_EVENTS = 3
# Scores of a batch.
_CELLS = 2**22


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Events held back, and who is asked for them.

    Attributes:
        taught: bool, shape (events,): which events are learnt from.
        askers: who is asked, with the history before the event.
        targets: int32, shape (askers,): the item held back.
        repeats: whether an item of the history is a fair answer.
        first: the first events of newcomers of whom nothing is learnt (short_histories.py); None: nobody is
            held back whole.
    """

    taught: Bool
    askers: Askers
    targets: Int32
    repeats: bool
    first: HeldOut | None = None

    def __len__(self) -> int:
        """How many are asked."""
        return len(self.targets)

    def gains(self, scores: Float32) -> Float64:
        """ndcg@10 of each asker's answer, ties at their middle rank: float64, shape (askers,).

        Args:
            scores: float32, shape (askers, items); may be overwritten.
        """
        histories = self.askers.histories
        asked = np.arange(len(self))
        own = scores[asked, self.targets].copy()
        if not self.repeats:
            scores[histories.rows(), histories.items] = -np.inf
        better = np.count_nonzero(scores > own[:, None], axis=1)
        ties = np.count_nonzero(scores == own[:, None], axis=1)
        ranks = better + np.maximum(ties - 1, 0) / 2.0
        return np.where(ranks < 10, 1.0 / np.log2(ranks + 2.0), 0.0)

    def ndcg(self, score: Callable[[Askers], Float32], n_items: int) -> float:
        """Mean ndcg@10 of a scorer over a catalogue of so many items; 0 where nobody is asked."""
        if not len(self):
            return 0.0
        size = max(1, int(_CELLS / max(n_items, 1)))
        some = (
            self.of(np.arange(start, min(start + size, len(self)))) for start in range(0, len(self), size)
        )
        return float(np.concatenate([part.gains(np.array(score(part.askers))) for part in some]).mean())

    def of(self, rows: Int64) -> HeldOut:
        """Some of those who are asked."""
        return replace(self, askers=self.askers.take(rows), targets=self.targets[rows])


def hold_out(log: Log, seed: int, fresh: Bool | None = None, *, share: float = _SHARE) -> HeldOut:
    """Hold back one event of some viewers who have three at least.

    An event that is to be predicted and that its viewer had not had before, unless repeats are fair.

    Args:
        log: the log.
        seed: draws viewers, and their events where they have no order.
        fresh: bool, shape (events,): only these may be held back; None: all.
        share: of the viewers, 2,000 at most.
    """
    histories = log.histories
    random = generator(seed, "held out")
    able = np.flatnonzero(histories.lengths >= _EVENTS)
    if fresh is not None:
        able = able[_able(histories, fresh, log.ordered)[able]]
    n = min(_MOST, int(np.ceil(share * len(able))))
    viewers = np.sort(random.choice(able, n, replace=False)) if n else able[:0]
    if log.ordered:
        events = histories.offsets[1:][viewers] - 1
    elif fresh is None:
        lengths = histories.lengths[viewers]
        events = histories.offsets[viewers] + (random.random(n) * lengths).astype(np.int64)
    else:
        drawn = random.permutation(np.flatnonzero(fresh))
        owners, places = np.unique(histories.rows()[drawn], return_index=True)
        events = drawn[places[np.searchsorted(owners, viewers)]]
    fair = _fair(histories, viewers, events, log.repeats)
    viewers, events = viewers[fair], events[fair]
    taught = np.ones(len(histories.items), dtype=np.bool_)
    taught[events] = False
    kept = histories.take(viewers)
    before = np.ones(len(kept.items), dtype=np.bool_)
    before[kept.offsets[:-1] + events - histories.offsets[viewers]] = False
    return HeldOut(
        taught=taught,
        askers=Askers(histories=kept.keep(before), viewers=viewers),
        targets=np.asarray(histories.items[events], dtype=np.int32),
        repeats=log.repeats,
    )


def _able(histories: Histories, fresh: Bool, ordered: bool) -> Bool:
    """Whose last event, or one of whose events where they have no order, is fresh: bool, shape (viewers,)."""
    if ordered:
        last = np.maximum(histories.offsets[1:] - 1, 0)
        found: Bool = fresh[last] if len(fresh) else np.zeros(len(histories), dtype=np.bool_)
        return found
    return np.bincount(histories.rows()[fresh], minlength=len(histories)) > 0


def _fair(histories: Histories, viewers: Int64, events: Int64, repeats: bool) -> Bool:
    """Which of the events can be asked for."""
    fair = np.ones(len(events), dtype=np.bool_)
    if histories.targets is not None:
        fair &= histories.targets[events]
    if not repeats:
        for place, (viewer, event) in enumerate(zip(viewers.tolist(), events.tolist(), strict=True)):
            fair[place] &= int((histories.row(viewer) == histories.items[event]).sum()) == 1
    return fair


def without(log: Any, held: HeldOut) -> Any:
    """The log without what is held back."""
    return replace(log, histories=log.histories.keep(held.taught))
