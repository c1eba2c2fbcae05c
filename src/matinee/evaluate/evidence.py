"""What the judge keeps of a recommender: sums over each viewer's queries, the start of every statistic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matinee.core.types import Float64, Int64


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one judged set of queries came to.

    Attributes:
        names: metrics, in the order of the columns of `sums`.
        sums: shape (viewers, metrics): sums over each viewer's queries; of more than 20,000 viewers: over
            those of groups of viewers, drawn at random, the same for every recommender.
        counts: shape (viewers,): queries of each viewer, by the viewers' codes; or of each group.
        coverage: `coverage@k` -> share of the catalogue.
        tied: share of tied answers.
    """

    names: Sequence[str]
    sums: Float64
    counts: Int64
    coverage: Mapping[str, float]
    tied: float

    def column(self, metric: str) -> Float64:
        """One metric's sums: shape (viewers,)."""
        return self.sums[:, list(self.names).index(metric)]

    def mean(self, metric: str) -> float:
        """The mean of a metric over queries; NaN where there are none."""
        total = self.counts.sum()
        return float(self.column(metric).sum() / total) if total else float("nan")
