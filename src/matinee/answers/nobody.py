"""What answers those of whom nothing is known."""

from __future__ import annotations

import numpy as np

from matinee.core.promise import Scorer
from matinee.core.types import Float32, histories_of, newcomers


def nobody_of(scorer: Scorer, popularity: Float32, *, begins: bool) -> Float32:
    """Popularity, or what people begin with: float32, shape (items,), at least 0.

    Args:
        scorer: of the model that answers.
        popularity: float32, shape (items,): weighted events of each item in its fit's log.
        begins: whether the model learnt what people begin with, and that foretells it better (the setting
            `begins` of the part that answers): the chance that they do, on the scale of popularity, is taken.
    """
    if not begins:
        return popularity
    scores = scorer.score(newcomers(histories_of([[]])))
    chances = np.exp(scores[0] - scores[0].max(initial=-np.inf))
    return np.asarray(chances * popularity.max(initial=0.0), dtype=np.float32)
