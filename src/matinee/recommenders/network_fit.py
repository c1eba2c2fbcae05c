"""The part of `sequential` that needs torch: build the network, train it, hand its arrays over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matinee.answers.context import Context
from matinee.answers.model import context_of
from matinee.answers.network import NetworkScorer
from matinee.core.promise import Log, Part
from matinee.core.run import Run
from matinee.core.seeds import generator
from matinee.core.settings import config_values
from matinee.core.words import counted
from matinee.networks.losses import sampled_loss, softmax_loss
from matinee.networks.sequential import SequentialNetwork
from matinee.recommenders.held_out import HeldOut, without
from matinee.recommenders.network_cost import network_size
from matinee.recommenders.network_settings import SequentialConfig, drawn_negatives, resolved, settings_of
from matinee.recommenders.start_vectors import start_vectors
from matinee.train.device import find_place, require_on, return_large_memory, threads_for
from matinee.train.loop import train
from matinee.train.plan import Plan
from matinee.train.sequences import Batch, Reading, next_events, other_halves

# Steps in which the rate rises: a tenth of all where there are few.
_WARMUP = 100
# Fewer held-out events say nothing of when to stop: every pass is made then.
_FEWEST = 20


def fit_network(config: SequentialConfig, log: Log, held: HeldOut, seed: int, run: Run) -> Part:
    """Train on all but what is held out; the part that answers."""
    taught = without(log, held)
    config = resolved(config, log)
    settings = settings_of(config, log)
    place = find_place(run.device, run.precision)
    require_on(place, network_size(config, log, half=place.half))
    network = network_of(config, log.n_items, ordered=log.ordered, seed=seed)
    with torch.no_grad():
        network.items.copy_(torch.from_numpy(_start_of(config, taught, seed)))
    reading = Reading(
        longest=config.longest,
        batch_events=config.batch_events or 1,
        times=config.times,
        last=config.last,
        device=str(place.device),
    )
    passes = (next_events if log.ordered else other_halves)(taught.histories, reading, seed)
    context = context_of(taught)
    return_large_memory()

    def judge(judged: SequentialNetwork) -> float:
        return held.ndcg(_scorer(judged.state_dict(), settings, context).score, log.n_items)

    with threads_for(reading.batch_events):
        trained = train(
            network,
            _loss_of(config, log.n_items),
            passes,
            _plan(config, seed, len(passes(0))),
            run,
            # Where nobody can be asked, all passes would seem alike, and the first one the best.
            judge if len(held) >= _FEWEST else None,
            key=_key(config, taught, held),
        )
    facts: dict[str, Any] = {"passes_made": len(trained.curve), "stopped_early": trained.stopped_early}
    if trained.validation is not None:
        facts["validation"] = ["ndcg@10", trained.validation]
    facts |= _note(settings, len(held))
    return Part(kind="network", settings=settings | facts, tensors=_arrays(trained.best))


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


def network_of(config: SequentialConfig, n_items: int, *, ordered: bool, seed: int) -> SequentialNetwork:
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
        )


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


def _key(config: SequentialConfig, log: Log, held: HeldOut) -> str:
    """What a checkpoint is of: these settings, these very events, and what is asked after every pass."""
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
    config: SequentialConfig, n_items: int
) -> Callable[[SequentialNetwork, Batch | None], tuple[Tensor, int] | None]:
    """The loss of a batch, and of how many predictions it is the mean."""
    drawn = drawn_negatives(config, n_items)

    def loss_of(network: SequentialNetwork, batch: Batch | None) -> tuple[Tensor, int] | None:
        if batch is None:
            return None
        more: dict[str, Any] = {
            "weights": batch.weights,
            "temperature": config.temperature,
            "smoothing": config.smoothing,
        }
        vectors = batch.vectors(network)
        if drawn:
            some = torch.randint(n_items, (drawn,), device=vectors.device)
            loss = sampled_loss(vectors, network.items, batch.targets, some, **more)
        else:
            loss = softmax_loss(vectors, network.items, batch.targets, **more)
        return loss, len(batch.targets)

    return loss_of


def _scorer(state: Mapping[str, Tensor], settings: Mapping[str, Any], context: Context) -> NetworkScorer:
    return NetworkScorer(Part(kind="network", settings=settings, tensors=_arrays(state)), context)


def _arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """A network's tensors as arrays: float32."""
    return {name: np.array(tensor.detach().float().cpu().numpy()) for name, tensor in state.items()}
