"""Where a nightly table goes: a Parquet or CSV file, made of chunks that outlive a kill."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from matinee.core.errors import InputError

SCHEMA = pa.schema(
    [
        ("user", pa.large_string()),
        ("rank", pa.int32()),
        ("item", pa.large_string()),
        ("score", pa.float32()),
        ("source", pa.large_string()),
    ]
)


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

    def finish(self) -> None:
        """Put the complete table in its place."""


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

    def __enter__(self) -> FileTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        """Finished chunks stay for the next run."""

    @property
    def output(self) -> str:
        """The file's path."""
        return str(self._path)

    def begin(self, plan: Plan) -> tuple[Plan, frozenset[int]]:
        """Start, or go on where a run of the same plan was stopped."""
        note = self._parts / "plan.json"
        if note.is_file():
            earlier = _plan(note)
            if earlier is not None and earlier.key == plan.key:
                done = {int(part.stem) for part in self._parts.glob("*.part")}
                return earlier, frozenset(done)
        shutil.rmtree(self._parts, ignore_errors=True)
        self._parts.mkdir()
        _replace(note, lambda fresh: fresh.write_text(json.dumps(asdict(plan)), encoding="utf-8"))
        return plan, frozenset()

    def write(self, chunk: int, table: pa.Table) -> None:
        """Keep one chunk; it is there whole or not at all."""
        part = self._parts / f"{chunk:08}.part"
        if self._csv:
            options = pacsv.WriteOptions(include_header=False)
            _replace(part, lambda fresh: pacsv.write_csv(table.cast(SCHEMA), fresh, options))
        else:
            _replace(part, lambda fresh: pq.write_table(table.cast(SCHEMA), fresh, compression="zstd"))

    def finish(self) -> None:
        """Join the chunks in their order, a row group each."""
        _replace(self._path, self._join_csv if self._csv else self._join_parquet)
        shutil.rmtree(self._parts)

    def _chunks(self) -> list[Path]:
        return sorted(self._parts.glob("*.part"))

    def _join_parquet(self, fresh: Path) -> None:
        with pq.ParquetWriter(fresh, SCHEMA, compression="zstd") as writer:
            for part in self._chunks():
                writer.write_table(pq.ParquetFile(part).read())

    def _join_csv(self, fresh: Path) -> None:
        with fresh.open("wb") as file:
            pacsv.write_csv(SCHEMA.empty_table(), file)
            for part in self._chunks():
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
    except (ValueError, TypeError):
        return None


def _replace(path: Path, write: Any) -> None:
    """Write a file under another name, let it reach the disk, then give it its own."""
    fresh = path.with_name(f".{path.name}.new")
    write(fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
