"""Who runs trials, as the coordinator sees it: processes of this machine, or of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from matinee.tune.worker import Job

# Why a trial was asked, or made, to end: its share of the money, the wall budget, silence, memory, by the
# search, or because the whole study stops.
Verdict = Literal["", "limit", "time", "silent", "memory", "search", "interrupt"]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What an executor tells of a trial.

    Attributes:
        kind: "reported", "alive" or "told" while it runs; "finished", "stopped" (it gave way), "failed" (it
            raised), or "died" (its process ended) when the attempt is over and paid for.
        number: of the trial.
        seconds: machine-seconds of the attempt so far.
        dollars: what the attempt has cost so far.
        kept_dollars: what it had cost when it last wrote a checkpoint; None: it wrote none.
        step: of a report.
        value: of a report or a result.
        words: why it failed, in a sentence.
        facts: what it told of itself.
        verdict: why it was asked or made to end.
        signal: the signal that its process died of; 0: none.
    """

    kind: str
    number: int
    seconds: float = 0.0
    dollars: float = 0.0
    kept_dollars: float | None = None
    step: float = 0.0
    value: float = 0.0
    words: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict = ""
    signal: int = 0


class Executor(Protocol):
    """Runs trials, and bills them from before anything is started until everything has ended.

    Attributes:
        slots: how many trials run side by side.
        price_per_s: dollars of one slot's second, at most.
    """

    slots: int
    price_per_s: float

    def start(self, job: Job, limit_dollars: float) -> None:
        """Begin an attempt in a free slot.

        Args:
            job: the attempt.
            limit_dollars: what it may cost; it is ended before that.
        """

    def extend(self, number: int, limit_dollars: float) -> None:
        """Let the running attempt of a trial cost more."""

    def stop(self, number: int, verdict: Verdict) -> None:
        """Ask a trial to give way; it says "stopped" when it does."""

    def kill(self, number: int, verdict: Verdict) -> None:
        """End a trial's process; it says "died" when that has ended."""

    def hear(self, timeout_s: float) -> list[Heard]:
        """What happened; waits for something to happen, but not longer than that.

        Raises:
            SettingsError: the objective cannot be run at all.
        """

    def cost(self, number: int) -> tuple[float, float]:
        """Seconds and dollars of the running attempt of a trial."""

    def close(self) -> None:
        """End everything that runs."""
