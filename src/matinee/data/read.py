"""`read_log`: from files, folders or a table to an indexed log."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.core.errors import DataError
from matinee.core.words import counted
from matinee.data import cache as shelf
from matinee.data.events import Events
from matinee.data.facts import FileReport, ReadReport
from matinee.data.fingerprint import fingerprint_events, fingerprint_files
from matinee.data.gather import Gather
from matinee.data.index import Indexed, build_index, in_memory
from matinee.data.kinds_mean import kinds_mean_of
from matinee.data.log import InteractionLog
from matinee.data.meaning import apply
from matinee.data.options import LogOptions
from matinee.data.readers import read_file, read_table
from matinee.data.side import attach
from matinee.data.sources import TABLE, Found, find_files, open_table, paths_of

Progress = Callable[[str, int, int], None]

# Reading a smaller log again costs less than keeping its index in order.
_SMALL_BYTES = 1_000_000
_DAY_MS = 86_400_000


def read_log(
    source: Any,
    options: LogOptions | None = None,
    *,
    cache: bool = True,
    progress: Progress | None = None,
    **columns: str | int | None,
) -> InteractionLog:
    """Read a log of who watched what: any number of files or folders, or a table.

    Files are known by content: CSV, TSV, `::`, `;`, `|` or blanks between columns, JSON lines, Parquet,
    Arrow, each also compressed; MovieLens, RecBole, Amazon Personalize, RecTools, LensKit and Gorse columns
    are found by name.

    Args:
        source: a path, several paths, or a pandas, polars or Arrow table.
        options: the LOG options.
        cache: keep the index of a log of a megabyte or more, and use one that is there.
        progress: called with what is being done, how much of it is done, and how much there is.
        columns: which column is what: user=, item=, time=, order=, value=, kind=; beside those of the
            options.

    Returns:
        The log. Its `notes` say in plain words what was left out or is odd; its `report` in figures.

    Raises:
        DataError: a file or table is unusable; the message names file, row, column and value.
    """
    options = options or LogOptions()
    asked = dict(options.columns) | {role: str(name) for role, name in columns.items() if name is not None}
    options = replace(options, columns=asked)
    tell = progress or _tell_nobody
    paths = paths_of(source)
    if paths is None:
        return _read_table(source, options, tell)
    found = find_files(paths, asked)
    log = _read_files(found, options, tell, cache=cache)
    return attach(log, options, found.layouts[0].file.parent)


def _tell_nobody(what: str, done: int, total: int) -> None:
    del what, done, total


def _read_table(source: Any, options: LogOptions, tell: Progress) -> InteractionLog:
    table, layout = open_table(source, options.columns)
    gather = Gather(tuple(layout.columns))
    tell("reading", 0, 1)
    report = read_table(table, layout, gather, skip_bad=options.skip_bad)
    del table
    events = _events(gather, TABLE)
    fingerprint = fingerprint_events(events, options)
    entry = _index(events, options, (report,), None)
    tell("reading", 1, 1)
    return attach(_log(entry, options, fingerprint, ()), options, None)


def _read_files(found: Found, options: LogOptions, tell: Progress, *, cache: bool) -> InteractionLog:
    files = [layout.file for layout in found.layouts]
    fingerprint = fingerprint_files(files, options)
    notes = list(found.notes)
    path = None
    if cache and sum(file.stat().st_size for file in files) >= _SMALL_BYTES:
        folder = shelf.cache_folder(files[0])
        path = None if folder is None else shelf.entry_path(folder, fingerprint, skip_bad=options.skip_bad)
    if path is not None:
        try:
            entry = shelf.load(path)
        except ValueError as error:
            entry = None
            notes.append(f"the cached index was damaged ({error}) and was built again")
        if entry is not None:
            named = zip(entry.report.files, files, strict=True)
            now = tuple(replace(one, file=str(file)) for one, file in named)
            entry = replace(entry, report=replace(entry.report, files=now, cached=True))
            return _log(entry, options, fingerprint, tuple(notes))
    entry = _read_anew(found, options, tell, path)
    return _log(entry, options, fingerprint, tuple(notes))


def _read_anew(found: Found, options: LogOptions, tell: Progress, path: Path | None) -> shelf.Entry:
    gather = Gather(tuple(found.layouts[0].columns))
    reports = []
    for number, layout in enumerate(found.layouts):
        tell(f"reading {layout.file.name}", number, len(found.layouts))
        reports.append(read_file(layout, gather, skip_bad=options.skip_bad))
    events = _events(gather, found.layouts[0].file)
    tell("indexing", len(found.layouts), len(found.layouts))
    draft = None if path is None else shelf.new_draft(path.parent)
    try:
        entry = _index(events, options, tuple(reports), draft)
    except BaseException:
        if draft is not None:
            draft.discard()
        raise
    if draft is None or path is None:
        return entry
    if draft.whole and shelf.commit(draft, entry, path):
        with suppress(ValueError):  # another process may have replaced the entry meanwhile
            return shelf.load(path, verify=False) or entry
    draft.discard()
    return entry


def _events(gather: Gather, file: Path) -> Events:
    if not gather.rows:
        raise DataError("there is no event in it", file=file, remedy="Give a log with at least one event.")
    return gather.finish()


def _index(
    events: Events, options: LogOptions, reports: tuple[FileReport, ...], draft: shelf.Draft | None
) -> shelf.Entry:
    """Give the events their meaning and index them."""
    ordered_twice = events.time is not None and events.position is not None
    events, notes = apply(events, options)
    indexed = build_index(events, in_memory if draft is None else draft.allocate)
    if ordered_twice:
        notes = (*notes, "the log has times, so its column of positions was not used")
    times = indexed.histories.times
    report = ReadReport(
        files=reports,
        rows=sum(one.rows for one in reports),
        bad_rows=sum(one.bad_rows for one in reports),
        duplicates=indexed.duplicates,
        tied=indexed.tied,
        first_ms=int(times.min()) if times is not None and len(times) else None,
        last_ms=int(times.max()) if times is not None and len(times) else None,
    )
    return shelf.Entry(
        viewers=events.viewers,
        items=events.items,
        kinds=events.kinds,
        indexed=indexed,
        notes=notes,
        report=report,
    )


def _log(entry: shelf.Entry, options: LogOptions, fingerprint: str, notes: tuple[str, ...]) -> InteractionLog:
    indexed = entry.indexed
    # What lies ahead depends on the day, so it is never taken from the cache.
    report = replace(entry.report, future=_future(indexed))
    return InteractionLog(
        viewers=entry.viewers,
        items=entry.items,
        histories=indexed.histories,
        item_table=pa.table({"id": entry.items.arrow}),
        kinds=entry.kinds,
        negatives=indexed.negatives,
        negative_times=indexed.negative_times,
        order=indexed.order,
        repeats=options.repeats,
        target=options.target,
        fingerprint=fingerprint,
        notes=(*notes, *entry.notes, *_facts_in_words(report, indexed)),
        meaning=kinds_mean_of(options, entry.kinds, indexed.histories),
        report=report,
    )


def _future(indexed: Indexed) -> int:
    times = indexed.histories.times
    limit = int(time.time() * 1000) + _DAY_MS
    return 0 if times is None else int(np.count_nonzero(times > limit))


def _facts_in_words(report: ReadReport, indexed: Indexed) -> tuple[str, ...]:
    """Notes on what is odd about a log."""
    notes = []
    for file in report.files:
        if file.bad_rows:
            examples = "; ".join(file.bad_examples)
            bad = counted(file.bad_rows, "malformed row")
            notes.append(f"of {file.file} left out: {bad}: {examples}")
        if file.whole:
            columns = " and ".join(map(repr, file.whole))
            notes.append(f"the ids in {columns} of {file.file} are floating numbers: 1.0 was read as '1'")
        if len(file.time_units) > 1:
            units = ", ".join(f"{n} in {unit}" for unit, n in file.time_units.items())
            notes.append(
                f"the times of {file.file} are in several units ({units}); each was read by its own size"
            )
    if report.duplicates and indexed.order == "none":
        notes.append(
            f"{counted(report.duplicates, 'row repeats', 'rows repeat')} a viewer's item: without times or "
            "positions it counts once, by its first row"
        )
    elif report.duplicates:
        again = counted(report.duplicates, "row is the same as", "rows are the same as")
        notes.append(f"{again} an earlier one, which counts once")
    if report.tied:
        notes.append(
            f"{counted(report.tied, 'event has', 'events have')} the time of another of the same viewer: the "
            "file's order holds"
        )
    if report.future and report.last_ms is not None:
        last = datetime.fromtimestamp(report.last_ms / 1000, UTC)
        notes.append(
            f"{counted(report.future, 'event lies', 'events lie')} in the future, the last on "
            f"{last:%Y-%m-%d}: check clock and unit"
        )
    return tuple(notes)
