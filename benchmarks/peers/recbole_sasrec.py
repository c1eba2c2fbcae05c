"""What RecBole's SASRec costs: `python -m peers.recbole_sasrec FOLDER`.

RecBole makes every prefix of a history a sample of its own, so an epoch costs as many forward passes as there
are events. This program only times batches after a few to warm up; an epoch's cost is extrapolated from them
by the number of batches that RecBole itself gives, and `progress.jsonl` says so.
Settings: `batches`, how many are timed; all others are RecBole's.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

# RecBole 1.2.1 saves and loads what newer torch reads only when told so.
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, init_seed

from peers.exchange import Job, Record, open_job, peak_rss_mb, threads

_NAME = "handed"
_WARM = 2


def write_atomic(job: Job, folder: Path) -> None:
    """RecBole's file of events: those learnt from, the validation event, and a stand-in for the test event.

    Its own leave-one-out takes the last two of each viewer away again before it trains.
    """
    place = folder / _NAME
    place.mkdir()
    rows = job.asked["test"]
    lengths = np.diff(rows.offsets)
    users = np.concatenate([rows.owners(), np.arange(len(rows))])
    items = np.concatenate([rows.items, rows.items[rows.offsets[:-1]]])
    times = np.concatenate([rows.positions(), lengths])
    with (place / f"{_NAME}.inter").open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        file.writelines(f"{u}\t{i}\t{t}\n" for u, i, t in zip(users, items, times, strict=True))


def config_of(job: Job, folder: Path, settings: dict[str, Any]) -> Config:
    told = {
        "data_path": str(folder),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "MAX_ITEM_LIST_LENGTH": job.length,
        "train_neg_sample_args": None,
        "seed": job.seed,
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
        **settings,
    }
    arguments, sys.argv = sys.argv, sys.argv[:1]  # RecBole reads the command line of whoever loads it.
    config = Config(model="SASRec", dataset=_NAME, config_dict=told)
    sys.argv = arguments
    return config


def main(folder: Path) -> None:
    job = open_job(folder)
    torch.set_num_threads(threads())
    settings = dict(job.settings)
    asked = settings.pop("batches")
    with tempfile.TemporaryDirectory() as scratch:
        write_atomic(job, Path(scratch))
        record = Record(job)
        config = config_of(job, Path(scratch), settings)
        init_seed(config["seed"], config["reproducibility"])
        logging.disable(logging.INFO)
        dataset = create_dataset(config)
        train, _, _ = data_preparation(config, dataset)
        network = get_model(config["model"])(config, train.dataset)
        prepared = record.spent
        timed, events = time_batches(network, train, config["learning_rate"], asked, record)
    samples = len(train.dataset)
    record.note(
        {
            "extrapolated": True,
            "prepared_cpu_s": prepared,
            "batches_timed": asked,
            "batches_of_an_epoch": len(train),
            "events_timed": events,
            "batches_cpu_s": timed,
            "events": samples,
            "epoch_cpu_s": timed / events * samples,
            "peak_rss_mb": peak_rss_mb(),
        }
    )


def time_batches(network: Any, train: Any, lr: float, asked: int, record: Record) -> tuple[float, int]:
    """CPU-seconds of so many training batches, and the events that they predict."""
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    network.train()
    begin, events = 0.0, 0
    for number, batch in enumerate(train):
        if number == _WARM:
            begin, events = record.spent, 0
        if number == _WARM + asked:
            break
        optimizer.zero_grad()
        network.calculate_loss(batch).backward()
        optimizer.step()
        events += len(batch)
    return record.spent - begin, events


if __name__ == "__main__":
    main(Path(sys.argv[1]))
