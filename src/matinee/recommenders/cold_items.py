"""How much a blend trusts its network alone on items that nobody watched.

The closed forms know nothing of such an item: in the product it stands at their floors, behind everything
else. What it lacks for that is made up by one number, the lift. It is chosen on the events held out of the
fit: a fifth of the items that were watched are taken for unwatched (their content alone speaks for them, the
partners say nothing), and of some lifts the one is taken by which all held-out events are ranked best, be
they of these items or of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from matinee.answers.content import knows_content, vectors_of_items
from matinee.answers.network import NetworkScorer
from matinee.core.promise import Log, Part, Scorer
from matinee.core.seeds import generator
from matinee.core.types import Float32
from matinee.recommenders.held_out import HeldOut
from matinee.recommenders.network_content import told_of, watched_of

# Of the watched items, so many are taken for unwatched.
_SHARE = 0.2
# Lifts that are tried, from nothing to all that the partners' floors take.
_STEPS = 25


def choose_lift(
    batches: Iterable[HeldOut],
    scorers: Sequence[Scorer],
    joint: Sequence[tuple[float, float]],
    alone: Float32,
    seed: int,
) -> float:
    """What is added to the score of an item that nobody watched; 0 where nobody can be asked.

    Args:
        batches: what is held out, some askers at a time.
        scorers: the network's, then each partner's, none of which learnt from what is held out.
        joint: each partner's floor and its weight.
        alone: float32, shape (items, width): vectors of the watched items by their content alone; zeros for
            the others, and for those of which nothing is known.
        seed: draws who is taken for unwatched.
    """
    random = generator(seed, "taken for unwatched")
    strangers = np.flatnonzero(alone.any(axis=1) & (random.random(len(alone)) < _SHARE))
    lifts = np.linspace(0.0, -lowest(joint), _STEPS)
    gains = np.zeros(_STEPS)
    for held in batches:
        scores = _joined(held, scorers, joint)
        by_content = _network_of(scorers).vectors(held.askers.histories) @ alone[strangers].T
        for step, lift in enumerate(lifts):
            scores[:, strangers] = by_content + np.float32(lowest(joint) + lift)
            gains[step] += held.gains(scores).sum()
    return float(lifts[int(np.argmax(gains))])


def watched_alone(part: Part, log: Log) -> Float32 | None:
    """Vectors of a log's watched items by their content alone, zeros for the others.

    None where the network learnt nothing of content, or somebody watched every item.
    """
    table, vectors = told_of(log)
    watched = watched_of(log)
    if table is None or not knows_content(part) or watched.all():
        return None
    alone = vectors_of_items(part, table, vectors)
    return np.where(watched[:, None], alone, np.float32(0.0))


def lowest(joint: Sequence[tuple[float, float]]) -> float:
    """What partners at their floors add to a score."""
    return float(sum(weight * np.log(floor) for floor, weight in joint))


def _joined(held: HeldOut, scorers: Sequence[Scorer], joint: Sequence[tuple[float, float]]) -> Float32:
    network, *partners = scorers
    scores = np.array(network.score(held.askers))
    for partner, (floor, weight) in zip(partners, joint, strict=True):
        scores += np.float32(weight) * np.log(np.maximum(partner.score(held.askers), np.float32(floor)))
    return scores


def _network_of(scorers: Sequence[Scorer]) -> NetworkScorer:
    network = scorers[0]
    if not isinstance(network, NetworkScorer):
        raise TypeError(f"Expected a network's scorer first, found {type(network).__name__}.")
    return network
