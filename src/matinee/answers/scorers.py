"""The one table from a part's kind to the code that scores it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matinee.core.errors import unknown_name
from matinee.core.promise import Part, Scorer
from matinee.core.types import Float32, Histories, Ragged


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a scorer may need beside its part's tensors; a bundle carries it.

    Attributes:
        n_items: size of the catalogue.
        popularity: float32, shape (items,): weighted events of each item in the fit's log.
        histories: the histories that the model was fitted on, or None where the bundle has none.
        friends: the fit's friends, or None.
        repeats: whether the same item again is a fair answer.
    """

    n_items: int
    popularity: Float32
    histories: Histories | None = None
    friends: Ragged | None = None
    repeats: bool = False


SCORERS: dict[str, Callable[[Part, Context], Scorer]] = {}


def make_scorer(part: Part, context: Context) -> Scorer:
    """The scorer of a fitted part.

    Raises:
        SettingsError: no scorer has this kind's name.
    """
    if part.kind not in SCORERS:
        raise unknown_name("kind of part", part.kind, SCORERS)
    return SCORERS[part.kind](part, context)
