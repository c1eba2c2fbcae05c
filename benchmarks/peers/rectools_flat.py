"""RecTools' `fast_transformers`: `python -m peers.rectools_flat FOLDER`.

RecTools 0.19 gives the network (FlatSASRecNet), the sequences (build_sequences) and a data set of batches;
the loop is the reader's to write. This one is the shortest: Adam and cross-entropy over the whole catalogue.
Settings: `n_factors`, `n_blocks`, `n_heads`, `dropout` of the network; `lr`, `batch_size`; `spread`, the
standard deviation that item vectors start with (torch's own: 1).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rectools.fast_transformers import FlatSASRecNet, SequenceBatchDataset, build_sequences
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from peers.exchange import Job, Record, Rows, open_job, threads

_WIDE = 256


def made(settings: dict[str, Any], n_items: int, length: int) -> Any:
    """The network, its item vectors started with the spread that is asked for."""
    spread = settings.pop("spread")
    network = FlatSASRecNet(n_items=n_items, session_max_len=length, **settings)
    with torch.no_grad():
        network.item_emb.weight.mul_(spread)
        network.pos_emb.weight.mul_(spread)
    return network


def one_epoch(network: Any, optimizer: torch.optim.Optimizer, batches: Any, bf16: bool) -> None:
    network.train()
    for batch in batches:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = network(batch)
            # Its classes are the items from 1 on: what is padded becomes -1 and is left out.
            loss = cross_entropy(logits.flatten(0, 1), batch["y"].flatten() - 1, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def users_of(network: Any, rows: Rows, number: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    """The vector of each asker, without dropout."""
    network.eval()
    table = torch.from_numpy(rows.padded(length, number))
    with torch.no_grad():
        return np.asarray(torch.cat([network.encode_last(part) for part in table.split(_WIDE)]).numpy())


def fit(job: Job) -> None:
    settings = dict(job.settings)
    lr, batch_size = settings.pop("lr"), settings.pop("batch_size")
    record = Record(job)
    train = [torch.from_numpy(a) for a in (job.train.owners(), job.train.items, job.train.positions())]
    x, y, known, _ = build_sequences(train[0], train[1].long(), train[2], max_len=job.length)
    network = made(settings, len(known), job.length)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    batches = DataLoader(SequenceBatchDataset(x, y), batch_size=batch_size, shuffle=True)
    codes = known.numpy()
    number = np.zeros(job.n_items, dtype=np.int64)
    number[codes] = np.arange(1, len(codes) + 1)
    for _ in range(job.epochs):
        one_epoch(network, optimizer, batches, job.bf16)
        with record.uncounted():
            users = {name: users_of(network, rows, number, job.length) for name, rows in job.asked.items()}
            items = network.all_item_embeddings().detach().numpy()
        record.keep(users, items, codes, job.train.predicted(job.length))
        if record.enough:
            return


if __name__ == "__main__":
    torch.set_num_threads(threads())
    asked = open_job(Path(sys.argv[1]))
    torch.manual_seed(asked.seed)
    fit(asked)
