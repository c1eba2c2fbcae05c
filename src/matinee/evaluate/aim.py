"""What a table is judged by: how well items are ranked, or how near predicted values are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matinee.evaluate.judge_values import METRICS


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What is wanted of a recommender.

    Attributes:
        at: lengths of the list; values have no list.
        values: whether values are predicted, instead of items ranked.
    """

    at: tuple[int, ...] = ()
    values: bool = False

    @property
    def metric(self) -> str:
        """What validation chooses by, and the verdict speaks of."""
        return METRICS[0] if self.values else f"ndcg@{self.at[0]}"

    @property
    def paired(self) -> tuple[str, ...]:
        """The metrics whose differences are tested."""
        return (
            METRICS if self.values else tuple(f"{kind}@{k}" for k in self.at for kind in ("ndcg", "recall"))
        )

    def worth(self, value: float) -> float:
        """A value of `metric` as a number of which more is better."""
        return -value if self.values else value


def aim_of(target: str | None, at: Sequence[int]) -> Aim:
    """The aim of a log with this target: its ratings' values, or what is chosen next."""
    return Aim(values=True) if target == "rating" else Aim(at=tuple(at))
