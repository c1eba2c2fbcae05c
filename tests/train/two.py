"""What two processes train in `test_processes`: `python two.py FOLDER`, once for each process, or by import.

Every story is trained one after the other, so that torch is loaded once a process. The first process writes
what came of each.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tests.train.small import N_ITEMS, NextItem
from torch import Tensor
from torch.nn import functional

from matinee.core.errors import MatineeError, Stopped
from matinee.core.processes import ALONE, Processes, processes_here
from matinee.core.run import Run
from matinee.core.types import Histories
from matinee.networks.item_content import Described, ItemContent
from matinee.networks.losses import sampled_loss, softmax_loss
from matinee.networks.sequential import SequentialNetwork
from matinee.train.batches import Share
from matinee.train.beside import Beside
from matinee.train.loop import Trained, train
from matinee.train.plan import Plan
from matinee.train.sequences import Reading, next_events, other_halves

PLAN = Plan(passes=3, warmup=3, rate=0.02, seed=3, average=0.8, clip=0.5)
# After so many steps a story that is stopped is stopped.
STOP_AFTER = 9
# Whether a group of processes can be left depends on what its threads are doing then: it is left often.
LEFT = 15


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Some rows of a batch; some of them have nothing to foretell."""

    items: Tensor
    after: Tensor
    wanted: Tensor
    share: Share | None = None


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A pass of batches that processes share; its sizes leave some process with fewer, or with none."""

    epoch: int
    processes: Processes

    def __len__(self) -> int:
        return len(SIZES)

    def __iter__(self) -> Iterator[Rows | None]:
        random = torch.Generator().manual_seed(self.epoch)
        for size in SIZES:
            if not size:
                yield None
                continue
            items = torch.randint(N_ITEMS, (size,), generator=random)
            wanted = torch.rand(size, generator=random) < 0.7
            wanted[0] = True
            whole = Rows(items=items, after=(5 * items + 3) % N_ITEMS, wanted=wanted)
            yield whole if self.processes.size == 1 else _part(whole, self.processes)


SIZES = (32, 31, 1, 0, 7, 2, 30)


def _part(whole: Rows, processes: Processes) -> Rows:
    owners = torch.nonzero(whole.wanted).squeeze(1).numpy()
    share = Share.of(len(whole.items), owners, None, processes)
    rows = share.rows
    return Rows(items=whole.items[rows], after=whole.after[rows], wanted=whole.wanted[rows], share=share)


def rows_loss(network: NextItem, batch: Rows | None) -> tuple[Tensor, int] | None:
    if batch is None:
        return None
    logits, n = network(batch.items)[batch.wanted], int(batch.wanted.sum())
    losses = functional.cross_entropy(logits, batch.after[batch.wanted], reduction="sum")
    return losses / max(n, 1), n


def share_right(network: NextItem) -> float:
    items = torch.arange(N_ITEMS)
    return float((network(items).argmax(1) == (5 * items + 3) % N_ITEMS).float().mean())


def rows_story(run: Run, plan: Plan = PLAN) -> Trained:
    """Dropout, an average, a clip, a validation that stops it, batches of one row and of none."""
    return train(
        NextItem(), rows_loss, lambda epoch: Cut(epoch=epoch, processes=run.processes), plan, run, share_right
    )


def stopped_story(run: Run) -> None:
    """The same, stopped by the second process, or by the only one, after some steps."""
    asked = iter(range(10**6))
    asker = run.processes.rank == run.processes.size - 1
    try:
        rows_story(replace(run, should_stop=lambda: asker and next(asked) >= STOP_AFTER))
    except Stopped:
        return
    raise AssertionError("it was not stopped")


def events(*, weighted: bool) -> Histories:
    random = np.random.default_rng(1)
    lengths = random.integers(0, 14, 40)
    n = int(lengths.sum())
    return Histories(
        items=random.integers(0, 30, n).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        times=np.sort(random.integers(0, 10**9, n)).astype(np.int64),
        weights=random.random(n).astype(np.float32) if weighted else None,
        targets=random.random(n) < 0.6 if weighted else None,
    )


READINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights, times, opening": {"times": True, "opening": True, "weighted": True},
    "last, drawn": {"last": 3, "drawn": 5},
    "sets": {"ordered": False},
    "kinds, regions, content without vectors": {"beside": True},
}


def beside() -> Beside:
    random = np.random.default_rng(2)
    n = len(events(weighted=False).items)
    return Beside(
        codes={"kind": random.integers(0, 3, n).astype(np.int8)}, regions=random.integers(-1, 2, 40)
    )


def described() -> ItemContent:
    """Two words of each of the 30 items, and no numbers."""
    words = torch.randint(6, (60,), generator=torch.Generator().manual_seed(1))
    offsets, shares = torch.arange(0, 61, 2), torch.full((60,), 0.5)
    known = Described(
        features=words, offsets=offsets, shares=shares, vectors=torch.zeros(30, 0), n_features=6
    )
    return ItemContent(known, 8, 2.0, 0.5)


def histories_story(run: Run, name: str) -> Trained:
    """The network of the default recommender, on passes of its own."""
    told = {"times": False, "opening": False, "weighted": False, "last": 0, "drawn": 0, "ordered": True}
    told |= {"beside": False} | READINGS[name]
    drawn = int(told["drawn"])
    torch.manual_seed(0)
    network = SequentialNetwork(
        30,
        width=8,
        layers=1,
        hidden=16,
        gated=True,
        positions="steps",
        times=bool(told["times"]),
        longest=10,
        ordered=bool(told["ordered"]),
        opening=bool(told["opening"]),
        content=described() if told["beside"] else None,
        id_dropout=0.1,
        told={"kind": 3} if told["beside"] else None,
        regions=2 if told["beside"] else 0,
    )
    reading = Reading(
        longest=10,
        batch_events=48,
        times=bool(told["times"]),
        last=int(told["last"]),
        opening=bool(told["opening"]),
        beside=beside() if told["beside"] else None,
        processes=run.processes,
    )
    passes = (next_events if told["ordered"] else other_halves)(
        events(weighted=bool(told["weighted"])), reading, 0
    )

    def loss_of(network: SequentialNetwork, batch: Any) -> tuple[Tensor, int] | None:
        if batch is None:
            return None
        table = network.table()
        vectors = batch.vectors(network, table)
        if drawn:
            others = torch.randint(30, (drawn,))
            loss = sampled_loss(vectors, table, batch.targets, others, weights=batch.weights)
        else:
            loss = softmax_loss(vectors, table, batch.targets, weights=batch.weights)
        return loss, len(batch.targets)

    return train(network, loss_of, passes, replace(PLAN, passes=2), run)


def write(folder: Path, name: str, trained: Trained) -> None:
    curve = [[point.loss, point.validation, point.predictions] for point in trained.curve]
    facts = {"curve": curve, "early": trained.stopped_early, "validation": trained.validation}
    (folder / f"{name}.json").write_text(json.dumps(facts))
    save_file(trained.best, folder / f"{name}.safetensors")


def tell_all(folder: Path, processes: Processes = ALONE) -> None:
    """Every story, written to a folder by the first process."""
    run = Run(device="cpu", precision="float32", processes=processes)
    stories = {"rows": rows_story(run), "early": rows_story(run, replace(PLAN, passes=12, patience=2))}
    stories |= {name: histories_story(run, name) for name in READINGS}
    for _ in range(LEFT if processes.size > 1 else 0):
        rows_story(run, replace(PLAN, passes=1))
    stopped_story(replace(run, checkpoints=folder / "checkpoints"))
    if (folder / "theirs").exists() or not processes.first:
        stories["gone on"] = rows_story(replace(run, checkpoints=folder / "theirs"))
    if processes.first:
        for name, trained in stories.items():
            write(folder, name, trained)


def lose_one(processes: Processes) -> None:
    """The second process dies in the middle of a pass; the first one says so."""
    batches = iter(range(10**6))

    def dying(network: NextItem, batch: Rows | None) -> tuple[Tensor, int] | None:
        if not processes.first and next(batches) == STOP_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows_loss(network, batch)

    run = Run(device="cpu", precision="float32", processes=processes)
    try:
        train(NextItem(), dying, lambda epoch: Cut(epoch=epoch, processes=processes), PLAN, run)
    except MatineeError as error:
        print(error)


if __name__ == "__main__":
    torch.set_num_threads(1)
    here = processes_here()
    tell_all(Path(sys.argv[1]), here)
    lose_one(here)
