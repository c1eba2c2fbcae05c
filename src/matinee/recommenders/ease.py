"""EASE: each item from all the others of a viewer's history, in closed form.

Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019: with G = X'X and P = (G + ridge)^-1,
the weights are W_ij = -P_ij / P_jj, and 0 on the diagonal. Two decays may be added: `query_decay` lets the
latest events of the asker count most, `decay` lets two events of one history count less the further apart
they are (G sums decay ** distance, which stays positive definite). Where the log has no order, neither is
used.

Where few pairs of items ever meet, or the Gram matrix does not fit in memory, each item is solved on those
that it goes with most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.compact import sparse_tensors
from matinee.answers.decay import window_of
from matinee.answers.model import Model, model_of
from matinee.core.errors import SettingsError
from matinee.core.memory import fits, require
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Space, Span
from matinee.core.types import Float32
from matinee.recommenders.cooccurrence import near_sums, pairs_within, sets_of
from matinee.recommenders.ridge import factor, inverted, local_needs, solve_local

UNORDERED = "The log has no order: neither decay nor position is used."
_LOCAL = 100


@dataclass(frozen=True, kw_only=True)
class EaseConfig:
    """Settings of `ease`.

    Attributes:
        ridge: more of it trusts rare pairs less.
        query_decay: what each event back multiplies an asker's event with: nearer 1 looks further back.
        decay: what each event between two events multiplies their pair with; 1: all of a history goes
            together.
        threshold: pairs and events that count less than this are left out.
        features: solve each item on so many others that go with it most; 0: on all; none: on 100 where few
            pairs of items meet or memory is short, else on all.
    """

    ridge: float = 100.0
    query_decay: float = 0.7
    decay: float = 0.9
    threshold: float = 0.02
    features: int | None = None


class Ease:
    """A linear model of which items go together.

    Args:
        settings: fields of `EaseConfig` that differ from its defaults.
    """

    name = "ease"
    Config = EaseConfig
    space: ClassVar[Space] = {
        "ridge": Span(low=5.0, high=2000.0, log=True),
        "query_decay": Span(low=0.5, high=1.0),
        "decay": Span(low=0.7, high=1.0),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(EaseConfig, settings, self.name)
        for field in ("query_decay", "decay"):
            if not 0.0 < getattr(self.config, field) <= 1.0:
                raise SettingsError(
                    f"ease needs a {field} above 0, at most 1; found {getattr(self.config, field)}."
                )
        if self.config.ridge <= 0.0:
            raise SettingsError(f"ease needs a ridge above 0, found {self.config.ridge}.")

    def needs(self, log: Log) -> Needs:
        """Predict memory and time of a fit."""
        return _needs(log, self.config)

    def fit(self, log: Log, *, seed: int = 0) -> Model:  # noqa: ARG002 - nothing is drawn
        """Fit on a log; the seed changes nothing.

        Raises:
            TooLarge: the fit would need more memory than there is.
        """
        return model_of(self.name, config_values(self.config), set_part(log, self.config), log)


def set_part(log: Log, config: EaseConfig) -> Part:
    """Fit the weights of EASE.

    Raises:
        TooLarge: the fit would need more memory than there is.
    """
    require(_needs(log, config).memory_bytes, f"ease over {log.n_items:,} items", "take features=50")
    settings: dict[str, Any] = config_values(config)
    if log.ordered:
        settings |= {"decays": [config.query_decay]}
        settings |= {"windows": [window_of(config.query_decay, config.threshold)]}
    else:
        settings |= {"decays": [1.0], "windows": [0], "note": UNORDERED}
    features = _features(log, config)
    if features:
        gram = _sparse_gram(log, config)
        targets = gram.copy()
        targets.setdiag(0.0)
        targets.eliminate_zeros()
        tensors = sparse_tensors(solve_local(gram, targets, config.ridge, features))
        return Part(kind="linear", settings=settings, tensors=tensors)
    lower, times = factor(_dense_gram(log, config), config.ridge)
    weights = inverted(lower)
    weights /= -weights.diagonal()
    np.fill_diagonal(weights, 0.0)
    settings |= {"ridge_used": config.ridge * times}
    return Part(kind="linear", settings=settings, tensors={"weights": weights})


def _needs(log: Log, config: EaseConfig) -> Needs:
    """What a fit takes, the way that it will go."""
    if _features(log, config):
        return local_needs(_pairs(log, config), 1, log.n_items)
    return _dense_needs(log, config)


def _dense_needs(log: Log, config: EaseConfig) -> Needs:
    n = float(log.n_items)
    sums = 24 * min(_pairs(log, config), n**2) if _near(log, config) else 0.0
    return Needs(memory_bytes=int(4 * n**2 + sums + 2**28), cpu_s=n**3 / 4e10 + _pairs(log, config) * 1.5e-8)


def _features(log: Log, config: EaseConfig) -> int:
    """Features per item of the local way, 0 for the dense way."""
    if config.features is not None:
        return config.features
    crowded = _pairs(log, config) * 20 > float(log.n_items) ** 2
    return 0 if crowded and fits(_dense_needs(log, config).memory_bytes) else _LOCAL


def _near(log: Log, config: EaseConfig) -> bool:
    """Whether pairs count less the further apart they are."""
    return log.ordered and config.decay < 1.0


def _pairs(log: Log, config: EaseConfig) -> float:
    window = window_of(config.decay, config.threshold) if _near(log, config) else 0
    return pairs_within(log.histories.lengths, window)


def _sparse_gram(log: Log, config: EaseConfig) -> Any:
    """G as scipy CSR."""
    if _near(log, config):
        window = window_of(config.decay, config.threshold)
        return near_sums(log.histories, log.n_items, config.decay, window)
    sets = sets_of(log.histories, log.n_items)
    return (sets.T @ sets).tocsr()


def _dense_gram(log: Log, config: EaseConfig) -> Float32:
    """G as a dense matrix in C order, made some rows at a time."""
    n = log.n_items
    gram = np.empty((n, n), np.float32)
    left = _sparse_gram(log, config) if _near(log, config) else sets_of(log.histories, n)
    across = None if _near(log, config) else left.T.tocsr()
    for start in range(0, n, 512):
        rows = left[start : start + 512] if across is None else across[start : start + 512] @ left
        gram[start : start + 512] = rows.toarray()
    return gram
