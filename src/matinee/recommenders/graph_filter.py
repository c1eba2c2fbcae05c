"""Graph filter: histories smoothed along the graph of who watched what, without training.

Shen et al. 2021, "How powerful is graph convolution for recommendation?" (GF-CF): with N the viewers x items
matrix of events, each divided by the square roots of its viewer's and its item's degree, and v the top right
singular vectors of N, an asker's history (a row x) is answered by

x D^-popularity (N'N + ideal * v v') D^popularity

where D holds the items' degrees: a linear low-pass filter plus an ideal one. GF-CF takes the exponent 0 for
the first and 1/2 for the second; one exponent for both does as well and needs half the numbers. What Choi et
al. 2023 ("Blurring-sharpening process models", BSPM) add, a sharpening step that subtracts N'N from the
result, costs four dense passes over the log an answer and is left out.

Of a history only the latest 5,000 events teach: pairs of items go by the square. Nothing dense of size items
x items is made: of N'N the `neighbours` largest entries of each row are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.compact import largest, sparse_tensors
from matinee.answers.model import Model, model_of
from matinee.answers.taste import Sparse, blocks, scaled, taste_matrix
from matinee.core.errors import SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.seeds import generator
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span
from matinee.core.types import Float32
from matinee.recommenders.cooccurrence import latest, pairs_within
from matinee.recommenders.ease import UNORDERED

# Entries of N'N at a time.
_ENTRIES = 4_000_000
# Subspace iterations, and spare directions, of the singular vectors.
_ITERATIONS = 4
_SPARE = 16


@dataclass(frozen=True, kw_only=True)
class GraphFilterConfig:
    """Settings of `GraphFilter`.

    Attributes:
        factors: singular vectors that the ideal filter lets pass, at most one an item; more tells finer
            tastes apart.
        ideal: weight of the ideal filter; more trusts broad tastes over direct neighbours.
        popularity: exponent of an item's degree in the answer; more recommends more popular items.
        neighbours: items that each item is joined with directly; more is nearer to the whole.
        decay: what each later event multiplies an event of the asker's history with; less forgets faster.
            Not used where the log has no order.
    """

    factors: int = 256
    ideal: float = 0.1
    popularity: float = 0.3
    neighbours: int = 200
    decay: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what filters nothing."""
        for name in ("factors", "neighbours"):
            if getattr(self, name) < 1:
                raise SettingsError(f"graph_filter needs {name} of at least 1, found {getattr(self, name)}.")
        if not 0.0 < self.decay <= 1.0:
            raise SettingsError(f"graph_filter needs a decay above 0 and at most 1, found {self.decay}.")


class GraphFilter:
    """Histories smoothed along the graph of who watched what."""

    name = "graph_filter"
    Config = GraphFilterConfig
    space: ClassVar[Space] = {
        "factors": Choice((64, 128, 256, 448)),
        "ideal": Span(low=0.0, high=0.5),
        "popularity": Span(low=0.0, high=0.6),
        "decay": Choice((0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(GraphFilterConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take: the log as matrices, the factors, the kept entries."""
        events, n_items = len(log.histories.items), log.n_items
        k = min(self.config.factors, n_items) + _SPARE
        kept = min(self.config.neighbours, n_items) * n_items
        meetings = pairs_within(log.histories.lengths, 0)
        cpu_s = _ITERATIONS * (2e-9 * events * k + 1e-9 * n_items * k**2) + 1e-8 * meetings
        memory_bytes = 60 * events + 4 * k * (4 * n_items + len(log.histories)) + 16 * kept + 2**28
        return Needs(memory_bytes=memory_bytes, cpu_s=cpu_s + 2e-7 * kept)

    def fit(self, log: Log, *, seed: int = 0) -> Model:
        """Fit on a log.

        Raises:
            TooLarge: the fit would need more memory than there is.
        """
        require(
            self.needs(log).memory_bytes, f"graph_filter over {log.n_items:,} items", "keep fewer neighbours"
        )
        config = self.config
        graph, degrees = _graph(taste_matrix(latest(log.histories), log.n_items))
        _, vectors = top_singular(graph, config.factors, generator(seed, self.name))
        after = (np.maximum(degrees, 1.0) ** config.popularity).astype(np.float32)
        linear = scaled(_meetings(graph, after, config.neighbours), rows=1.0 / after)
        settings = config_values(config)
        settings |= {"decays": [config.decay], "windows": [0]}
        if not log.ordered:
            settings |= {"decays": [1.0], "note": UNORDERED}
        tensors = {
            **sparse_tensors(linear),
            "left": vectors * np.float32(config.ideal) / after[:, None],
            "right": np.ascontiguousarray(vectors.T) * after,
        }
        part = Part(kind="linear", settings=settings, tensors=tensors)
        return model_of(self.name, config_values(config), part, log)


def _graph(watched: Sparse) -> tuple[Sparse, Float32]:
    """N, float32, shape (viewers, items), and the items' degrees, float32, shape (items,)."""
    viewers = np.asarray(watched.sum(axis=1), dtype=np.float64).ravel()
    degrees = np.asarray(watched.sum(axis=0), dtype=np.float64).ravel()
    rows = 1.0 / np.sqrt(np.where(viewers > 0, viewers, 1.0))
    columns = 1.0 / np.sqrt(np.where(degrees > 0, degrees, 1.0))
    graph = scaled(watched, rows=rows.astype(np.float32), columns=columns.astype(np.float32))
    return graph, degrees.astype(np.float32)


def top_singular(matrix: Sparse, k: int, random: np.random.Generator) -> tuple[Float32, Float32]:
    """The greatest squared singular values of a sparse matrix, and its right singular vectors.

    Randomised subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4).

    Args:
        matrix: sparse float32, shape (rows, columns).
        k: how many; at most the smaller side has that many.
        random: draws the first directions.

    Returns:
        float32 of shapes (k,), descending, and (columns, k).
    """
    k = min(k, *matrix.shape)
    back = matrix.T.tocsr()
    width = min(k + _SPARE, matrix.shape[1])
    basis = random.standard_normal((matrix.shape[1], width), dtype=np.float32)
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(back @ (matrix @ basis))[0]
    image = matrix @ basis
    values, turn = np.linalg.eigh((image.T @ image).astype(np.float64))
    values, turn = values[::-1][:k], turn[:, ::-1][:, :k]
    return np.maximum(values, 0.0).astype(np.float32), np.asarray(basis @ turn.astype(np.float32))


def _meetings(graph: Sparse, after: Float32, keep: int) -> Sparse:
    """N'N, its columns times `after`, with the largest entries of each row alone: shape (items, items)."""
    from scipy.sparse import vstack

    return vstack(list(_meeting_blocks(graph, after, keep)), format="csr", dtype=np.float32)


def _meeting_blocks(graph: Sparse, after: Float32, keep: int) -> Iterator[Sparse]:
    back = graph.T.tocsr()
    met = np.asarray((back > 0).astype(np.float32) @ np.diff(graph.indptr).astype(np.float32))
    for block in blocks(np.minimum(met, graph.shape[1]), _ENTRIES):
        yield largest(scaled((back[block] @ graph).tocsr(), columns=after), keep)
