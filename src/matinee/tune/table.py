"""A study as rows to look at while it runs: plain values, for whoever draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matinee.tune.study import Study
from matinee.tune.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trial.

    Attributes:
        number: its number.
        state: as `Trial.state`.
        value: its final value, else the latest that it reported; None: it told none yet.
        share: how much of its steps it has done, 0 to 1; None: nobody knows.
        dollars: what it has cost, as far as told.
        settings: what is tried.
        best: whether it is the best so far.
    """

    number: int
    state: str
    value: float | None
    share: float | None
    dollars: float
    settings: dict[str, Any]
    best: bool


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A study at a glance.

    Attributes:
        rows: the trials that run, then the best, then the latest, at most so many as asked for.
        counts: how many trials there are of each state.
        spent_share: how much of the budget is gone, of whichever ends first, 0 to 1.
        left_s: wall seconds that are left; None: there is no budget of time.
        left_dollars: dollars that are neither spent nor reserved; None: there is no budget of dollars.
    """

    rows: tuple[Row, ...]
    counts: dict[str, int]
    spent_share: float
    left_s: float | None
    left_dollars: float | None


def sight_of(study: Study, most: int = 12) -> Sight:
    """What is worth seeing of a study now.

    Args:
        study: the study.
        most: how many trials are shown.
    """
    trials, best, budget = study.trials, study.best, study.ledger.budget
    running = [study.trial(number) for number in study.running]
    ended = [trial for trial in reversed(trials) if trial.state != "running" and trial is not best]
    shown = [*running, *([best] if best is not None else []), *ended][:most]
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial.state] = counts.get(trial.state, 0) + 1
    shares = [0.0]
    if budget.dollars is not None:
        shares.append(study.ledger.spent_dollars / budget.dollars)
    if budget.seconds is not None:
        shares.append(study.clock / budget.seconds)
    return Sight(
        rows=tuple(_row(trial, trial is best) for trial in shown),
        counts=counts,
        spent_share=min(1.0, max(shares)),
        left_s=None if budget.seconds is None else max(0.0, budget.seconds - study.clock),
        left_dollars=None if budget.dollars is None else max(0.0, study.ledger.left_dollars),
    )


def _row(trial: Trial, best: bool) -> Row:
    last = trial.curve[-1] if trial.curve else None
    return Row(
        number=trial.number,
        state=trial.state,
        value=trial.value if trial.value is not None or last is None else last.value,
        share=min(1.0, last.step / trial.steps) if last is not None and trial.steps else None,
        dollars=trial.dollars,
        settings=dict(trial.settings),
        best=best,
    )
