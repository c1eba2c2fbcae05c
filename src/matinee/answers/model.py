"""A fitted recommender that answers: one class for every kind, made from parts that are arrays alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.answers.bundle import Content, read_bundle, without_events_of, write_bundle
from matinee.answers.context import context_of
from matinee.answers.index.candidates import Candidates
from matinee.answers.index.found import Index
from matinee.answers.network import read_beside
from matinee.answers.nobody import nobody_of
from matinee.answers.reasons import POPULAR, reasons, verb_of
from matinee.answers.regions import REGIONS, RegionsScorer
from matinee.answers.rules import Rules, Shelf
from matinee.answers.scorers import Context, make_scorer
from matinee.answers.top import TopItems, asked_of, top_k
from matinee.core.errors import InputError
from matinee.core.promise import Log, Part, Predicts, Scorer
from matinee.core.seeds import shuffle_keys
from matinee.core.types import Askers, Bool, Float32, Int32, Int64, histories_of, newcomers
from matinee.data.meaning import RATING


@dataclass(frozen=True, kw_only=True)
class Model:
    """A fitted recommender.

    Attributes:
        name: the recommender's name.
        config: every setting that it was fitted with, plain JSON values.
        parts: the fitted parts by name; a plain recommender has one, a blend several, and regions with models
            of their own bring theirs (`matinee.answers.regions`).
        log: the log it was fitted on: vocabularies, items, histories, friends.
        context: what scorers need beside their part.
        facts: what the manifest says of the fit: split, seed, metrics, cost.
        deleted: ids of viewers who were deleted since the fit: nobody knows them any more.
        fingerprint: which bundle it was loaded from; empty for a model that was never saved.
        ties: seed of the order in which items of equal scores are shown.
        indices: of a large catalogue, by part: how the best items are found without a look at all.
    """

    name: str
    config: Mapping[str, Any]
    parts: Mapping[str, Part]
    log: Any
    context: Context
    facts: Mapping[str, Any] = field(default_factory=dict)
    deleted: frozenset[str] = frozenset()
    fingerprint: str = ""
    ties: int = 0
    indices: Mapping[str, Index] = field(default_factory=dict)

    @cached_property
    def candidates(self) -> Candidates | None:
        """What answers one asker of a large catalogue quickly; None where every answer looks at all items."""
        if not self.indices:
            return None
        joint = self.facts["index"]["joint"]
        return Candidates(self.name, self.scorer, self.indices, float(joint.get("spare", 1.0)))

    @cached_property
    def reads(self) -> frozenset[str]:
        """What its networks read beside items: `kind`, `value`, `gap` of events, `region` of viewers."""
        return read_beside(self.parts)

    @cached_property
    def scorer(self) -> Scorer:
        """What scores the catalogue for this model."""
        return make_scorer(self.parts.get(REGIONS, self.parts[self.name]), self.context, self.parts)

    def scorer_at(self, region: str | None) -> Scorer:
        """What scores the catalogue where a request says that it comes from; None: it does not say."""
        return self.scorer.at(region) if isinstance(self.scorer, RegionsScorer) else self.scorer

    def popular(self, askers: Askers) -> Float32:
        """What is popular where each asker is, else `nobody`: float32, (askers, items), not to be changed."""
        if isinstance(self.scorer, RegionsScorer):
            leaders = self.parts[REGIONS].settings["parts"]
            return self.scorer.popular(askers, [self._begins(str(name)) for name in leaders])
        return np.broadcast_to(self.nobody, (len(askers), self.context.n_items))

    @cached_property
    def nobody(self) -> Float32:
        """What answers those of whom not even a region is known: float32, shape (items,), at least 0."""
        return nobody_of(self.scorer, self.context.popularity, begins=self._begins(self.name))

    def _begins(self, name: str) -> bool:
        """Whether a part that answers says what people begin with better than popularity does."""
        return bool(self.parts[name].settings.get("begins"))

    def scores(self, askers: Askers) -> Float32:
        """Scores of every item for every asker; of those of whom nothing is known, those of `nobody`.

        Returns:
            float32, shape (askers, items), higher is better. The caller keeps the batch small enough.
        """
        return self._scores(askers)[0]

    def values(self, askers: Askers, rows: Int64, items: Int32, times: Int64 | None) -> Float32:
        """The values that askers would give, of a model that predicts values.

        Args:
            askers: who.
            rows: int64, shape (n,), rising: which asker each question is about.
            items: int32, shape (n,): item codes; -1: an item that the catalogue lacks.
            times: int64, shape (n,), milliseconds: when; None where that is not known.

        Returns:
            float32, shape (n,), within the log's scale.

        Raises:
            InputError: the model ranks items and predicts no value.
        """
        scorer = self.scorer
        if not isinstance(scorer, Predicts):
            raise InputError(
                f"{self.name} ranks items and predicts no value: fit rating with --target rating."
            )
        return scorer.values(askers, rows, items, times)

    def recommend(self, users: Sequence[str], k: int = 10, *, rules: Rules | None = None) -> TopItems:
        """The best items for viewers of the log; a newcomer is answered with what is popular.

        Args:
            users: viewer ids.
            k: how many items.
            rules: what must not be shown, beside what the viewer has seen or turned down.

        Returns:
            TopItems: items (n, k), scores (n, k), sources.

        Raises:
            InputError: the model was saved without histories, or `users` is no list.
        """
        askers = self.askers(users)
        codes, scores, personal = self.answer(askers, k, Shelf(self.log, rules or Rules()))
        return self.top_items(asked_of(users), codes, scores, personal)

    def recommend_history(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        *,
        values: Sequence[Sequence[float]] | None = None,
        rules: Rules | None = None,
    ) -> TopItems:
        """The best items for people of whom only a history is known.

        Args:
            histories: lists of item ids, oldest first; unknown ids are ignored and counted in `unknown`.
            k: how many items.
            values: what was given to each item, for a model that reads values; NaN where it is not known.
            rules: what must not be shown, beside what is in the history.

        Returns:
            TopItems: items (n, k), scores (n, k), sources, unknown (n,).

        Raises:
            InputError: there is not one value for each item.
        """
        askers, unknown = self.newcomers(histories, values)
        codes, scores, personal = self.answer(askers, k, Shelf(self.log, rules or Rules()))
        asked = asked_of([str(row) for row in range(len(askers))])
        return self.top_items(asked, codes, scores, personal, unknown=unknown, column="history")

    def similar(self, items: Sequence[str], k: int = 10, *, rules: Rules | None = None) -> TopItems:
        """The items most like each of some items, itself left out.

        Raises:
            InputError: an item is not in the catalogue.
        """
        _refuse_text(items, "item")
        asked = self.log.items.codes(list(items))
        if (asked < 0).any():
            lost = items[int(np.flatnonzero(asked < 0)[0])]
            raise InputError(f"Item {lost!r} is not in the catalogue of {len(self.log.items):,} items.")
        shelf, size = Shelf(self.log, rules or Rules()), max(1, k)
        scorer = self.scorer_at(shelf.region)
        codes, scores = np.empty((len(asked), size), np.int32), np.empty((len(asked), size), np.float32)
        for part in batches(len(asked), self.context.n_items):
            likeness = np.array(scorer.similar(asked[part]), dtype=np.float32)
            likeness[np.arange(len(likeness)), asked[part]] = -np.inf
            shelf.clear_common(likeness)
            codes[part], scores[part] = top_k(likeness, size, self._keys)
        return self.top_items(asked_of(items), codes, scores, np.ones(len(asked), bool), column="like")

    def save(self, folder: str | os.PathLike[str], *, histories: bool = True) -> None:
        """Write the model as a bundle: a folder of tensors and tables that `matinee.load` reads.

        Args:
            folder: where; a bundle that is there already is replaced once the new one is complete.
            histories: whether viewers, histories and friends go with it.

        Raises:
            InputError: the folder holds something else, or the model cannot answer without histories.
        """
        content = Content(
            name=self.name,
            config=self.config,
            parts=self.parts,
            log=self.log,
            popularity=self.context.popularity,
            facts=self.facts,
            people=histories and self.context.histories is not None,
            deleted=self.deleted,
        )
        write_bundle(Path(folder), content)

    def askers(self, users: Sequence[str]) -> Askers:
        """Viewers with their histories; an id that nobody knows is a newcomer with an empty one.

        Raises:
            InputError: the model was saved without histories, or `users` is no list.
        """
        _refuse_text(users, "viewer")
        codes = np.asarray(self.log.viewers.codes(list(users)), dtype=np.int64)
        if self.deleted:
            codes[[user in self.deleted for user in users]] = -1
        return self.askers_of(codes)

    def askers_of(self, codes: Int64) -> Askers:
        """Viewers by their codes, with their histories; a code below 0 is a newcomer with an empty one.

        Raises:
            InputError: the model was saved without histories.
        """
        if self.context.histories is None:
            raise InputError(
                "The bundle was written without histories, so it knows no viewers: give the items they "
                "watched (--history), or fit again without --no-histories."
            )
        return Askers(histories=self.log.histories.take(codes), viewers=codes)

    def newcomers(
        self, histories: Sequence[Sequence[str]], values: Sequence[Sequence[float]] | None = None
    ) -> tuple[Askers, Int64]:
        """Askers from lists of item ids and what was given to each, and how many ids the catalogue lacks.

        Raises:
            InputError: there is not one value for each item, or `histories` are no lists.
        """
        _refuse_text(histories, "history")
        for history in histories:
            _refuse_text(history, "item")
        known = [[int(code) for code in self.log.items.codes(list(ids))] for ids in histories]
        kept = [[code for code in row if code >= 0] for row in known]
        unknown = [len(all_) - len(row) for all_, row in zip(known, kept, strict=True)]
        found = histories_of(kept)
        if values is not None:
            if [len(row) for row in values] != [len(row) for row in known]:
                raise InputError("Give one value for each item of a history, or none at all.")
            told = [
                value
                for codes, row in zip(known, values, strict=True)
                for code, value in zip(codes, row, strict=True)
                if code >= 0
            ]
            found = replace(found, values=np.array(told, dtype=np.float32))
        return newcomers(found), np.array(unknown, dtype=np.int64)

    def answer(self, askers: Askers, k: int, shelf: Shelf) -> tuple[Int32, Float32, Bool]:
        """The best items for askers, in batches of bounded memory.

        Returns:
            Codes int32 (n, k), -1 where there is no further item; scores float32 (n, k), NaN there; and
            whether each answer is personal, bool (n,).

        Raises:
            InputError: k is less than 1.
        """
        if k < 1:
            raise InputError(f"k is how many items to recommend: at least 1, found {k}.")
        n, askers = len(askers), askers.at(shelf.region)
        codes, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        personal = np.empty(n, dtype=bool)
        for part in batches(n, self.context.n_items):
            some = askers.take(np.arange(part.start, part.stop))
            all_scores, personal[part] = self._scores(some)
            shelf.clear(all_scores, some)
            codes[part], scores[part] = top_k(all_scores, k, self._keys)
        return codes, scores, personal

    def top_items(
        self, asked: pa.Array, codes: Int32, scores: Float32, personal: Bool, **more: Any
    ) -> TopItems:
        """What `answer` found, with ids, as people get it; `more` are further fields of `TopItems`."""
        return TopItems(
            asked=asked,
            codes=codes,
            scores=scores,
            personal=personal,
            name=self.name,
            catalogue=self.log.items,
            **more,
        )

    def reasons(self, asker: Askers, item: int, *, personal: bool) -> list[str]:
        """Why one asker's answer holds an item, as `reasons_of` says it."""
        return self.reasons_of(asker, [item], personal=personal)[0]

    def reasons_of(self, asker: Askers, items: Sequence[int], *, personal: bool) -> list[list[str]]:
        """Why one asker's answer holds its items: sentences with titles, for each item.

        Args:
            asker: one asker.
            items: the items' codes.
            personal: whether the answer is personal.
        """
        if not personal or self.parts[self.name].kind == "popular":
            return [[POPULAR] for _ in items]
        kinds = asker.histories.kinds
        verbs = [] if kinds is None else [verb_of(self._kind(kind)) for kind in kinds]
        if self.log.target == RATING:
            verbs = [verb_of(RATING)] * len(asker.histories.items)
        return reasons(
            self.scorer, asker, items, lambda code: self.title(code) or self.log.items.id(code), verbs
        )

    def _kind(self, code: int) -> str | None:
        """The name of a kind; None of one that the log does not know."""
        return self.log.kinds[code] if 0 <= code < len(self.log.kinds) else None

    def title(self, item: int) -> str | None:
        """What people call an item; None where the catalogue has no title for it."""
        if "title" not in self.log.item_table.column_names:
            return None
        title = self.log.item_table.column("title")[int(item)].as_py()
        return None if title is None else str(title)

    @cached_property
    def _keys(self) -> Int64:
        return shuffle_keys(self.context.n_items, self.ties)

    def _scores(self, askers: Askers) -> tuple[Float32, Bool]:
        scores = self.scorer.score(askers)
        personal = np.asarray(self.scorer.personal(askers), dtype=bool)
        # What is the same for everybody, such as what is popular of late, stands for newcomers too.
        if not personal.all() and self.parts[self.name].kind != "popular":
            scores[~personal] = self.popular(askers.take(np.flatnonzero(~personal)))
        return scores, personal


def load(folder: str | os.PathLike[str], *, ties: int = 0) -> Model:
    """Load a bundle that `Model.save` or `matinee fit` wrote; everything in it is checked first.

    Args:
        folder: the bundle.
        ties: seed of the order in which items of equal scores are shown.

    Raises:
        BundleError: the folder is no bundle, or a file in it is not what was written; the message names it.
    """
    content = read_bundle(Path(folder))
    return Model(
        name=content.name,
        config=content.config,
        parts=content.parts,
        log=content.log,
        context=content.context(),
        facts=content.facts,
        deleted=content.deleted,
        fingerprint=content.fingerprint,
        ties=ties,
        indices=content.indices,
    )


def without_viewers(model: Model, users: frozenset[str]) -> Model:
    """The same model as if it had never known some viewers: nobody is answered from what they did."""
    log = without_events_of(model.log, users)
    context = replace(model.context, histories=None if model.context.histories is None else log.histories)
    return replace(model, log=log, context=context, deleted=model.deleted | users)


def model_of(name: str, config: Mapping[str, Any], part: Part, log: Log) -> Model:
    """The model of a plain recommender that was just fitted on `log`."""
    return Model(name=name, config=config, parts={name: part}, log=log, context=context_of(log))


def batches(n: int, n_items: int, megabytes: float = 64.0) -> Sequence[slice]:
    """Slices of n askers so that a batch's scores take about `megabytes`."""
    size = max(1, min(n, int(megabytes * 2**20 / (4 * max(n_items, 1)))))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _refuse_text(ids: object, what: str) -> None:
    if isinstance(ids, str):
        raise InputError(f"Expected a list of {what} ids, found the single text {ids!r}: write [{ids!r}].")
