"""Check a log before a fit: what it is, what is odd, how it can be judged, what a fit would take."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.errors import InputError, MatineeError
from matinee.core.memory import available_bytes
from matinee.data.counts import Counts, count
from matinee.data.log import InteractionLog
from matinee.data.meaning import RATING
from matinee.data.options import LogOptions
from matinee.data.protocols import PROTOCOLS, time_moments, time_words
from matinee.data.read import Progress, read_log
from matinee.data.split import default_protocol, split_log, tied_times
from matinee.data.vocabulary import Vocabulary
from matinee.recipes.doctor import Sign, find_signs
from matinee.recipes.rows import predicts_values
from matinee.recommenders import RECOMMENDERS

# protocols.md: below either of these a table says "too few to tell" instead of a verdict.
FEWEST_TARGETS, FEWEST_VIEWERS = 2_000, 200
# Protocols are tried on the log itself up to this size, beyond it on every n-th viewer.
_TRIED_EVENTS = 250_000


@dataclass(frozen=True, kw_only=True)
class ProtocolCheck:
    """Whether a log can be judged by a protocol.

    Attributes:
        name: the protocol.
        supported: whether it can.
        words: how it would divide the log, or why it cannot.
        targets: test targets.
        viewers: viewers of the test.
        estimated: whether these were told from every n-th viewer of a large log.
        enough: whether a verdict is possible.
    """

    name: str
    supported: bool
    words: str
    targets: int = 0
    viewers: int = 0
    estimated: bool = False
    enough: bool = False


@dataclass(frozen=True, kw_only=True)
class FitNeeds:
    """What a fit with default settings would take on this machine.

    Attributes:
        name: the recommender.
        memory_bytes: peak memory beyond the log itself; None where it cannot be fitted.
        cpu_s: CPU-seconds of one core.
        fits: whether that memory is there.
        words: why it cannot be fitted, or "".
    """

    name: str
    memory_bytes: int | None
    cpu_s: float | None
    fits: bool
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What this machine has: cores, and bytes that are free now (None where the system does not tell)."""

    cores: int
    memory_bytes: int | None
    system: str


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Everything that `matinee check` says.

    Attributes:
        log: what was found while reading: files, columns, rows, duplicates, ties, span; {} for a log made
            in memory.
        counts: the log in figures.
        order: what the order of a viewer's events means: "time", "order" or "none".
        span_ms: first and last time, milliseconds since 1970, or None.
        tied_times: share of events that share their time with another of the same viewer; None without times.
        beside: what stands beside the log, in words.
        protocols: each protocol, the default first.
        default_protocol: its name.
        default_why: why it is that one.
        needs: each recommender, cheapest first.
        log_bytes: memory of the log itself; the system may put most of it back on disk.
        machine: what there is.
        signs: what a person should look at.
        notes: what was done while reading.
        log_sha256: the log's fingerprint.
    """

    log: dict[str, Any]
    counts: Counts
    order: str
    span_ms: tuple[int, int] | None
    tied_times: float | None
    beside: tuple[str, ...]
    protocols: tuple[ProtocolCheck, ...]
    default_protocol: str
    default_why: str
    needs: tuple[FitNeeds, ...]
    log_bytes: int
    machine: Machine
    signs: tuple[Sign, ...]
    notes: tuple[str, ...]
    log_sha256: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def check_files(
    paths: Sequence[str | Path], options: LogOptions, *, seed: int = 0, progress: Progress | None = None
) -> CheckReport:
    """Read a log and check it.

    Raises:
        InputError: the log is unusable; one sentence that names file, row and column.
    """
    log = read_log([str(path) for path in paths], options, progress=progress)
    return check(log, options, seed=seed)


def check(log: InteractionLog, options: LogOptions | None = None, *, seed: int = 0) -> CheckReport:
    """Check a log.

    Args:
        log: the log.
        options: what its owner says of it.
        seed: of the protocols that draw.

    Raises:
        InputError: no event says yes to anything.
    """
    if not len(log):
        raise InputError("No event is left that says yes to an item: there is nothing to learn from.")
    counts = count(log)
    times = log.histories.times
    default, why = default_protocol(log)
    protocols = check_protocols(log, default, seed=seed)
    signs = find_signs(log, counts, options or LogOptions())
    if (few := _too_few(protocols, log)) is not None:
        signs = (*signs, few)
    return CheckReport(
        log={} if log.report is None else log.report.to_json(),
        counts=counts,
        order=log.order,
        span_ms=None if times is None else (int(np.min(times)), int(np.max(times))),
        tied_times=tied_times(log) if log.report is None else _tied_share(log),
        beside=_beside(log),
        protocols=protocols,
        default_protocol=default,
        default_why=why,
        needs=check_needs(log),
        log_bytes=_log_bytes(log),
        machine=this_machine(),
        signs=signs,
        notes=log.notes,
        log_sha256=log.fingerprint,
    )


def check_protocols(log: InteractionLog, default: str, *, seed: int = 0) -> tuple[ProtocolCheck, ...]:
    """Try every protocol on a log, the default first; a large log is tried on every n-th viewer."""
    step = -(-len(log) // _TRIED_EVENTS)
    tried = log if step == 1 else every_nth_viewer(log, step)
    names = sorted(PROTOCOLS, key=lambda name: name != default)
    found = (_check_protocol(tried, name, seed, step) for name in names)
    return tuple(found) if step == 1 else tuple(_with_its_moment(one, log) for one in found)


def check_needs(log: InteractionLog) -> tuple[FitNeeds, ...]:
    """What a fit of each recommender with its default settings would take, cheapest first.

    Of a log whose target is the rating's value: of those that predict values; of any other: of the others.
    """
    free = available_bytes()
    found = []
    for name, make in RECOMMENDERS.items():
        if predicts_values(name) != (log.target == RATING):
            continue
        if name == "friends" and log.friends is None:
            words = "needs friends: --friends FILE"
            found.append(FitNeeds(name=name, memory_bytes=None, cpu_s=None, fits=False, words=words))
            continue
        try:
            needs = make().needs(log)
        except MatineeError as error:
            found.append(FitNeeds(name=name, memory_bytes=None, cpu_s=None, fits=False, words=str(error)))
            continue
        fits = free is None or needs.memory_bytes <= free
        found.append(FitNeeds(name=name, memory_bytes=needs.memory_bytes, cpu_s=needs.cpu_s, fits=fits))
    return tuple(sorted(found, key=lambda one: (one.cpu_s is None, one.cpu_s or 0.0, one.name)))


def this_machine() -> Machine:
    """What this machine has for a fit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        cores=cores, memory_bytes=available_bytes(), system=f"{platform.system()} {platform.machine()}"
    )


def _check_protocol(log: InteractionLog, name: str, seed: int, step: int) -> ProtocolCheck:
    if name == "given":
        return ProtocolCheck(name=name, supported=True, words="needs a test file of its own: --test FILE")
    try:
        split = split_log(log, name, seed=seed)
    except InputError as error:
        return ProtocolCheck(name=name, supported=False, words=str(error))
    targets = step * len(split.test.targets.values)
    viewers = step * len(np.unique(split.test.viewers))
    return ProtocolCheck(
        name=name,
        supported=True,
        words=split.division.words,
        targets=targets,
        viewers=viewers,
        estimated=step > 1,
        enough=targets >= FEWEST_TARGETS and viewers >= FEWEST_VIEWERS,
    )


def _with_its_moment(found: ProtocolCheck, log: InteractionLog) -> ProtocolCheck:
    """A time-split told from every n-th viewer, with the moment that the whole log has."""
    times = log.histories.times
    if found.name != "time-split" or not found.supported or times is None:
        return found
    try:
        return replace(found, words=time_words(*time_moments(times)))
    except InputError as error:
        return ProtocolCheck(name=found.name, supported=False, words=str(error))


def every_nth_viewer(log: InteractionLog, step: int) -> InteractionLog:
    """A log of every `step`-th viewer, with their events alone: what a fit's time is reckoned from."""
    viewers = np.arange(0, log.n_viewers, step)
    return replace(
        log,
        viewers=Vocabulary(log.viewers.ids(viewers)),
        histories=log.histories.take(viewers),
        negatives=None,
        negative_times=None,
        friends=None,
        viewer_table=None,
    )


def _too_few(protocols: tuple[ProtocolCheck, ...], log: InteractionLog) -> Sign | None:
    first = protocols[0]
    if first.enough or log.target == RATING:
        return None
    successive = first.name == "time-split" and first.viewers >= FEWEST_VIEWERS
    about = "about " if first.estimated else ""
    found = (
        f"{about}{first.targets:,} targets of {about}{first.viewers:,} viewers"
        if first.supported
        else "no target at all"
    )
    return Sign(
        name="too_few_targets",
        words=(
            f"{first.name} gives {found}; "
            f"a verdict takes {FEWEST_TARGETS:,} targets of {FEWEST_VIEWERS} viewers. "
            "Expect popularity to win, or a table that says too few to tell."
            + (" With --targets successive each later event is asked for." if successive else "")
        ),
        number=first.targets,
    )


def _log_bytes(log: InteractionLog) -> int:
    histories = log.histories
    arrays = [getattr(histories, field.name) for field in fields(histories)]
    ids = log.viewers.arrow.nbytes + log.items.arrow.nbytes
    return int(sum(array.nbytes for array in arrays if array is not None) + ids)


def _tied_share(log: InteractionLog) -> float | None:
    tied = None if log.report is None else log.report.tied
    return None if tied is None else tied / len(log)


def _beside(log: InteractionLog) -> tuple[str, ...]:
    """What stands beside the log, in words."""
    words = []
    columns = [name for name in log.item_table.column_names if name not in ("id", "title")]
    titles = int(np.sum(_differs(log)))
    if titles or columns:
        words.append(
            f"items: {titles:,} of {log.n_items:,} with a title; also {', '.join(columns) or 'nothing'}"
        )
    if log.viewer_table is not None:
        known = [name for name in log.viewer_table.column_names if name != "id"]
        words.append(f"viewers: {', '.join(known)}")
    if log.friends is not None:
        befriended = int((np.diff(log.friends.offsets) > 0).sum())
        words.append(
            f"friends: {befriended:,} of {log.n_viewers:,} viewers, {len(log.friends.values) // 2:,} pairs"
        )
    if log.vectors is not None:
        known_vectors = int((~np.isnan(log.vectors[:, 0])).sum())
        words.append(f"vectors: width {log.vectors.shape[1]}, for {known_vectors:,} of {log.n_items:,} items")
    return tuple(words)


def _differs(log: InteractionLog) -> Any:
    """Where an item's title is more than its id."""
    import pyarrow.compute as pc

    if "title" not in log.item_table.column_names:
        return np.zeros(log.n_items, dtype=bool)
    different = pc.not_equal(log.item_table.column("title").cast("large_string"), log.item_table.column("id"))
    return np.asarray(pc.fill_null(different, False))
