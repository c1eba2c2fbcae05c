"""The judge: the full ranking of the whole catalogue, in batches of bounded memory.

It knows nothing of whom it judges but a function from askers to scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from matinee.answers.top import top_k
from matinee.core.errors import MatineeError
from matinee.core.seeds import shuffle_keys
from matinee.core.types import Askers, Bool, Float32, Int32, Int64
from matinee.data.queries import Queries
from matinee.evaluate.evidence import Evidence, joined_viewers
from matinee.evaluate.metrics import coverage_of, metrics_at, novelty_of, rank_targets

Scores = Callable[[Askers], Float32]

_BATCH_BYTES = 64 * 2**20
# What one event of a history takes while its asker is in a batch: codes, times, weights, offsets of them.
_EVENT_BYTES = 48


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the judge found.

    Attributes:
        metrics: name such as `ndcg@10` -> float32, shape (queries,); `novelty@k` too.
        coverage: name such as `coverage@10` -> share of the catalogue that was ever recommended.
        tied: share of answers with a tie among the first k items or across the k-th place, k the first asked.
        viewers: int64, shape (queries,): whose each query is; every stranger (-1) is someone else.
        targets: int64, shape (queries,): targets of each query.
    """

    metrics: dict[str, Float32]
    coverage: dict[str, float]
    tied: float
    viewers: Int64
    targets: Int64

    def mean(self, metric: str) -> float:
        """The mean of one metric over the queries whose list has one; NaN where there are none."""
        values = self.metrics[metric]
        values = values[~np.isnan(values)].astype(np.float64)
        return float(values.mean()) if len(values) else float("nan")

    def evidence(self) -> Evidence:
        """Sums over each viewer's queries.

        Statistics draw viewers, not queries: the thousand successive targets of one viewer are one witness.
        A great many viewers are joined at random into groups, the same for every recommender, before
        anything of their number is made. An empty list has no novelty: it counts as the mean of the others,
        so that it moves nothing.
        """
        names = list(self.metrics)
        groups, n = joined_viewers(self.viewers)
        sums = np.zeros((n, len(names)))
        for column, name in enumerate(names):
            values = self.metrics[name].astype(np.float64)
            lacking = np.isnan(values)
            if lacking.any() and not lacking.all():
                values[lacking] = values[~lacking].mean()
            sums[:, column] = np.bincount(groups, weights=values, minlength=n)
        counts = np.bincount(groups, minlength=n)
        return Evidence(names=names, sums=sums, counts=counts, coverage=self.coverage, tied=self.tied)


def judge(
    scores: Scores, queries: Queries, *, at: Sequence[int] = (10, 20), popularity: Float32 | None = None
) -> Judgement:
    """Rank the whole catalogue for every query and see where the targets stand.

    Items of the history are left out of the answer unless the log's repeats are fair, and so is what the
    viewer had turned down. Ties count as their expected value over random orders; where a list itself is
    needed (coverage, novelty) they break by a seeded hash of the item, as in answers given to people.

    Args:
        scores: askers -> float32, shape (askers, items), higher is better, finite; may be overwritten.
        queries: what is asked.
        at: lengths of the list.
        popularity: shape (items,): events of each item in what was learnt from, for `novelty@k`.

    Raises:
        MatineeError: the scores have another shape, or are not finite.
    """
    longest = max(at)
    keys = shuffle_keys(queries.n_items)
    parts: list[dict[str, Float32]] = []
    shown = {k: np.zeros(queries.n_items, dtype=bool) for k in at}
    tied = 0
    for rows in batches(queries):
        table = _masked(scores, queries, rows)
        codes, best = top_k(table, longest, keys)
        last = np.count_nonzero(table == best[:, -1:], axis=1)
        found = _metrics(table, queries, rows, best, last, at)
        for k in at:
            shown[k][codes[:, :k][codes[:, :k] >= 0]] = True
            if popularity is not None:
                found[f"novelty@{k}"] = novelty_of(codes[:, :k], popularity).astype(np.float32)
        parts.append(found)
        tied += int(_tied(best, last, at[0]).sum())
    return Judgement(
        metrics={name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {},
        coverage={f"coverage@{k}": coverage_of(shown[k]) for k in at},
        tied=tied / max(len(queries), 1),
        viewers=queries.viewers,
        targets=np.diff(queries.targets.offsets),
    )


def batches(queries: Queries) -> Iterator[Int64]:
    """Positions of queries, so many at a time that scores and histories take about 64 MB."""
    cost = np.cumsum(queries.lengths * _EVENT_BYTES + 4 * queries.n_items)
    begin = 0
    while begin < len(queries):
        spent = cost[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(cost, spent + _BATCH_BYTES, side="right")))
        yield np.arange(begin, end)
        begin = end


def time_answers(scores: Scores, queries: Queries, *, k: int = 10, tries: int = 25) -> float:
    """The median time to answer one asker alone, in milliseconds of wall time; NaN without queries."""
    if not len(queries):
        return float("nan")
    keys = shuffle_keys(queries.n_items)
    spent = []
    for row in np.linspace(0, len(queries) - 1, tries).astype(np.int64):
        asker = np.array([row])
        begin = perf_counter()
        top_k(_masked(scores, queries, asker), k, keys)
        spent.append(perf_counter() - begin)
    return float(np.median(spent) * 1000)


def _masked(scores: Scores, queries: Queries, rows: Int64) -> Float32:
    """The scores of some queries, -inf where an item must not be shown."""
    askers = queries.askers(rows)
    table = scores(askers)
    if table.shape != (len(rows), queries.n_items):
        raise MatineeError(f"Scores of shape {table.shape}, expected {(len(rows), queries.n_items)}.")
    # One pass: a maximum is NaN where any score is.
    if table.size and not np.isfinite(table.max()):
        raise MatineeError("Scores are not finite: a recommender must give every item a number.")
    if not table.flags.writeable:
        table = table.copy()
    if not queries.repeats:
        table[np.repeat(np.arange(len(rows)), askers.histories.lengths), askers.histories.items] = -np.inf
    if queries.negatives is not None:
        _mask_negatives(table, queries, rows)
    return table


def _mask_negatives(table: Float32, queries: Queries, rows: Int64) -> None:
    negatives = queries.negatives
    if negatives is None:
        return
    known = np.flatnonzero(queries.viewers[rows] >= 0)
    starts = negatives.offsets[queries.viewers[rows[known]]]
    lengths = negatives.offsets[queries.viewers[rows[known]] + 1] - starts
    entries = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    table[np.repeat(known, lengths), negatives.values[entries]] = -np.inf


def _metrics(
    table: Float32, queries: Queries, rows: Int64, best: Float32, last: Int64, at: Sequence[int]
) -> dict[str, Float32]:
    offsets = queries.targets.offsets
    begin, end = int(offsets[rows[0]]), int(offsets[rows[-1] + 1])
    wanted: Int32 = queries.targets.values[begin:end]
    relevant = np.diff(offsets)[rows]
    owners = np.repeat(np.arange(len(rows)), relevant)
    # An item that the catalogue lacks is a miss.
    theirs = np.where(wanted >= 0, table[owners, np.maximum(wanted, 0)], np.float32(-np.inf))
    return metrics_at(rank_targets(best, last, owners, theirs, relevant), at)


def _tied(best: Float32, last: Int64, k: int) -> Bool:
    """Whether two items of the first k, or the k-th and the next, share a score: bool, shape (n,)."""
    tied = (best[:, 1 : k + 1] == best[:, :-1][:, :k]).any(axis=1)
    if best.shape[1] <= k:
        tied |= last > 1
    return np.asarray(tied, dtype=np.bool_)
