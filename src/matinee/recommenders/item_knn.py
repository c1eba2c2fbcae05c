"""Item neighbours: what tends to follow what, soon, and more often than its popularity explains.

Sequential item-kNN (after Sarwar et al., "Item-based collaborative filtering", WWW 2001, and the directed,
decayed pairs of Ludewig & Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 2018).
The likeness of a watched item i to a candidate j is

c_ij / ((n_i + shrink)^popularity_from * (n_j + shrink)^popularity_to)

where n counts events and c_ij sums decay ** (distance - 1) over pairs in which j came after i, plus
`backward` times those in which it came before, less what viewers who had i took from j when they turned
it down (noes.py). Each item keeps its `neighbours` likest; an asker's events count less the longer ago they
are. A log without an order counts all pairs alike and forgets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.compact import largest, sparse_tensors
from matinee.answers.decay import window_of
from matinee.answers.model import Model, model_of
from matinee.core.errors import SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Space, Span
from matinee.recommenders.cooccurrence import pair_sums, pairs_within, sets_of
from matinee.recommenders.ease import UNORDERED
from matinee.recommenders.noes import against


@dataclass(frozen=True, kw_only=True)
class ItemKnnConfig:
    """Settings of `item_knn`.

    Attributes:
        decay: what each event between two events multiplies their pair with: nearer 1 joins what lies
            further apart.
        query_decay: what each event back multiplies an asker's event with: nearer 1 looks further back.
        backward: how much a pair counts in the direction against its order, 0 to 1.
        popularity_from: more of it lets the asker's rare items say more.
        popularity_to: more of it holds frequent items back in the answer.
        shrink: more of it trusts rare items less.
        neighbours: how many items each item keeps.
        threshold: pairs and events that count less than this are left out.
        negative: what a no to an item takes from its pairs with what the viewer had; 1 undoes one pair.
    """

    decay: float = 0.8
    query_decay: float = 0.6
    backward: float = 0.2
    popularity_from: float = 0.7
    popularity_to: float = 0.2
    shrink: float = 5.0
    neighbours: int = 500
    threshold: float = 0.02
    negative: float = 0.3


class ItemKnn:
    """The nearest items of those watched last.

    Args:
        settings: fields of `ItemKnnConfig` that differ from its defaults.
    """

    name = "item_knn"
    Config = ItemKnnConfig
    space: ClassVar[Space] = {
        "decay": Span(low=0.4, high=0.95),
        "query_decay": Span(low=0.4, high=0.9),
        "backward": Span(low=0.0, high=0.7),
        "popularity_from": Span(low=0.3, high=0.9),
        "popularity_to": Span(low=0.0, high=0.5),
        "shrink": Span(low=1.0, high=50.0, log=True),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(ItemKnnConfig, settings, self.name)
        _check(self.config)

    def needs(self, log: Log) -> Needs:
        """Predict memory and time of a fit."""
        window = window_of(self.config.decay, self.config.threshold) if log.ordered else 0
        pairs = pairs_within(log.histories.lengths, window)
        cells = min(pairs, float(log.n_items) ** 2)
        return Needs(memory_bytes=int(60 * cells + 2**28), cpu_s=pairs * 4e-8 + cells * 1e-7)

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 - nothing is drawn
        """Fit on a log; the seed changes nothing.

        Raises:
            TooLarge: the fit would need more memory than there is.
        """
        needed = self.needs(log).memory_bytes
        require(needed, f"item_knn over {log.n_items:,} items", "take a smaller decay or a larger threshold")
        part = knn_part(log, self.config)
        return model_of(self.name, config_values(self.config), part, log)


def knn_part(log: Log, config: ItemKnnConfig) -> Part:
    """Count pairs, scale them and keep each item's largest."""
    settings: dict[str, Any] = config_values(config)
    if log.ordered:
        windows = [window_of(config.query_decay, config.threshold)]
        settings |= {"decays": [config.query_decay], "windows": windows}
    else:
        settings |= {"decays": [1.0], "windows": [0], "note": UNORDERED}
    likeness = _pairs(log, config)
    decays = (config.decay,) if log.ordered else ()
    noes = against(log, config.negative, decays, (window_of(config.decay, config.threshold),))
    if noes is not None:
        likeness = (likeness - noes.T).tocsr()
    events = np.bincount(log.histories.items, minlength=log.n_items) + config.shrink
    watched = (events**-config.popularity_from).astype(np.float32)
    answered = (events**-config.popularity_to).astype(np.float32)
    likeness.data *= np.repeat(watched, np.diff(likeness.indptr)) * answered[likeness.indices]
    return Part(
        kind="linear", settings=settings, tensors=sparse_tensors(largest(likeness, config.neighbours))
    )


def _pairs(log: Log, config: ItemKnnConfig) -> Any:
    """c: scipy CSR float32, shape (items, items), rows watched items, columns candidates."""
    histories, n_items = log.histories, log.n_items
    if not log.ordered:
        sets = sets_of(histories, n_items)
        together = (sets.T @ sets).tocsr()
        together.setdiag(0.0)
        together.eliminate_zeros()
        return together
    weights = np.ones(len(histories.items)) if histories.weights is None else histories.weights
    serve = weights.astype(np.float64) / config.decay
    window = window_of(config.decay, config.threshold)
    (newer_older,) = pair_sums(histories, n_items, config.decay, window, [serve])
    forward = newer_older.T.tocsr()
    return (forward + np.float32(config.backward) * newer_older).tocsr() if config.backward else forward


def _check(config: ItemKnnConfig) -> None:
    for field in ("decay", "query_decay"):
        if not 0.0 < getattr(config, field) < 1.0:
            raise SettingsError(f"item_knn needs a {field} between 0 and 1, found {getattr(config, field)}.")
    for field in ("shrink", "threshold"):
        if getattr(config, field) <= 0.0:
            raise SettingsError(f"item_knn needs {field} above 0, found {getattr(config, field)}.")
    for field in ("backward", "negative"):
        if getattr(config, field) < 0.0:
            raise SettingsError(f"item_knn needs {field} of at least 0, found {getattr(config, field)}.")
    if config.neighbours < 1:
        raise SettingsError(f"item_knn needs neighbours of at least 1, found {config.neighbours}.")
