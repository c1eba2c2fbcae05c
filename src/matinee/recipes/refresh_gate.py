"""The gate of the daily run: what would be fitted now against the bundle in use, on what neither has seen.

The bundle in use has seen everything up to its last event. The log is divided later than that, so that it is
judged on its own future; the other way of fitting is fitted on what came before the same moment and judged on
the same viewers. What is put in use afterwards is fitted on everything, by the way that was judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.answers.event_context import KIND
from matinee.answers.model import Model
from matinee.core.errors import InputError
from matinee.core.statistics import Interval, bootstrap_means, interval_of
from matinee.core.types import Askers, Bool, Float32, Histories, Int8, Int64
from matinee.data.log import InteractionLog
from matinee.data.protocols import PROTOCOLS, DivisionOptions, describe_moment
from matinee.data.split import Split
from matinee.evaluate.judge import judge
from matinee.serve.ready_bundle import created_of

METRIC = "ndcg@10"
# With fewer viewers an interval over viewers says nothing.
FEWEST_VIEWERS = 20
_TEST_SHARE = 0.1
_PROTOCOL = "time-split"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the gate saw.

    Attributes:
        since_ms: what happened before had been seen by the bundle in use.
        moment_ms: what happened before had been seen by the other fit.
        viewers: viewers who were asked.
        targets: what they were to be found.
        new: the metric of what would be fitted now.
        used: that of the bundle in use.
        difference: the one less the other, paired by viewer.
        metrics: further metrics of what would be fitted now.
    """

    since_ms: int
    moment_ms: int
    viewers: int
    targets: int
    new: Interval
    used: Interval
    difference: Interval
    metrics: dict[str, dict[str, float]]

    def passes(self, gate: float) -> bool:
        """Whether it may be that good: it does not unless the whole interval lies below the gate."""
        return self.difference.high >= gate

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "metric": METRIC,
            "since_ms": self.since_ms,
            "moment_ms": self.moment_ms,
            "viewers": self.viewers,
            "targets": self.targets,
            "new": self.new.to_json(),
            "in_use": self.used.to_json(),
            "difference": self.difference.to_json(),
        }


def learnt_until(model: Model) -> int:
    """The time of the last event that a model may have seen, milliseconds since 1970.

    Events that were dated after the bundle was written tell of a wrong clock, and do not count.
    """
    created, times = created_of(model.facts), model.log.histories.times
    if times is None or not len(times):
        return created
    known = times[times <= created] if created else times
    return int(known.max()) if len(known) else created


def latest_split(log: InteractionLog, since_ms: int, now_ms: int) -> Split | None:
    """The log divided after a moment; None where too few viewers did anything after it.

    Half of the new events judge, or a tenth of all events where that is less.

    Args:
        log: everything known now.
        since_ms: what is judged lies after this.
        now_ms: what is dated later is nobody's to be judged by.

    Raises:
        InputError: the log has no times.
    """
    times = log.histories.times
    if log.order != "time" or times is None:
        raise InputError("A daily run needs the times of events, and this log has none: use matinee fit.")
    new = np.sort(times[(times > since_ms) & (times <= now_ms)])
    if not len(new):
        return None
    latest = np.partition(times, int((1 - _TEST_SHARE) * len(times)))[int((1 - _TEST_SHARE) * len(times))]
    moment = max(int(new[len(new) // 2]), int(min(latest, new[-1])))
    before = int(np.count_nonzero(times < moment))
    options = DivisionOptions(quantile=(before + 0.5) / len(times))
    try:
        division = PROTOCOLS[_PROTOCOL](log, options)
    except InputError:
        return None
    why = f"what happened from {describe_moment(moment)} UTC on"
    split = Split(log=log, protocol=_PROTOCOL, why=why, targets="next", seed=0, division=division)
    return split if split.test.n_viewers >= FEWEST_VIEWERS else None


def judge_both(split: Split, new: Model, used: Model, since_ms: int) -> Judged:
    """Ask both the same, and compare viewer by viewer.

    Args:
        split: the log, divided.
        new: fitted on what came before the split's moment.
        used: the bundle in use.
        since_ms: what it had seen.
    """
    test = split.test
    popularity = new.context.popularity
    ours = judge(new.scores, test, at=(10,), popularity=popularity).evidence()
    theirs = judge(Foreign(used, split.log).scores, test, at=(10,), popularity=popularity).evidence()
    column, counts = ours.column(METRIC), ours.counts
    other = theirs.column(METRIC)
    table = np.stack([column, other, column - other], axis=1)
    drawn = bootstrap_means(table, counts)
    means = table.sum(axis=0) / max(int(counts.sum()), 1)
    every = bootstrap_means(ours.sums, counts)
    metrics = {
        name: interval_of(ours.mean(name), every[:, place]).to_json() for place, name in enumerate(ours.names)
    }
    times = split.log.histories.times
    moment = 0 if times is None else int(times[~split.division.both].min())
    return Judged(
        since_ms=since_ms,
        moment_ms=moment,
        viewers=test.n_viewers,
        targets=test.n_targets,
        new=interval_of(float(means[0]), drawn[:, 0]),
        used=interval_of(float(means[1]), drawn[:, 1]),
        difference=interval_of(float(means[2]), drawn[:, 2]),
        metrics=metrics,
    )


class Foreign:
    """A model that is asked in the codes of another log, as a server would ask it.

    Args:
        model: the model.
        log: whose viewers and items ask and are scored.
    """

    def __init__(self, model: Model, log: InteractionLog) -> None:
        self._model = model
        self._items: Int64 = model.log.items.codes(log.items.arrow).astype(np.int64)
        self._viewers: Int64 = model.log.viewers.codes(log.viewers.arrow).astype(np.int64)
        places = {name: place for place, name in enumerate(model.log.kinds)}
        self._kinds: Int8 = np.array([places.get(name, -1) for name in log.kinds], dtype=np.int8)
        if model.deleted:
            gone = log.viewers.codes(sorted(model.deleted))
            self._viewers[gone[gone >= 0]] = -1

    def scores(self, askers: Askers) -> Float32:
        """Scores of the log's items; what the model has never seen comes after everything else."""
        viewers = np.where(askers.viewers < 0, -1, self._viewers[np.maximum(askers.viewers, 0)])
        theirs = Askers(histories=self._known(askers.histories), viewers=viewers, regions=askers.regions)
        found = self._model.scores(theirs)
        least = found.min(axis=1, keepdims=True) - 1.0 if found.shape[1] else np.zeros((len(found), 1))
        table = np.where(self._items >= 0, found[:, np.maximum(self._items, 0)], least)
        return table.astype(np.float32)

    def _kinds_of(self, histories: Histories, kept: Bool) -> Int8 | None:
        """Kinds as the model numbers them; -1 of what it has never seen."""
        if histories.kinds is None or KIND not in self._model.reads:
            return None
        return self._kinds[histories.kinds[kept]]

    def _known(self, histories: Histories) -> Histories:
        """The histories in the model's codes, without what it has never seen."""
        codes = self._items[histories.items]
        kept = codes >= 0
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])[histories.offsets]
        return Histories(
            items=codes[kept].astype(np.int32),
            offsets=offsets.astype(np.int64),
            times=None if histories.times is None else histories.times[kept],
            kinds=self._kinds_of(histories, kept),
            values=None if histories.values is None else histories.values[kept],
            weights=None if histories.weights is None else histories.weights[kept],
        )
