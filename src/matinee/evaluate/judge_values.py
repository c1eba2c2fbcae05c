"""The judge of values: how far predictions are from what was given.

RMSE is the root of the mean squared difference over all targets, MAE the mean absolute one. Every target
counts alike; statistics draw viewers, who are the witnesses.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from matinee.core.errors import MatineeError
from matinee.core.types import Askers, Float32, Int32, Int64
from matinee.data.queries import Queries
from matinee.evaluate.evidence import Evidence, joined_viewers
from matinee.evaluate.judge import batches

Values = Callable[[Askers, Int64, Int32, Int64 | None], Float32]

METRICS = ("rmse", "mae")


def judge_values(values: Values, queries: Queries) -> Evidence:
    """Ask for the value of every target, and see how far off it is.

    Args:
        values: askers, which of them each question is about (int64, rising), items (-1: one that the
            catalogue lacks) and moments -> float32, one value a question.
        queries: what is asked; they know what was given.

    Returns:
        Sums over each viewer's targets: of squared differences (`rmse`) and of absolute ones (`mae`).

    Raises:
        MatineeError: the predictions have another shape, or are not finite.
    """
    given = _given(queries)
    told = np.empty(len(given), dtype=np.float64)
    for rows in batches(queries):
        part, owners, askers = _asked(queries, rows)
        times = None if queries.times is None else queries.times[part]
        found = values(askers, owners, queries.targets.values[part], times)
        if found.shape != (len(owners),) or not np.isfinite(found).all():
            raise MatineeError("Predictions are not finite, or not one a target: a value must be a number.")
        told[part] = found
    groups, n = joined_viewers(queries.viewers)
    groups = np.repeat(groups, np.diff(queries.targets.offsets))
    off = told - given
    columns = [np.bincount(groups, weights=one, minlength=n) for one in (off**2, np.abs(off))]
    return Evidence(
        names=METRICS,
        sums=np.stack(columns, axis=1),
        counts=np.bincount(groups, minlength=n),
        coverage={},
        tied=0.0,
    )


def time_values(values: Values, queries: Queries, *, tries: int = 25) -> float:
    """The median time to predict one asker's targets, in milliseconds of wall time; NaN without queries."""
    if not len(queries):
        return float("nan")
    spent = []
    for row in np.linspace(0, len(queries) - 1, tries).astype(np.int64):
        part, owners, askers = _asked(queries, np.array([row]))
        times = None if queries.times is None else queries.times[part]
        begin = perf_counter()
        values(askers, owners, queries.targets.values[part], times)
        spent.append(perf_counter() - begin)
    return float(np.median(spent) * 1000)


def _asked(queries: Queries, rows: Int64) -> tuple[slice, Int64, Askers]:
    """Where the targets of some neighbouring queries lie, which of the queries each is of, and who asks."""
    offsets = queries.targets.offsets
    part = slice(int(offsets[rows[0]]), int(offsets[rows[-1] + 1]))
    owners = np.repeat(np.arange(len(rows)), np.diff(offsets)[rows])
    return part, owners, queries.askers(rows)


def _given(queries: Queries) -> Float32:
    if queries.values is None:
        raise MatineeError("These queries do not know what was given: they are made to judge rankings.")
    return queries.values
