"""The part of `sequential` that needs torch: build the network, train it, hand its arrays over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matinee.answers.model import context_of
from matinee.answers.network import NetworkScorer
from matinee.core.promise import Log, Part
from matinee.core.run import Run
from matinee.core.seeds import generator
from matinee.core.settings import config_values
from matinee.core.words import counted
from matinee.networks.drawn_loss import Drawn, drawn_loss
from matinee.networks.item_content import Described, ItemContent
from matinee.networks.losses import sampled_loss, softmax_loss
from matinee.networks.sequential import SequentialNetwork
from matinee.recommenders.held_out import HeldOut, without
from matinee.recommenders.network_content import Known, known_of
from matinee.recommenders.network_cost import network_size
from matinee.recommenders.network_settings import (
    SequentialConfig,
    drawn_negatives,
    learnt_by_rows,
    resolved,
    settings_of,
)
from matinee.recommenders.start_vectors import start_vectors
from matinee.train.device import Place, find_place, require_on, return_large_memory, threads_for
from matinee.train.loop import train
from matinee.train.plan import Plan
from matinee.train.sequences import Batch, Reading, next_events, other_halves

# Steps in which the rate rises: a tenth of all where there are few.
_WARMUP = 100
# Fewer held-out events say nothing of when to stop: every pass is made then.
_FEWEST = 20
# Share of the features of items that a step goes without, so that no few words stand for one item.
_WORD_DROPOUT = 0.5


def fit_network(config: SequentialConfig, log: Log, held: HeldOut, seed: int, run: Run) -> Part:
    """Train on all but what is held out; the part that answers."""
    taught = without(log, held)
    config = resolved(config, log)
    settings = settings_of(config, log)
    place = find_place(run.device, run.precision)
    require_on(place, replace(network_size(config, log, half=place.half), by_rows=False))
    known = known_of(taught, config.content or 0.0)
    network = content_network(config, log, known, seed=seed, place=place)
    _start(network, _start_of(config, taught, seed), known)
    reading = Reading(
        longest=config.longest,
        batch_events=config.batch_events or 1,
        times=config.times,
        last=config.last,
        opening=config.opening and log.ordered,
        device=str(place.device),
    )
    passes = (next_events if log.ordered else other_halves)(taught.histories, reading, seed)
    context = context_of(taught)
    return_large_memory()

    def judge(judged: SequentialNetwork) -> float:
        arrays = _arrays(judged.state_dict())
        tensors = arrays if known is None else known.folded(arrays)
        scorer = NetworkScorer(Part(kind="network", settings=settings, tensors=tensors), context)
        return held.ndcg(scorer.score, log.n_items)

    with threads_for(reading.batch_events):
        trained = train(
            network,
            _loss_of(config, log.n_items, _taught_items(known, place), place),
            passes,
            _plan(config, seed, len(passes(0))),
            run,
            # Where nobody can be asked, all passes would seem alike, and the first one the best.
            judge if len(held) >= _FEWEST else None,
            key=_key(config, taught, held, known),
        )
    facts: dict[str, Any] = {"passes_made": len(trained.curve), "stopped_early": trained.stopped_early}
    if trained.validation is not None:
        facts["validation"] = ["ndcg@10", trained.validation]
    facts |= _note(settings, len(held))
    tensors = _arrays(trained.best)
    if known is not None:
        tensors, told = known.kept(tensors, seed)
        facts |= told
    return Part(kind="network", settings=settings | facts, tensors=tensors)


def _note(settings: Mapping[str, Any], held: int) -> dict[str, str]:
    """What a fit says of itself, with what too few held-out events mean; empty where it says nothing."""
    words = [str(settings["note"])] if "note" in settings else []
    if not held:
        words.append("Too few events to hold any back: all passes are made.")
    elif held < _FEWEST:
        words.append(
            f"{counted(held, 'event')} held back: too few to tell when to stop, all passes are made."
        )
    return {"note": " ".join(words)} if words else {}


def network_of(
    config: SequentialConfig, n_items: int, *, ordered: bool, seed: int, content: ItemContent | None = None
) -> SequentialNetwork:
    """The network of some settings, its weights drawn by the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SequentialNetwork(
            n_items,
            width=config.width,
            layers=config.layers,
            heads=len(config.decays),
            hidden=config.hidden * config.width,
            gated=config.gated,
            positions=config.positions,
            decays=config.decays,
            times=config.times,
            longest=config.longest,
            ordered=ordered,
            dropout=config.dropout or 0.0,
            item_dropout=config.item_dropout or 0.0,
            opening=config.opening,
            content=content,
            id_dropout=config.id_dropout,
        )


def content_network(
    config: SequentialConfig, log: Log, known: Known | None, *, seed: int, place: Place | None = None
) -> SequentialNetwork:
    """The network of some settings with what is known of a log's items; on the CPU unless a place is given.

    Args:
        config: with what the log decides filled in.
        log: its size and order.
        known: of its items; None: nothing.
        seed: draws the weights.
        place: where it will be trained.
    """
    device = torch.device("cpu") if place is None else place.device
    made = None
    if known is not None:
        told = _described(known, device)
        made = ItemContent(told, config.width, config.content or 0.0, _WORD_DROPOUT)
    return network_of(config, log.n_items, ordered=log.ordered, seed=seed, content=made)


def _described(known: Known, device: torch.device) -> Described:
    """What is known of the items, where the network is."""
    shares = known.content.shares

    def tensor(array: np.ndarray[Any, Any], kind: torch.dtype) -> Tensor:
        return torch.from_numpy(array).to(device, kind)

    return Described(
        features=tensor(shares.indices, torch.int64),
        offsets=tensor(shares.indptr, torch.int64),
        shares=tensor(shares.data, torch.float32),
        vectors=tensor(known.content.vectors, torch.float32),
        n_features=shares.shape[1],
    )


@torch.no_grad()
def _start(network: SequentialNetwork, vectors: np.ndarray[Any, Any], known: Known | None) -> None:
    """Put item vectors, and what content says of them, where they start from."""
    if known is not None and network.content is not None:
        state, vectors = known.start(vectors)
        network.content.words.copy_(torch.from_numpy(state["content.words"]))
        network.content.directions.copy_(torch.from_numpy(state["content.directions"]))
    network.items.copy_(torch.from_numpy(vectors))


def _taught_items(known: Known | None, place: Place) -> Tensor | None:
    """Codes of the items that answers are told apart from in training; None: all of them.

    With content, an item that nobody watched must not be learnt as one that nobody wants.
    """
    if known is None or known.watched.all():
        return None
    return torch.from_numpy(np.flatnonzero(known.watched)).to(place.device)


def _start_of(config: SequentialConfig, log: Log, seed: int) -> np.ndarray[Any, Any]:
    """Item vectors to start from: float32, shape (items, width)."""
    near = np.zeros((log.n_items, config.width), np.float32)
    if config.start == "svd":
        near = start_vectors(log.histories, log.n_items, config.width, ordered=log.ordered, seed=seed)
    # An item that nobody watched near another one, and every item of a random start, points anywhere.
    lacking = ~near.any(axis=1)
    random = generator(seed, "item vectors")
    near[lacking] = random.standard_normal((int(lacking.sum()), config.width), dtype=np.float32)
    near[lacking] *= np.float32(config.width**-0.5) * np.float32(1.0 if config.start == "random" else 0.1)
    return near


def _key(config: SequentialConfig, log: Log, held: HeldOut, known: Known | None) -> str:
    """What a checkpoint is of: settings, these very events, what items are, what is asked after a pass."""
    histories = log.histories
    digest = hashlib.blake2b(repr((config_values(config), log.n_items)).encode(), digest_size=16)
    for column in (
        histories.items,
        histories.offsets,
        histories.weights,
        histories.targets,
        histories.times,
        held.askers.viewers,
        held.targets,
    ):
        digest.update(b"" if column is None else np.ascontiguousarray(column).data)
    if known is not None:
        shares = known.content.shares
        for array in (shares.indptr, shares.indices, shares.data, known.content.vectors):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _plan(config: SequentialConfig, seed: int, steps: int) -> Plan:
    """The plan of a run whose passes have so many steps."""
    return Plan(
        passes=config.passes,
        rate=config.rate,
        warmup=min(_WARMUP, config.passes * steps // 10),
        measure="ndcg@10",
        average=config.average,
        patience=config.patience,
        seed=seed,
    )


def _loss_of(
    config: SequentialConfig, n_items: int, some: Tensor | None, place: Place
) -> Callable[[SequentialNetwork, Batch | None], tuple[Tensor, int] | None]:
    """The loss of a batch, and of how many predictions it is the mean.

    Args:
        config: with what the log decides filled in.
        n_items: size of the catalogue.
        some: int64: ascending codes of the items that targets are told from; None: all.
        place: where it is trained.
    """
    n = n_items if some is None else len(some)
    drawn = drawn_negatives(config, n)
    # On a GPU whole tables are moved as fast as rows are picked.
    by_rows = learnt_by_rows(config, n) and place.device.type == "cpu"

    def loss_of(network: SequentialNetwork, batch: Batch | None) -> tuple[Tensor, int] | None:
        if batch is None:
            return None
        more: dict[str, Any] = {
            "weights": batch.weights,
            "temperature": config.temperature,
            "smoothing": config.smoothing,
        }
        if by_rows:
            others = torch.randint(n, (drawn,), device=place.device)
            told = Drawn(
                items=others if some is None else some[others],
                of=n,
                temperature=config.temperature,
                smoothing=config.smoothing,
            )
            return _loss_by_rows(network, batch, told), len(batch.targets)
        table = network.table()
        vectors, targets = batch.vectors(network, table), batch.targets
        if some is not None:
            table, targets = table[some], torch.searchsorted(some, targets)
        if drawn:
            others = torch.randint(n, (drawn,), device=vectors.device)
            loss = sampled_loss(vectors, table, targets, others, **more)
        else:
            loss = softmax_loss(vectors, table, targets, **more)
        return loss, len(targets)

    return loss_of


def _loss_by_rows(network: SequentialNetwork, batch: Batch, told: Drawn) -> Tensor:
    """The loss from a table of the items alone that the batch reads, foretells or is told from.

    Args:
        network: what is trained.
        batch: what it learns from.
        told: what it is told from; its items are codes.
    """
    read = batch.histories.items
    asked = torch.cat([read.flatten(), batch.targets, told.items])
    rows, places = torch.unique(asked, return_inverse=True)
    own, targets, drawn = places.split([read.numel(), len(batch.targets), len(told.items)])
    table = network.table(rows)
    narrow = replace(batch, histories=replace(batch.histories, items=own.view_as(read)))
    vectors = narrow.vectors(network, table)
    return drawn_loss(vectors, table, targets, replace(told, items=drawn), batch.weights)


def _arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """A network's tensors as arrays: float32."""
    return {name: np.array(tensor.detach().float().cpu().numpy()) for name, tensor in state.items()}
