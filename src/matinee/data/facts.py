"""What was found while a log was read: `matinee check` says it, the log and its cache keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """One file.

    Attributes:
        file: its path, or what the table is.
        format: what it is, in words.
        columns: role (user, item, time, order, value, kind) -> the column that was taken for it.
        rows: rows that became events.
        bad_rows: malformed rows that were left out.
        bad_examples: the first few of those, each with its row and what is wrong.
        time_units: unit -> rows whose time was in it; "dates" for ISO strings and timestamps.
        encoding: of a text file.
        whole: columns of ids that came as floating numbers and were read as whole ones.
    """

    file: str
    format: str
    columns: Mapping[str, str]
    rows: int
    bad_rows: int = 0
    bad_examples: tuple[str, ...] = ()
    time_units: Mapping[str, int] = field(default_factory=dict)
    encoding: str = "utf-8"
    whole: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReadReport:
    """A whole log.

    Attributes:
        files: its files, in the order in which they were read.
        rows: rows that became events, over all files, before duplicates went and before what events mean was
            applied.
        bad_rows: malformed rows that were left out.
        duplicates: rows left out because the same event is there already.
        tied: events that share their time with another event of the same viewer; None where there are no
            times.
        future: events that lie more than a day ahead of now.
        first_ms: earliest time, milliseconds since 1970; None where there are no times.
        last_ms: latest time.
        cached: whether the index came from the cache.
    """

    files: tuple[FileReport, ...]
    rows: int
    bad_rows: int = 0
    duplicates: int = 0
    tied: int | None = None
    future: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    cached: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def report_from_json(values: Mapping[str, Any]) -> ReadReport:
    """The report that `ReadReport.to_json` wrote."""
    files = tuple(
        FileReport(
            **{**one, "bad_examples": tuple(one["bad_examples"]), "whole": tuple(one.get("whole", ()))}
        )
        for one in values["files"]
    )
    return ReadReport(**{**values, "files": files})
