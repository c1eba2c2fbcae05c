"""What a search knows: the trials of a study, each with its curve, its cost and how it ended.

Everything here is a fold over the study's log (`study.py`); who suggests and who stops reads nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["waiting", "running", "preempted", "stopped", "done", "failed"]
# Settings drawn before there is a model, chosen by the model, or run again with another seed.
Why = Literal["given", "start", "model", "repeat"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a trial has reported on its way.

    Attributes:
        step: how many steps were done by then, in the trial's own unit (passes, epochs), more than 0.
        value: how good it was by then, larger is better; finite.
        dollars: what the trial had cost by then, all its attempts included.
    """

    step: float
    value: float
    dollars: float


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting that is, was or will be tried.

    Attributes:
        number: 1, 2, ... in the order of their creation.
        settings: name -> value; what a condition leaves out is not there.
        seed: of the trial's own randomness.
        why: who chose the settings.
        repeats: the number of the trial whose settings are run again; None: none.
        state: "waiting" for a worker, "running", "preempted" (it may go on from a checkpoint), "stopped"
            (early, by choice; it may go on), "done", or "failed" (it diverged, raised, hung or was killed).
        curve: what it has reported, in the order of its steps.
        steps: how many steps a whole run takes; None: it does not report any, or nobody knows.
        value: the final value; None unless done.
        dollars: what it has cost, everything included.
        lost_dollars: the part of it that was paid twice or for nothing: work that no checkpoint kept.
        seconds: machine-seconds that it has run.
        limit_dollars: what it may cost in all; it is killed there. What is not yet spent of it is reserved
            while the trial runs.
        attempts: how often it was started.
        reason: why it failed or was stopped, in a sentence; None otherwise.
        region: whose study it belongs to; None: there is one.
        facts: plain JSON values that the trial told of itself, such as the size of what it fitted.
    """

    number: int
    settings: Mapping[str, Any]
    seed: int = 0
    why: Why = "start"
    repeats: int | None = None
    state: State = "waiting"
    curve: tuple[Point, ...] = ()
    steps: float | None = None
    value: float | None = None
    dollars: float = 0.0
    lost_dollars: float = 0.0
    seconds: float = 0.0
    limit_dollars: float = 0.0
    attempts: int = 0
    reason: str | None = None
    region: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether it is done or failed for good."""
        return self.state in ("done", "failed")


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What to run next.

    Attributes:
        settings: name -> value.
        why: who chose them.
        repeats: the trial whose settings they are, where they are run again.
        dollars: what a whole run will probably cost.
        most_dollars: what it will cost at most, with nine chances in ten.
        resumes: the number of a stopped trial that goes on instead of a new one; None: a new one begins.
    """

    settings: Mapping[str, Any]
    why: Why
    repeats: int | None = None
    dollars: float
    most_dollars: float
    resumes: int | None = None
