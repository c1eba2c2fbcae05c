"""RecTools' SASRecModel, with its own blocks or with those of LiGR: `python -m peers.rectools_sasrec FOLDER`.

Settings: `blocks` is "sasrec" or "ligr"; all others are arguments of RecTools' `SASRecModel`. eSASRec
(Tikhonovich et al., RecSys 2025) is LiGR blocks with the loss "sampled_softmax".
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers.ligr import LiGRLayers

from peers.exchange import Job, Record, Rows, open_job, threads

warnings.filterwarnings("ignore")
_WIDE = 256


class AfterEpoch(Callback):
    """Keeps what the network answers after every epoch, and stops it when its CPU-seconds are spent."""

    def __init__(self, record: Record, job: Job, model: SASRecModel) -> None:
        self.record, self.job, self.model = record, job, model
        self.events = job.train.predicted(job.length)

    def __deepcopy__(self, memo: dict[int, Any]) -> AfterEpoch:
        """RecTools copies the trainer that it is given; this must go on counting in one place."""
        return self

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Called by Lightning."""
        with self.record.uncounted():
            users, items, codes = answers(pl_module.torch_model, self.model, self.job)
        self.record.keep(users, items, codes, self.events)
        trainer.should_stop = trainer.should_stop or self.record.enough


def answers(
    network: Any, model: SASRecModel, job: Job
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32], NDArray[np.int64]]:
    """Vectors of those who ask and of the items, by the network's own code, without dropout."""
    codes = np.asarray(model.data_preparator.get_known_item_ids(), dtype=np.int64)
    number = np.zeros(job.n_items, dtype=np.int64)
    number[codes] = model.data_preparator.get_known_items_sorted_internal_ids()
    training = network.training
    network.eval()
    with torch.no_grad():
        items = network.item_model.get_all_embeddings()
        users = {name: _users(network, items, rows, number, job) for name, rows in job.asked.items()}
        known = network.similarity_module.item_tower_forward(items)[torch.from_numpy(number[codes])]
    network.train(training)
    return users, known.float().numpy(), codes


def _users(
    network: Any, items: torch.Tensor, rows: Rows, number: NDArray[np.int64], job: Job
) -> NDArray[np.float32]:
    table = torch.from_numpy(rows.padded(job.length, number))
    found = []
    for part in table.split(_WIDE):
        last = network.encode_sessions({"x": part}, items)[:, -1, :]
        found.append(network.similarity_module.session_tower_forward(last).float())
    return np.asarray(torch.cat(found).numpy())


def frame_of(rows: Rows) -> pd.DataFrame:
    """The events as RecTools wants them; its times only tell their order."""
    return pd.DataFrame(
        {
            Columns.User: rows.owners(),
            Columns.Item: rows.items.astype(np.int64),
            Columns.Weight: 1.0,
            Columns.Datetime: pd.to_datetime(rows.positions(), unit="s"),
        }
    )


def main(folder: Path) -> None:
    job = open_job(folder)
    torch.set_num_threads(threads())
    seed_everything(job.seed, verbose=False)
    settings = dict(job.settings)
    if settings.pop("blocks", "sasrec") == "ligr":
        settings["transformer_layers_type"] = LiGRLayers
    record = Record(job)
    model = SASRecModel(session_max_len=job.length, recommend_torch_device="cpu", **settings)
    # The documented way to a trainer of one's own.
    model._trainer = Trainer(
        max_epochs=job.epochs,
        callbacks=[AfterEpoch(record, job, model)],
        precision="bf16-mixed" if job.bf16 else "32-true",
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    model.fit(Dataset.construct(frame_of(job.train)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
