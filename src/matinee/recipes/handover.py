"""What a comparison hands to the processes that fit: plain arrays on disk, mapped by all, copied by none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.core.types import Bool, Histories, Int64, Ragged
from matinee.data.homes import only_of
from matinee.data.log import InteractionLog
from matinee.data.queries import Queries
from matinee.data.split import Split
from matinee.data.vocabulary import Vocabulary

_COLUMNS = ("items", "offsets", "times", "kinds", "values", "weights", "targets")
_RAGGED = ("values", "offsets", "weights")
# Smaller arrays are read at once: a map costs more than it saves.
_MAPPED_BYTES = 2**20

QUERIES = ("validation", "test", "newcomers")


@dataclass(frozen=True, kw_only=True)
class Handover:
    """The folder that `write_handover` filled, as a fitting process reads it."""

    folder: Path
    facts: dict[str, Any]

    def log(self, name: str) -> InteractionLog:
        """The log to fit on: "train", "train_and_validation" or "everything".

        With "@" and a number behind it, such as "train@2": what the viewers of that home did, alone.
        """
        facts, (name, _, home) = self.facts, name.partition("@")
        log = InteractionLog(
            viewers=Vocabulary(_read_table(self.folder / "viewers.arrow").column("id").combine_chunks()),
            items=Vocabulary(_read_table(self.folder / "items.arrow").column("id").combine_chunks()),
            histories=_read_histories(self.folder / facts["logs"][name]),
            item_table=_read_table(self.folder / "item_table.arrow"),
            viewer_table=_read_table(self.folder / "viewer_table.arrow") if facts["viewer_table"] else None,
            negatives=_read_ragged(self.folder / f"negatives-{name}"),
            negative_times=_read_told(self.folder / f"negative_times-{name}.npy"),
            friends=_read_ragged(self.folder / "friends"),
            vectors=_read(self.folder / "vectors.npy") if facts["vectors"] else None,
            kinds=tuple(facts["kinds"]),
            order=facts["order"],
            repeats=facts["repeats"],
            target=facts["target"],
            fingerprint=facts["fingerprint"],
        )
        return only_of(log, self._homes == int(home)) if home else log

    def queries(self, name: str) -> Queries:
        """The queries of "validation", "test" or "newcomers"; of "test@2", those of that home's viewers."""
        name, _, home = name.partition("@")
        place, facts = self.folder / name, self.facts
        targets = _read_ragged(place / "targets")
        if targets is None:
            raise FileNotFoundError(place)
        queries = Queries(
            source=_read_histories(self.folder / facts["sources"][name]),
            viewers=_read(place / "viewers.npy"),
            ends=_read(place / "ends.npy"),
            targets=targets,
            negatives=_read_ragged(place / "negatives"),
            n_items=facts["n_items"],
            repeats=facts["repeats"],
            values=_read_told(place / "values.npy"),
            times=_read_told(place / "times.npy"),
        )
        return queries.take(queries_of_home(queries, self._homes, int(home))) if home else queries

    @property
    def _homes(self) -> Int64:
        return _read(self.folder / "homes.npy")


def queries_of_home(queries: Queries, homes: Int64, home: int) -> Bool:
    """Which queries are asked by viewers of one home: bool, shape (queries,).

    Args:
        queries: the queries.
        homes: int64, shape (viewers,): the home of each.
        home: which.
    """
    known = (queries.viewers >= 0) & (queries.viewers < len(homes))
    return np.asarray(known & (homes[np.where(known, queries.viewers, 0)] == home), dtype=np.bool_)


def write_handover(
    folder: Path,
    split: Split,
    *,
    both: bool,
    whole: bool = False,
    homes: Int64 | None = None,
    asked: Mapping[str, Queries] | None = None,
) -> None:
    """Write everything that fitting processes need of a split.

    Args:
        folder: an empty folder.
        split: the split.
        both: whether some fit is on training and validation together.
        whole: whether some fit is on everything, the test included.
        homes: int64, shape (viewers,): the home of each viewer, where some fits are of one home's alone.
        asked: the queries that are handed over, by name; None: all of the split.
    """
    log, written = split.log, _Histories(folder)
    parts = {"train": split.train}
    if both:
        parts["train_and_validation"] = split.train_and_validation
    if whole:
        parts["everything"] = log
    logs = {name: written.place(part.histories) for name, part in parts.items()}
    _write(folder / "homes.npy", homes)
    _write_table(folder / "viewers.arrow", pa.table({"id": log.viewers.arrow}))
    _write_table(folder / "items.arrow", pa.table({"id": log.items.arrow}))
    _write_table(folder / "item_table.arrow", log.item_table)
    if log.viewer_table is not None:
        _write_table(folder / "viewer_table.arrow", log.viewer_table)
    for name, part in parts.items():
        _write_ragged(folder / f"negatives-{name}", part.negatives)
        _write(folder / f"negative_times-{name}.npy", part.negative_times)
    _write_ragged(folder / "friends", log.friends)
    if log.vectors is not None:
        np.save(folder / "vectors.npy", log.vectors, allow_pickle=False)
    sources = {}
    for name, queries in (asked or {name: getattr(split, name) for name in QUERIES}).items():
        sources[name] = written.place(queries.source)
        (folder / name).mkdir()
        np.save(folder / name / "viewers.npy", queries.viewers, allow_pickle=False)
        np.save(folder / name / "ends.npy", queries.ends, allow_pickle=False)
        _write_ragged(folder / name / "targets", queries.targets)
        _write(folder / name / "values.npy", queries.values)
        _write(folder / name / "times.npy", queries.times)
        _write_ragged(folder / name / "negatives", queries.negatives)
    facts = {
        "logs": logs,
        "sources": sources,
        "n_items": log.n_items,
        "viewer_table": log.viewer_table is not None,
        "vectors": log.vectors is not None,
        "kinds": list(log.kinds),
        "order": log.order,
        "repeats": log.repeats,
        "target": log.target,
        "fingerprint": log.fingerprint,
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def open_handover(folder: Path) -> Handover:
    """Open what `write_handover` wrote."""
    return Handover(folder=folder, facts=json.loads((folder / "facts.json").read_text(encoding="utf-8")))


class _Histories:
    """Writes each histories once, however many logs and queries point into them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: list[tuple[Histories, str]] = []

    def place(self, histories: Histories) -> str:
        for known, name in self._known:
            if known is histories:
                return name
        name = f"histories-{len(self._known)}"
        self._known.append((histories, name))
        (self._folder / name).mkdir()
        for column in _COLUMNS:
            _write(self._folder / name / f"{column}.npy", getattr(histories, column))
        return name


def _read_histories(place: Path) -> Histories:
    columns = {c: _read(place / f"{c}.npy") for c in _COLUMNS if (place / f"{c}.npy").exists()}
    return Histories(**columns)


def _write_ragged(place: Path, ragged: Ragged | None) -> None:
    if ragged is None:
        return
    place.mkdir()
    for column in _RAGGED:
        _write(place / f"{column}.npy", getattr(ragged, column))


def _read_ragged(place: Path) -> Ragged | None:
    if not place.is_dir():
        return None
    return Ragged(**{c: _read(place / f"{c}.npy") for c in _RAGGED if (place / f"{c}.npy").exists()})


def _write(path: Path, array: NDArray[Any] | None) -> None:
    if array is not None:
        np.save(path, array, allow_pickle=False)


def _read_told(path: Path) -> NDArray[Any] | None:
    return _read(path) if path.exists() else None


def _read(path: Path) -> NDArray[Any]:
    mapped = path.stat().st_size > _MAPPED_BYTES
    array: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    # A plain array over the map: faster to index than a memmap object, and as little in memory.
    return np.asarray(array)


def _write_table(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _read_table(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
