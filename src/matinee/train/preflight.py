"""What a long run would otherwise find out at its end: that it cannot save, or that it cannot be judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from matinee.core.errors import InputError
from matinee.train.checkpoint import read_checkpoint, require_disk, write_checkpoint
from matinee.train.state import Snapshot


def preflight(folder: Path | None, take: Callable[[], Snapshot], answer: Callable[[], object]) -> None:
    """Save, load, answer, before the first step.

    Args:
        folder: where checkpoints will go; None: none are kept.
        take: copies the run at its start.
        answer: validates the untrained network.

    Raises:
        TooLarge: the disk is too small for the checkpoints.
        InputError: the folder cannot be written to, or gives back something else.
    """
    if folder is not None:
        taken = take()
        require_disk(folder, _size_with_moments(taken))
        back = read_checkpoint(write_checkpoint(folder, taken))
        names = back.tensors.keys() ^ taken.tensors.keys()
        if names or any(
            not torch.equal(back.tensors[name], tensor) for name, tensor in taken.tensors.items()
        ):
            raise InputError(f"A checkpoint read from {folder} is not what was written: give another folder.")
        del taken, back
    answer()


def _size_with_moments(taken: Snapshot) -> int:
    """Bytes of a later checkpoint: two moments and the best weights come to what there is at the start."""
    network = sum(t.nbytes for name, t in taken.tensors.items() if name.startswith("network/"))
    return sum(t.nbytes for t in taken.tensors.values()) + 3 * network
