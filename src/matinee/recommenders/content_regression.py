"""Item vectors from what items are: ridge regression, its strength chosen on items left out.

Solved by conjugate gradients (Hestenes and Stiefel 1952), all numbers of the vectors at once: nothing of the
size of features x features is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.core.seeds import generator
from matinee.core.types import Float32, Int64
from matinee.data.content import Content

# How hard the map is pulled to zero, in items of which a feature is all that is known: what is tried.
RIDGES = (1.0, 3.0, 10.0, 30.0)
_TURNS = 30
_FOLDS = 5
# Of a large catalogue so many items choose the strength.
_MOST = 20_000


@dataclass(frozen=True, kw_only=True)
class Regression:
    """A map from content to vectors: base + shares @ words + vectors @ directions.

    Attributes:
        base: float32, shape (width,): what an item of which nothing is known is like.
        words: float32, shape (features, width).
        directions: float32, shape (numbers of a vector, width).
    """

    base: Float32
    words: Float32
    directions: Float32

    def vectors(self, content: Content) -> Float32:
        """What items are like by their content alone: float32, shape (items, width)."""
        found = content.shares @ self.words + content.vectors @ self.directions + self.base
        return np.asarray(found, dtype=np.float32)


def regress(
    content: Content, wanted: Float32, rows: Int64, ridge: float, *, based: bool = True
) -> Regression:
    """The map that makes some items' vectors of their content.

    Args:
        content: what the items are.
        wanted: float32, shape (items, width): their vectors.
        rows: int64: which items are learnt from.
        ridge: how hard the map is pulled to zero.
        based: whether there is a base; else it is zero.
    """
    shares, vectors, aims = content.shares[rows], content.vectors[rows], wanted[rows].astype(np.float64)
    base = aims.mean(axis=0) if based and len(rows) else np.zeros(wanted.shape[1])
    aims -= base
    n_features = shares.shape[1]

    def normal(x: Any) -> Any:
        made = shares @ x[:n_features] + vectors @ x[n_features:]
        return np.concatenate([shares.T @ made, vectors.T @ made]) + ridge * x

    residual = np.concatenate([shares.T @ aims, vectors.T @ aims])
    found, along = np.zeros_like(residual), residual.copy()
    size = np.square(residual).sum(axis=0)
    for _ in range(_TURNS):
        turned = normal(along)
        step = size / np.maximum((along * turned).sum(axis=0), 1e-30)
        found += step * along
        residual -= step * turned
        before, size = size, np.square(residual).sum(axis=0)
        along = residual + size / np.maximum(before, 1e-30) * along
    return Regression(
        base=base.astype(np.float32),
        words=found[:n_features].astype(np.float32),
        directions=found[n_features:].astype(np.float32),
    )


def choose_ridge(content: Content, wanted: Float32, rows: Int64, seed: int) -> float:
    """The strength by which vectors of items left out are foretold best.

    Args:
        content: what the items are.
        wanted: float32, shape (items, width): their vectors.
        rows: int64: which items there are to learn from.
        seed: draws who is left out.
    """
    random = generator(seed, "ridge of content")
    rows = random.permutation(rows)[:_MOST]
    errors = np.zeros(len(RIDGES))
    for fold in range(_FOLDS):
        out = np.arange(len(rows)) % _FOLDS == fold
        left = Content(shares=content.shares[rows[out]], vectors=content.vectors[rows[out]])
        for place, ridge in enumerate(RIDGES):
            made = regress(content, wanted, rows[~out], ridge).vectors(left)
            errors[place] += np.square(made - wanted[rows[out]]).sum()
    return RIDGES[int(np.argmin(errors))]
