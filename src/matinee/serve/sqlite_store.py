"""A store in one SQLite file: read where it is asked, written by one thread of each process.

Writers of all processes take turns at a lock on a file beside the store's: SQLite's own way to wait is to
sleep and try again. What is committed is durable (write-ahead log, synchronous=FULL), and every process's
next query sees it.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path

from matinee.core.errors import MatineeError
from matinee.serve.changes import MEMBERS
from matinee.serve.refusals import Refusal
from matinee.serve.rows import Row
from matinee.serve.sql_store import SqlStore
from matinee.serve.sqlite_journal import SqliteJournal, SqliteLists, sqlite_refusal
from matinee.serve.sqlite_schema import connect, prepare
from matinee.serve.writer import MOST_WAITING, Writer

# What a query fails with that is for its asker to know.
_REFUSED = (sqlite3.Error, OverflowError, UnicodeEncodeError)

# Long queries at once; more wait.
_LONG_QUERIES = 2

_HISTORY = (
    'SELECT item, kind, value, time_ms FROM event WHERE "user" = ? AND withdrawn = 0 '
    "ORDER BY time_ms DESC, seq DESC LIMIT ?"
)
_HISTORY_OF_MANY = _HISTORY.replace("time_ms FROM", "time_ms, seq FROM")


def open_sqlite(path: Path, *, most_waiting: int = MOST_WAITING) -> SqlStore:
    """Open a store's file, or make it.

    Args:
        path: the file; its folder must be there.
        most_waiting: records that wait to be written at most; beyond, calls are refused.

    Raises:
        InputError: the file cannot be a store.
    """
    secret = prepare(path)
    return SqlStore(_Reader(path), Writer(SqliteJournal(path, secret), most_waiting=most_waiting), secret)


class _Reader:
    """Short queries run where they are asked, in microseconds; long ones in threads of their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._near = connect(path, reads_only=True)
        self._far: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(_LONG_QUERIES):
            self._far.put(connect(path, reads_only=True))
        self._threads = ThreadPoolExecutor(_LONG_QUERIES, thread_name_prefix="matinee-reader")
        lists = SqliteLists()
        self.among, self.listed = lists.among, lists.listed

    async def rows(self, statement: str, values: Sequence[object] = (), *, long: bool = False) -> list[Row]:
        if long:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._aside, statement, values)
        try:
            with self._lock:
                return self._near.execute(statement, values).fetchall()
        except _REFUSED as error:
            raise _told(self._path, error) from error

    async def history(self, user: str, most: int) -> list[Row]:
        try:
            with self._lock:
                ids = self._near.execute(MEMBERS, (user, user, user, user)).fetchall()
                if len(ids) == 1:
                    return self._near.execute(_HISTORY, (ids[0][0], most)).fetchall()
                found = [row for (one,) in ids for row in self._near.execute(_HISTORY_OF_MANY, (one, most))]
        except _REFUSED as error:
            raise _told(self._path, error) from error
        found.sort(key=itemgetter(3, 4), reverse=True)
        return [row[:4] for row in found[:most]]

    def popular(self, condition: str, *, merged: bool) -> str:
        who, join = 'e."user"', ""
        if merged:
            who, join = 'coalesce(m.root, e."user")', 'LEFT JOIN merged m ON m."user" = e."user"'
        # In the index's order neither items nor viewers need sorting.
        return (
            f"SELECT e.item, count(DISTINCT {who}) AS viewers "  # noqa: S608
            f"FROM event e INDEXED BY event_item {join} WHERE {condition} "
            "GROUP BY e.item ORDER BY viewers DESC, e.item LIMIT ?"
        )

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        with self._lock:
            self._near.close()
        while not self._far.empty():
            self._far.get().close()

    def _aside(self, statement: str, values: Sequence[object]) -> list[Row]:
        connection = self._far.get()
        try:
            return connection.execute(statement, values).fetchall()
        except _REFUSED as error:
            raise _told(self._path, error) from error
        finally:
            self._far.put(connection)


def _told(path: Path, error: Exception) -> MatineeError:
    """What a query that failed is told as."""
    if isinstance(error, sqlite3.Error):
        return sqlite_refusal(path, error)
    return Refusal("A number beyond 64 bits or half of a surrogate pair is in no store.")
