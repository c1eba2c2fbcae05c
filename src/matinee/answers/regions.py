"""One model for everybody, and some regions' own beside it: each asker is answered by that of their region.

The part has the settings

- `column`: the column of the viewers' table that says where a viewer is;
- `regions`: names of the regions that have a model of their own;
- `parts`: the part that answers everybody else, then that of each of these regions

and the tensor `popularity`, float32, shape (regions, items): weighted events of each item in the region. Each
model was fitted by itself; the regions' knows nothing of what viewers of others did. An asker of no such
region, or of whom nobody knows where they are, is answered by the shared one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.context import Context
from matinee.answers.nobody import nobody_of
from matinee.answers.reasons import Contributes, Explains
from matinee.core.errors import SettingsError
from matinee.core.promise import Part, Scorer
from matinee.core.types import Askers, Bool, Float32, Histories, Int32, Int64
from matinee.data.homes import REGION, homes_of

# The name of the part, and of its kind.
REGIONS = "regions"


class RegionsScorer:
    """Sends each asker to the scorer of their region.

    Args:
        part: settings and tensor as the file's docstring names them.
        context: where the viewers are, by their table.
        scorers: the shared one, then those of the regions.

    Raises:
        SettingsError: settings, tensor and scorers do not fit each other.
    """

    def __init__(self, part: Part, context: Context, scorers: Sequence[Scorer]) -> None:
        names = [str(name) for name in part.settings["regions"]]
        self._popularity = _popularity(part, len(names), context.n_items)
        if len(scorers) != len(names) + 1:
            raise SettingsError(f"{len(names)} regions need {len(names) + 1} models, found {len(scorers)}.")
        self._scorers = list(scorers)
        self._shared_popularity = context.popularity
        self._place = {name: number for number, name in enumerate(names)}
        # What a request says of where its asker is, is said of regions and of nothing else.
        self._heeds_requests = part.settings["column"] == REGION
        self._homes = _homes(part, context)
        # What answers those of whom a place alone is known, once it was asked for.
        self._nobodies: dict[int, Float32] = {}

    def score(self, askers: Askers) -> Float32:
        """Scores of every item: float32, shape (askers, items)."""
        places = self._places(askers)
        if len(np.unique(places)) <= 1:
            return self._of(places).score(askers)
        scores = np.empty((len(askers), self._popularity.shape[1]), np.float32)
        for place in np.unique(places):
            rows = np.flatnonzero(places == place)
            scores[rows] = self._scorers[place + 1].score(askers.take(rows))
        return scores

    def personal(self, askers: Askers) -> Bool:
        """Whether anything personal can be said to each asker: bool, shape (askers,)."""
        places = self._places(askers)
        found = np.zeros(len(askers), dtype=bool)
        for place in np.unique(places):
            rows = np.flatnonzero(places == place)
            found[rows] = self._scorers[place + 1].personal(askers.take(rows))
        return found

    def popular(self, askers: Askers, begins: Sequence[bool]) -> Float32:
        """What answers those of whom a place alone is known: float32, shape (askers, items).

        Args:
            askers: who.
            begins: for the shared model, then each region's, whether it says what people begin with.
        """
        places = self._places(askers)
        found = np.empty((len(askers), self._popularity.shape[1]), np.float32)
        for place in np.unique(places):
            if place not in self._nobodies:
                popularity = self._popularity[place] if place >= 0 else self._shared_popularity
                scorer = self._scorers[place + 1]
                self._nobodies[place] = nobody_of(scorer, popularity, begins=begins[place + 1])
            found[places == place] = self._nobodies[place]
        return found

    def contributions(self, asker: Askers, item: int) -> Float32:
        """What each event of one asker's history adds to one item's score: float32, shape (events,)."""
        return self._of(self._places(asker)).contributions(asker, item)

    def contributions_to(self, asker: Askers, items: Int64) -> Float32:
        """The same for some items: float32, shape (items, events)."""
        scorer = self._of(self._places(asker))
        if isinstance(scorer, Contributes):
            return scorer.contributions_to(asker, items)
        return np.stack([scorer.contributions(asker, int(item)) for item in items])

    def reasons(self, asker: Askers, item: int) -> list[str]:
        """The words that the region's model has of its own; empty where it has none."""
        scorer = self._of(self._places(asker))
        return scorer.reasons(asker, item) if isinstance(scorer, Explains) else []

    def similar(self, items: Int32) -> Float32:
        """Likeness by the shared model."""
        return self._scorers[0].similar(items)

    def at(self, region: str | None) -> Scorer:
        """What answers a request that says where its asker is; the shared one where it does not say."""
        place = self._place.get((region or "").strip(), -1) if self._heeds_requests else -1
        return self._scorers[place + 1]

    @property
    def regions(self) -> list[str]:
        """The regions that have a model of their own."""
        return list(self._place)

    def own(self, region: str) -> Scorer:
        """The scorer of a region that has a model of its own.

        Raises:
            KeyError: it has none.
        """
        return self._scorers[self._place[region] + 1]

    def _of(self, places: Int64) -> Scorer:
        """The scorer of askers who are all in one place."""
        return self._scorers[int(places[0]) + 1 if len(places) else 0]

    def _places(self, askers: Askers) -> Int64:
        """Which region's model answers each asker, -1 for the shared one: int64, shape (askers,)."""
        there = (askers.viewers >= 0) & (askers.viewers < len(self._homes))
        places = np.full(len(askers), -1, dtype=np.int64)
        places[there] = self._homes[askers.viewers[there]]
        if self._heeds_requests:
            for row, name in enumerate(askers.regions or ()):
                if name is not None:
                    places[row] = self._place.get(name.strip(), -1)
        return places


def contexts_of(part: Part, context: Context, need_people: Sequence[bool]) -> list[Context]:
    """What the scorer of each region needs: the popularity there, and the histories of its own viewers.

    Args:
        part: of kind `regions`.
        context: the whole model's.
        need_people: for each region, whether its model answers from other people's histories.
    """
    popularity = _popularity(part, len(part.settings["regions"]), context.n_items)
    homes = _homes(part, context)
    return [
        replace(
            context,
            popularity=row,
            histories=_only(context.histories, homes == number) if people else context.histories,
        )
        for number, (row, people) in enumerate(zip(popularity, need_people, strict=True))
    ]


def join_regions(
    name: str,
    shared: Mapping[str, Part],
    own: Mapping[str, tuple[Mapping[str, Part], Float32]],
    column: str,
) -> dict[str, Part]:
    """The parts of one model from those that were fitted on everybody and on regions.

    What an update of a fit needs is left out: by region it is fitted anew.

    Args:
        name: the recommender's name, which is the part that answers for each of them.
        shared: the parts that were fitted on everybody.
        own: region -> the parts that were fitted on its viewers, and float32, shape (items,): how popular
            each item is with them.
        column: the column of the viewers' table that says where a viewer is.
    """
    parts = {key: replace(part, sums={}) for key, part in shared.items()}
    leaders = [name]
    for number, (theirs, _) in enumerate(own.values(), start=1):
        prefix = f"region{number}-"
        for key, part in theirs.items():
            settings: dict[str, Any] = dict(part.settings)
            if "parts" in settings:
                settings["parts"] = [prefix + str(one) for one in settings["parts"]]
            parts[prefix + key] = replace(part, settings=settings, sums={})
        leaders.append(prefix + name)
    popularity = np.stack([popular for _, popular in own.values()]).astype(np.float32)
    settings = {"column": column, "regions": list(own), "parts": leaders}
    return {**parts, REGIONS: Part(kind=REGIONS, settings=settings, tensors={"popularity": popularity})}


def column_of(parts: Mapping[str, Part]) -> str | None:
    """The column by which a model's parts answer; None where all askers are answered alike."""
    return str(parts[REGIONS].settings["column"]) if REGIONS in parts else None


def own_regions(parts: Mapping[str, Part]) -> list[str]:
    """The regions that a request can name and that have a model of their own."""
    return [str(name) for name in parts[REGIONS].settings["regions"]] if column_of(parts) == REGION else []


def _homes(part: Part, context: Context) -> Int64:
    """Which region's model each viewer has, -1 for the shared one: int64, shape (viewers,)."""
    homes = homes_of(context.viewers, str(part.settings["column"]))
    place = {str(name): number for number, name in enumerate(part.settings["regions"])}
    places = np.array([*(place.get(name, -1) for name in homes.names), -1], dtype=np.int64)
    return places[homes.codes]


def _only(histories: Histories | None, viewers: Bool) -> Histories | None:
    """The histories with those of other viewers empty."""
    if histories is None:
        return None
    kept = np.zeros(len(histories), dtype=bool)
    kept[: len(viewers)] = viewers[: len(kept)]
    return histories.keep(kept[histories.rows()])


def _popularity(part: Part, regions: int, n_items: int) -> Float32:
    popularity: NDArray[Any] = part.tensors["popularity"]
    if popularity.dtype != np.float32 or popularity.shape != (regions, n_items):
        raise SettingsError(
            f"{regions} regions need popularity of shape {(regions, n_items)}, found {popularity.shape}."
        )
    return popularity
