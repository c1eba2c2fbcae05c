"""Transitions: ridge regression in closed form from a viewer's decayed history to the next item.

Minimises the sum over all events t of |e(item_t) - W' h_t|^2, plus ridge |W|^2, where h_t holds the items
before t, each decayed by how many events ago it was, once per decay rate: a fast rate knows what one has
just watched, a slow one what one likes. What a viewer turned down is a target below 0 (noes.py). The Gram
matrix comes from sums over pairs (decayed_gram.py), the solution from one Cholesky factor (ridge.py); new
events only add to the sums (`matinee.recommenders.update`).

`threshold` leaves out pairs of events that lie too far apart, not what lies too far back from the predicted
event. So G is neither that of all of h_t nor that of h_t cut off: its cells are those of all of h_t, less
the pairs beyond the window (.2 to .4 % of G at the default threshold). Where that leaves G not positive
definite, the ridge is raised (ridge.py), and `ridge_used` says so.

Of many features, those that hardly weigh against the ridge are solved alone (ridge.py). Where even so a
joint solution would take longer, or its matrix does not fit in memory, every item is solved on the few
features that go with it most (linear_cost.py); of what goes with what, a very large log keeps the most for
each feature (decayed_gram.py). A log without an order has no next item: there each item is
regressed on the rest of its viewer's history, which is EASE, and the part's `note` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee.answers.compact import sparse_tensors
from matinee.answers.decay import window_of
from matinee.answers.model import Model, model_of
from matinee.core.errors import SettingsError
from matinee.core.memory import fits, require
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span
from matinee.core.types import Float32, Float64
from matinee.recommenders import linear_cost as cost
from matinee.recommenders.cooccurrence import distinct_pairs, pairs_within
from matinee.recommenders.decayed_gram import (
    Sums,
    dense_gram,
    gram_cells,
    near_gram,
    sparse_gram,
    sums_of,
    targets_by_item,
    to_arrays,
)
from matinee.recommenders.ease import EaseConfig, set_part
from matinee.recommenders.noes import against
from matinee.recommenders.ridge import factor, joint_features, solve, solve_alone, solve_local, tensors_of

# Features whose Gram diagonal is a smaller share of the ridge are solved alone. NDCG@10 on validation:
# ml-latest-small .1070 (at .1: .1064), ML-1M .1793 (all together: .1792).
_RARE = 0.2
# Larger sums are not kept with a model: a fit from scratch is then the way to take in new events.
_SUMS_BYTES = 2**29
# A larger Gram matrix keeps so many cells of each row, when items are solved on few features each.
_GRAM_CELLS = 2**27
_ROW_CELLS = 256
# Of larger logs, how many pairs of items meet is counted in a sample before a fit.
_LOOKED_AT = 2_000_000


@dataclass(frozen=True, kw_only=True)
class TransitionsConfig:
    """Settings of `transitions`.

    Attributes:
        decays: what each step back multiplies an event with, one rate per set of features, no two alike:
            nearer 1 looks further back; more rates fit more and cost their cube.
        ridge: more of it trusts rare pairs less.
        popularity: more of it holds frequent items back: scores are divided by events ** popularity.
        threshold: events that count less than this are left out: smaller looks further back and costs more.
        features: solve each item on so many features that go with it most, as far as there are; 0: on
            all; none: on 100 where that is quicker or memory is short, else on all.
        negative: the target of what was turned down is so much below 0; 1 undoes one who took it.
    """

    decays: tuple[float, ...] = (0.5, 0.95)
    ridge: float = 300.0
    popularity: float = 0.1
    threshold: float = 0.02
    features: int | None = None
    negative: float = 0.3


class Transitions:
    """From what was watched, and how long ago, to what is watched next.

    Args:
        settings: fields of `TransitionsConfig` that differ from its defaults.
    """

    name = "transitions"
    Config = TransitionsConfig
    space: ClassVar[Space] = {
        "decays": Choice(((0.7,), (0.5, 0.9), (0.5, 0.95), (0.6, 0.95), (0.4, 0.8, 0.97))),
        "ridge": Span(low=20.0, high=2000.0, log=True),
        "popularity": Span(low=0.0, high=0.3),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(TransitionsConfig, settings, self.name)
        _check(self.config)

    def needs(self, log: Log) -> Needs:
        """Predict memory and time of a fit."""
        features = self._features(log)
        return _local_needs(self.config, log, features) if features else dense_needs(self.config, log)

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 - nothing is drawn
        """Fit on a log; the seed changes nothing.

        Raises:
            TooLarge: the fit would need more memory than there is.
        """
        if not log.ordered:
            part = set_part(log, _unordered(self.config))
            return model_of(self.name, config_values(self.config), part, log)
        needed = self.needs(log).memory_bytes
        require(needed, f"transitions over {log.n_items:,} items", "take fewer decays, or features=50")
        sums = sums_of(log.histories, log.n_items, self.config.decays, windows_of(self.config))
        sums = sums.less(noes_of(log, self.config))
        return model_of(self.name, config_values(self.config), self.part(sums, log), log)

    def part(self, sums: Sums, log: Log) -> Part:
        """Solve for the weights; `log` tells how frequent each item is."""
        config = self.config
        events = np.bincount(log.histories.items, minlength=log.n_items).astype(np.float64)
        damp = (np.maximum(events.mean(), 1.0) / np.maximum(events, 1.0)) ** config.popularity
        settings = config_values(config) | {"windows": list(windows_of(config))}
        features = self._features(log)
        if features:
            weights = solve_local(_gram_of(sums, config), targets_by_item(sums), config.ridge, features)
            weights.data *= damp.astype(np.float32)[weights.indices]
            tensors = sparse_tensors(weights)
        else:
            tensors, times = _solved(sums, config.ridge, damp.astype(np.float32))
            settings |= {"ridge_used": config.ridge * times}
        kept = _arrays_of(sums)
        if not kept:
            settings |= {"sums": "not kept: over 512 MiB, so an update fits anew"}
        return Part(kind="linear", settings=settings, tensors=tensors, sums=kept)

    def _features(self, log: Log) -> int:
        """Features per item of the local way, 0 for the dense way."""
        if self.config.features is not None:
            return self.config.features
        dense = dense_needs(self.config, log)
        quick = dense.cpu_s <= _local_needs(self.config, log, cost.FEATURES).cpu_s
        return 0 if quick and fits(dense.memory_bytes) else cost.FEATURES


def noes_of(log: Log, config: TransitionsConfig) -> Any | None:
    """What the noes of a log take from the targets; None where there are none."""
    return against(log, config.negative, config.decays, windows_of(config))


def _unordered(config: TransitionsConfig) -> EaseConfig:
    return EaseConfig(ridge=config.ridge, features=config.features, negative=config.negative)


def windows_of(config: TransitionsConfig) -> tuple[int, ...]:
    """How many events back each rate looks."""
    return tuple(window_of(decay, config.threshold) for decay in config.decays)


def dense_needs(config: TransitionsConfig, log: Log) -> Needs:
    """What the dense way takes."""
    return cost.joint_cost(_shape(config, log), _RARE * config.ridge)


def _local_needs(config: TransitionsConfig, log: Log, features: int) -> Needs:
    shape = _shape(config, log)
    if cost.gram_cells(shape) > _GRAM_CELLS:
        return cost.near_cost(shape, features, _ROW_CELLS)
    return cost.local_cost(shape, features)


def _shape(config: TransitionsConfig, log: Log) -> cost.Shape:
    """The size of the sums, and what each feature will weigh, were items spread evenly over histories.

    An event with k events after it weighs (1 - decay ** 2k) / (1 - decay ** 2).
    """
    histories = log.histories
    pairs = [pairs_within(histories.lengths, window) for window in windows_of(config)]
    weights = np.ones(1) if histories.weights is None else histories.weights.astype(np.float64)
    counts = np.bincount(histories.items, np.broadcast_to(weights**2, histories.items.shape), log.n_items)
    lengths = histories.lengths.astype(np.float64)
    steps = [_mean_step(lengths, decay**2) for decay in config.decays]
    diagonal = np.concatenate([counts * (step * weights.mean()) for step in steps])
    events = np.bincount(histories.items, minlength=log.n_items)
    # Where chance would foretell many times too much, it pays to look.
    large = len(histories.items) > _LOOKED_AT
    met = tuple(distinct_pairs(histories, window) for window in windows_of(config)) if large else None
    return cost.Shape(events=events, pairs=tuple(pairs), results=len(pairs) + 1, diagonal=diagonal, met=met)


def _mean_step(lengths: Float64, rate: float) -> float:
    """Mean of (1 - rate ** k) / (1 - rate) over all events, k the events of its history after each."""
    faded = lengths - (1.0 - rate**lengths) / (1.0 - rate)
    return float(faded.sum() / max(1.0, lengths.sum()) / (1.0 - rate))


def _gram_of(sums: Sums, config: TransitionsConfig) -> Any:
    """The Gram matrix for the local way: of a very large log with the largest cells of each row alone."""
    if gram_cells(sums) <= _GRAM_CELLS:
        return sparse_gram(sums)
    return near_gram(sums, 1.0 / np.sqrt(sums.diagonal() + config.ridge), _ROW_CELLS)


def _arrays_of(sums: Sums) -> dict[str, NDArray[Any]]:
    """The sums as a model keeps them; empty where they are too large."""
    rates = len(sums.targets)
    cells = [max(one.nnz for one in (*row, sums.targets[a])) for a, row in enumerate(sums.pairs)]
    # The values alone: what is surely too large is not made.
    if 4 * (rates + 1) * sum(cells) > _SUMS_BYTES:
        return {}
    kept = to_arrays(sums)
    return kept if sum(array.nbytes for array in kept.values()) <= _SUMS_BYTES else {}


def _solved(sums: Sums, ridge: float, damp: Float32) -> tuple[dict[str, NDArray[Any]], float]:
    """The tensors of the dense way, and the multiple of the ridge that it took."""
    diagonal, targets = sums.diagonal(), targets_by_item(sums)
    joint = joint_features(diagonal, _RARE * ridge)
    alone = solve_alone(diagonal, targets, ridge, joint)
    alone.data *= damp[alone.indices]
    lower, times = factor(dense_gram(sums, joint), ridge)
    dense = solve(lower, targets if len(joint) == targets.shape[1] else targets[:, joint].tocsr())
    dense *= damp
    return tensors_of(joint, dense, alone), times


def _check(config: TransitionsConfig) -> None:
    if not config.decays or not all(0.0 < decay < 1.0 for decay in config.decays):
        raise SettingsError(f"transitions needs decays between 0 and 1, found {config.decays}.")
    if len(set(config.decays)) < len(config.decays):
        raise SettingsError(f"transitions needs decays that differ, found {config.decays}.")
    if not 0.0 < config.threshold < 1.0:
        raise SettingsError(f"transitions needs a threshold between 0 and 1, found {config.threshold}.")
    if config.ridge <= 0.0:
        raise SettingsError(f"transitions needs a ridge above 0, found {config.ridge}.")
    if config.negative < 0.0:
        raise SettingsError(f"transitions needs negative of at least 0, found {config.negative}.")
    if config.features is not None and config.features < 0:
        raise SettingsError(f"transitions needs features of 0 or more, or none, found {config.features}.")
