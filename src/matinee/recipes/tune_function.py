"""Searching the settings of any function of one's own: any supervised task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matinee.core.electricity import electricity_dollars
from matinee.core.space import Space
from matinee.recipes.quote import duration
from matinee.recipes.tune import Watch, mended
from matinee.recipes.tune_folder import begin_study
from matinee.report.numbers import money
from matinee.tune.budget import Budget
from matinee.tune.local import Limits
from matinee.tune.objective import load_objective
from matinee.tune.options import Options
from matinee.tune.run import tune
from matinee.tune.search import Search
from matinee.tune.space import default_settings


def require_function(words: str) -> None:
    """Refuse a function that cannot be found, before anything is spent.

    Raises:
        SettingsError: it cannot be imported, or it is no function.
    """
    load_objective(words)


def budget_words(budget: Budget) -> str:
    """A budget as this machine's time and money, in a line: nobody knows yet what a trial takes."""
    price = electricity_dollars(1.0)
    words = []
    if not price:
        return "This machine's electricity costs nothing, as it is set."
    if budget.dollars is not None:
        words.append(
            f"{money(budget.dollars)} is {duration(budget.dollars / price)} of this machine's electricity"
        )
    if budget.seconds is not None:
        words.append(f"{duration(budget.seconds)} here is {money(budget.seconds * price)} of electricity")
    return f"Budget: {'; '.join(words)}."


def tune_function(  # noqa: PLR0913 (what is searched, within what, and how it goes)
    function: str,
    space: Space,
    folder: Path,
    budget: Budget,
    *,
    workers: int = 1,
    steps: float | None = None,
    seed: int = 0,
    resume: bool = False,
    watch: Watch = lambda _study: None,
    should_stop: Callable[[], bool] = lambda: False,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Search a function: the JSON of `status`, with the value of the defaults where the space says them.

    Args:
        function: "module:name" of `objective(settings, report) -> value`; larger is better.
        space: what may change.
        folder: the study's.
        budget: what it may spend.
        workers: how many trials run side by side.
        steps: how many steps a whole trial reports; None: nobody knows.
        seed: of the search.
        resume: go on with the study of the folder.
        watch: called with the study about once a second.
        should_stop: asked often; once it says yes, the study stops and can go on later.
        command: what was typed after `matinee`, for whoever runs the study again.

    Raises:
        InputError: the folder holds another study, or one already and `resume` is not set.
        Stopped: it was stopped; what is finished is kept.
    """
    about = {"kind": "function", "objective": function, "seed": seed}
    begin_study(folder, about, resume=resume, command=command)
    first = default_settings(space)
    given: tuple[Mapping[str, Any], ...] = () if first is None else (first,)
    result = tune(
        function,
        space,
        budget=budget,
        folder=folder,
        workers=workers,
        steps=steps,
        seed=seed,
        resume=resume,
        search=Search(space, Options(given=given, workers=workers)),
        limits=Limits(),
        tell=watch,
        should_stop=should_stop,
    )
    return mended(result, first is not None)
