"""Matinee: deep-learning recommendation for people without deep pockets.

The doors are opened when they are used: `import matinee` loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matinee.answers.model import Model, load
    from matinee.answers.rules import Rules
    from matinee.answers.top import TopItems
    from matinee.core.errors import MatineeError
    from matinee.core.space import Choice, Span
    from matinee.data.log import InteractionLog
    from matinee.data.read import read_log
    from matinee.recipes.compare import compare
    from matinee.recipes.fit import fit
    from matinee.recipes.update import update
    from matinee.recommenders.ease import Ease
    from matinee.recommenders.ensemble import Ensemble
    from matinee.recommenders.friends import Friends
    from matinee.recommenders.graph_filter import GraphFilter
    from matinee.recommenders.ials import Ials
    from matinee.recommenders.item_knn import ItemKnn
    from matinee.recommenders.popularity import Popularity
    from matinee.recommenders.rating import Rating
    from matinee.recommenders.recent import Recent
    from matinee.recommenders.transitions import Transitions
    from matinee.recommenders.user_knn import UserKnn
    from matinee.tune.run import tune
    from matinee.tune.space_file import read_space

    __version__: str

    def recommenders() -> tuple[str, ...]:
        """The names of all recommenders."""


__all__ = [
    "Choice",
    "Ease",
    "Ensemble",
    "Friends",
    "GraphFilter",
    "Ials",
    "InteractionLog",
    "ItemKnn",
    "MatineeError",
    "Model",
    "Popularity",
    "Rating",
    "Recent",
    "Rules",
    "Span",
    "TopItems",
    "Transitions",
    "UserKnn",
    "__version__",
    "compare",
    "fit",
    "load",
    "read_log",
    "read_space",
    "recommenders",
    "tune",
    "update",
]

# Each door and the file behind it.
_DOORS = {
    "Choice": "matinee.core.space",
    "Ease": "matinee.recommenders.ease",
    "Ensemble": "matinee.recommenders.ensemble",
    "Friends": "matinee.recommenders.friends",
    "GraphFilter": "matinee.recommenders.graph_filter",
    "Ials": "matinee.recommenders.ials",
    "InteractionLog": "matinee.data.log",
    "ItemKnn": "matinee.recommenders.item_knn",
    "MatineeError": "matinee.core.errors",
    "Model": "matinee.answers.model",
    "Popularity": "matinee.recommenders.popularity",
    "Rating": "matinee.recommenders.rating",
    "Recent": "matinee.recommenders.recent",
    "Rules": "matinee.answers.rules",
    "Span": "matinee.core.space",
    "TopItems": "matinee.answers.top",
    "Transitions": "matinee.recommenders.transitions",
    "UserKnn": "matinee.recommenders.user_knn",
    "compare": "matinee.recipes.compare",
    "fit": "matinee.recipes.fit",
    "load": "matinee.answers.model",
    "read_log": "matinee.data.read",
    "read_space": "matinee.tune.space_file",
    "update": "matinee.recipes.update",
}


def __getattr__(name: str) -> Any:
    """Open a door."""
    if name == "__version__":
        from matinee.core.version import version

        found: Any = version("matinee")
    elif name in ("recommenders", "tune"):
        # Importing the folder binds it to this name; called, it names the recommenders, or searches.
        found = import_module(f"matinee.{name}")
    elif name in _DOORS:
        found = getattr(import_module(_DOORS[name]), name)
    else:
        raise AttributeError(f"module 'matinee' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
