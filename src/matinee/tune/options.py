"""What a study tells its search beyond the trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a search goes.

    Attributes:
        given: settings to try first, in this order.
        noisy: whether the same settings give different values with different seeds; the last tenth of the
            budget then runs the best three again.
        gain_per_dollar: a dollar must promise to raise the best value by so much, or the search ends and
            leaves the rest unspent; None: unspent money is of no use, all of it is spent.
        early: whether trials that report on their way may be stopped, and go on later.
        workers: how many trials run at a time.
        start: how many settings are drawn before there is a model; None: by the number of settings.
        facts: what is known of settings before they run and moves what they cost, such as how many
            parameters they make: name -> a number above 0, always the same names; None: nothing.
        by_cost: whether what a trial costs counts when it is chosen; False: only what fits the budget does.
        most_points: the model looks at no more trials than these; 20 or more.
    """

    given: tuple[Mapping[str, Any], ...] = ()
    noisy: bool = False
    gain_per_dollar: float | None = None
    early: bool = True
    workers: int = 1
    start: int | None = None
    facts: Callable[[Mapping[str, Any]], Mapping[str, float]] | None = None
    by_cost: bool = True
    most_points: int = 200
