"""The rule that is drawn from is the rule that is written down."""

from __future__ import annotations

import numpy as np
import pytest

from matinee.core.seeds import generator
from matinee.simulate.catalogue import make_catalogue
from matinee.simulate.choice import Choice, Situation
from matinee.simulate.options import SPAN_MS, START_MS, SimulationOptions

OPTIONS = SimulationOptions(viewers=40, items=60, events=400, predictability=0.6, regions=2, seed=3)
DRAWS = 40_000


def situations(seen_share: float) -> Situation:
    """Three viewers: a newcomer, one amid the log, one at its end; `seen_share` of items are seen."""
    random = generator(7, "situations")
    seen = random.random((3, OPTIONS.items)) < seen_share
    seen[0] = False
    recent = np.array([[-1, -1, -1], [5, 9, -1], [11, 30, 2]], dtype=np.int32)
    seen[1, [5, 9]] = seen[2, [11, 30, 2]] = True
    return Situation(
        seen=seen,
        recent=recent,
        scenes=np.array([[0, 1, 2], [3, 3, 1], [4, 0, 2]], dtype=np.int32),
        region=np.array([0, 1, 1], dtype=np.int32),
        time=START_MS + np.array([0, SPAN_MS // 2, SPAN_MS - 1], dtype=np.int64),
    )


@pytest.mark.parametrize("seen_share", [0.1, 0.5, 0.93])
def test_draws_have_the_chances_written_down(seen_share: float) -> None:
    choice = Choice(OPTIONS, make_catalogue(OPTIONS))
    situation = situations(seen_share)
    chances = choice.chances(situation)
    for row in range(3):
        drawn = choice.draw(situation.take(np.full(DRAWS, row)), generator(1, "draw", row))
        share = np.bincount(drawn, minlength=OPTIONS.items) / DRAWS
        # Five standard errors of each share, so that one in a million right programs fails.
        assert np.all(np.abs(share - chances[row]) <= 5 * np.sqrt(chances[row] / DRAWS) + 1e-9)


def test_chances_are_a_distribution_over_what_is_unseen_and_out() -> None:
    catalogue = make_catalogue(OPTIONS)
    situation = situations(0.5)
    chances = Choice(OPTIONS, catalogue).chances(situation)
    assert np.allclose(chances.sum(1), 1)
    assert np.all(chances[situation.seen] == 0)
    assert np.all(chances[catalogue.release > situation.time[:, None]] == 0)


def test_the_next_episode_is_most_likely() -> None:
    catalogue = make_catalogue(OPTIONS)
    first = int(np.flatnonzero((catalogue.episode == 1) & (catalogue.release < START_MS))[0])
    situation = situations(0.0).take(np.array([0]))
    situation.recent[0, 0] = first
    situation.seen[0, first] = True
    chances = Choice(OPTIONS, catalogue).chances(situation)[0]
    assert catalogue.series[first + 1] == catalogue.series[first]
    assert int(chances.argmax()) == first + 1
    assert chances[first + 1] > 0.4


def test_at_dial_0_only_popularity_counts() -> None:
    options = SimulationOptions(viewers=40, items=60, events=400, predictability=0, regions=2, seed=3)
    catalogue = make_catalogue(options)
    situation = situations(0.3)
    chances = Choice(options, catalogue).chances(situation)
    expected = catalogue.popularity * ~situation.seen
    assert np.allclose(chances, expected / expected.sum(1, keepdims=True))
    assert np.all(catalogue.release < START_MS)
