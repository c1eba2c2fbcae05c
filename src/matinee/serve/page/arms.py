"""What experiments have shown so far: in which arm more viewers follow what is recommended to them.

The witness is the viewer, who counts once: whoever ever followed an answer of an arm, as the event's
recommendation id proves. Chance gave each viewer an arm, so that, were the arms equal, each of these viewers
would come from an arm with just the arm's share: `matinee.core.anytime.lift_of` may be looked at any day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from matinee.core.anytime import Sequential, lift_of
from matinee.serve.experiments import Experiment
from matinee.serve.recommendation_id import Told, make, read
from matinee.serve.store import Store, secret_of

# So many events are read at a time, and at most so often for one look: the rest waits for the next look.
_BATCH = 5_000
_MOST_BATCHES = 40


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm of an experiment.

    Attributes:
        name: its name.
        bundle: what answers there.
        share: of the viewers.
        followed: viewers who followed a recommendation there.
        lift: how many times as often as in the first arm; None for the first arm itself.
    """

    name: str
    bundle: str
    share: float
    followed: int
    lift: Sequential | None


class Followed:
    """Viewers who followed an answer, by "experiment/arm"; the log of events is read once, as it grows.

    Args:
        store: where events are.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._seq = store, 0
        self._viewers: dict[str, set[str]] = defaultdict(set)

    async def catch_up(self) -> bool:
        """Read what is new. Returns whether everything was read."""
        noted = await self._store.note("secret")
        if noted is None:
            return True
        secret = secret_of({"secret": noted})
        for _ in range(_MOST_BATCHES):
            events = await self._store.events(self._seq, _BATCH)
            for event in events:
                told = read(secret, event.recommendation_id) if event.recommendation_id else None
                if told is not None and told.arm:
                    self._viewers[told.arm].add(event.user)
            if events:
                self._seq = events[-1].seq
            if len(events) < _BATCH:
                return True
        return False

    def arms(self, experiment: Experiment) -> list[Arm]:
        """An experiment's arms, each against the first."""
        labels = {name: _as_told(f"{experiment.name}/{name}") for name in experiment.arms}
        # Names so long that ids cannot tell them apart are not compared, rather than mixed up.
        apart = len(set(labels.values())) == len(labels)
        counts = {name: len(self._viewers.get(label, ())) if apart else 0 for name, label in labels.items()}
        return arms_of(experiment, counts)


def _as_told(arm: str) -> str:
    """An arm as an id tells it: ids cut long names."""
    told = read(b"", make(b"", Told(arm=arm)))
    return told.arm if told is not None else arm


def arms_of(experiment: Experiment, followed: Mapping[str, int]) -> list[Arm]:
    """An experiment's arms, each against the first.

    Args:
        experiment: its arms and shares.
        followed: name of an arm -> viewers who followed a recommendation there.
    """
    found = []
    first = next(iter(experiment.arms), "")
    for name, bundle in experiment.arms.items():
        share, other = experiment.shares[name], experiment.shares[first]
        both = share > 0 and other > 0 and name != first
        lift = lift_of(followed[first], followed[name], share_b=share / (share + other)) if both else None
        found.append(Arm(name=name, bundle=bundle, share=share, followed=followed[name], lift=lift))
    return found


def verdict(arms: list[Arm]) -> str:
    """What the arms have shown, in a sentence."""
    compared = [arm for arm in arms if arm.lift is not None]
    if not compared:
        return "There is nothing to compare."
    if not sum(arm.followed for arm in arms):
        return "Nobody has followed a recommendation of this experiment yet."
    sure = [arm for arm in compared if arm.lift is not None and arm.lift.decided]
    if not sure:
        return "No difference is certain yet; it may be looked at again on any day."
    words = [f"{arm.name} {'does better' if arm.lift.mean > 1 else 'does worse'}" for arm in sure if arm.lift]
    return f"Against {arms[0].name}: {', '.join(words)}. That is certain enough to stop."
