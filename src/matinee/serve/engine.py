"""What is asked is answered: histories from the store, scores from a bundle, rules from both.

Whatever can be awaited is awaited first; reckoning then runs in one piece, so that no change of items or
bundles falls into the middle of an answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from matinee.answers.top import FALLBACK
from matinee.core.errors import SettingsError
from matinee.core.types import Float32
from matinee.serve import recommendation_id
from matinee.serve.arrange import Placed, Ranked, Wish, arrange, newer_first
from matinee.serve.asking import DEFAULT_ALIAS, FARTHEST, MOST_ITEMS, Answer, Ask, Recommended
from matinee.serve.bundle_shelf import BundleShelf
from matinee.serve.crowd import Crowd
from matinee.serve.deleted_viewers import deleted_since
from matinee.serve.due import LONGEST, due
from matinee.serve.experiments import arm_of
from matinee.serve.near_viewers import near_viewers
from matinee.serve.placements import PLACEMENTS_NOTE, Rules, apply, placements_from_note
from matinee.serve.ready_bundle import ReadyBundle
from matinee.serve.recheck import Rechecks
from matinee.serve.records import ItemRecord, Seen
from matinee.serve.refusals import NotFound, Refusal
from matinee.serve.service import Catalogue, Limits
from matinee.serve.shadow import Shadows
from matinee.serve.shortlist import shortlisted
from matinee.serve.store import Store
from matinee.serve.struck import Asked, may_be_shown, strike

POPULAR, LATEST, SIMILAR, BY_CATEGORY = "popular", "latest", "similar", "fallback:categories"

_log = logging.getLogger("matinee.serve")


class Engine:
    """Keeps `matinee.serve.service.Answers`.

    Args:
        shelf: the bundles.
        store: where histories, items and notes are.
        limits: how much of a history is looked at.
        secret: the store's key.
        now_ms: the clock.
        placements: rules of placements; those of the store's note go before them.
    """

    def __init__(
        self,
        shelf: BundleShelf,
        store: Store,
        limits: Limits,
        secret: bytes,
        *,
        now_ms: Callable[[], int],
        placements: Mapping[str, Rules] | None = None,
    ) -> None:
        self._shelf, self._store, self._limits, self._secret = shelf, store, limits, secret
        self._now = now_ms
        self._configured = dict(placements or {})
        self._placements: Mapping[str, Rules] = self._configured
        self._notes_version = -1
        self.crowd = Crowd(store)
        self.shadows = Shadows()
        self.rechecks = Rechecks()

    async def recommend(self, ask: Ask) -> Answer:
        """A personal answer; what is popular where nothing personal can be said."""
        asked = await self._asked(ask)
        repeats = asked.ready.model.log.repeats if asked.ask.repeats is None else asked.ask.repeats
        answer = self._from_few(asked, seen=not repeats)
        if answer is None:
            scores, personal = asked.ready.scores(asked.taken)
            source = asked.ready.source if personal or self._same_for_all(asked) else FALLBACK
            if source is FALLBACK:
                self.crowd.lift(asked.ready, scores, self._now())
            answer = self._answer(asked, scores, source, seen=not repeats, personal=personal)
        if asked.shadow is not None:
            # After the answer is on its way: nobody waits for a shadow.
            compare = partial(
                self.shadows.compare,
                asked.shadow,
                asked.history,
                answer,
                region=asked.region,
                repeats=repeats,
            )
            asyncio.get_running_loop().call_soon(compare, asked.now_ms)
        return answer

    async def similar(self, item: str, ask: Ask) -> Answer:
        """Items like an item.

        Raises:
            NotFound: neither a bundle nor the store knows the item.
        """
        asked = await self._asked(ask)
        ready = asked.ready
        code = ready.live.code(item)
        if code < 0 or (code >= ready.live.known and ready.live.records[item].deleted):
            raise NotFound(f"Nobody knows the item {item!r}.")
        if code < ready.live.known:
            scores, source = ready.similar(code, asked.region), SIMILAR
        else:
            scores, source = _alike_by_categories(ready, code), BY_CATEGORY
        scores[code : code + 1] = -np.inf
        why = (f"like {ready.called(code)}",)
        return self._answer(asked, scores, source, seen=asked.ask.repeats is False, why=why)

    async def rank(self, items: Sequence[str], ask: Ask) -> Answer:
        """A list put into the order of a viewer's liking; those that no bundle knows come last, unscored.

        Items that nobody may be shown now are left out; `k` and `offset` of the ask do not matter.
        """
        asked = await self._asked(ask)
        ready = asked.ready
        scores, personal = ready.scores_of(asked.taken, ready.live.codes(items))
        strike(asked, scores, seen=False)
        shown = may_be_shown(asked, seen=False)
        placed: list[Placed] = []
        last: list[Recommended] = []
        for item in dict.fromkeys(items):
            code = ready.live.code(item)
            if code < 0 or (code >= len(scores) and shown(code)):
                title = None if code < 0 else ready.live.title(code)
                last.append(Recommended(item=item, title=title))
            elif code < len(scores) and scores[code] > -np.inf:
                placed.append(Placed(code, float(scores[code]), False))
        placed.sort(key=lambda one: (-(one.score or 0.0), ready.live.keys[one.code]))
        source = ready.source if personal or self._same_for_all(asked) else FALLBACK
        answer = self._worded(asked, placed, source, personal=personal)
        return replace(answer, items=(*answer.items, *last))

    async def popular(self, ask: Ask) -> Answer:
        """What most viewers chose of late, by the store; the bundle's popularity where that is too little."""
        asked = await self._asked(ask)
        counts = await self.crowd.counts(asked.now_ms, asked.ready.reading.meaning)
        live, known = asked.ready.live, asked.ready.model.context.popularity
        scores = np.zeros(live.size, np.float32)
        scores[: len(known)] = known / (float(known.max(initial=0.0)) + 1.0)
        for item, viewers in counts:
            code = live.code(item)
            if code >= 0:
                scores[code] += viewers
        return self._answer(asked, scores, POPULAR, seen=asked.ask.repeats is False)

    async def latest(self, ask: Ask) -> Answer:
        """The newest items."""
        asked = await self._asked(ask)
        scores = asked.ready.live.newness.copy()
        return self._answer(asked, scores, LATEST, seen=asked.ask.repeats is False)

    async def neighbours(self, user: str, most: int) -> list[tuple[str, float]]:
        """Viewers with the nearest taste, and how near (Gorse's user-to-user); empty if unknown."""
        await self._follow()
        return await near_viewers(self._store, self._shelf.behind(DEFAULT_ALIAS), user, most, self._now())

    async def catalogue(self, alias: str = DEFAULT_ALIAS) -> Catalogue:
        """What is known of items, by the bundle behind an alias and the store: for filters and metadata."""
        await self._follow()
        ready = self._shelf.behind(alias)
        await self._catch_up(ready)
        return Catalogue(
            table=ready.model.log.item_table,
            rows=ready.model.log.items.codes,
            records=ready.live.records,
            version=(ready.model.fingerprint, ready.items_version),
        )

    async def _asked(self, ask: Ask) -> Asked:
        """Everything that an answer waits for."""
        await self._follow()
        ask = apply(ask, self._placements)
        _check(ask)
        ready, arm, shadow = await self._bundle_of(ask)
        await self._catch_up(ready)
        if shadow is not None:
            await self._catch_up(shadow)
        now_ms = self._now() if ask.now_ms is None else ask.now_ms
        viewer = await self._viewer(ready, ask.user)
        history = await self._history(ask, ready, now_ms)
        matters = ready.regional or (shadow is not None and shadow.regional)
        region = await self._region(ask, ready, viewer) if matters else ask.region
        return Asked(
            ask=ask,
            ready=ready,
            taken=ready.reading.take(history, ready.live, viewer, self._limits.history).at(region),
            now_ms=now_ms,
            region=region,
            arm=arm,
            viewer=viewer,
            shadow=shadow,
            history=history,
        )

    async def _follow(self) -> None:
        """See what changed in the store's notes."""
        version = await self._shelf.follow()
        if version != self._notes_version:
            note = await self._store.note(PLACEMENTS_NOTE)
            self._notes_version = version
            try:
                self._placements = {**self._configured, **placements_from_note(note)}
            except SettingsError as error:
                _log.warning("%s The rules before it stay in use.", error)

    async def _catch_up(self, ready: ReadyBundle) -> None:
        """Lay what the store newly says of items over a bundle."""
        version = await self._store.items_version()
        if version != ready.items_version:
            records: list[ItemRecord] = await self._store.items_since(ready.items_version)
            ready.live.update(records)
            ready.items_version = max(ready.items_version, version)

    async def _bundle_of(self, ask: Ask) -> tuple[ReadyBundle, str, ReadyBundle | None]:
        """The bundle that answers, "experiment/arm" where one decided it, and the bundle in its shadow."""
        if ask.bundle is not None:
            return await self._shelf.named(ask.bundle), "", None
        ready, arm, shadow = self._shelf.behind(ask.alias), "", None
        for one in self._shelf.experiments:
            if not one.running or one.alias != ask.alias or ask.user is None:
                continue
            if one.shadow is not None:
                shadow = self._shelf.loaded(one.shadow)
            chosen = arm_of(self._secret, one, ask.user) if one.arms and not arm else ""
            bundle = self._shelf.loaded(one.arms[chosen]) if chosen else None
            if bundle is not None:
                ready, arm = bundle, f"{one.name}/{chosen}"
        return ready, arm, shadow

    async def _viewer(self, ready: ReadyBundle, user: str | None) -> int:
        """The asker's code in the bundle's log; -1 for newcomers, and for the deleted."""
        if user is None:
            return -1
        code = ready.viewer(user)
        if not ready.personal_beyond_history and not ready.regional:
            # Nothing hangs on who it is.
            return code
        if code < 0 and len(ready.model.log.viewers):
            user = await self._store.stands_for(user)
            code = ready.viewer(user)
        if code >= 0 and await deleted_since(self._store, [user], ready.learnt_ms):
            return -1
        return code

    async def _history(self, ask: Ask, ready: ReadyBundle, now_ms: int) -> Sequence[Seen]:
        """What the asker did, oldest first: a session, or what the store knows; and what is imagined."""
        if ask.history is not None:
            history: Sequence[Seen] = ask.history
        elif ask.user is not None:
            history = await self._store.history(ask.user, self._limits.history)
            if len(history) >= self._limits.history:
                # More may have been seen than a model looks at, and nothing of it is to come again.
                history = await self._store.history(ask.user, max(LONGEST, self._limits.history))
            history = due(history, self._now())
        else:
            history = ()
        if ask.what_if:
            kind = ready.reading.meaning.main_kind()
            history = [*history, *(Seen(item, kind, None, now_ms) for item in ask.what_if)]
        return history

    async def _region(self, ask: Ask, ready: ReadyBundle, viewer: int) -> str | None:
        """Where the asker is: as the ask says, or the store, or the bundle."""
        if ask.region is not None or ask.user is None:
            return ask.region
        profile = await self._store.viewer(ask.user)
        if profile is not None and profile.region is not None:
            return profile.region
        return ready.region(viewer)

    @staticmethod
    def _same_for_all(asked: Asked) -> bool:
        return asked.ready.for_everybody and bool(len(asked.taken.asker.histories.items))

    def _from_few(self, asked: Asked, *, seen: bool) -> Answer | None:
        """A personal answer of a large catalogue; None where all items must be looked at."""
        if asked.ready.model.candidates is None or not asked.ready.personal(asked.taken):
            return None
        found = shortlisted(asked, self._wish(asked), seen=seen)
        if found is None:
            return None
        self.rechecks.note(asked.ready.model.scorer, asked.taken.asker, found.codes, found.scores)
        return self._worded(asked, found.placed, asked.ready.source, personal=True)

    def _answer(
        self,
        asked: Asked,
        scores: Float32,
        source: str,
        *,
        seen: bool,
        personal: bool = False,
        why: tuple[str, ...] = (),
    ) -> Answer:
        """Strike out, arrange, and put into words."""
        ask, live = asked.ask, asked.ready.live
        strike(asked, scores, seen=seen)
        if ask.freshness:
            scores = newer_first(scores, live.newness, ask.freshness)
            # What came in with its newness alone must be allowed, too.
            strike(asked, scores, seen=seen)
        ranked = Ranked(
            scores=scores,
            keys=live.keys,
            values=live.values,
            likeness=asked.ready.likeness,
            shown=may_be_shown(asked, seen=seen),
        )
        return self._worded(asked, arrange(ranked, self._wish(asked)), source, personal=personal, why=why)

    @staticmethod
    def _wish(asked: Asked) -> Wish:
        ask, live = asked.ask, asked.ready.live
        for column in ask.most:
            if not live.has_column(column):
                raise Refusal(f"most: nothing is known of items under {column!r}: name a column of theirs.")
        pinned = [code for code in map(live.code, ask.pinned) if code >= 0]
        return Wish(k=ask.k, offset=ask.offset, pinned=pinned, most=ask.most, diversity=ask.diversity)

    def _worded(
        self,
        asked: Asked,
        placed: Sequence[Placed],
        source: str,
        *,
        personal: bool = False,
        why: tuple[str, ...] = (),
    ) -> Answer:
        ask, ready = asked.ask, asked.ready
        said: Sequence[tuple[str, ...]] = [why if ask.reasons else ()] * len(placed)
        if ask.reasons and not why:
            said = ready.reasons(asked.taken, [one.code for one in placed], personal=personal)
        items = [
            Recommended(ready.live.id(code), ready.live.title(code), score, words, pinned)
            for (code, score, pinned), words in zip(placed, said, strict=True)
        ]
        told = recommendation_id.Told(
            placement=ask.placement, bundle=ready.name, source=source, arm=asked.arm, time_ms=asked.now_ms
        )
        return Answer(
            items=tuple(items),
            source=source,
            recommendation_id=recommendation_id.make(self._secret, told, ask.user),
            bundle=ready.name,
            experiment=asked.arm,
            unknown=asked.taken.unknown,
        )


def _alike_by_categories(ready: ReadyBundle, code: int) -> Float32:
    """For an item that no bundle knows: how many of its categories others have, then popularity."""
    live, popularity = ready.live, ready.model.context.popularity
    scores = np.zeros(live.size, np.float32)
    scores[: live.known] = popularity / (float(popularity.max(initial=0.0)) + 1.0)
    for name in live.categories(code):
        scores += live.of_categories([name])
    return scores


def _check(ask: Ask) -> None:
    """Refuse what contradicts itself.

    Raises:
        Refusal: a number is out of its range.
    """
    if not 1 <= ask.k <= MOST_ITEMS:
        raise Refusal(f"k is how many items: from 1 to {MOST_ITEMS}, found {ask.k}.")
    if not 0 <= ask.offset <= FARTHEST:
        raise Refusal(f"offset is how many items to leave out: from 0 to {FARTHEST}, found {ask.offset}.")
    for name in ("diversity", "freshness"):
        value = getattr(ask, name)
        if not 0.0 <= value <= 1.0:
            raise Refusal(f"{name} is a number from 0 to 1, found {value}.")
    for column, most in ask.most.items():
        if most < 1:
            raise Refusal(f"most: at least one item for each {column!r}, found {most}.")
