"""The peers: their programs, environments and settings, and what was tried before those were chosen.

Width 64, two layers everywhere. All networks learn by softmax over the whole catalogue, the loss that ranks
best here for its cost, unless a row says otherwise. Tries are fits of a few epochs at length 50 whose
validation lists were compared at equal CPU-seconds (`run.py --tries`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TRY_CPU_S = 90.0
TRY_LENGTH = 50


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A peer.

    Attributes:
        program: the module that fits it.
        environment: the environment that it runs in, named as its requirements.
        library: the package whose version names it.
        settings: what it is fitted with.
        tries: other settings that were tried; each differs from `settings` in what it names.
        epochs: epochs at most, unless asked otherwise.
        network: whether its scores are logits, so that its product with a closed form has a meaning.
    """

    program: str
    environment: str
    library: str
    settings: dict[str, Any]
    tries: tuple[dict[str, Any], ...] = field(default=())
    epochs: int = 200
    network: bool = True


_RECTOOLS = {"n_factors": 64, "n_blocks": 2, "n_heads": 2, "lr": 0.003, "batch_size": 16}
_SASREC = {**_RECTOOLS, "dropout_rate": 0.1}

PEERS = {
    "rectools-sasrec": Peer(
        program="rectools_sasrec",
        environment="rectools",
        library="rectools",
        settings={**_SASREC, "loss": "softmax"},
        tries=(
            {"lr": 0.001, "batch_size": 128, "dropout_rate": 0.2},
            {"lr": 0.001, "batch_size": 32, "dropout_rate": 0.2},
            {"batch_size": 32, "dropout_rate": 0.2},
            {"n_heads": 1, "batch_size": 8, "dropout_rate": 0.2},
        ),
    ),
    # LiGR blocks with the settings of the plain ones, not tuned apart.
    "rectools-ligr": Peer(
        program="rectools_sasrec",
        environment="rectools",
        library="rectools",
        settings={**_SASREC, "blocks": "ligr", "loss": "softmax"},
    ),
    "rectools-esasrec": Peer(
        program="rectools_sasrec",
        environment="rectools",
        library="rectools",
        settings={**_SASREC, "blocks": "ligr", "loss": "sampled_softmax", "n_negatives": 256},
    ),
    "rectools-flat": Peer(
        program="rectools_flat",
        environment="rectools",
        library="rectools",
        settings={**_RECTOOLS, "n_heads": 1, "dropout": 0.1, "spread": 0.02},
        tries=(
            {"n_heads": 2, "lr": 0.001, "batch_size": 32, "dropout": 0.2},
            {"n_heads": 2, "dropout": 0.2},
            {"batch_size": 32},
        ),
    ),
    "recbole-sasrec": Peer(
        program="recbole_sasrec",
        environment="recbole",
        library="recbole",
        settings={
            "hidden_size": 64,
            "inner_size": 256,
            "n_layers": 2,
            "n_heads": 2,
            "loss_type": "CE",
            "train_batch_size": 2048,
            "learning_rate": 0.001,
            "batches": 6,
        },
        epochs=1,
    ),
    "implicit-als": Peer(
        program="implicit_als",
        environment="implicit",
        library="implicit",
        settings={"factors": 64, "regularization": 0.01, "alpha": 1.0, "iterations": 15},
        tries=(
            {"alpha": 5.0},
            {"alpha": 5.0, "regularization": 10.0},
            {"regularization": 10.0},
            {"regularization": 100.0},
        ),
        epochs=1,
        network=False,
    ),
}
