"""A SQLite store whose write-ahead log lost its end, as after a power cut on a disk that lies about fsync."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from matinee.serve.records import Event
from matinee.serve.sqlite_schema import connect, prepare
from matinee.serve.sqlite_store import open_sqlite

_NAME = "store.db"


@dataclass
class Cuts:
    """What became of stores whose logs were cut.

    Attributes:
        opened: how many could be opened.
        unsound: how many SQLite's examination found something wrong with, or hold anything but a beginning
            of the log, each call as a whole.
        kept: events that were left, the shortest log first.
    """

    opened: int = 0
    unsound: int = 0
    kept: list[int] = field(default_factory=list)


def log_to_cut(folder: Path, calls: int = 24) -> Path:
    """A folder with a store as a crash leaves it: some of it in the database, more in the log.

    Call number n adds n % 4 + 1 events at the time n.
    """
    made, left = folder / "made", folder / "left"
    made.mkdir()

    async def write() -> None:
        store = open_sqlite(made / _NAME)
        for call in range(calls):
            size = call % 4 + 1
            await store.add(
                [Event(user=f"u{call}", item=f"{n}/{size}", kind="view", time_ms=call) for n in range(size)]
            )
        shutil.copytree(made, left)
        await store.close()

    asyncio.run(write())
    return left


def cut_logs(crashed: Path, folder: Path, lengths: Iterable[int]) -> Cuts:
    """Open copies of a store without so many bytes of the log's end, for each of `lengths`."""
    folder.mkdir()
    database, log = (crashed / _NAME).read_bytes(), (crashed / f"{_NAME}-wal").read_bytes()
    cuts = Cuts()
    for length in sorted(lengths, reverse=True):
        for old in folder.iterdir():
            old.unlink()
        path = folder / _NAME
        path.write_bytes(database)
        path.with_name(f"{_NAME}-wal").write_bytes(log[: max(len(log) - length, 0)])
        _look(path, cuts)
    return cuts


def _look(path: Path, cuts: Cuts) -> None:
    prepare(path)
    cuts.opened += 1
    with closing(connect(path, reads_only=True)) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute("SELECT item, time_ms FROM event ORDER BY seq").fetchall()
    cuts.unsound += not (sound and _is_beginning(rows))
    cuts.kept.append(len(rows))


def _is_beginning(rows: list[tuple[str, int]]) -> bool:
    """Whether these are the first calls' events, each call's as a whole."""
    calls = rows[-1][1] + 1 if rows else 0
    return rows == [(f"{n}/{call % 4 + 1}", call) for call in range(calls) for n in range(call % 4 + 1)]
