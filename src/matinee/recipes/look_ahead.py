"""What a fit refuses before any work: no place for the bundle, too small a disk, too little memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matinee.answers.bundle import refuse_foreign
from matinee.core.errors import InputError, TooLarge
from matinee.core.memory import require, size_words
from matinee.data.log import InteractionLog
from matinee.recommenders import make_recommender

# A bundle's weights are at most this; what the sums of a fit add is as predicted for its memory.
_WEIGHTS_BYTES = 2**30
_EVENT_BYTES = 16


def check_folder(folder: Path) -> None:
    """Refuse, before any work, a place where no bundle could be written after it.

    Raises:
        InputError: something else is there, or the folder above cannot be written.
    """
    refuse_foreign(folder)
    above = next(one for one in folder.absolute().parents if one.exists())
    try:
        # Rights alone do not tell: the disk may be mounted to be read only.
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: {above} cannot be written ({error.strerror}); name another folder for the bundle."
        ) from error


def check_disk(folder: Path, log: InteractionLog) -> None:
    """Refuse a disk that is too small for the bundle.

    Raises:
        TooLarge: names what the bundle would take and what there is.
    """
    above = next(one for one in folder.absolute().parents if one.exists())
    free = shutil.disk_usage(above).free
    dense = 4 * log.n_items * log.n_items
    needed = _EVENT_BYTES * len(log) + log.item_table.nbytes + min(dense, _WEIGHTS_BYTES)
    if needed > free:
        raise TooLarge(
            f"{folder}: the bundle would take about {size_words(needed)}, {above} has {size_words(free)} "
            "free."
        )


def check_memory(name: str, settings: Mapping[str, Any], log: InteractionLog) -> None:
    """Refuse a fit that would not fit into memory.

    Raises:
        TooLarge: names what is needed and what there is.
    """
    needed = make_recommender(name, settings).needs(log).memory_bytes
    require(needed, f"fitting {name}", "take another recommender, or a machine with more")
