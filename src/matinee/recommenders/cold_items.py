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

from matinee.answers.content import knows_content
from matinee.answers.network import NetworkScorer
from matinee.core.promise import Log, Part, Scorer
from matinee.core.types import Float32, Int64
from matinee.recommenders.held_out import HeldOut
from matinee.recommenders.network_content import taken_for_unwatched, watched_of

# Of the watched items, so many are taken for unwatched.
_SHARE = 0.2
# Lifts that are tried, from nothing to all that the partners' floors take.
_STEPS = 25


def choose_lift(
    batches: Iterable[HeldOut],
    scorers: Sequence[Scorer],
    joint: Sequence[tuple[float, float]],
    strangers: tuple[Int64, Float32],
) -> float:
    """What is added to the score of an item that nobody watched.

    Args:
        batches: what is held out, some askers at a time.
        scorers: the network's, then each partner's, none of which learnt from what is held out.
        joint: each partner's floor and its weight.
        strangers: codes of watched items that are taken for unwatched, and their vectors then.
    """
    codes, vectors = strangers
    lifts = np.linspace(0.0, -lowest(joint), _STEPS)
    gains = np.zeros(_STEPS)
    for held in batches:
        scores = _joined(held, scorers, joint)
        by_content = _network_of(scorers).vectors(held.askers) @ vectors.T
        for step, lift in enumerate(lifts):
            scores[:, codes] = by_content + np.float32(lowest(joint) + lift)
            gains[step] += held.gains(scores).sum()
    return float(lifts[int(np.argmax(gains))])


def strangers_of(part: Part, log: Log, seed: int) -> tuple[Int64, Float32] | None:
    """A fifth of a log's watched items, with their vectors if nobody had watched them.

    None where the network learnt nothing of content, or somebody watched every item.
    """
    if not knows_content(part) or watched_of(log).all():
        return None
    return taken_for_unwatched(part, log, _SHARE, seed)


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
