"""`matinee check`: what a log is, what is wrong with it, how it can be judged and what a fit would take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from matinee.cli.log_options import Logs, with_log_options
from matinee.cli.output import JsonPath, Output, Quiet, Seed
from matinee.core.memory import size_words
from matinee.data.options import LogOptions
from matinee.report.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from matinee.recipes.check import CheckReport


@with_log_options
def command(
    logs: Logs,
    log_options: LogOptions,
    json_path: JsonPath = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Say what a log is, what is odd about it, how it can be judged, and what a fit would take here.

    Exit status 2 if it cannot be used; the sentence names file, row and column.

    Example: matinee check ratings.csv --items movies.csv --positive "rating>=4"
    """
    from matinee.recipes.check import check_files

    output = Output(json_path, quiet)
    with output.progress() as progress:
        report = check_files(
            logs,
            log_options,
            seed=seed,
            progress=lambda doing, done, all_: progress(doing, done / max(all_, 1)),
        )
    for part in _parts(report):
        output.say(part)
    output.result(report.to_json())


def _parts(report: CheckReport) -> Iterator[str | Table]:
    """What is printed, part by part."""
    yield from _files(report)
    yield from _figures(report)
    for words in report.beside:
        yield f"  {words}"
    yield from _listed("While reading", report.notes)
    yield from _listed("Look at", [_sign_words(sign.words, sign.examples) for sign in report.signs])
    yield ""
    yield from _protocols(report)
    yield ""
    yield from _needs(report)


def _files(report: CheckReport) -> Iterator[str]:
    for file in report.log.get("files", ()):
        yield f"{file['file']}: {file['format']}, {counted(file['rows'], 'row')}"
        yield "  " + ", ".join(f"{role} is column {name!r}" for role, name in file["columns"].items())
        if file["time_units"]:
            yield "  times are in " + " and ".join(file["time_units"])


def _figures(report: CheckReport) -> Iterator[str]:
    counts = report.counts
    yield ", ".join(
        counted(number, noun)
        for number, noun in ((counts.viewers, "viewer"), (counts.items, "item"), (counts.events, "event"))
    )
    if counts.watched < counts.items:
        yield f"  in no event: {counted(counts.items - counts.watched, 'item')}"
    yield (
        f"  events of a viewer: {counts.median_events:g} in the middle, {counts.most_events:,} at most; "
        f"one item in a hundred holds {counts.top_share:.0%} of them"
    )
    if report.span_ms is not None:
        first, last = (datetime.fromtimestamp(moment / 1000, UTC) for moment in report.span_ms)
        days = counted((last - first).days, "day")
        yield f"  from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC ({days})"
    elif report.order == "order":
        yield "  in the order of a column of positions, without times"
    else:
        yield "  without times and without an order"
    if counts.kinds:
        yield "  kinds: " + ", ".join(f"{kind} {number:,}" for kind, number in counts.kinds.items())
    if counts.targets != counts.events:
        yield f"  to be predicted: {counted(counts.targets, 'event')}"
    if counts.negatives:
        yield f"  turned down: {counted(counts.negatives, 'time')} an item by a viewer"
    if counts.values is not None:
        yield f"  values from {counts.values[0]:g} to {counts.values[1]:g}"
    tied = "no times to tie" if report.tied_times is None else f"tied times {report.tied_times:.1%}"
    duplicates = report.log.get("duplicates", 0)
    yield f"  {tied}, exact duplicates {duplicates:,} (counted once), the same item again {counts.repeats:,}"


def _listed(title: str, lines: tuple[str, ...] | list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title}:"
        for line in lines:
            yield f"  - {line}"


def _sign_words(words: str, examples: tuple[str, ...]) -> str:
    return f"{words} Such as {', '.join(examples)}." if examples else words


def _protocols(report: CheckReport) -> Iterator[str | Table]:
    if report.protocols[0].supported:
        yield f"Judged by {report.default_protocol}, {report.default_why}."
    else:
        yield f"Cannot be judged by {report.default_protocol}: {report.protocols[0].words}"
    table = _table("protocol", "targets", "viewers", "how")
    for one in report.protocols:
        about = "about " if one.estimated else ""
        numbers = (f"{about}{n:,}" if one.targets else "-" for n in (one.targets, one.viewers))
        short = "" if one.enough or not one.targets else "; too few to tell"
        how = one.words if one.supported else f"not possible: {one.words}"
        table.add_row(one.name, *numbers, how + short)
    yield table


def _needs(report: CheckReport) -> Iterator[str | Table]:
    machine = report.machine
    free = "" if machine.memory_bytes is None else f", {size_words(machine.memory_bytes)} of memory free"
    yield (
        f"A fit with default settings on this machine ({machine.system}, {machine.cores} cores{free}), "
        f"memory on top of the log's own {size_words(report.log_bytes)} and of what Python and torch take to "
        "start:"
    )
    table = _table("recommender", "memory", "CPU time", "")
    for one in report.needs:
        if one.memory_bytes is None or one.cpu_s is None:
            table.add_row(one.name, "-", "-", one.words)
        else:
            table.add_row(
                one.name,
                size_words(one.memory_bytes),
                _duration(one.cpu_s),
                "" if one.fits else "more than there is",
            )
    yield table


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(
            name, justify="right" if name in ("targets", "viewers", "memory", "CPU time") else "left"
        )
    return table


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "under 1 s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
