"""A log's fingerprint: SHA-256 of its bytes and of what its events were taken to mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from matinee.data.events import Events
from matinee.data.options import LogOptions
from matinee.data.vocabulary import Vocabulary

_BLOCK = 1 << 20
_IDS = 1 << 16


def fingerprint_files(files: Sequence[Path], options: LogOptions) -> str:
    """The fingerprint (hex) of a log that lies in files: of their bytes in this order, not of their names."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.stat().st_size.to_bytes(8, "little"))
        _add_file(digest, file)
    _add_meaning(digest, options)
    return digest.hexdigest()


def fingerprint_events(events: Events, options: LogOptions) -> str:
    """The fingerprint (hex) of a log that came as a table: of its ids and columns."""
    digest = hashlib.sha256()
    for vocabulary in (events.viewers, events.items):
        _add_ids(digest, vocabulary)
    digest.update("\0".join(events.kinds).encode())
    for name in ("viewer", "item", "time", "position", "kind", "value"):
        column = getattr(events, name)
        digest.update(name.encode())
        if column is not None:
            digest.update(np.ascontiguousarray(column).data)
    _add_meaning(digest, options)
    return digest.hexdigest()


def fingerprint_ids(vocabulary: Vocabulary) -> str:
    """SHA-256 (hex) of ids in the order of their codes."""
    digest = hashlib.sha256()
    _add_ids(digest, vocabulary)
    return digest.hexdigest()


def _add_ids(digest: Any, vocabulary: Vocabulary) -> None:
    lengths = np.asarray(pc.binary_length(vocabulary.arrow)).astype(np.int64)
    digest.update(lengths.data)
    for start in range(0, len(lengths), _IDS):
        digest.update("".join(vocabulary.arrow.slice(start, _IDS).to_pylist()).encode())


def _add_file(digest: Any, file: Path) -> None:
    with file.open("rb", buffering=0) as stream:
        block = bytearray(_BLOCK)
        view = memoryview(block)
        while size := stream.readinto(block):
            digest.update(view[:size])


def _add_meaning(digest: Any, options: LogOptions) -> None:
    """What changes the events: not whether bad rows may be left out, nor what stands beside the log."""
    meaning = {
        "columns": dict(sorted(options.columns.items())),
        "target": options.target,
        "weight": dict(sorted(options.weight.items())),
        "positive": options.positive,
        "negative": list(options.negative),
        "repeats": options.repeats,
        "session_gap": options.session_gap,
    }
    digest.update(json.dumps(meaning, sort_keys=True).encode())
    if options.aliases is not None and Path(options.aliases).is_file():
        _add_file(digest, Path(options.aliases))
