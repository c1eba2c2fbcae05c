"""A network that starts as the closed form: before any pass, its first layer answers as `transitions` does.

With queries and keys of nearly 0, a head of decay a reads the mean of its values, weighted by a ** k: a
closed form's decayed history, up to a scale. What is left is a product of matrices for each head,

    W_h / (1 - a_h) = norm(E) V_h O_h E'     (least squares, events of an item as its weight)

with the item vectors E an orthogonal basis of what the closed form's matrices W_h reach, V_h and O_h the
head's value and output projections, of a rank no higher than the head is wide. The last norm takes a mean off
every vector, which E' must do too. How loud the head is beside the event itself, and how sure the answer,
are scales that are tried on the last events of some viewers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from join.learnt import ClosedForm, part_of
from matinee.answers.context import context_of
from matinee.answers.network import log_totals
from matinee.answers.scorers import make_scorer
from matinee.core.promise import Log
from matinee.core.seeds import generator
from matinee.core.types import Askers, Float32, Float64
from matinee.networks.sequential import SequentialNetwork
from matinee.recommenders.network_settings import SequentialConfig

_TURNS = 4
_SPARE = 16
_SMALL = 1e-4
_LOUDNESS = (2.0, 8.0, 32.0)
_SURENESS = (0.25, 0.5, 1.0, 2.0, 4.0)
_ASKED = 500


def start_as(form: ClosedForm, config: SequentialConfig, log: Log, network: SequentialNetwork) -> None:
    """Set a network's weights so that it answers as the closed form does, as near as its width allows.

    Args:
        form: of the network's own decays.
        config: the network's settings.
        log: for the events of each item, and viewers to try scales on.
        network: its first layer's heads, item vectors and last norm are set.
    """
    matrices = [weights.numpy() for weights in form.weights]
    vectors = _basis(matrices, config.width)
    counts = np.bincount(log.histories.items, minlength=log.n_items).astype(np.float64)
    network.items.copy_(torch.from_numpy(vectors))
    into, out = _projections_of(network)
    size = config.width // len(form.decays)
    for head, (decay, matrix) in enumerate(zip(form.decays, matrices, strict=True)):
        values, outputs = _projections(matrix / np.float32(1.0 - decay), vectors, counts, size)
        place = 2 * config.width + head * size
        into[place : place + size] = torch.from_numpy(values.T)
        out[:, head * size : (head + 1) * size] = torch.from_numpy(outputs.T)
    _scale(config, log, network)


def _projections_of(network: SequentialNetwork) -> tuple[Tensor, Tensor]:
    """The weights of the first layer's attention: into queries, keys and values; and out of them."""
    named = dict(network.named_parameters())
    return named["blocks.0.attention.into.weight"], named["blocks.0.attention.out.weight"]


def _basis(matrices: list[Float32], width: int) -> Float32:
    """Vectors of mean length 1 that span what the matrices map from and to: float32, shape (items, width)."""
    n_items = len(matrices[0])
    basis = generator(0, "basis").standard_normal((n_items, width + _SPARE), dtype=np.float32)
    for _ in range(_TURNS):
        reached = [m @ (m.T @ basis) + m.T @ (m @ basis) for m in matrices]
        basis = np.linalg.qr(np.sum([part / np.linalg.norm(part) for part in reached], axis=0))[0]
    found: Float32 = basis[:, :width].astype(np.float32)
    return found / np.float32(np.linalg.norm(found, axis=1).mean())


def _projections(matrix: Float32, vectors: Float32, counts: Float64, rank: int) -> tuple[Float32, Float32]:
    """V (width, rank) and O (rank, width) of the least squares that the file's docstring states."""
    rows = vectors - vectors.mean(axis=1, keepdims=True)
    left = rows / np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)
    weighted = left * counts[:, None]
    whole_left, whole_right = (_rooted(gram) for gram in (weighted.T @ left, rows.T @ rows))
    inner = np.linalg.solve(whole_left, weighted.T @ matrix @ rows)
    turned = np.linalg.solve(whole_right, inner.T).T
    u, s, v = np.linalg.svd(turned, full_matrices=False)
    root = np.sqrt(s[:rank])
    values = np.linalg.solve(whole_left.T, u[:, :rank] * root)
    outputs = np.linalg.solve(whole_right.T, v[:rank].T * root).T
    balance = np.sqrt(np.linalg.norm(outputs) / np.linalg.norm(values))
    return (values * balance).astype(np.float32), (outputs / balance).astype(np.float32)


def _rooted(gram: Float64) -> Float64:
    """The lower Cholesky factor of a Gram matrix, a little of its trace added."""
    found: Float64 = np.linalg.cholesky(gram + np.eye(len(gram)) * (_SMALL * np.trace(gram) / len(gram)))
    return found


def _scale(config: SequentialConfig, log: Log, network: SequentialNetwork) -> None:
    """Choose how loud the heads are, and how sure the answer, by the loss of some viewers' last events."""
    some = log.histories.take(np.arange(min(_ASKED, len(log.histories))))
    last = np.repeat(some.offsets[1:] - 1, some.lengths) == np.arange(len(some.items))
    askers = Askers(histories=some.keep(~last), viewers=np.full(len(some), -1))
    targets, out = some.items[last], _projections_of(network)[1]
    best, chosen, first = np.inf, (1.0, 1.0), out.clone()
    for loud in _LOUDNESS:
        out.copy_(first * loud)
        part = part_of(config, log, network.state_dict())
        scores = make_scorer(part, context_of(log)).score(askers)
        for sure in _SURENESS:
            logits = scores * np.float32(sure)
            loss = float((log_totals(logits) - logits[np.arange(len(targets)), targets]).mean())
            if loss < best:
                best, chosen = loss, (loud, sure)
    out.copy_(first * chosen[0])
    network.last_norm.weight.fill_(chosen[1])
