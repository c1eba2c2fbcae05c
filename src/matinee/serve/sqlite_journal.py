"""Transactions of a SQLite file, one at a time among all processes."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from matinee.core.errors import MatineeError
from matinee.serve.refusals import Refusal, StoreError, StoreFull
from matinee.serve.rows import EVENT_COLUMNS, EVENT_WIDTH, IMPRESSION_COLUMNS, IMPRESSION_WIDTH, Row
from matinee.serve.sqlite_schema import PATIENCE, connect, open_lock

# Rows of one INSERT. A statement gives up and takes back the interpreter's lock once, whatever it inserts.
_STRETCHES = (256, 64, 16, 4, 1)
# Bytes of write-ahead log after which it is copied into the database, and after which that is tried again
# where a long query was in the way.
_LONG_LOG = 16 * 2**20
_LOG_STEP = 4 * 2**20
# So long a query may be in the way of emptying the log; most are over long before.
_GLANCE_MS = 20

# While the database is so, nothing can be written to it, whatever it is.
_ILLS = {
    sqlite3.SQLITE_FULL: "the disk is full: nothing of this was kept; make room, then send it again",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write: nothing of this was acknowledged",
    sqlite3.SQLITE_BUSY: "another program keeps the file locked: close it",
    sqlite3.SQLITE_READONLY: "the file cannot be written any more: change its permissions",
    sqlite3.SQLITE_CANTOPEN: "the file, or one beside it, cannot be opened any more",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: put a backup in its place",
    sqlite3.SQLITE_NOTADB: "the file is damaged: put a backup in its place",
}


class SqliteLists:
    """How a list of texts is given to SQLite: as one JSON text."""

    def among(self, column: str) -> str:
        """The condition that a column is one of a list, which is given as `listed`."""
        return f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 (names of columns)

    def listed(self, texts: Sequence[str]) -> str:
        """A list as a statement's value."""
        return json.dumps(list(texts), ensure_ascii=False)


class _Hand:
    """The transaction in progress.

    Attributes:
        secret: the store's own.
        erased: whether it deleted anything, which then must not outlive it in the write-ahead log.
    """

    def __init__(self, connection: sqlite3.Connection, secret: bytes) -> None:
        self.secret = secret
        self.erased = False
        self._execute = connection.execute
        lists = SqliteLists()
        self.among, self.listed = lists.among, lists.listed

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        return self._execute(statement, values).fetchall()

    def changed(self, statement: str, values: Sequence[object] = ()) -> int:
        count = self._execute(statement, values).rowcount
        self.erased = self.erased or (count > 0 and statement.startswith("DELETE"))
        return count

    def insert_events(self, rows: Sequence[Row]) -> None:
        self._insert(f"INSERT INTO event ({EVENT_COLUMNS}) VALUES ", EVENT_WIDTH, rows)  # noqa: S608

    def insert_impressions(self, rows: Sequence[Row]) -> None:
        self._insert(f"INSERT INTO impression ({IMPRESSION_COLUMNS}) VALUES ", IMPRESSION_WIDTH, rows)  # noqa: S608

    def _insert(self, statement: str, width: int, rows: Sequence[Row]) -> None:
        place = f"({', '.join('?' * width)})"
        start = 0
        for stretch in _STRETCHES:
            while len(rows) - start >= stretch:
                some = rows[start : start + stretch]
                values = tuple(chain.from_iterable(some))
                self._execute(statement + ", ".join([place] * stretch), values)
                start += stretch


class SqliteJournal:
    """Transactions of one file.

    Args:
        path: the store's file.
        secret: the store's own.
    """

    def __init__(self, path: Path, secret: bytes) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._secret = secret
        self._connection = connect(path)
        # What a log held is cut off when it begins anew, so that its size says how much there is to copy.
        self._connection.execute("PRAGMA journal_size_limit = 0")
        self._lock = open_lock(path)
        self._hand = _Hand(self._connection, secret)
        self._erased = False
        self._long_log = _LONG_LOG

    def begin(self) -> _Hand:
        """Wait for this process's turn, and begin."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._unlock()
            raise
        self._hand = _Hand(self._connection, self._secret)
        return self._hand

    def commit(self) -> None:
        """Make durable what was written; what was deleted is gone from the write-ahead log as well."""
        self._connection.execute("COMMIT")
        self._erased = self._erased or self._hand.erased
        if self._erased:
            self._erased = not self._emptied()
        self._unlock()

    def rollback(self) -> None:
        """Undo what was written."""
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        self._unlock()

    def rest(self) -> None:
        """Copy a long write-ahead log into the database, in nobody's way but other writers'."""
        try:
            size = self._log.stat().st_size
        except OSError:
            return
        if size < self._long_log:
            return
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Where all of it was copied, the next commit begins the log anew.
        self._long_log = size + _LOG_STEP
        with suppress(sqlite3.Error):
            ((_, frames, copied),) = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._long_log = _LONG_LOG if frames == copied else self._long_log
        self._unlock()

    def refusal(self, error: Exception) -> MatineeError | None:
        """The sentence for an error of SQLite's."""
        if isinstance(error, sqlite3.Error):
            return sqlite_refusal(self._path, error)
        if isinstance(error, OSError):
            return StoreError(f"{self._path.name}: {error.strerror}.")
        return None

    def is_ill(self, error: Exception) -> bool:
        """Whether nothing can be written at present."""
        return isinstance(error, OSError) or (isinstance(error, sqlite3.Error) and _code(error) in _ILLS)

    def close(self) -> None:
        """Let go; whoever is last copies the write-ahead log into the database."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        with suppress(sqlite3.Error):
            self._connection.close()
        os.close(self._lock)

    def _emptied(self) -> bool:
        """Empty the write-ahead log: whether that was done.

        A long query can be in the way. All writers would wait for its end with us: it is tried again after
        the next commit instead.
        """
        done = False
        with suppress(sqlite3.Error):
            self._connection.execute(f"PRAGMA busy_timeout = {_GLANCE_MS}")
            (found,) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            done = not found[0]
        self._connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        return done

    def _unlock(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)


def sqlite_refusal(path: Path, error: sqlite3.Error) -> Refusal:
    """The sentence for an error of SQLite's; none of them repeats what was to be written."""
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.InterfaceError)):
        return Refusal(f"A value is not what the store keeps there: {error}.")
    code = _code(error)
    kind = StoreFull if code == sqlite3.SQLITE_FULL else StoreError
    return kind(f"{path.name}: {_ILLS.get(code, str(error))}.")


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
