"""The events that every peer gets: MovieLens-1M, the last event of each viewer left out, as plain files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Histories
from matinee.data.log import InteractionLog
from matinee.data.queries import Queries
from matinee.data.read import read_log
from matinee.data.split import split_log
from peers.exchange import ASKED
from place import data_folder

LOG = "ml-1m/interactions.csv.gz"


@dataclass(frozen=True)
class Handed:
    """What is handed over, and what the answers are judged by.

    Attributes:
        path: the file that peers read.
        train: what is learnt from: all but the last two events of each viewer.
        queries: "valid" (history: train) and "test" (history: train and the validation event).
    """

    path: Path
    train: InteractionLog
    queries: dict[str, Queries]


def hand_over(folder: Path) -> Handed:
    """Write the events into a folder."""
    split = split_log(read_log(str(data_folder() / LOG)), "leave-one-out")
    queries = dict(zip(ASKED, (split.validation, split.test), strict=True))
    arrays: dict[str, NDArray[Any]] = {"n_items": np.array(split.log.n_items)}
    rows = {"train": split.train.histories}
    for name, asked in queries.items():
        rows[name] = asked.askers(np.arange(len(asked))).histories
    for name, histories in rows.items():
        arrays |= _plain(name, histories)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.npz"
    np.savez(path, allow_pickle=False, **arrays)
    return Handed(path=path, train=split.train, queries=queries)


def _plain(name: str, histories: Histories) -> dict[str, NDArray[Any]]:
    return {f"{name}_items": histories.items, f"{name}_offsets": histories.offsets}
