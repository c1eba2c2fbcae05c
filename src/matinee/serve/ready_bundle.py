"""A bundle in memory, ready to answer one asker at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from matinee.answers.manifest import MANIFEST
from matinee.answers.model import Model, load
from matinee.answers.reasons import POPULAR, reasons, verb_of
from matinee.answers.regions import REGIONS
from matinee.answers.scorers import NEED_PEOPLE
from matinee.core.errors import BundleError
from matinee.core.types import Float32, Int32, Int64, histories_of, newcomers
from matinee.data.homes import REGION
from matinee.data.log import meaning_of
from matinee.serve.deleted_viewers import learnt_by
from matinee.serve.live_items import LiveItems
from matinee.serve.taken import NO_CODES, Reading, Taken


@runtime_checkable
class LikensSome(Protocol):
    """A scorer that knows a quick way to say how alike some items are."""

    def alike(self, codes: Int64) -> Float32:
        """Float32, shape (codes, codes)."""


@dataclass(kw_only=True, eq=False)
class ReadyBundle:
    """What answers.

    Attributes:
        name: the bundle's name.
        model: the fitted model.
        live: its items, as the store says they are now.
        reading: how it takes events.
        created_ms: when the bundle was written.
        items_version: of the store's items, as far as `live` has them.
    """

    name: str
    model: Model
    live: LiveItems
    reading: Reading
    created_ms: int = 0
    items_version: int = 0

    @property
    def source(self) -> str:
        """What its personal answers are called."""
        return self.model.name

    @property
    def learnt_ms(self) -> int:
        """Up to when it can have learnt anything."""
        return learnt_by(self.model, self.created_ms)

    @property
    def for_everybody(self) -> bool:
        """Whether it says the same to everybody."""
        return self.model.parts[self.model.name].kind == "popular"

    @cached_property
    def personal_beyond_history(self) -> bool:
        """Whether it answers a viewer of the fit by more than a history: by noes, friends, other people."""
        links = any("links" in part.tensors for part in self.model.parts.values())
        return self.model.log.negatives is not None or needs_people(self.model) or links

    @cached_property
    def watchers(self) -> tuple[Int32, Int64]:
        """Viewer codes of the fit's events, item by item, and where each item's begin."""
        histories = self.model.log.histories
        order = np.argsort(histories.items, kind="stable")
        counts = np.bincount(histories.items, minlength=self.model.log.n_items)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        return histories.rows()[order], starts

    @property
    def regional(self) -> bool:
        """Whether it matters where an asker is: to what may be shown, to which model answers, or how."""
        return self.live.regional or REGIONS in self.model.parts or REGION in self.model.reads

    def viewer(self, user: str | None) -> int:
        """The code of a viewer of the fit, -1 for anybody else and for the deleted."""
        if user is None or user in self.model.deleted:
            return -1
        return int(self.model.log.viewers.code(user))

    def noes(self, viewer: int) -> Int64:
        """Codes of what a viewer of the fit had turned down: int64."""
        negatives = self.model.log.negatives
        if negatives is None or not 0 <= viewer < len(negatives):
            return NO_CODES
        return np.asarray(negatives.row(viewer), dtype=np.int64)

    def region(self, viewer: int) -> str | None:
        """Where the fit's table of viewers says that somebody is."""
        table = self.model.log.viewer_table
        if table is None or viewer < 0 or "region" not in table.column_names:
            return None
        word = table.column("region")[viewer].as_py()
        return str(word).strip() or None if word is not None else None

    def personal(self, taken: Taken) -> bool:
        """Whether anything personal can be said to somebody."""
        if self._nobody(taken):
            return False
        return bool(self.model.scorer.personal(taken.asker)[0])

    @staticmethod
    def _nobody(taken: Taken) -> bool:
        """Whether nothing at all is known of an asker."""
        asker = taken.asker
        return not len(asker.histories.items) and asker.viewers[0] < 0 and asker.regions is None

    def scores(self, taken: Taken) -> tuple[Float32, bool]:
        """Scores of the bundle's items: float32, shape (items,), to be written into; and whether personal."""
        scorer = self.model.scorer
        if not self._nobody(taken):
            personal = bool(scorer.personal(taken.asker)[0])
            if personal or self.for_everybody:
                return scorer.score(taken.asker)[0], personal
        elif self.for_everybody:
            return scorer.score(taken.asker)[0], False
        return np.array(self.model.popular(taken.asker)[0]), False

    def scores_of(self, taken: Taken, codes: Sequence[int]) -> tuple[Float32, bool]:
        """The same where nobody asks for other items than some: of a large catalogue the others have -inf."""
        candidates = self.model.candidates
        if candidates is None or not self.personal(taken):
            return self.scores(taken)
        known = np.array([code for code in codes if 0 <= code < self.live.known], dtype=np.int64)
        scores = np.full(self.live.known, -np.inf, np.float32)
        scores[known] = candidates.scores_of(taken.asker, known)
        return scores, True

    def similar(self, code: int, region: str | None = None) -> Float32:
        """Likeness of every item of the bundle to one: float32, shape (items,), to be written into."""
        scorer = self.model.scorer_at(region)
        return np.array(scorer.similar(np.array([code], np.int32))[0], dtype=np.float32)

    def likeness(self, codes: Int64) -> Float32:
        """How alike some items are: float32, shape (n, n), at most 1; what is new is like none."""
        found = np.zeros((len(codes), len(codes)), np.float32)
        known = np.flatnonzero(codes < self.live.known)
        if isinstance(self.model.scorer, LikensSome):
            found[np.ix_(known, known)] = self.model.scorer.alike(codes[known])
            return found / max(float(np.abs(found).max(initial=0.0)), 1e-12)
        step = max(1, 4_000_000 // max(self.live.known, 1))
        for start in range(0, len(known), step):
            rows = known[start : start + step]
            likeness = self.model.scorer.similar(codes[rows].astype(np.int32))
            found[np.ix_(rows, known)] = likeness[:, codes[known]]
        return found / max(float(np.abs(found).max(initial=0.0)), 1e-12)

    def reasons(self, taken: Taken, codes: Sequence[int], *, personal: bool) -> list[tuple[str, ...]]:
        """Why an answer holds its items; nothing is said of what only the store knows."""
        known = [code for code in codes if code < self.live.known]
        if not personal or self.for_everybody:
            said: dict[int, tuple[str, ...]] = dict.fromkeys(known, (POPULAR,))
        else:
            verbs = [verb_of(kind) for kind in taken.kinds]
            found = reasons(self.model.scorer, taken.asker, known, self.called, verbs)
            said = {code: tuple(words) for code, words in zip(known, found, strict=True)}
        return [said.get(code, ()) for code in codes]

    def called(self, code: int) -> str:
        """An item's title, or its id where it has none."""
        return self.live.title(code) or self.live.id(code)

    def warm(self) -> None:
        """Reckon once what every answer needs, before the first one waits for it."""
        self.model.log.items.code("")
        self.model.log.viewers.code("")
        popular = np.argsort(-self.model.context.popularity, kind="stable")[:2]
        taken = Taken(
            asker=newcomers(histories_of([popular.tolist()])),
            kinds=["watch"] * len(popular),
            seen=np.zeros(0, np.int64),
            noes=np.zeros(0, np.int64),
            unknown=0,
        )
        if len(popular):
            self.scores(taken)
            self.similar(int(popular[0]))
        self.live.struck(0)


def read_ready(folder: Path, name: str) -> ReadyBundle:
    """Read a bundle from disk, everything checked.

    Raises:
        BundleError: it is not what a fit wrote; the message names the file and the reason.
    """
    return ready_of(load(folder), name, created_ms=created_of(manifest_of(folder)))


def ready_of(model: Model, name: str, *, created_ms: int = 0) -> ReadyBundle:
    """A model that is in memory already, made ready to answer."""
    ready = ReadyBundle(
        name=name,
        model=model,
        live=LiveItems(model.log, created_ms, model.ties),
        reading=Reading(meaning_of(model.log), model.log.order, model.reads),
        created_ms=created_ms,
    )
    ready.warm()
    return ready


def manifest_of(folder: Path) -> Mapping[str, Any]:
    """What a bundle's manifest says, unchecked: for lists, not for answers.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{folder / MANIFEST}: expected JSON: {error}.") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"{folder / MANIFEST}: expected a JSON object.")
    return manifest


def created_of(manifest: Mapping[str, Any]) -> int:
    """When a bundle was written, milliseconds since 1970; 0 where it does not say."""
    try:
        return int(datetime.fromisoformat(str(manifest["created"])).timestamp() * 1000)
    except (KeyError, ValueError):
        return 0


def needs_people(model: Model) -> bool:
    """Whether a model answers from other people's histories."""
    return any(part.kind in NEED_PEOPLE for part in model.parts.values())
