"""Networks that learn with the closed form beside them, for a few passes each.

`plain`: as `sequential` does. `foretold`: log chances of a closed form are added to the logits in training,
those of one that was fitted on other viewers (out of fold), or on all of them (`residual`): the network
learns what the closed form lacks. `taught`: the targets are mixed with the closed form's chances (Hinton et
al. 2015, "Distilling the knowledge in a neural network"). `started`: see start.py.

A closed form's scores of a whole window need no product with a window's triangle: with S[t] = decay * S[t-1]
+ W[item t], they are a sum over rates of S[t], step by step. Unlike the scorer's, they look back without end;
what lies beyond the scorer's window counts next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matinee.answers.bf16 import float32_of
from matinee.core.promise import Log, Part
from matinee.core.run import Run
from matinee.core.seeds import generator
from matinee.core.types import Histories
from matinee.networks.losses import softmax_loss
from matinee.networks.sequential import SequentialNetwork
from matinee.recommenders.network_fit import network_of
from matinee.recommenders.network_settings import SequentialConfig, resolved, settings_of
from matinee.recommenders.start_vectors import start_vectors
from matinee.train.columns import Batch
from matinee.train.loop import train
from matinee.train.plan import Plan
from matinee.train.sequences import Pass, Reading, next_events

# Logits of a chunk, as in matinee.networks.losses.
_CELLS = 2**19
# Steps in which the rate rises, as in `sequential`.
_WARMUP = 100


@dataclass(frozen=True, kw_only=True)
class ClosedForm:
    """The weights of a fitted `transitions`.

    Attributes:
        decays: one for each rate.
        weights: float32, shape (rates, items, items).
        floor: what a score counts as at least.
    """

    decays: tuple[float, ...]
    weights: Tensor
    floor: float


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a network learns beside.

    Attributes:
        forms: the closed form of each fold.
        folds: int64, shape (viewers,): whose form each viewer has; it was fitted without them, or with all.
        share: of each target that is the closed form's; 0: its log chances are added to the logits instead.
    """

    forms: Sequence[ClosedForm]
    folds: np.ndarray[Any, np.dtype[np.int64]]
    share: float = 0.0


def learn(
    config: SequentialConfig,
    log: Log,
    *,
    seed: int = 0,
    beside: Beside | None = None,
    start: Callable[[SequentialNetwork], None] | None = None,
) -> Part:
    """Train a network for all of its passes; nothing is held out, so nothing stops it early.

    Args:
        config: the network's settings.
        log: what it learns.
        seed: seed of the fit.
        beside: the closed forms that it learns beside; None: none.
        start: sets the weights that it starts from; None: those of `sequential`.
    """
    config = resolved(config, log)
    network = network_of(config, log.n_items, ordered=True, seed=seed)
    with torch.no_grad():
        vectors = start_vectors(log.histories, log.n_items, config.width, ordered=True, seed=seed)
        near = np.flatnonzero(vectors.any(axis=1))
        network.items[torch.from_numpy(near)] = torch.from_numpy(vectors[near])
        if start is not None:
            start(network)
    reading = Reading(longest=config.longest, batch_events=config.batch_events or 1)
    run = Run(device="cpu", precision="float32")
    if beside is None:
        plain = next_events(log.histories, reading, seed)
        trained = train(network, _plain_loss, plain, _plan(config, seed, len(plain(0))), run)
    else:
        mixed = _by_fold(log.histories, reading, beside, seed)
        trained = train(network, _loss_beside(beside), mixed, _plan(config, seed, len(mixed(0))), run)
    return part_of(config, log, trained.best)


def _plan(config: SequentialConfig, seed: int, steps: int) -> Plan:
    """As `sequential` trains, but for what stops it early."""
    warmup = min(_WARMUP, config.passes * steps // 10)
    return Plan(passes=config.passes, rate=config.rate, warmup=warmup, average=config.average, seed=seed)


def part_of(config: SequentialConfig, log: Log, state: dict[str, Tensor]) -> Part:
    """A network's tensors as the part that answers."""
    arrays = {name: np.array(tensor.detach().float().numpy()) for name, tensor in state.items()}
    return Part(kind="network", settings=settings_of(config, log), tensors=arrays)


def closed_form(part: Part, n_items: int, floor: float) -> ClosedForm:
    """A fitted `transitions` as tensors: rows that were solved alone are put in their places."""
    decays = tuple(float(decay) for decay in part.settings["decays"])
    weights = np.zeros((len(decays) * n_items, n_items), np.float32)
    if "weights" in part.tensors:
        rows = part.tensors.get("rows", np.arange(len(weights)))
        weights[rows] += float32_of(part.tensors["weights"])
    if "indptr" in part.tensors:
        owners = np.repeat(np.arange(len(weights)), np.diff(part.tensors["indptr"]))
        np.add.at(weights, (owners, part.tensors["indices"]), float32_of(part.tensors["data"]))
    shaped = torch.from_numpy(weights).view(len(decays), n_items, n_items)
    return ClosedForm(decays=decays, weights=shaped, floor=floor)


def scores_along(form: ClosedForm, items: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The closed form's scores after each event of some windows, a stretch of events at a time.

    Args:
        form: the closed form.
        items: int64, shape (windows, events).

    Yields:
        Which events; and their scores, float32, shape (events of the stretch, windows, items). The next
        stretch overwrites them.
    """
    windows, events = items.shape
    n_items = form.weights.shape[2]
    steps = max(1, min(events, _CELLS // (windows * n_items)))
    states = torch.zeros(len(form.decays), windows, n_items)
    scores = torch.empty(steps, windows, n_items)
    for first in range(0, events, steps):
        last = min(first + steps, events)
        for event in range(first, last):
            for decay, state, weights in zip(form.decays, states, form.weights, strict=True):
                state.mul_(decay).add_(weights[items[:, event]])
            torch.sum(states, dim=0, out=scores[event - first])
        yield slice(first, last), scores[: last - first]


def loss_beside(
    vectors: Tensor, table: Tensor, items: Tensor, targets: Tensor, form: ClosedForm, share: float
) -> Tensor:
    """Mean cross-entropy of each next item, beside a closed form; nothing of tokens x items is kept.

    Args:
        vectors: shape (windows, events, width): what the network asks for after each event.
        table: shape (items, width).
        items: int64, shape (windows, events): the events.
        targets: int64, of the same shape: what came next; -1: nothing.
        form: the closed form.
        share: of each target that is the closed form's chances; 0: their logs are added to the logits.
    """
    loss: Tensor = _BesideSoftmax.apply(  # type: ignore[no-untyped-call]
        vectors, table, items, targets, form, share
    )
    return loss


class _BesideSoftmax(torch.autograd.Function):
    """See `loss_beside`; the gradient is computed in the forward pass, stretch by stretch."""

    @staticmethod
    def forward(  # noqa: PLR0917 (an autograd function takes all as arguments)
        ctx: Any,
        vectors: Tensor,
        table: Tensor,
        items: Tensor,
        targets: Tensor,
        form: ClosedForm,
        share: float,
    ) -> Tensor:
        asked, wanted = vectors.transpose(0, 1).contiguous(), targets.T.contiguous()
        across = table.T.contiguous()
        of_asked, of_table = torch.empty_like(asked), torch.zeros_like(table)
        total = torch.zeros(())
        for part, scores in scores_along(form, items):
            rows, some = asked[part].flatten(0, 1), wanted[part].flatten()
            theirs = scores.flatten(0, 1).clamp_min_(form.floor)
            losses, errors = _errors(rows @ across, theirs, some, share)
            total += losses
            torch.mm(errors, table, out=of_asked[part].flatten(0, 1))
            of_table.addmm_(errors.T, rows)
        n = int((targets >= 0).sum())
        ctx.save_for_backward(of_asked.transpose(0, 1) / n, of_table / n)
        return total / n

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        of_vectors, of_table = ctx.saved_tensors
        return of_vectors * grads[0], of_table * grads[0], None, None, None, None


def _errors(logits: Tensor, theirs: Tensor, wanted: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The summed loss of some rows, and its gradient by the logits: shape (rows, items).

    Args:
        logits: the network's; overwritten.
        theirs: the closed form's scores, at least its floor; overwritten.
        wanted: int64, shape (rows,): the targets; -1: none.
        share: as in `loss_beside`.
    """
    there = wanted >= 0
    places = wanted.clamp_min(0)[:, None]
    if share == 0.0:
        logits += theirs.log_()
    totals = logits.logsumexp(1)
    losses = totals - (1.0 - share) * logits.gather(1, places).squeeze(1)
    if share:
        theirs /= theirs.sum(1, keepdim=True)
        losses -= share * torch.einsum("ri,ri->r", theirs, logits)
    errors = logits.sub_(totals[:, None]).exp_()
    errors.scatter_add_(1, places, errors.new_full(places.shape, share - 1.0))
    if share:
        errors.sub_(theirs, alpha=share)
    errors[~there] = 0.0
    return losses[there].sum(), errors


def _plain_loss(network: SequentialNetwork, batch: Batch | None) -> tuple[Tensor, int] | None:
    if batch is None:
        return None
    return softmax_loss(batch.vectors(network), network.items, batch.targets), len(batch.targets)


def _loss_beside(
    beside: Beside,
) -> Callable[[SequentialNetwork, tuple[int, Batch | None]], tuple[Tensor, int] | None]:
    def loss_of(network: SequentialNetwork, one: tuple[int, Batch | None]) -> tuple[Tensor, int] | None:
        fold, batch = one
        if batch is None:
            return None
        items = batch.histories.items
        targets = torch.full((items.numel(),), -1)
        targets[batch.rows] = batch.targets
        vectors = network(batch.histories)
        loss = loss_beside(
            vectors, network.items, items, targets.view(items.shape), beside.forms[fold], beside.share
        )
        return loss, len(batch.targets)

    return loss_of


@dataclass(frozen=True, kw_only=True)
class _Mixed:
    """The batches of one pass of every fold, mixed: each with the fold that it is from."""

    passes: Sequence[Pass]
    order: Sequence[int]

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[tuple[int, Batch | None]]:
        left = [iter(one) for one in self.passes]
        return ((fold, next(left[fold])) for fold in self.order)


def _by_fold(events: Histories, reading: Reading, beside: Beside, seed: int) -> Callable[[int], _Mixed]:
    """Passes in which each batch is of viewers of one fold."""
    owners = beside.folds[events.rows()]
    draws = [next_events(events.keep(owners == fold), reading, seed) for fold in range(len(beside.forms))]

    def draw(number: int) -> _Mixed:
        passes = [one(number) for one in draws]
        order = np.repeat(np.arange(len(passes)), [len(one) for one in passes])
        return _Mixed(passes=passes, order=generator(seed, "folds", number).permutation(order).tolist())

    return draw
