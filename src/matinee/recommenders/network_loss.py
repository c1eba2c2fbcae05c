"""What a network of a recommender loses on a batch: events foretold, and what was turned down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from matinee.networks.drawn_loss import Drawn, drawn_loss
from matinee.networks.losses import sampled_loss, softmax_loss, turned_down_loss
from matinee.networks.sequential import SequentialNetwork
from matinee.recommenders.network_settings import SequentialConfig, drawn_negatives, learnt_by_rows
from matinee.train.columns import Batch

Loss = Callable[[SequentialNetwork, Batch | None], tuple[Tensor, int] | None]


def batch_loss(config: SequentialConfig, n_items: int, some: Tensor | None, *, by_rows: bool) -> Loss:
    """The mean loss of a batch, and of how many predictions it is the mean; None where there is none.

    Args:
        config: with what the log decides filled in.
        n_items: size of the catalogue.
        some: int64: ascending codes of the items that targets are told from; None: all.
        by_rows: whether a large catalogue's step is told from the rows of its own items.
    """
    n = n_items if some is None else len(some)
    told = _told_by_rows if by_rows and learnt_by_rows(config, n) else _told_by_all

    def loss_of(network: SequentialNetwork, batch: Batch | None) -> tuple[Tensor, int] | None:
        if batch is None:
            return None
        return told(network, batch, config, n, some), len(batch.targets)

    return loss_of


def _told_by_all(
    network: SequentialNetwork, batch: Batch, config: SequentialConfig, n: int, some: Tensor | None
) -> Tensor:
    """The loss from a table of all items; the last ones as `batch_loss` has them."""
    whole = table = network.table()
    outputs, targets = batch.outputs(network, whole), batch.targets
    more: dict[str, Any] = {
        "weights": batch.weights,
        "temperature": config.temperature,
        "smoothing": config.smoothing,
    }
    if some is not None:
        table, targets = whole[some], torch.searchsorted(some, targets)
    vectors, drawn = outputs[batch.rows], drawn_negatives(config, n)
    if drawn:
        others = torch.randint(n, (drawn,), device=vectors.device)
        loss = sampled_loss(vectors, table, targets, others, **more)
    else:
        loss = softmax_loss(vectors, table, targets, **more)
    if batch.noes is None:
        return loss
    places, items = batch.noes
    counted = float(len(targets))
    if batch.share is not None:
        # Weighted by its share, as the rest is, it comes to the same sum for any number of processes.
        counted = batch.share.predictions * batch.share.weight
    turned = turned_down_loss(outputs[places], whole[items], table, config.temperature)
    return loss + config.noes / max(counted, 1e-9) * turned


def _told_by_rows(
    network: SequentialNetwork, batch: Batch, config: SequentialConfig, n: int, some: Tensor | None
) -> Tensor:
    """The loss from a table of the items alone that the batch reads, foretells or is told from."""
    read = batch.histories.items
    others = torch.randint(n, (drawn_negatives(config, n),), device=read.device)
    others = others if some is None else some[others]
    asked = torch.cat([read.flatten(), batch.targets, others])
    rows, places = torch.unique(asked, return_inverse=True)
    own, targets, drawn = places.split([read.numel(), len(batch.targets), len(others)])
    table = network.table(rows)
    narrow = replace(batch, histories=replace(batch.histories, items=own.view_as(read)))
    told = Drawn(items=drawn, of=n, temperature=config.temperature, smoothing=config.smoothing)
    return drawn_loss(narrow.vectors(network, table), table, targets, told, batch.weights)
