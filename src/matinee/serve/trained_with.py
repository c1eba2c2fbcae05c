"""Which bundles on disk still hold what a viewer did: what a receipt of a deletion tells."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matinee.answers.manifest import is_bundle
from matinee.serve.id_key import IdKey

_VIEWERS = "viewers.parquet"


def bundles_with(users: Collection[str], folders: Iterable[Path], key: IdKey | None = None) -> list[str]:
    """Names of the bundles that know any of some viewers, read from their tables of viewers.

    A bundle that was written without histories names nobody and is not among them, though its weights were
    learnt from everybody of its day.

    Args:
        users: their ids.
        folders: bundles, or folders of bundles.
        key: what makes hashes of ids; where it is given, ids here and there may be hashes or not.
    """
    names, blind = set(users), None
    if key is not None:
        hashed = {key.hashed(one) for one in users}
        names |= hashed
        # Whose raw id nobody said is found in a bundle of raw ids only by hashing all of them.
        blind = key if hashed - {key.hashed(one) for one in users if key.hashed(one) != one} else None
    return sorted(folder.resolve().name for folder in _bundles(folders) if _knows(folder, names, blind))


def _bundles(folders: Iterable[Path]) -> Iterable[Path]:
    for folder in folders:
        if is_bundle(folder):
            yield folder
        elif folder.is_dir():
            yield from (one for one in folder.iterdir() if not one.name.startswith(".") and is_bundle(one))


def _knows(folder: Path, names: Collection[str], key: IdKey | None) -> bool:
    try:
        file = pq.ParquetFile(folder / _VIEWERS)
        wanted = pa.array(sorted(names), pa.large_string())
        for batch in file.iter_batches(columns=["id"]):
            ids = batch.column(0)
            if pc.any(pc.is_in(ids, wanted.cast(ids.type))).as_py():
                return True
            if key is not None and any(key.hashed(one) in names for one in ids.to_pylist()):
                return True
    except (OSError, pa.ArrowException):
        # Without histories there is no such file; a damaged bundle is nobody's to use.
        return False
    return False
