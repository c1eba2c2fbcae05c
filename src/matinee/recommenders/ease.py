"""EASE: each item from all the others of a viewer's history, in closed form.

Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019: with G = X'X and P = (G + ridge)^-1,
the weights are W_ij = -P_ij / P_jj, and 0 on the diagonal. Two decays may be added: `query_decay` lets the
latest events of the asker count most, `decay` lets two events of one history count less the further apart
they are (G sums decay ** distance, which stays positive definite). Where the log has no order, neither is
used.

Where a share p of each history is left out at random while the weights are learnt (`dropout`; Steck,
"Autoencoders that don't overfit towards the identity", NeurIPS 2020), the ridge of an item grows by
G_jj * p / (1 - p): in expectation, so nothing is drawn.

What viewers turned down lowers the targets (noes.py): with B the sum of c * x n' over histories x and what
they turned down n, W_ij = -P_ij (1 - (PB)_jj) / P_jj - (PB)_ij off the diagonal.

Of many items, those that hardly weigh against the ridge are solved alone (ridge.py). Where even so a joint
solution would take longer, or its matrix does not fit in memory, each item is solved on those that it goes
with most (linear_cost.py).
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
from matinee.core.space import Space, Span
from matinee.core.types import Float32, Int64
from matinee.recommenders.cooccurrence import near_sums, pairs_within, sets_of
from matinee.recommenders.linear_cost import FEATURES, Shape, joint_cost, local_cost
from matinee.recommenders.noes import against
from matinee.recommenders.ridge import factor, inverted, joint_features, solve_local, tensors_of

UNORDERED = "The log has no order: neither decay nor position is used."
_ROWS = 512
# Items whose Gram diagonal is a smaller share of the ridge are solved alone. NDCG@10 on validation: LastFM
# .1801 (at .02: .1803, at .2: .1741), ml-latest-small .0889 (at .03: .0900), ML-1M .1497 (at .2: .1498).
_RARE = 0.05


@dataclass(frozen=True, kw_only=True)
class EaseConfig:
    """Settings of `ease`.

    Attributes:
        ridge: more of it trusts rare pairs less.
        query_decay: what each event back multiplies an asker's event with: nearer 1 looks further back.
        decay: what each event between two events multiplies their pair with; 1: all of a history goes
            together.
        threshold: pairs and events that count less than this are left out.
        features: solve each item on so many others that go with it most, as far as there are; 0: on all;
            none: on 100 where that is quicker or memory is short, else on all.
        negative: what a no to an item takes from what speaks for it; 1 undoes one viewer who had it.
        dropout: share of a history that the weights must do without; more trusts what was watched often
            less, and evens out how far frequent and rare items are trusted.
    """

    ridge: float = 100.0
    query_decay: float = 0.7
    decay: float = 0.9
    threshold: float = 0.02
    features: int | None = None
    negative: float = 0.3
    dropout: float = 0.0


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
        _check(self.config)

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
    features, noes = _features(log, config), _noes(log, config)
    if features:
        gram = _sparse_gram(log, config)
        targets = gram.copy() if noes is None else (gram - noes).tocsr()
        targets.setdiag(0.0)
        targets.eliminate_zeros()
        diagonal = np.asarray(gram.diagonal(), np.float32)
        ridges = _ridges(diagonal, config) if config.dropout else config.ridge
        tensors = sparse_tensors(solve_local(gram, targets, ridges, features))
        return Part(kind="linear", settings=settings, tensors=tensors)
    tensors, times = _solved(log, config, noes)
    settings |= {"ridge_used": config.ridge * times}
    return Part(kind="linear", settings=settings, tensors=tensors)


def _solved(log: Log, config: EaseConfig, noes: Any | None) -> tuple[dict[str, NDArray[Any]], float]:
    """The tensors of the dense way, and the multiple of the ridge that it took."""
    gram = _gram(log, config)
    joint = joint_features(gram.diagonal, _RARE * config.ridge)
    others = np.setdiff1d(np.arange(log.n_items), joint)
    square = np.empty((len(joint), len(joint)), np.float32)
    for start in range(0, len(joint), _ROWS):
        square[start : start + _ROWS] = gram.rows(joint[start : start + _ROWS], joint).toarray()
    ridges = _ridges(gram.diagonal, config)
    lower, times = factor(square, ridges[joint])
    inverse = inverted(lower)
    if not len(others):
        return {"weights": _joint_weights(inverse, noes)}, times
    weights = np.empty((len(joint), log.n_items), np.float32)
    targets = gram.rows(others, joint)
    if noes is not None:
        targets = targets - noes[others][:, joint]
    weights[:, others] = (targets @ inverse).T
    weights[:, joint] = _joint_weights(inverse, None if noes is None else noes[joint][:, joint].tocsr())
    return tensors_of(joint, weights, _alone(gram, others, ridges, noes)), times


def _joint_weights(inverse: Float32, noes: Any | None) -> Float32:
    """W from P, in the memory of P where nobody turned anything down: float32, square, diagonal 0."""
    diagonal = inverse.diagonal().copy()
    weights = inverse
    if noes is None:
        weights /= -diagonal
    else:
        weights = np.empty_like(inverse)
        for start in range(0, len(inverse), _ROWS):
            some = np.arange(start, min(start + _ROWS, len(inverse)))
            pulled = noes[some] @ inverse
            own = (1.0 - pulled[np.arange(len(some)), some]) / diagonal[some]
            weights[:, some] = -(inverse[some] * own[:, None] + pulled).T
    np.fill_diagonal(weights, 0.0)
    return weights


def _ridges(diagonal: Float32, config: EaseConfig) -> Float32:
    """What is added to the diagonal of G: float32, shape (items,)."""
    extra = np.float32(config.dropout / (1.0 - config.dropout))
    return np.asarray(np.float32(config.ridge) + extra * diagonal, dtype=np.float32)


def _alone(gram: Gram, others: Int64, ridges: Float32, noes: Any | None) -> Any:
    """Weights of the items that are solved alone: scipy CSR, shape (items, items)."""
    import scipy.sparse

    n = len(gram.diagonal)
    rows = gram.rows(others, np.arange(n))
    if noes is not None:
        rows = (rows - noes.T.tocsr()[others]).tocsr()
    spread = scipy.sparse.csr_matrix(
        (np.ones(len(others), np.float32), (others, np.arange(len(others)))), shape=(n, len(others))
    )
    factors = (1.0 / (gram.diagonal[others] + ridges[others])).astype(np.float32)
    rows.data = rows.data * np.repeat(factors, np.diff(rows.indptr))
    rows.data[rows.indices == np.repeat(others, np.diff(rows.indptr))] = 0.0
    rows.eliminate_zeros()
    return (spread @ rows).tocsr()


@dataclass(frozen=True, kw_only=True)
class Gram:
    """G, whose rows are made when they are asked for.

    Attributes:
        near: scipy CSR of G, shape (items, items), or None.
        sets: scipy CSR of X, shape (viewers, items), where `near` is None.
        across: X transposed, as CSR.
        diagonal: float32, shape (items,).
    """

    near: Any
    sets: Any
    across: Any
    diagonal: Float32

    def rows(self, some: Int64, columns: Int64) -> Any:
        """G[some, columns] as scipy CSR."""
        whole = len(columns) == len(self.diagonal)
        if self.near is not None:
            rows = self.near[some]
            return (rows if whole else rows[:, columns]).tocsr()
        return (self.across[some] @ (self.sets if whole else self.sets[:, columns])).tocsr()


def _gram(log: Log, config: EaseConfig) -> Gram:
    if _near(log, config):
        near = _sparse_gram(log, config)
        return Gram(near=near, sets=None, across=None, diagonal=near.diagonal().astype(np.float32))
    sets = sets_of(log.histories, log.n_items)
    squares = np.bincount(sets.indices, sets.data.astype(np.float64) ** 2, log.n_items)
    return Gram(near=None, sets=sets, across=sets.T.tocsr(), diagonal=squares.astype(np.float32))


def _noes(log: Log, config: EaseConfig) -> Any | None:
    """What the noes take from the targets: scipy CSR, shape (items, items), rows what was turned down."""
    decays = (config.decay,) if _near(log, config) else ()
    return against(log, config.negative, decays, (window_of(config.decay, config.threshold),))


def _check(config: EaseConfig) -> None:
    for field in ("query_decay", "decay"):
        if not 0.0 < getattr(config, field) <= 1.0:
            raise SettingsError(f"ease needs a {field} above 0, at most 1; found {getattr(config, field)}.")
    if not 0.0 < config.threshold < 1.0:
        raise SettingsError(f"ease needs a threshold between 0 and 1, found {config.threshold}.")
    if config.ridge <= 0.0:
        raise SettingsError(f"ease needs a ridge above 0, found {config.ridge}.")
    if config.negative < 0.0:
        raise SettingsError(f"ease needs negative of at least 0, found {config.negative}.")
    if not 0.0 <= config.dropout < 1.0:
        raise SettingsError(f"ease needs a dropout of at least 0 and below 1, found {config.dropout}.")
    if config.features is not None and config.features < 0:
        raise SettingsError(f"ease needs features of 0 or more, or none, found {config.features}.")


def _needs(log: Log, config: EaseConfig) -> Needs:
    """What a fit takes, the way that it will go."""
    features, shape = _features(log, config), _shape(log, config)
    return local_cost(shape, features) if features else joint_cost(shape, _RARE * config.ridge)


def _features(log: Log, config: EaseConfig) -> int:
    """Features per item of the local way, 0 for the dense way."""
    if config.features is not None:
        return config.features
    shape = _shape(log, config)
    dense = joint_cost(shape, _RARE * config.ridge)
    quick = dense.cpu_s <= local_cost(shape, FEATURES).cpu_s
    return 0 if quick and fits(dense.memory_bytes) else FEATURES


def _shape(log: Log, config: EaseConfig) -> Shape:
    """The size of G, and about what each item will weigh."""
    histories = log.histories
    counts = np.bincount(histories.items, minlength=log.n_items)
    weights = np.ones(1) if histories.weights is None else histories.weights.astype(np.float64)
    squares = np.broadcast_to(weights**2, histories.items.shape)
    diagonal = np.bincount(histories.items, squares, log.n_items).astype(np.float64)
    return Shape(events=counts, pairs=(_pairs(log, config),), results=1, diagonal=diagonal)


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
