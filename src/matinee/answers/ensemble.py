"""The sum of what several models say, each in its own standard units.

score(i) = sum over parts p of w_p * (score_p(i) - mean_p) / deviation_p

where mean_p and deviation_p are those of one asker's scores over the catalogue: parts whose scores have no
common scale, and no sign in common, weigh alike. The part has no tensors; its settings are

- `parts`: names of the model's other parts;
- `weights`: one for each of them, above 0;
- `values`: how far an event's value counts (`by_value.py`), for the parts that answer from a history alone.

An asker to whom one of the parts has nothing to say is answered by the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matinee.answers.by_value import by_value
from matinee.answers.context import Context
from matinee.answers.factors import FactorsScorer
from matinee.answers.friends import FriendsScorer
from matinee.answers.linear import LinearScorer
from matinee.answers.network import last_places, less_each
from matinee.core.errors import SettingsError
from matinee.core.promise import Part, Scorer
from matinee.core.types import Askers, Bool, Float32, Int32, Int64

# Scores of a block of shortened histories.
_CELLS = 2**22


class EnsembleScorer:
    """Scores by the weighted sum of ready scorers in standard units.

    Args:
        part: settings as the file's docstring names them.
        context: the size of the catalogue.
        scorers: each part's.

    Raises:
        SettingsError: the settings do not fit the scorers.
    """

    def __init__(self, part: Part, context: Context, scorers: Sequence[Scorer]) -> None:
        self._n = context.n_items
        self._weights = [float(weight) for weight in part.settings["weights"]]
        self._values = float(part.settings["values"])
        self._scorers = list(scorers)
        if not scorers or len(self._weights) != len(scorers) or min(self._weights) <= 0:
            raise SettingsError(
                f"An ensemble of {len(scorers)} parts needs as many weights above 0, found {self._weights}."
            )

    def score(self, askers: Askers) -> Float32:
        """The sum of the parts in standard units: float32, shape (askers, items)."""
        scores = np.zeros((len(askers), self._n), dtype=np.float32)
        for weight, said in zip(self._weights, self.each(askers), strict=True):
            scores += np.float32(weight) * said
        return scores

    def each(self, askers: Askers) -> list[Float32]:
        """What each part says in standard units: float32, shape (askers, items)."""
        return [_standard(scorer.score(self._told(scorer, askers))) for scorer in self._scorers]

    def personal(self, askers: Askers) -> Bool:
        """Whether any part can say anything personal."""
        found = [scorer.personal(self._told(scorer, askers)) for scorer in self._scorers]
        return np.asarray(np.any(found, axis=0), dtype=np.bool_)

    def reasons(self, asker: Askers, item: int) -> list[str]:
        """What friends have, for who has no history of their own; else nothing."""
        if len(asker.histories.items):
            return []
        words = [one.reasons(asker, item) for one in self._scorers if isinstance(one, FriendsScorer)]
        return [word for said in words for word in said]

    def contributions(self, asker: Askers, item: int) -> Float32:
        """The loss of an item's score when each event is left out: float32, shape (events,)."""
        return np.asarray(self.contributions_to(asker, np.array([item]))[0])

    def contributions_to(self, asker: Askers, items: Int64) -> Float32:
        """The same for some items: float32, (items, events); of a long history only the last events."""
        places = last_places(asker.histories)
        shorter = less_each(asker.histories, places)
        copies = Askers(histories=shorter, viewers=np.repeat(asker.viewers, len(shorter)))
        size = max(1, _CELLS // max(self._n, 1))
        blocks = [np.arange(start, min(start + size, len(copies))) for start in range(0, len(copies), size)]
        found = np.concatenate([self.score(copies.take(block))[:, items] for block in blocks])
        parts = np.zeros((len(items), len(asker.histories.items)), dtype=np.float32)
        parts[:, places] = (found[:1] - found[1:]).T
        return parts

    def similar(self, items: Int32) -> Float32:
        """The first part's likeness."""
        return self._scorers[0].similar(items)

    def _told(self, scorer: Scorer, askers: Askers) -> Askers:
        """What a part is told: who compares people counts what they have, whatever its value."""
        if isinstance(scorer, FactorsScorer | LinearScorer):
            return replace(askers, histories=by_value(askers.histories, self._values))
        return askers


def _standard(scores: Float32) -> Float32:
    """Each row less its mean, in units of its deviation; zeros where all of a row is the same."""
    scores = scores - scores.mean(axis=1, keepdims=True)
    deviations = np.sqrt(np.einsum("ij,ij->i", scores, scores) / np.float32(scores.shape[1]))
    same = deviations <= 1e-12
    scores /= np.where(same, np.float32(1.0), deviations)[:, None].astype(np.float32)
    scores[same] = 0.0
    return scores
