"""SQLite's file: its tables, and opening one that is ours."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from matinee.core.errors import InputError

# "mtnE": how a file says that it is a store of matinee's.
APPLICATION = 0x6D746E45
VERSION = 1

# Seconds that a connection waits for a program that is not matinee; matinee's own take turns at a lock.
PATIENCE = 5.0

_SCHEMA = """
CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, "user" TEXT NOT NULL, item TEXT NOT NULL, kind TEXT NOT NULL,
  time_ms INTEGER NOT NULL, value REAL, event_id TEXT, recommendation_id TEXT, position INTEGER,
  session TEXT, properties TEXT, sets INTEGER NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0
) STRICT;
-- Holds all that a history needs, so that the table is not looked at.
CREATE INDEX event_history ON event ("user", time_ms, seq, item, kind, value, withdrawn);
-- The same for what is popular; a viewer's events with an item are found by it, too.
CREATE INDEX event_item ON event (item, "user", time_ms, kind, withdrawn);
CREATE UNIQUE INDEX event_known ON event (event_id) WHERE event_id IS NOT NULL;
CREATE TABLE impression (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, "user" TEXT NOT NULL, items TEXT NOT NULL, time_ms INTEGER NOT NULL,
  recommendation_id TEXT, event_id TEXT
) STRICT;
CREATE INDEX impression_user ON impression ("user");
CREATE UNIQUE INDEX impression_known ON impression (event_id) WHERE event_id IS NOT NULL;
CREATE TABLE profile (
  id TEXT PRIMARY KEY, region TEXT, attributes TEXT NOT NULL, added_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE merged ("user" TEXT PRIMARY KEY, root TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX merged_root ON merged (root);
CREATE TABLE tombstone (
  hash TEXT PRIMARY KEY, time_ms INTEGER NOT NULL, anew INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE item (
  id TEXT PRIMARY KEY, record TEXT NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL
) STRICT;
CREATE INDEX item_version ON item (version);
CREATE TABLE note (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('items', 0), ('notes', 0);
"""


def prepare(path: Path) -> bytes:
    """Make the file where there is none, check it where there is one: the store's secret.

    Raises:
        InputError: the file cannot be a store; the sentence says why and what to do.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}: make it first.")
    if path.is_dir():
        raise InputError(
            f"{path} is a folder: a store is a file; name one in it, such as {path / 'store.db'}."
        )
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{path} cannot be written: a store takes in events; change its permissions.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path.parent} cannot be written: a store keeps two files beside its own there.")
    try:
        with turn_at(path), closing(connect(path)) as connection:
            return _secret(path, connection)
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be used as a store: {error}.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}.") from error


def connect(path: Path, *, reads_only: bool = False) -> sqlite3.Connection:
    """A connection whose commits are durable, to be used by one thread at a time."""
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    # Deleted rows are overwritten. A checkpoint is the writer's to begin, so that nobody waits for one.
    for pragma in ("synchronous = FULL", "secure_delete = ON", "wal_autocheckpoint = 0"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA cache_size = -16000")
    if reads_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def turn_at(path: Path) -> Iterator[None]:
    """Hold the lock that writers of all processes take turns at."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def open_lock(path: Path) -> int:
    """A descriptor of the file, beside the store's, that writers lock."""
    return os.open(path.with_name(path.name + "-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def check_file(path: Path) -> list[str]:
    """What is wrong with a store's file, by SQLite's own examination; empty: nothing."""
    try:
        with closing(connect(path, reads_only=True)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def _secret(path: Path, connection: sqlite3.Connection) -> bytes:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION:
        if tables or application or version:
            raise InputError(f"{path} is another program's database: name a file that does not exist yet.")
        _make(path, connection)
    elif version > VERSION:
        raise InputError(
            f"{path} was written by a newer matinee (format {version}, this one writes {VERSION}): "
            "update matinee."
        )
    (secret,) = connection.execute("SELECT value FROM note WHERE key = 'secret'").fetchone()
    return bytes.fromhex(secret)


def _make(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA}"  # noqa: S608 (made here)
        f"INSERT INTO note VALUES ('secret', '{secrets.token_hex(32)}');"
        f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    )
    # The file's name must outlive a power cut, too.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
