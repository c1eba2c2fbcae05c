"""A made-up log as files: in bounded memory, and the same bytes for the same seed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from matinee.core.errors import InputError, TooLarge
from matinee.simulate.catalogue import item_table
from matinee.simulate.options import SimulationOptions
from matinee.simulate.tables import World, event_table, friend_table, viewer_table

ROWS_PER_GROUP = 1_000_000
Progress = Callable[[str, float], None]


def simulate(options: SimulationOptions, folder: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Write a made-up log and what stands beside it.

    `log.parquet` (viewer, item, time in milliseconds since 1970), viewer by viewer and each oldest first;
    `items.parquet` (id, title, genres, description, available_from, series, episode); `viewers.parquet` (id,
    region); `friends.parquet` (viewer, friend); `truth.json`: the best-possible figures and their origin.

    Args:
        options: sizes, dial, seed.
        folder: made where it is missing; files of these names are replaced.
        progress: told what is being done, and the share that is done.

    Returns:
        What `truth.json` holds.

    Raises:
        InputError: the folder cannot be written, or the disk is full; no file of these names is touched then.
    """
    with whole_files(folder) as fresh:
        return _written(options, fresh, progress)


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """A hidden folder to write files in, which get their place in `folder` when all of them are whole.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".", suffix=".new", dir=folder))
        try:
            yield fresh
            for file in sorted(fresh.iterdir()):
                file.replace(folder / file.name)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        family = TooLarge if error.errno in (errno.ENOSPC, errno.EDQUOT) else InputError
        why = os.strerror(error.errno) if error.errno else str(error).rstrip(".")
        raise family(f"{folder}: {why}. Nothing was kept: mend that, or name another folder.") from error


def _written(options: SimulationOptions, folder: Path, progress: Progress | None) -> dict[str, Any]:
    world = World(options, judged=True)
    pq.write_table(item_table(options, world.catalogue), folder / "items.parquet")
    done = 0
    with _Tables(folder) as tables:
        for block in world.blocks():
            tables.write("log", event_table(world, block))
            tables.write("viewers", viewer_table(world, block.viewers))
            tables.write("friends", friend_table(world, block.viewers))
            done += len(block.items)
            if progress is not None:
                progress("simulating", done / options.events)
    truth = world.truth()
    write_json(folder / "truth.json", truth)
    return truth


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain JSON values, readable and always in the same way."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class _Tables:
    """Parquet files that grow block by block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> _Tables:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for writer in self._writers.values():
            # On a full disk the last bytes fail like those before: the first failure is told.
            with suppress(*(() if kind is None else (OSError,))):
                writer.close()

    def write(self, name: str, table: pa.Table) -> None:
        if name not in self._writers:
            path = self._folder / f"{name}.parquet"
            self._writers[name] = pq.ParquetWriter(path, table.schema, compression="zstd")
        self._writers[name].write_table(table, row_group_size=ROWS_PER_GROUP)
