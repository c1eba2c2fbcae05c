"""When viewers watch: sessions in the evening, over about two years. What is watched has no say in it."""

from __future__ import annotations

import numpy as np

from matinee.core.seeds import generator
from matinee.core.types import Bool, Int64
from matinee.simulate.options import DAY_MS, MINUTE_MS, SPAN_MS, START_MS, SimulationOptions

NEW_SESSION = 0.35  # of events start a session: about three events a session
STAYS = 0.7  # of viewers are there to the end
# Share of a day's watching before each hour from 0 to 24: little at night, most between 18 and 23.
HOURS = np.array(
    [2, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5, 5, 5, 6, 8, 10, 13, 15, 15, 12, 6], dtype=np.float64
)
_BEFORE_HOUR = np.concatenate([np.zeros(1), np.cumsum(HOURS) / HOURS.sum()])


def make_times(options: SimulationOptions, lengths: Int64, block: int) -> tuple[Int64, Bool]:
    """Times of a block's events, viewer by viewer, strictly rising within each.

    Args:
        options: the sizes and the seed.
        lengths: int64, shape (viewers of the block,): events of each.
        block: number of the block.

    Returns:
        Milliseconds since 1970 (int64) and whether each event starts a session, both of shape (events of the
        block,).
    """
    random = generator(options.seed, "times", block)
    n, n_events = len(lengths), int(lengths.sum())
    ends = np.cumsum(lengths)
    first = np.zeros(n_events, dtype=bool)
    first[ends - lengths] = True
    starts_session = (random.random(n_events) < NEW_SESSION) | first
    pause_ms = np.exp(random.normal(np.log(40), 0.5, n_events)).clip(5, 180) * MINUTE_MS
    absence = np.where(starts_session & ~first, random.standard_exponential(n_events), 0.0)
    joins = random.random(n) * 0.6 * SPAN_MS
    leaves = np.where(
        random.random(n) < STAYS, SPAN_MS, joins + random.uniform(0.2, 1.0, n) * (SPAN_MS - joins)
    )
    watching = np.add.reduceat(np.where(starts_session, 0.0, pause_ms), ends - lengths)
    away = np.maximum(np.add.reduceat(absence, ends - lengths), 1e-9)
    # Absences share what watching leaves of a viewer's time; a viewer of one session has it somewhere in
    # there.
    per_absence = np.maximum(leaves - joins - watching, DAY_MS) * random.uniform(0.9, 1.0, n) / away
    gap_ms = np.where(starts_session, absence * np.repeat(per_absence, lengths) + MINUTE_MS, pause_ms)
    total = np.cumsum(gap_ms)
    since_join = total - np.repeat(total[ends - lengths], lengths)
    at = _evenings((np.repeat(joins, lengths) + since_join) / DAY_MS) * DAY_MS
    times = START_MS + np.minimum(at, SPAN_MS - 1).astype(np.int64)
    return _rising(times, first), starts_session


def _evenings(days: np.ndarray) -> np.ndarray:
    """Bend each day's clock so that most of it falls into the evening; the order stays."""
    whole = np.floor(days)
    hour = np.interp(days - whole, _BEFORE_HOUR, np.arange(25) / 24)
    return np.asarray(whole + hour)


def _rising(times: Int64, first: Bool) -> Int64:
    """Push tied times apart by a millisecond, viewer by viewer: int64, the same shape."""
    position = np.arange(len(times), dtype=np.int64)
    viewer = np.cumsum(first)
    # Within a viewer, time minus position must not fall; viewers are kept apart by an offset larger than any
    # time.
    lifted = times - START_MS - position + viewer * (4 * SPAN_MS)
    return np.asarray(np.maximum.accumulate(lifted) + position - viewer * (4 * SPAN_MS) + START_MS)
