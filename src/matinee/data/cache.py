"""Indexed logs on disk: plain .npy files that are mapped, not read, and ids as Arrow files.

An entry's name is the log's fingerprint, so a changed log finds no old index. An entry is written into a
folder of its own and renamed when complete; each file's checksum stands in `index.json`, and an entry that is
off in any way is built again.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.core.types import Histories, Ragged
from matinee.data.facts import ReadReport, report_from_json
from matinee.data.index import Indexed
from matinee.data.vocabulary import Vocabulary

VERSION = 1
FOLDER = ".matinee"
VARIABLE = "MATINEE_CACHE"
_KEPT = 8
_COLUMNS = ("items", "times", "kinds", "values", "weights", "targets")
_BLOCK = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What an entry holds: a log without what stands beside it."""

    viewers: Vocabulary
    items: Vocabulary
    kinds: tuple[str, ...]
    indexed: Indexed
    notes: tuple[str, ...]
    report: ReadReport


def cache_folder(first: Path) -> Path | None:
    """Where indexes are kept: `$MATINEE_CACHE`, else beside the first file, else the user's cache folder.

    None where none of them can be written.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _made(Path(named))
    beside = first.resolve().parent
    if _writable(beside) and (folder := _made(beside / FOLDER)) is not None:
        return folder
    home = os.environ.get("XDG_CACHE_HOME")
    return _made((Path(home) if home else Path.home() / ".cache") / "matinee")


def _writable(folder: Path) -> bool:
    """Whether people may write there; a folder without any right to write is respected by root too."""
    rights = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    return bool(folder.stat().st_mode & rights) and os.access(folder, os.W_OK | os.X_OK)


def _made(folder: Path) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def entry_path(folder: Path, fingerprint: str, *, skip_bad: bool) -> Path:
    """The folder of one log's index; with bad rows left out it is another one."""
    return folder / f"{fingerprint[:40]}-v{VERSION}{'-skip-bad' if skip_bad else ''}"


@dataclass(kw_only=True)
class Draft:
    """An entry in the making.

    Attributes:
        path: the folder it is written in.
        whole: whether everything found room so far.
    """

    path: Path
    whole: bool = True
    _open: dict[str, NDArray[Any]] = field(default_factory=dict)

    def allocate(self, name: str, dtype: Any, size: int) -> NDArray[Any]:
        """Room for an array in a file of the entry; in memory where the disk has none left."""
        file = self.path / f"{name}.npy"
        try:
            if size:
                array: NDArray[Any] = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=(size,))
                with file.open("r+b") as opened:  # room now, instead of a crash when a page finds none
                    os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
            else:
                array = np.zeros(0, dtype)
                np.save(file, array, allow_pickle=False)
        except OSError:
            self.whole = False
            return np.empty(size, dtype)
        self._open[name] = array
        return array

    def discard(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.path, ignore_errors=True)


def new_draft(folder: Path) -> Draft | None:
    """A new entry in this folder, or None where it cannot be written."""
    try:
        return Draft(path=Path(tempfile.mkdtemp(prefix="draft-", dir=folder)))
    except OSError:
        return None


def commit(draft: Draft, entry: Entry, path: Path) -> bool:
    """Complete a draft and give it its name.

    Returns:
        Whether the entry is there now; the disk may have been full.
    """
    try:
        _write_rest(draft, entry)
        if path.exists():
            shutil.rmtree(path)
        draft.path.rename(path)
    except OSError:
        draft.discard()
        return path.is_dir()
    _prune(path.parent)
    return True


def _write_rest(draft: Draft, entry: Entry) -> None:
    """Ids, negatives and `index.json`, which names the checksum of every other file."""
    for name, ids in (("viewers", entry.viewers), ("item_ids", entry.items)):
        table = pa.table({"id": ids.arrow})
        with (
            pa.OSFile(str(draft.path / f"{name}.arrow"), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as file,
        ):
            file.write_table(table)
    indexed = entry.indexed
    if indexed.negatives is not None:
        np.save(draft.path / "negative_items.npy", indexed.negatives.values, allow_pickle=False)
        np.save(draft.path / "negative_offsets.npy", indexed.negatives.offsets, allow_pickle=False)
        if indexed.negative_times is not None:
            np.save(draft.path / "negative_times.npy", indexed.negative_times, allow_pickle=False)
    facts = {
        "version": VERSION,
        "kinds": list(entry.kinds),
        "order": indexed.order,
        "duplicates": indexed.duplicates,
        "tied": indexed.tied,
        "notes": list(entry.notes),
        "report": entry.report.to_json(),
        "files": {file.name: _checksum(file) for file in sorted(draft.path.iterdir())},
    }
    (draft.path / "index.json").write_text(json.dumps(facts), encoding="utf-8")


def _checksum(file: Path) -> list[int]:
    """Size and CRC-32 of a file."""
    crc = size = 0
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            crc, size = zlib.crc32(block, crc), size + len(block)
    return [size, crc]


def _prune(folder: Path) -> None:
    """Keep the newest entries and forget drafts that nobody finished within a day."""
    with suppress(OSError):
        entries = sorted(
            (one for one in folder.iterdir() if one.is_dir() and (one / "index.json").is_file()),
            key=lambda one: one.stat().st_mtime,
        )
        for one in entries[:-_KEPT]:
            shutil.rmtree(one, ignore_errors=True)
        newest = entries[-1].stat().st_mtime
        for one in folder.glob("draft-*"):
            if one.stat().st_mtime < newest - 86_400:
                shutil.rmtree(one, ignore_errors=True)


def load(path: Path, *, verify: bool = True) -> Entry | None:
    """The entry, mapped; None where there is none.

    Args:
        path: the entry's folder.
        verify: compare every file with its checksum; needless just after it was written.

    Raises:
        ValueError: the entry is damaged.
    """
    if not path.is_dir():
        return None
    try:
        facts = json.loads((path / "index.json").read_text(encoding="utf-8"))
        for name, expected in facts["files"].items():
            if verify and _checksum(path / name) != expected:
                raise ValueError(f"{name} is not as it was written")
        return _entry(path, facts)
    except (OSError, KeyError, TypeError, pa.ArrowInvalid) as error:
        raise ValueError(str(error)) from error


def _entry(path: Path, facts: Mapping[str, Any]) -> Entry:
    def array(name: str) -> Any:
        file = path / f"{name}.npy"
        if not file.exists():
            return None
        empty = facts["files"][file.name][0] <= 128  # a header alone: nothing can be mapped
        return np.asarray(np.load(file, mmap_mode=None if empty else "r", allow_pickle=False))

    offsets = array("negative_offsets")
    histories = Histories(offsets=array("offsets"), **{name: array(name) for name in _COLUMNS})
    return Entry(
        viewers=_ids(path / "viewers.arrow"),
        items=_ids(path / "item_ids.arrow"),
        kinds=tuple(facts["kinds"]),
        indexed=Indexed(
            histories=histories,
            negatives=None if offsets is None else Ragged(values=array("negative_items"), offsets=offsets),
            negative_times=array("negative_times"),
            duplicates=facts["duplicates"],
            tied=facts["tied"],
            order=facts["order"],
        ),
        notes=tuple(facts["notes"]),
        report=report_from_json(facts["report"]),
    )


def _ids(file: Path) -> Vocabulary:
    with pa.memory_map(str(file)) as source:
        return Vocabulary(pa.ipc.open_file(source).read_all().column("id").combine_chunks())
