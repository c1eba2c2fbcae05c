"""Checkpoints: one folder each, written whole or not at all, in the background, read only if unharmed.

```
FOLDER/FINGERPRINT/000007/state.safetensors   every tensor of a `Snapshot`
FOLDER/FINGERPRINT/000007/state.json          its numbers, and the digest of the tensors' file
```

A fingerprint stands for plan, network and data: a fit finds its own checkpoints and never another's, so fits
may share a folder. The newest two are kept; one that is torn or altered is passed over for the one before.
No pickle: nothing in a checkpoint is ever run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from matinee.answers.tensors import read_tensors, write_tensors
from matinee.core.errors import InputError, TooLarge
from matinee.core.memory import size_words
from matinee.train.plan import Plan
from matinee.train.state import Snapshot

_TENSORS = "state.safetensors"
_FACTS = "state.json"
_DRAFT = "draft"
_KEPT = 2


def fingerprint(plan: Plan, network: nn.Module, key: str) -> str:
    """What a checkpoint must agree with: plan, shapes of the network, and the caller's key of the data."""
    shapes = {name: [list(t.shape), str(t.dtype)] for name, t in network.state_dict().items()}
    text = json.dumps([asdict(plan), shapes, key], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_checkpoint(folder: Path, taken: Snapshot) -> Path:
    """Write a snapshot as the newest checkpoint of a folder; until it is whole, the one before is the newest.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft, final = folder / _DRAFT, folder / f"{_newest_number(folder) + 1:06d}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        write_tensors(draft / _TENSORS, {name: tensor.numpy() for name, tensor in taken.tensors.items()})
        text = json.dumps({"digest": _digest(draft / _TENSORS), "facts": taken.facts}, allow_nan=False)
        (draft / _FACTS).write_text(text, encoding="utf-8")
        for path in (draft / _TENSORS, draft / _FACTS, draft):
            _to_disk(path)
        draft.replace(final)
        _to_disk(folder)
        for old in _numbered(folder)[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"No checkpoint could be written to {folder}: {error}. Free the disk or give another folder."
        ) from error
    return final


def read_checkpoint(path: Path) -> Snapshot:
    """Read one checkpoint.

    Raises:
        InputError: it is torn, altered or no checkpoint.
    """
    try:
        told: dict[str, Any] = json.loads((path / _FACTS).read_text(encoding="utf-8"))
        if told["digest"] != _digest(path / _TENSORS):
            raise ValueError("its tensors are not those that were written")
        tensors = read_tensors(path / _TENSORS).items()
        # Copies: the file may be gone before they are put to use.
        copies = {name: torch.from_numpy(np.array(array)) for name, array in tensors}
        return Snapshot(tensors=copies, facts=told["facts"])
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        raise InputError(f"Checkpoint {path} is torn or altered: {error}.") from error


def newest_checkpoint(folder: Path) -> tuple[Snapshot | None, tuple[str, ...]]:
    """The newest unharmed checkpoint of a folder, and a sentence for each that was passed over."""
    notes: list[str] = []
    for path in reversed(_numbered(folder)):
        try:
            return read_checkpoint(path), tuple(notes)
        except InputError as error:
            notes.append(f"{error} The one before it is taken.")
    if notes:
        notes.append(f"No checkpoint in {folder} is whole: training starts anew.")
    return None, tuple(notes)


def require_disk(folder: Path, bytes_: int) -> None:
    """Refuse a folder whose disk will not hold the checkpoints.

    Args:
        folder: where they will go; it need not exist yet.
        bytes_: size of one.

    Raises:
        TooLarge: names what is needed and what there is.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    needed = (_KEPT + 1) * bytes_
    if needed > free:
        raise TooLarge(
            f"Checkpoints need {size_words(needed)} of disk, {size_words(free)} are free at {folder}: "
            "give another folder, or none."
        )


class Checkpoints:
    """The checkpoints of one run: written in the background, one at a time.

    Args:
        folder: where those of this fingerprint lie; None: nothing is kept.
        every_s: wall seconds from one to the next.
    """

    def __init__(self, folder: Path | None, every_s: float) -> None:
        self.folder = folder
        self._every_s = every_s
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._flight: Future[Path] | None = None
        self._next = time.monotonic() + every_s

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *raised: object) -> None:
        self._writer.shutdown(wait=True)

    def save_if_due(self, take: Callable[[], Snapshot]) -> None:
        """Start writing one where it is time and the last one is written.

        Raises:
            InputError: the last one could not be written.
        """
        if self.folder is None or time.monotonic() < self._next:
            return
        if self._flight is not None and not self._flight.done():
            return
        self._landed()
        self._flight = self._writer.submit(write_checkpoint, self.folder, take())
        self._next = time.monotonic() + self._every_s

    def save(self, take: Callable[[], Snapshot]) -> None:
        """Write one now, after the one that is under way; nothing is copied before that is done.

        Raises:
            InputError: one of them could not be written.
        """
        if self.folder is not None:
            self._landed()
            write_checkpoint(self.folder, take())

    def _landed(self) -> None:
        """Wait for the checkpoint that is under way; its error is raised here."""
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.result()


def _numbered(folder: Path) -> list[Path]:
    """Checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdigit())


def _newest_number(folder: Path) -> int:
    there = _numbered(folder)
    return int(there[-1].name) if there else 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
