"""What the judge keeps of a recommender: sums over each viewer's queries, the start of every statistic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.core.seeds import generator
from matinee.core.statistics import MOST_WITNESSES, witness_groups
from matinee.core.types import Float64, Int64


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one judged set of queries came to.

    Attributes:
        names: metrics, in the order of the columns of `sums`; of `rmse`, squares are summed.
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
        return float(read(metric, self.column(metric).sum() / total)) if total else float("nan")


def read(metric: str, means: Any) -> Any:
    """Means of what is summed as the metric that people read: `rmse` is the root of a mean."""
    return np.sqrt(means) if metric == "rmse" else means


def joined_viewers(viewers: Int64) -> tuple[Int64, int]:
    """The witness that each query counts for: every stranger (-1) is someone else.

    A great many viewers are joined at random into groups, the same for every recommender, before anything of
    their number is made.

    Returns:
        int64, shape (queries,), and how many witnesses there are.
    """
    owners = viewers.copy()
    strangers = owners < 0
    owners[strangers] = -1 - np.arange(int(strangers.sum()))
    _, groups = np.unique(owners, return_inverse=True)
    n = int(groups.max()) + 1 if len(groups) else 0
    joined = witness_groups(n, generator(0, "witnesses"))
    return (groups, n) if joined is None else (joined[groups], MOST_WITNESSES)
