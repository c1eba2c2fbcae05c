"""The promises that join the layers: what a recommender is fitted on, and what answers.

Fitting (`recommenders`) turns a log into a `Part`: named arrays and plain settings, no code. Answering
(`answers`) turns a part into a `Scorer`. The judge, the command line and the server know only the scorer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matinee.core.types import Askers, Float32, Histories, Int32, Int64, Ragged


class Log(Protocol):
    """What a recommender may look at while it is fitted; `matinee.data.log.InteractionLog` keeps it."""

    @property
    def histories(self) -> Histories:
        """Every viewer's positive events, oldest first."""

    @property
    def negatives(self) -> Ragged | None:
        """Items that each viewer turned down: never recommended to them; None where there are none."""

    @property
    def negative_times(self) -> Int64 | None:
        """When each of them was turned down, milliseconds; None where that is not known."""

    @property
    def friends(self) -> Ragged | None:
        """Viewer codes of each viewer's friends, with weights where given; None where the log has none."""

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""

    @property
    def ordered(self) -> bool:
        """Whether the order of a viewer's events means something (times, or an order column)."""

    @property
    def repeats(self) -> bool:
        """Whether the same item again is a fair answer."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A fitted model, or one part of a blend: arrays and settings, never code.

    Attributes:
        kind: the name of the scorer that reads it, a key of `matinee.answers.scorers`'s two tables.
        settings: what it was fitted with and what the scorer needs, plain JSON values.
        tensors: named arrays: everything an answer needs.
        sums: named arrays kept so that new events update the fit in seconds; no answer needs them.
    """

    kind: str
    settings: Mapping[str, Any]
    tensors: Mapping[str, NDArray[Any]]
    sums: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Scorer(Protocol):
    """Scores the whole catalogue for askers; each asker's scores depend on that asker alone."""

    def score(self, askers: Askers) -> Float32:
        """Scores of every item, higher is better: float32, shape (askers, items), finite."""

    def personal(self, askers: Askers) -> NDArray[np.bool_]:
        """Whether anything personal can be said to each asker: bool, shape (askers,)."""

    def contributions(self, asker: Askers, item: int) -> Float32:
        """What each event of one asker's history adds to one item's score: float32, shape (events,).

        By the model's own arithmetic, for whoever asks and by what each event weighs; where the score is no
        sum over events, the loss of score when the event is left out.
        """

    def similar(self, items: Int32) -> Float32:
        """Likeness of every item to each of some items: float32, shape (len(items), items)."""


@runtime_checkable
class Predicts(Protocol):
    """What a scorer of values can do too."""

    def values(self, askers: Askers, rows: Int64, items: Int32, times: Int64 | None) -> Float32:
        """The value that some askers would give to some items at some moments.

        Args:
            askers: who.
            rows: int64, shape (n,), rising: which asker each question is about.
            items: int32, shape (n,): item codes; -1: an item that the catalogue lacks.
            times: int64, shape (n,), milliseconds: when; None where that is not known.

        Returns:
            float32, shape (n,), within the log's scale.
        """


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a fit will take, predicted before it starts.

    Attributes:
        memory_bytes: peak memory of the fit beyond the log itself.
        cpu_s: CPU-seconds on one core of an ordinary desktop.
    """

    memory_bytes: int
    cpu_s: float


class Recommender(Protocol):
    """Settings that can be fitted. `name` is its key in `matinee.recommenders.RECOMMENDERS`.

    A keeper also has the class attributes `Config` (its frozen dataclass) and `space` (what a search may
    change: setting -> `Choice` or `Span`), and a constructor that takes the config's fields as keywords. Its
    `fit(log, *, seed=0)` returns a `matinee.answers.model.Model`. Where it has `variants`, a tuple of
    settings, `compare` always tries each on validation beside the default. Where `predicts` is "value" it
    learns the values of events, and its scorer `Predicts` them; else it ranks items.
    """

    @property
    def name(self) -> str:
        """Its key in the table of recommenders."""

    @property
    def config(self) -> Any:
        """Every setting."""

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take; cheap."""

    def fit(self, log: Log, *, seed: int = 0) -> Any:
        """Fit on a log: a `Model`.

        Raises:
            TooLarge: the fit would need more memory than there is; the message names how much.
        """
