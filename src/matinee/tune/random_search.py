"""Random search: what any other search is held against, and the least that a study can be run with."""

from __future__ import annotations

from collections.abc import Sequence

from matinee.core.seeds import generator
from matinee.core.space import Space, draw
from matinee.tune.trial import Suggestion, Trial

# Before anything is known of the cost, this share of what is left.
_FIRST = 0.1
_TIMES = 2.0


class RandomSearch:
    """Settings drawn at random; nothing is stopped early; the greatest value is the best.

    Args:
        space: what is searched.
    """

    def __init__(self, space: Space) -> None:
        self._space = space

    def suggest(
        self, trials: Sequence[Trial], left_dollars: float, *, seed: int, number: int
    ) -> Suggestion | None:
        """Random settings, as long as an ordinary trial fits in what is left."""
        costs = [trial.dollars for trial in trials if trial.state == "done"]
        usual = sum(costs) / len(costs) if costs else _FIRST * left_dollars
        if usual > left_dollars:
            return None
        settings = draw(self._space, generator(seed, "suggest", number))
        most = min(left_dollars, max([_TIMES * usual, *costs]))
        return Suggestion(settings=settings, why="start", dollars=usual, most_dollars=most)

    def keep_on(self, trials: Sequence[Trial], number: int) -> bool:
        """Whether a trial may go on: always."""
        del trials, number
        return True

    def best_of(self, trials: Sequence[Trial]) -> int | None:
        """The number of the done trial of the greatest value."""
        done = [(trial.value, -trial.number) for trial in trials if trial.value is not None]
        return -max(done)[1] if done else None
