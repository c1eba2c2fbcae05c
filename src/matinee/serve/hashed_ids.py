"""Answers and a store that take raw ids and know hashes alone: what stands before them when a key is named.

Whatever names a viewer is hashed on its way in, and nothing is turned back. What comes out names viewers by
their hashes, except where it echoes the id of who was asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from matinee.core.errors import InputError
from matinee.serve.asking import Answer, Ask
from matinee.serve.id_key import IdKey
from matinee.serve.records import (
    Event,
    ImportedHistories,
    Impression,
    Receipt,
    Seen,
    Shown,
    Stored,
    ViewerRecord,
)
from matinee.serve.service import Answers
from matinee.serve.storable import check_events, check_histories, check_texts
from matinee.serve.store import Store


class HashedAnswers:
    """Answers to askers by their hashes; everything else is passed on.

    Args:
        inner: what answers.
        key: what makes hashes.
    """

    def __init__(self, inner: Answers, key: IdKey) -> None:
        self._inner, self._key = inner, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def recommend(self, ask: Ask) -> Answer:
        """As of Answers."""
        return await self._inner.recommend(self._known(ask))

    async def similar(self, item: str, ask: Ask) -> Answer:
        """As of Answers."""
        return await self._inner.similar(item, self._known(ask))

    async def rank(self, items: Sequence[str], ask: Ask) -> Answer:
        """As of Answers."""
        return await self._inner.rank(items, self._known(ask))

    async def popular(self, ask: Ask) -> Answer:
        """As of Answers."""
        return await self._inner.popular(self._known(ask))

    async def latest(self, ask: Ask) -> Answer:
        """As of Answers."""
        return await self._inner.latest(self._known(ask))

    async def neighbours(self, user: str, most: int) -> list[tuple[str, float]]:
        """As of Answers; the neighbours are hashes."""
        return await self._inner.neighbours(self._key.hashed(user), most)

    def _known(self, ask: Ask) -> Ask:
        return ask if ask.user is None else replace(ask, user=self._key.hashed(ask.user))


class HashedStore:
    """A store by whose hashes viewers, sessions and events are kept; everything else is passed on.

    Args:
        inner: the store.
        key: what makes hashes.
    """

    def __init__(self, inner: Store, key: IdKey) -> None:
        self.inner, self.key = inner, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def add(
        self, events: Sequence[Event], impressions: Sequence[Impression] = (), *, imported: bool = False
    ) -> int:
        """As of Store."""
        # As hashes, texts that no store takes would look like any other.
        check_events(events, impressions)
        hashed, key = self.key.hashed, self.key
        return await self.inner.add(
            [
                replace(
                    one,
                    user=hashed(one.user),
                    session=None if one.session is None else hashed(one.session),
                    event_id=None if one.event_id is None else key.hashed_event(one.event_id),
                )
                for one in events
            ],
            [
                replace(
                    one,
                    user=hashed(one.user),
                    event_id=None if one.event_id is None else key.hashed_event(one.event_id),
                )
                for one in impressions
            ],
            imported=imported,
        )

    async def take_histories(self, told: ImportedHistories) -> int:
        """As of Store."""
        check_histories(told)
        return await self.inner.take_histories(
            replace(
                told,
                users=[self.key.hashed(one) for one in told.users],
                marks=[self.key.hashed_event(one) for one in told.marks],
                profiles=[replace(one, id=self.key.hashed(one.id)) for one in told.profiles],
            )
        )

    async def has_taken(self, user: str, mark: str) -> bool:
        """As of Store."""
        return await self.inner.has_taken(self._hashed(user), self.key.hashed_event(mark))

    async def history(self, user: str, most: int) -> list[Seen]:
        """As of Store."""
        return await self.inner.history(self.key.hashed(user), most)

    async def withdraw(self, user: str, item: str, kind: str | None = None) -> int:
        """As of Store."""
        return await self.inner.withdraw(self._hashed(user), item, kind)

    async def events(
        self,
        after: int = 0,
        most: int = 1000,
        *,
        user: str | None = None,
        item: str | None = None,
        kind: str | None = None,
    ) -> list[Stored]:
        """As of Store."""
        who = None if user is None else self.key.hashed(user)
        return await self.inner.events(after, most, user=who, item=item, kind=kind)

    async def impressions(self, after: int = 0, most: int = 1000, *, user: str | None = None) -> list[Shown]:
        """As of Store."""
        who = None if user is None else self.key.hashed(user)
        return await self.inner.impressions(after, most, user=who)

    async def merge(self, user: str, into: str) -> None:
        """As of Store."""
        one, other = self._hashed(user), self._hashed(into)
        try:
            await self.inner.merge(one, other)
        except InputError as error:
            words = str(error).replace(repr(one), repr(user)).replace(repr(other), repr(into))
            raise InputError(words) from None

    async def merged(self, users: Sequence[str]) -> list[bool]:
        """As of Store."""
        return await self.inner.merged([self.key.hashed(one) for one in users])

    async def stands_for(self, user: str) -> str:
        """As of Store: the id itself, or the hash of the one into which it was merged."""
        who = self.key.hashed(user)
        root = await self.inner.stands_for(who)
        return user if root == who else root

    async def ids_of(self, user: str) -> list[str]:
        """As of Store."""
        return await self.inner.ids_of(self.key.hashed(user))

    async def viewer(self, user: str) -> ViewerRecord | None:
        """As of Store; under the id that was asked for, where it stands for itself."""
        who = self.key.hashed(user)
        found = await self.inner.viewer(who)
        return replace(found, id=user) if found is not None and found.id == who else found

    async def put_viewers(self, viewers: Sequence[ViewerRecord]) -> None:
        """As of Store."""
        await self.inner.put_viewers([replace(one, id=self._hashed(one.id)) for one in viewers])

    async def forget(self, user: str) -> Receipt:
        """As of Store; the receipt says the id that was sent."""
        return replace(await self.inner.forget(self._hashed(user)), user=user)

    async def forgotten(self, users: Sequence[str]) -> list[bool]:
        """As of Store."""
        return await self.inner.forgotten([self.key.hashed(one) for one in users])

    async def void_until_ms(self, users: Sequence[str]) -> list[int]:
        """As of Store."""
        return await self.inner.void_until_ms([self.key.hashed(one) for one in users])

    def _hashed(self, user: str) -> str:
        check_texts("An id", [user])
        return self.key.hashed(user)


def hashing(store: Store, key: IdKey | None) -> Store:
    """A store behind hashes, where there is a key to make them."""
    return store if key is None else cast(Store, HashedStore(store, key))


def apart(store: Store) -> tuple[Store, IdKey | None]:
    """The store behind hashes, and the key that makes them; None where there is none."""
    return (store.inner, store.key) if isinstance(store, HashedStore) else (store, None)
