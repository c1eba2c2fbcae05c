"""The part of `sequential` that needs torch: build the network, train it, hand its arrays over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matinee.answers.context import context_of
from matinee.answers.network import NetworkScorer
from matinee.core.promise import Log, Part
from matinee.core.run import Run
from matinee.core.seeds import generator
from matinee.core.settings import config_values, make_config
from matinee.core.words import counted
from matinee.networks.item_content import Described, ItemContent
from matinee.networks.sequential import SequentialNetwork
from matinee.recommenders.held_out import HeldOut, without
from matinee.recommenders.network_content import Known, known_of
from matinee.recommenders.network_context import Context, context_of_log
from matinee.recommenders.network_cost import network_size
from matinee.recommenders.network_loss import batch_loss
from matinee.recommenders.network_passes import for_gpu, passes_of, reading_of, rehearsed
from matinee.recommenders.network_settings import SequentialConfig, learnt_by_rows, resolved, settings_of
from matinee.recommenders.network_warm import PASSES, RATE, Warm, warm_vectors
from matinee.recommenders.short_histories import hold_out_for
from matinee.recommenders.start_vectors import start_vectors
from matinee.train.device import Place, find_place, require_on, return_large_memory, threads_for
from matinee.train.learner import records
from matinee.train.loop import Trained, train
from matinee.train.plan import Plan

# Steps in which the rate rises: a tenth of all where there are few.
_WARMUP = 100
# Fewer held-out events say nothing of when to stop: every pass is made then.
_FEWEST = 20
# The word by which the first process tells the others what is to be trained.
_TRAINED = "network"
# Share of the features of items that a step goes without, so that no few words stand for one item.
_WORD_DROPOUT = 0.5


def fit_network(
    config: SequentialConfig, log: Log, held: HeldOut, seed: int, run: Run, warm: Warm | None = None
) -> Part:
    """Train on all but what is held out; the part that answers.

    Args:
        config: of the network.
        log: what is learnt.
        held: what of it is held out.
        seed: of everything random.
        run: how the fit goes.
        warm: the network that is gone on from; None: it is trained from scratch.
    """
    if run.processes.size > 1:
        from matinee.train.meeting import meeting_of

        meeting_of(run.processes).tell(_TRAINED, json.dumps(config_values(config)))
    if warm is not None:
        # Whether items are known by content, and whether histories have a beginning, stays as it was.
        before = warm.part.settings
        config = replace(
            config,
            content=float(before.get("content") or 0.0),
            opening=bool(before.get("opening", False)),
        )
    trained, known, settings = _trained(config, log, held, seed, run, warm)
    facts: dict[str, Any] = {"passes_made": len(trained.curve), "stopped_early": trained.stopped_early}
    if trained.validation is not None:
        facts["validation"] = ["ndcg@10", trained.validation]
    facts |= _note(settings, len(held)) if warm is None else {}
    tensors = _arrays(trained.best)
    if known is not None:
        tensors, kept = known.kept(tensors, seed)
        facts |= kept
    return Part(kind="network", settings=settings | facts, tensors=tensors)


def train_along(log: Callable[[], Log], seed: int, run: Run) -> None:
    """Be one of the other processes of a fit: train the network that the first one trains.

    Args:
        log: reads the log that the first process fits on; called once that is ready to train.
        seed: of the fit.
        run: of this process: its device, its precision, which process it is.

    Raises:
        MatineeError: it cannot train along, or another process is gone.
    """
    from matinee.train.meeting import END, Ended, meeting_of

    word, text = meeting_of(run.processes).wait(_TRAINED, END, should_stop=run.should_stop)
    if word == END:
        return
    read, config = log(), make_config(SequentialConfig, json.loads(text), "sequential")
    with suppress(Ended):
        _trained(config, read, hold_out_for(config, read, seed), seed, run, None)


def _trained(
    config: SequentialConfig, log: Log, held: HeldOut, seed: int, run: Run, warm: Warm | None
) -> tuple[Trained, Known | None, dict[str, Any]]:
    """The network trained, what was known of the items, and what its scorer needs to know."""
    taught = without(log, held)
    config = resolved(config, log)
    told = context_of_log(config, log, held, None if warm is None else warm.part.settings)
    settings = settings_of(config, log) | dict(told.settings)
    place = find_place(run.device, run.precision, run.processes)
    require_on(place, replace(network_size(config, log, half=place.half), by_rows=False))
    known = known_of(taught, config.content or 0.0)
    network = content_network(config, log, known, seed=seed, place=place, told=told)
    start = None
    if run.processes.first:
        # The others get its weights.
        start = _start_of(config, taught, seed) if warm is None else warm_vectors(warm, taught)
        _start(network, start, known)
    if warm is not None:
        _take_weights(network, warm.part)
        config = replace(config, passes=PASSES, rate=RATE * config.rate)
    reading = reading_of(config, log, told, run.processes)
    rehearsing = None if warm is None else rehearsed(warm, held, told)
    passes: Callable[[int], Any] = passes_of(taught, reading, seed, rehearsing)
    if place.device.type == "cuda":
        # Steps of several processes, and those with noes, have no shapes that come back.
        alike = run.processes.size == 1 and not config.noes
        recorded = alike and records(network, place, run.record)
        passes = for_gpu(passes, reading, ordered=log.ordered, recorded=recorded)
    judge = _judge_of(held, taught, known, settings)
    return_large_memory()
    # On a GPU whole tables are moved as fast as rows are picked, and processes move them whole.
    some = _taught_items(known, place)
    by_rows = place.device.type == "cpu" and run.processes.size == 1
    by_rows = by_rows and learnt_by_rows(config, log.n_items if some is None else len(some))
    with threads_for(config.batch_events or 1, run.processes):
        trained = train(
            network,
            batch_loss(config, log.n_items, some, by_rows=by_rows),
            passes,
            _plan(config, seed, len(passes(0))),
            run,
            # Where nobody can be asked, all passes would seem alike, and the first one the best.
            judge if len(held) >= _FEWEST else None,
            # Moments by row are of no use where all are moved, nor the other way round.
            key="by rows " * by_rows
            + _key(config, taught, held, known, told, None if warm is None else start),
        )
    return trained, known, settings


def _judge_of(
    held: HeldOut, taught: Log, known: Known | None, settings: Mapping[str, Any]
) -> Callable[[SequentialNetwork], float]:
    """How well a network foretells what is held out: its ndcg@10, answered as the bundle will."""
    context = context_of(taught)

    def judge(judged: SequentialNetwork) -> float:
        arrays = _arrays(judged.state_dict())
        tensors = arrays if known is None else known.folded(arrays)
        scorer = NetworkScorer(Part(kind="network", settings=settings, tensors=tensors), context)
        return held.ndcg(scorer.score, taught.n_items)

    return judge


@torch.no_grad()
def _take_weights(network: SequentialNetwork, part: Part) -> None:
    """Take all weights of a fitted network but those of items and of what they are."""
    for name, weights in network.state_dict().items():
        if name != "items" and not name.startswith("content."):
            weights.copy_(torch.from_numpy(np.array(part.tensors[name])))


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
    config: SequentialConfig,
    n_items: int,
    *,
    ordered: bool,
    seed: int,
    content: ItemContent | None = None,
    told: Context = Context(),  # noqa: B008 (frozen)
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
            opening=bool(config.opening),
            content=content,
            id_dropout=config.id_dropout,
            told=told.sizes,
            regions=len(told.regions),
        )


def content_network(
    config: SequentialConfig,
    log: Log,
    known: Known | None,
    *,
    seed: int,
    place: Place | None = None,
    told: Context = Context(),  # noqa: B008 (frozen)
) -> SequentialNetwork:
    """The network of some settings with what is known of a log's items; on the CPU unless a place is given.

    Args:
        config: with what the log decides filled in.
        log: its size and order.
        known: of its items; None: nothing.
        seed: draws the weights.
        place: where it will be trained.
        told: what is read beside items.
    """
    device = torch.device("cpu") if place is None else place.device
    made = None
    if known is not None:
        made = ItemContent(_described(known, device), config.width, config.content or 0.0, _WORD_DROPOUT)
    return network_of(config, log.n_items, ordered=log.ordered, seed=seed, content=made, told=told)


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


def _key(
    config: SequentialConfig,
    log: Log,
    held: HeldOut,
    known: Known | None,
    told: Context,
    start: np.ndarray[Any, Any] | None,
) -> str:
    """What a checkpoint is of: settings, these very events, what items are, what is asked after a pass.

    And what a warm network started from; any other start follows from the rest.
    """
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
        start,
        *told.arrays(),
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


def _arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """A network's tensors as arrays: float32."""
    return {name: np.array(tensor.detach().float().cpu().numpy()) for name, tensor in state.items()}
