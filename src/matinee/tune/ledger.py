"""What a study has spent, and what it has promised: sums that every event changes by its own difference."""

from __future__ import annotations

from dataclasses import dataclass, field

from matinee.tune.budget import Budget
from matinee.tune.trial import Trial


@dataclass(kw_only=True)
class Attempt:
    """One run of a trial by one worker.

    Attributes:
        number: 1 for the first.
        began: the study's active seconds when it began.
        told: the same when it last said what it had cost.
        seconds: machine-seconds that it has run.
        dollars: what it has cost.
        kept_dollars: what it had cost at its last checkpoint; 0 without one.
        ended: how: "finished", "stopped", "preempted", "failed", or "" while it runs.
    """

    number: int
    began: float
    told: float
    seconds: float = 0.0
    dollars: float = 0.0
    kept_dollars: float = 0.0
    ended: str = ""

    @property
    def unkept_dollars(self) -> float:
        """What was paid for work that no checkpoint has."""
        return max(0.0, self.dollars - self.kept_dollars)


@dataclass(kw_only=True)
class Ledger:
    """Dollars of a study.

    Attributes:
        budget: what may be spent.
        trials_dollars: what all trials have cost.
        asking_dollars: what the machine cost while it was thought about what to run.
        lost_dollars: the part of the trials' dollars that was paid twice or for nothing.
        reserved_dollars: what running trials may still cost.
        running: how many trials run.
        attempts: of each trial, the attempts so far.
    """

    budget: Budget = field(default_factory=Budget)
    trials_dollars: float = 0.0
    asking_dollars: float = 0.0
    lost_dollars: float = 0.0
    reserved_dollars: float = 0.0
    running: int = 0
    attempts: dict[int, list[Attempt]] = field(default_factory=dict)

    @property
    def spent_dollars(self) -> float:
        """Everything that was paid."""
        return self.trials_dollars + self.asking_dollars

    @property
    def left_dollars(self) -> float:
        """What is neither spent nor reserved; infinite without a budget in dollars."""
        if self.budget.dollars is None:
            return float("inf")
        return self.budget.dollars - self.spent_dollars - self.reserved_dollars

    def change(self, before: Trial | None, after: Trial) -> None:
        """Take note of what became of one trial."""
        self.trials_dollars += after.dollars - (before.dollars if before else 0.0)
        self.lost_dollars += after.lost_dollars - (before.lost_dollars if before else 0.0)
        was, is_ = before is not None and before.state == "running", after.state == "running"
        self.running += is_ - was
        self.reserved_dollars += _reserved(after) - (_reserved(before) if before else 0.0)
        if not self.running:
            # Differences of rounding do not add up beyond one full house.
            self.reserved_dollars = 0.0


def _reserved(trial: Trial) -> float:
    return max(0.0, trial.limit_dollars - trial.dollars) if trial.state == "running" else 0.0
