"""Which of several processes this is: what `torchrun` tells each one that it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from matinee.core.errors import SettingsError

# Where the processes meet stands in MASTER_ADDR and MASTER_PORT; torch itself reads those.
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """One of the processes that train a network together.

    Attributes:
        rank: its number, from 0; the first one reads, validates and writes.
        size: how many there are.
        local_rank: its number among those of its machine.
        local_size: how many run on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that speaks, validates and writes."""
        return self.rank == 0


ALONE = Processes()


def processes_here(environment: Mapping[str, str] = os.environ) -> Processes:
    """What the environment says; alone where it says nothing of several.

    Raises:
        SettingsError: it says what cannot be.
    """
    if environment.get("WORLD_SIZE", "1") == "1":
        return ALONE
    usual = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    words = {name: environment.get(name, usual.get(name, "")) for name in _NAMES}
    try:
        rank, size, local_rank, local_size = (int(word) for word in words.values())
    except ValueError:
        rank, size, local_rank, local_size = -1, 0, -1, 0
    reachable = "MASTER_ADDR" in environment
    if not (reachable and 0 <= rank < size and 0 <= local_rank < local_size <= size):
        said = ", ".join(f"{name}={word}" for name, word in words.items())
        lacking = "which this is" if reachable else "where they meet: MASTER_ADDR is not set"
        raise SettingsError(
            f"The environment tells of several processes, but not {lacking} ({said}): start them with "
            "torchrun, or take WORLD_SIZE out of the environment."
        )
    port = environment.get("MASTER_PORT", "29500")
    if not port.isdigit():
        raise SettingsError(f"MASTER_PORT is the number of a port, found {port!r}: start with torchrun.")
    return Processes(rank=rank, size=size, local_rank=local_rank, local_size=local_size)
