"""What may spoil a fit or a verdict: signs that a person who knows the log should look at.

Each sign is told, none is acted upon: who is a bot, and which clock is wrong, only the log's owner knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from matinee.core.types import Histories, Int64
from matinee.data.counts import Counts
from matinee.data.log import InteractionLog
from matinee.data.options import LogOptions

# A viewer with more than this many times the median is worth a look.
BUSY_TIMES_MEDIAN = 100
# Nobody chooses a thousand times in an hour, one every 3.6 seconds.
EVENTS_AN_HOUR = 1_000
HUGE_HISTORY = 100_000
HOUR_MS = 3_600_000
# No log of clicks is older than the web.
FIRST_CLICK_MS = int(datetime(1991, 8, 6, tzinfo=UTC).timestamp() * 1000)
_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Sign:
    """One thing to look at.

    Attributes:
        name: its name in the JSON.
        words: a sentence or two: what was found, what it does, what to do.
        number: how many viewers or events show it.
        examples: ids of the first few, the greatest first.
    """

    name: str
    words: str
    number: int
    examples: tuple[str, ...] = ()


def find_signs(log: InteractionLog, counts: Counts, options: LogOptions) -> tuple[Sign, ...]:
    """Look a log over.

    Args:
        log: the log.
        counts: its figures.
        options: what its owner says of it; a hint at an option that is in use is left out.
    """
    signs = [
        *_of_viewers(log, counts),
        *_of_times(log),
        *_of_meaning(counts, options),
        *_of_size(counts),
    ]
    return tuple(signs)


def hurried_viewers(histories: Histories) -> Int64:
    """Codes of viewers with more than `EVENTS_AN_HOUR` events within some hour, the longest history first.

    An import that gives all of a viewer's events one time looks the same.
    """
    if histories.times is None:
        return np.zeros(0, np.int64)
    long = np.flatnonzero(histories.lengths > EVENTS_AN_HOUR)
    found = []
    for viewer in long:
        times = histories.times[histories.offsets[viewer] : histories.offsets[viewer + 1]]
        if (times[EVENTS_AN_HOUR:] - times[:-EVENTS_AN_HOUR] < HOUR_MS).any():
            found.append(viewer)
    codes = np.array(found, dtype=np.int64)
    return codes[np.argsort(-histories.lengths[codes], kind="stable")]


def _of_viewers(log: InteractionLog, counts: Counts) -> Iterator[Sign]:
    lengths = log.histories.lengths
    busy = np.flatnonzero(lengths > BUSY_TIMES_MEDIAN * max(counts.median_events, 1.0))
    hurried = hurried_viewers(log.histories)
    suspects = np.union1d(busy, hurried)
    suspects = suspects[np.argsort(-lengths[suspects], kind="stable")]
    if len(suspects):
        share = lengths[suspects].sum() / max(len(log), 1)
        yield Sign(
            name="suspected_bots",
            words=(
                f"{len(suspects):,} viewers look like bots or test accounts, with {share:.0%} of the events: "
                f"{len(busy):,} have more than {BUSY_TIMES_MEDIAN} times the median of "
                f"{counts.median_events:g} events, "
                f"{len(hurried):,} more than {EVENTS_AN_HOUR:,} within an hour. "
                "If they are, leave their rows out."
            ),
            number=len(suspects),
            examples=tuple(log.viewers.ids(suspects[:_EXAMPLES])),
        )
    huge = np.flatnonzero(lengths >= HUGE_HISTORY)
    if len(huge):
        yield Sign(
            name="huge_histories",
            words=(
                f"{len(huge):,} viewers have {HUGE_HISTORY:,} events or more, "
                f"at most {counts.most_events:,}: "
                "fits that look at pairs of a viewer's items take long over them."
            ),
            number=len(huge),
            examples=tuple(log.viewers.ids(huge[:_EXAMPLES])),
        )


def _of_times(log: InteractionLog) -> Iterator[Sign]:
    report, times = log.report, log.histories.times
    if report is not None and report.future:
        yield Sign(
            name="future",
            words=(
                f"{report.future:,} events lie in the future: a wrong clock or unit. "
                "A split by time puts them "
                "into the test, where nothing can foresee them."
            ),
            number=report.future,
        )
    if times is not None and (ancient := int(np.count_nonzero(times < FIRST_CLICK_MS))):
        yield Sign(
            name="ancient",
            words=f"{ancient:,} events are older than the web: a wrong clock, unit or column.",
            number=ancient,
        )
    if report is not None and report.tied and report.tied > len(log) / 2:
        yield Sign(
            name="tied_times",
            words=(
                f"{report.tied / len(log):.0%} of the events share their time with another "
                "of the same viewer: "
                "their order is the file's, and figures that depend on it say little."
            ),
            number=report.tied,
        )


def _of_meaning(counts: Counts, options: LogOptions) -> Iterator[Sign]:
    if len(counts.kinds) > 1 and not options.weight and options.target is None:
        most = max(counts.kinds, key=lambda kind: counts.kinds[kind])
        yield Sign(
            name="kinds_alike",
            words=(
                f"{len(counts.kinds)} kinds of events count alike, and {most!r} is "
                f"{counts.kinds[most] / counts.events:.0%} of them: --target says which is to be predicted, "
                "--weight how much each teaches, --negative which say no."
            ),
            number=len(counts.kinds),
        )
    low, high = counts.values or (0.0, 0.0)
    if 0 <= low < high <= 10 and options.positive is None and options.target != "rating":
        yield Sign(
            name="low_values",
            words=(
                f"Values run from {low:g} to {high:g} and each counts as positive, {low:g} too: if they are "
                f'ratings, --positive "rating>={_above_middle(low, high):g}" keeps the good ones.'
            ),
            number=counts.events,
        )
    if counts.repeats > counts.events / 5 and not options.repeats:
        yield Sign(
            name="repeats",
            words=(
                f"{counts.repeats / counts.events:.0%} of the events are on an item "
                "that the viewer had already; "
                "they are no targets and nothing is recommended twice, unless --repeats says that it is fair."
            ),
            number=counts.repeats,
        )


def _of_size(counts: Counts) -> Iterator[Sign]:
    if counts.few > counts.viewers / 2:
        yield Sign(
            name="short_histories",
            words=(
                f"{counts.few:,} of {counts.viewers:,} viewers have one or two events: they only train. "
                "Expect little beyond popularity for them."
            ),
            number=counts.few,
        )
    if counts.top_share > 0.5 and counts.items >= 100:
        yield Sign(
            name="few_hits",
            words=(
                f"One item in a hundred holds {counts.top_share:.0%} of the events: "
                "popularity will be hard to beat."
            ),
            number=counts.items // 100,
        )
    if counts.watched > 10 and counts.once > counts.watched / 2:
        yield Sign(
            name="watched_once",
            words=(
                f"{counts.once:,} of {counts.watched:,} items were watched once: "
                "nothing can be learnt of what goes with them."
            ),
            number=counts.once,
        )


def _above_middle(low: float, high: float) -> float:
    """A bound that asks for a good rating: of 1 to 5 it is 4, of .5 to 5 too, of 1 to 10 it is 7."""
    return float(np.ceil(low + 0.6 * (high - low)))
