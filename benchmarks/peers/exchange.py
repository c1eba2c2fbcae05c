"""What passes between this project and a peer's program: plain files, read and written with numpy alone.

A job is a folder with `job.json`, which says what to fit and where the events lie. The program of the peer
adds to it `epoch-NNN.npz` (what it answers after an epoch) and one line of `progress.jsonl` (what that took).
This file is loaded by this project and in the environment of every peer.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LISTED = 20
ASKED = ("valid", "test")
_BATCH = 512


@dataclass(frozen=True)
class Rows:
    """Histories of item codes, oldest first: row r is `items[offsets[r]:offsets[r + 1]]`."""

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def owners(self) -> NDArray[np.int64]:
        """The row of each event."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def positions(self) -> NDArray[np.int64]:
        """The place of each event in its row, from 0."""
        return np.arange(len(self.items)) - np.repeat(self.offsets[:-1], np.diff(self.offsets))

    def predicted(self, length: int) -> int:
        """Events that have one before them, of the last `length` + 1 of each row."""
        lengths: NDArray[np.int64] = np.diff(self.offsets)
        return int(np.clip(lengths - 1, 0, length).sum())

    def padded(self, length: int, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """The last `length` known items of each row, at its right end, 0 before them.

        Args:
            length: width of the result.
            number: the peer's number of each item code, 0 where it does not know the item.
        """
        table = np.zeros((len(self), length), dtype=np.int64)
        for row in range(len(self)):
            codes = number[self.items[self.offsets[row] : self.offsets[row + 1]]]
            codes = codes[codes > 0][-length:]
            if len(codes):
                table[row, -len(codes) :] = codes
        return table


@dataclass(frozen=True)
class Job:
    """What a peer's program is asked to do.

    Attributes:
        folder: where its results go.
        settings: what the peer calls its settings.
        length: events of a history that it looks at.
        epochs: most epochs.
        most_cpu_s: no epoch begins after so many CPU-seconds of fit.
        seed: seed of whatever it draws.
        bf16: whether it may reckon in bfloat16.
        n_items: size of the catalogue.
        train: what is learnt from.
        asked: "valid" and "test" -> the histories of those who ask.
    """

    folder: Path
    settings: Mapping[str, Any]
    length: int
    epochs: int
    most_cpu_s: float
    seed: int
    bf16: bool
    n_items: int
    train: Rows
    asked: Mapping[str, Rows]


def open_job(folder: Path) -> Job:
    """Read a job and the events that it names."""
    told = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    with np.load(told["data"], allow_pickle=False) as data:
        rows = {name: Rows(data[f"{name}_items"], data[f"{name}_offsets"]) for name in ("train", *ASKED)}
        n_items = int(data["n_items"])
    return Job(
        folder=folder,
        settings=told["settings"],
        length=told["length"],
        epochs=told["epochs"],
        most_cpu_s=told["most_cpu_s"],
        seed=told["seed"],
        bf16=told["bf16"],
        n_items=n_items,
        train=rows["train"],
        asked={name: rows[name] for name in ASKED},
    )


class Record:
    """Counts the CPU-seconds of a fit from here on, and keeps what the peer answers after each epoch.

    What is done while it keeps something is not counted.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._aside = cpu_s()
        self._last = 0.0
        self._epochs = 0
        (job.folder / "progress.jsonl").write_text("", encoding="utf-8")

    @property
    def spent(self) -> float:
        """CPU-seconds of the fit, user and system, children included."""
        return cpu_s() - self._aside

    @property
    def enough(self) -> bool:
        """Whether the job's CPU-seconds are spent."""
        return self.spent >= self._job.most_cpu_s

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """What is done inside costs the fit nothing."""
        begin = cpu_s()
        yield
        self._aside += cpu_s() - begin

    def keep(
        self,
        users: Mapping[str, NDArray[np.float32]],
        items: NDArray[np.float32],
        codes: NDArray[np.int64],
        events: int,
    ) -> None:
        """Write what is answered now: lists, and the vectors whose products rank them.

        Args:
            users: "valid" and "test" -> float32, shape (askers, width).
            items: float32, shape (known items, width).
            codes: the item code of each row of `items`.
            events: events predicted since the last time.
        """
        spent, peak = self.spent, peak_rss_mb()
        with self.uncounted():
            self._epochs += 1
            kept: dict[str, NDArray[Any]] = {"items": items, "codes": codes}
            for name in ASKED:
                kept[f"{name}_users"] = users[name]
                kept[f"{name}_lists"] = top_lists(
                    users[name], items, codes, self._job.asked[name], self._job.n_items
                )
            draft = self._job.folder / "draft.npz"
            np.savez(draft, allow_pickle=False, **kept)
            draft.replace(self._job.folder / f"epoch-{self._epochs:03d}.npz")
            self.note(
                {
                    "epoch": self._epochs,
                    "cpu_s": spent,
                    "epoch_cpu_s": spent - self._last,
                    "events": events,
                    "peak_rss_mb": peak,
                    # Two busy threads of one core slow each other, which CPU-seconds show.
                    "load": os.getloadavg()[0],
                }
            )
            self._last = spent

    def note(self, line: Mapping[str, Any]) -> None:
        """Add a line to `progress.jsonl`."""
        with (self._job.folder / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def scores_of(
    users: NDArray[np.float32], items: NDArray[np.float32], codes: NDArray[np.int64], n_items: int
) -> NDArray[np.float32]:
    """Products of vectors as scores of the whole catalogue; what the peer does not know comes last."""
    products = users @ items.T
    table = np.full((len(users), n_items), products.min() - 1.0, dtype=np.float32)
    table[:, codes] = products
    return table


def top_lists(
    users: NDArray[np.float32],
    items: NDArray[np.float32],
    codes: NDArray[np.int64],
    histories: Rows,
    n_items: int,
    k: int = LISTED,
) -> NDArray[np.int32]:
    """The k best items of each asker, those of the history left out: int32, shape (askers, k)."""
    found = np.empty((len(users), k), dtype=np.int32)
    for begin in range(0, len(users), _BATCH):
        end = min(begin + _BATCH, len(users))
        table = scores_of(users[begin:end], items, codes, n_items)
        events = slice(histories.offsets[begin], histories.offsets[end])
        lengths = np.diff(histories.offsets[begin : end + 1])
        table[np.repeat(np.arange(end - begin), lengths), histories.items[events]] = -np.inf
        best = np.argpartition(-table, k, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(table, best, axis=1), axis=1, kind="stable")
        found[begin:end] = np.take_along_axis(best, order, axis=1)
    return found


def cpu_s() -> float:
    """CPU-seconds of this process and of its finished children, user and system."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_rss_mb() -> float:
    """Peak resident memory of this process, in MB of 2**20 bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def threads() -> int:
    """How many threads a peer may reckon on."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))
