"""What the trials of a study tell a model: points, values, doubts, and what is still to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from matinee.core.types import Bool, Float64
from matinee.tune.curves import Whole, foretell
from matinee.tune.surrogate import Observed
from matinee.tune.trial import Trial
from matinee.tune.warp import warp_of

# With so many done trials the kernel's numbers are fitted on those alone.
_ENOUGH = 40


@dataclass(frozen=True, kw_only=True)
class Known:
    """The trials that are looked at, in the order of the rows.

    Attributes:
        observed: rows for the model: done trials first, then foretold ends, then failures.
        done: the trials of the first rows.
        foretold: number of a trial that has not ended, but has a curve -> its end and the doubt.
        ended: float64, shape (e, columns): of done and failed trials.
        failed: bool, shape (e,): which of those failed.
        best: the best value of a done trial that is looked at.
        settled: what the kernel's numbers are fitted on: once enough trials are done those alone, all of
            them in the order of their numbers, so that a fit can be kept while others come and go.
    """

    observed: Observed
    done: tuple[Trial, ...]
    foretold: Mapping[int, tuple[float, float]]
    ended: Float64
    failed: Bool
    best: float
    settled: Observed


def look(trials: Sequence[Trial], place: Callable[[Trial], Float64], most: int, columns: int) -> Known | None:
    """What the model is told; None before a trial is done.

    Args:
        trials: of the study.
        place: the point of a trial.
        most: rows at most.
        columns: of the cube.
    """
    by_state: dict[str, list[Trial]] = {}
    for trial in trials:
        by_state.setdefault(trial.state, []).append(trial)
    every = [trial for trial in by_state.get("done", []) if trial.value is not None]
    if not every:
        return None
    moving = [trial for state in ("running", "preempted", "waiting") for trial in by_state.get(state, [])]
    moving.sort(key=lambda trial: -trial.number)
    awaited = moving[: most // 4]
    foretold = _foretold([*by_state.get("stopped", [])[-(most // 4) :], *awaited], every)
    failures = by_state.get("failed", [])[-(most // 8) :]
    done = pick(every, most - len(foretold) - len(failures) - len(awaited))
    values = np.array([trial.value for trial in done], dtype=np.float64)
    # A failure is worth what the worst tenth was, give or take: no number that nobody has seen.
    unit = warp_of(values).unit
    worst = float(np.percentile(values, 10))
    rows = [*done, *(trial for trial, _, _ in foretold), *failures]
    observed = Observed(
        points=np.array([place(trial) for trial in rows]).reshape(len(rows), columns),
        values=np.r_[values, [end for _, end, _ in foretold], np.full(len(failures), worst)],
        doubts=np.r_[np.zeros(len(done)), [sd for _, _, sd in foretold], np.full(len(failures), 0.25 * unit)],
        pending=np.array([place(trial) for trial in awaited]).reshape(len(awaited), columns),
    )
    ended = [*done, *failures]
    return Known(
        observed=observed,
        done=tuple(done),
        foretold={trial.number: (end, sd) for trial, end, sd in foretold},
        ended=np.array([place(trial) for trial in ended]).reshape(len(ended), columns),
        failed=np.arange(len(ended)) >= len(done),
        best=float(values.max()),
        settled=_settled(every, place) if len(every) >= _ENOUGH else observed,
    )


def _settled(done: Sequence[Trial], place: Callable[[Trial], Float64]) -> Observed:
    points = np.array([place(trial) for trial in done])
    values = np.array([trial.value for trial in done], dtype=np.float64)
    return Observed(points=points, values=values, doubts=np.zeros(len(done)), pending=points[:0])


def pick(trials: Sequence[Trial], most: int) -> list[Trial]:
    """At most so many done trials: the best third, the newest third, and every so-maniest of the rest."""
    if len(trials) <= most:
        return list(trials)
    third = max(most // 3, 1)
    order = sorted(range(len(trials)), key=lambda row: -float(trials[row].value or 0.0))
    kept = {*order[:third], *range(len(trials) - third, len(trials))}
    rest = [row for row in range(len(trials)) if row not in kept]
    room = most - len(kept)
    if room > 0:
        kept |= {rest[int(at)] for at in np.linspace(0, len(rest) - 1, room)}
    return [trials[row] for row in sorted(kept)[:most]]


def _foretold(trials: Sequence[Trial], whole: Sequence[Trial]) -> list[tuple[Trial, float, float]]:
    curves = [trial for trial in trials if trial.curve]
    pool = Whole(whole[-200:] if curves else [])
    ends = [(trial, foretell(trial, pool)) for trial in curves]
    return [(trial, end[0], end[1]) for trial, end in ends if end is not None]
