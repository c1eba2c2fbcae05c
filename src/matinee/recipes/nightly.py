"""Where a nightly table goes: a Parquet or CSV file, made of chunks that outlive a kill."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from matinee.core.errors import InputError, TooLarge

SCHEMA = pa.schema(
    [
        ("user", pa.large_string()),
        ("rank", pa.int32()),
        ("item", pa.large_string()),
        ("score", pa.float32()),
        ("source", pa.large_string()),
    ]
)


# In the hidden folder: what its chunks are of, and the file that a run holds locked.
_NOTE, _LOCK = "plan.json", "lock"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one table is made from.

    Attributes:
        key: equal for two runs that must end with the same table, the moment apart.
        now_ms: the moment that availability is reckoned at; a run that goes on keeps the first one's.
    """

    key: str
    now_ms: int


class Sink(Protocol):
    """Takes the chunks of a table in any number of runs, and shows the table when it is complete."""

    @property
    def output(self) -> str:
        """Where the table will be, in words that hold no password."""

    def begin(self, plan: Plan) -> tuple[Plan, frozenset[int]]:
        """Start, or go on: the plan in force, and which chunks an earlier run finished."""

    def write(self, chunk: int, table: pa.Table) -> None:
        """Keep one chunk for good."""

    def finish(self, chunks: int) -> None:
        """Put the table in its place, once it is seen to have its chunks 0 to `chunks` - 1 and no others."""


class FileTable:
    """A Parquet or CSV file; its chunks wait in a hidden folder beside it until all are there.

    Args:
        output: the file's path; its ending says which.
    """

    def __init__(self, output: str) -> None:
        self._path = Path(output)
        self._csv = self._path.suffix.lower() == ".csv"
        if not self._csv and self._path.suffix.lower() not in (".parquet", ".pq"):
            raise InputError(
                f"-o {output}: expected a file that ends in .parquet or .csv, or a postgresql:// address."
            )
        folder = self._path.absolute().parent
        if self._path.is_dir() or not _writable(folder):
            raise InputError(f"-o {output}: no file can be written there; name another path.")
        self._parts = folder / f".{self._path.name}.parts"
        self._lock: int | None = None
        self._key = ""

    def __enter__(self) -> FileTable:
        """Keep every other run away from this output until this one ends.

        Raises:
            InputError: another run is writing it.
        """
        with self._told():
            while self._lock is None:
                self._lock = self._locked()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        """Finished chunks stay for the next run; a folder without any goes."""
        if self._lock is None:
            return
        if not (self._parts / _NOTE).exists():
            (self._parts / _LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # the next run may be at its own lock already
                self._parts.rmdir()
        os.close(self._lock)
        self._lock = None

    def _locked(self) -> int | None:
        """The lock's open file, or None where an ending run took the lock's file away meanwhile."""
        self._parts.mkdir(exist_ok=True)
        path = self._parts / _LOCK
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        except BlockingIOError as error:
            os.close(lock)
            raise InputError(
                f"-o {self._path}: another run is writing it: wait for that one, or name another path."
            ) from error
        except OSError:
            os.close(lock)
            raise
        os.close(lock)
        return None

    @property
    def output(self) -> str:
        """The file's path."""
        return str(self._path)

    def begin(self, plan: Plan) -> tuple[Plan, frozenset[int]]:
        """Start, or go on where a run of the same plan was stopped."""
        self._key = plan.key
        earlier = _plan(self._parts / _NOTE)
        if earlier is not None and earlier.key == plan.key:
            return earlier, frozenset(self._chunks())
        with self._told():
            # The note goes first: without it no chunk is taken for one of the new plan's.
            for path in (self._parts / _NOTE, *self._chunks().values()):
                path.unlink(missing_ok=True)
            words = json.dumps(asdict(plan))
            _replace(self._parts / _NOTE, lambda fresh: fresh.write_text(words, encoding="utf-8"))
        return plan, frozenset()

    def write(self, chunk: int, table: pa.Table) -> None:
        """Keep one chunk; it is there whole or not at all.

        Raises:
            InputError: the disk is full, or refuses for another reason.
        """
        part = self._parts / f"{chunk:08}.part"
        with self._told():
            if self._csv:
                options = pacsv.WriteOptions(include_header=False)
                _replace(part, lambda fresh: pacsv.write_csv(table.cast(SCHEMA), fresh, options))
            else:
                _replace(part, lambda fresh: pq.write_table(table.cast(SCHEMA), fresh, compression="zstd"))

    def finish(self, chunks: int) -> None:
        """Join the chunks in their order, a row group each.

        Raises:
            InputError: chunks are missing or are another run's; or the disk is full.
        """
        plan = _plan(self._parts / _NOTE)
        if plan is None or plan.key != self._key or list(self._chunks()) != list(range(chunks)):
            raise InputError(
                f"-o {self._path}: its unfinished part in {self._parts} was changed by something else: "
                "delete that folder and run again."
            )
        with self._told():
            _replace(self._path, self._join_csv if self._csv else self._join_parquet)
            # As in begin: a kill in here must leave no note that promises chunks that are gone.
            (self._parts / _NOTE).unlink()
            for part in self._chunks().values():
                part.unlink()

    def _chunks(self) -> dict[int, Path]:
        """The finished chunks by their numbers, in order."""
        return {int(part.stem): part for part in sorted(self._parts.glob("*.part"))}

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What a disk refuses, as one sentence that says what is kept."""
        try:
            yield
        except OSError as error:
            family = TooLarge if error.errno in (errno.ENOSPC, errno.EDQUOT) else InputError
            why = os.strerror(error.errno) if error.errno else str(error).rstrip(".")
            raise family(
                f"-o {self._path}: {why}. What is finished is kept in {self._parts}: mend that, and the "
                "same command goes on from there."
            ) from error

    def _join_parquet(self, fresh: Path) -> None:
        with pq.ParquetWriter(fresh, SCHEMA, compression="zstd") as writer:
            for part in self._chunks().values():
                writer.write_table(pq.ParquetFile(part).read())

    def _join_csv(self, fresh: Path) -> None:
        with fresh.open("wb") as file:
            pacsv.write_csv(SCHEMA.empty_table(), file)
            for part in self._chunks().values():
                with part.open("rb") as chunk:
                    shutil.copyfileobj(chunk, file)


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _plan(note: Path) -> Plan | None:
    try:
        return Plan(**json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name, let it reach the disk, then give it its own."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        write(fresh)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with suppress(OSError):  # half a file would keep a full disk full
            fresh.unlink()
        raise
