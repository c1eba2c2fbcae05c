"""Which bundles on disk still hold what a viewer did: what a receipt of a deletion tells."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matinee.answers.manifest import is_bundle

_VIEWERS = "viewers.parquet"


def bundles_with(names: Collection[str], folders: Iterable[Path]) -> list[str]:
    """Names of the bundles that know a viewer, read from their tables of viewers.

    A bundle that was written without histories names nobody and is not among them, though its weights were
    learnt from everybody of its day.

    Args:
        names: the ids under which the viewer may be known there.
        folders: bundles, or folders of bundles.
    """
    return sorted(folder.resolve().name for folder in _bundles(folders) if _knows(folder, names))


def _bundles(folders: Iterable[Path]) -> Iterable[Path]:
    for folder in folders:
        if is_bundle(folder):
            yield folder
        elif folder.is_dir():
            yield from (one for one in folder.iterdir() if not one.name.startswith(".") and is_bundle(one))


def _knows(folder: Path, names: Collection[str]) -> bool:
    try:
        file = pq.ParquetFile(folder / _VIEWERS)
        wanted = pa.array(sorted(names), pa.large_string())
        for batch in file.iter_batches(columns=["id"]):
            ids = batch.column(0)
            if pc.any(pc.is_in(ids, wanted.cast(ids.type))).as_py():
                return True
    except (OSError, pa.ArrowException):
        # Without histories there is no such file; a damaged bundle is nobody's to use.
        return False
    return False
