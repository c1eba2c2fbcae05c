"""The promise of a store: events durable before they are acknowledged, and read from it for every answer.

`matinee.serve.sqlite_store` and `matinee.serve.postgres_store` keep it, and `matinee.testing.stores` holds
both to it. Every call may be made from any process at any time; what one process was told is done, every
other sees at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from matinee.serve.records import (
    Event,
    ImportedHistories,
    Impression,
    ItemRecord,
    Receipt,
    Seen,
    Shown,
    Stored,
    ViewerRecord,
)

# Of whoever was deleted and did not begin anew nothing may be used, whenever it was learnt.
FOR_EVER = 2**63 - 1


class Store(Protocol):
    """Where everything that happens online is kept.

    Viewers who were merged are one: an id that was merged into another stands for the other everywhere
    below. A viewer who was deleted stays deleted for imports (`add(..., imported=True)` leaves their events
    out), and begins anew with the next event of their own.

    Raises, everywhere:
        StoreFull: the disk is full; nothing of the call was kept, and reading goes on.
        StoreError: the store cannot be reached or is not what this version writes.
    """

    async def add(
        self, events: Sequence[Event], impressions: Sequence[Impression] = (), *, imported: bool = False
    ) -> int:
        """Append, all or nothing; durable when it returns. Returns how many were new."""

    async def take_histories(self, told: ImportedHistories) -> int:
        """Append whole histories of an import, each at once and once; durable when it returns.

        A history whose mark is there is left out, and so is what `add(..., imported=True)` leaves out of
        the deleted; of whoever was deleted after it was learnt, all is, however it is dated. A profile is
        written where the store has none and the viewer was never deleted. A transaction is held until all
        of it is written: others who write wait.

        Returns:
            How many events were new.
        """

    async def has_taken(self, user: str, mark: str) -> bool:
        """Whether the history with a mark is there, or was deleted with its viewer since it could be."""

    async def history(self, user: str, most: int) -> list[Seen]:
        """The latest `most` events of a viewer, oldest first, without those withdrawn."""

    async def withdraw(self, user: str, item: str, kind: str | None = None) -> int:
        """Take back a viewer's events with an item (of one kind): how many. They no longer count anywhere."""

    async def events(
        self,
        after: int = 0,
        most: int = 1000,
        *,
        user: str | None = None,
        item: str | None = None,
        kind: str | None = None,
    ) -> list[Stored]:
        """Events that were not withdrawn, in the order of the log, from the one after place `after` on."""

    async def impressions(self, after: int = 0, most: int = 1000, *, user: str | None = None) -> list[Shown]:
        """Impressions (of one viewer) in their order, from the one after place `after` on."""

    async def popular(self, since_ms: int, most: int, kinds: Sequence[str] = ()) -> list[tuple[str, int]]:
        """Items by how many viewers chose them since a moment, the most first, with that number."""

    async def merge(self, user: str, into: str) -> None:
        """Make two viewers one: both histories count as `into`'s from now on. Merging again changes nothing.

        Raises:
            InputError: it would close a ring, or both are the same.
        """

    async def merged(self, users: Sequence[str]) -> list[bool]:
        """Whether each id was merged into another."""

    async def stands_for(self, user: str) -> str:
        """The viewer that an id means: the one into which it was merged, or itself."""

    async def viewer(self, user: str) -> ViewerRecord | None:
        """What is known of a viewer; None where nobody was put under that id."""

    async def put_viewers(self, viewers: Sequence[ViewerRecord]) -> None:
        """Write viewers, each as a whole."""

    async def viewers(self, after: str = "", most: int = 1000) -> list[ViewerRecord]:
        """Viewers by id, from the one after `after` on; those without a profile included."""

    async def forget(self, user: str) -> Receipt:
        """Delete a viewer: events, impressions, profile, merges and the open rounds of the challenge.

        A tombstone stays: a keyed hash.
        """

    async def forgotten(self, users: Sequence[str]) -> list[bool]:
        """Whether each viewer was deleted, and has not begun anew."""

    async def void_until_ms(self, users: Sequence[str]) -> list[int]:
        """Up to when nothing that was learnt of each id may be used: its last deletion.

        FOR_EVER of those that did not begin anew since, -1 of those that were never deleted. Each id is
        asked about by itself, whatever it was merged into.
        """

    async def ids_of(self, user: str) -> list[str]:
        """Every id that means a viewer: the one that stands for all of them first."""

    async def item(self, item: str) -> ItemRecord | None:
        """What was put under an id; None where nothing was, or it was deleted."""

    async def put_items(self, items: Sequence[ItemRecord]) -> None:
        """Write items, each as a whole; their versions are given by the store."""

    async def delete_item(self, item: str) -> bool:
        """Delete an item: it is never shown again until it is put again. Whether it was there."""

    async def items(self, after: str = "", most: int = 1000) -> list[ItemRecord]:
        """Items by id, from the one after `after` on, without the deleted."""

    async def items_version(self) -> int:
        """The version of the latest change of an item, 0 where none was. Cheap: asked at every answer."""

    async def items_since(self, version: int) -> list[ItemRecord]:
        """Items changed after a version, the deleted included."""

    async def note(self, key: str) -> str | None:
        """A small fact that all processes share, such as which bundle has an alias; None: there is none."""

    async def put_notes(self, notes: Mapping[str, str]) -> None:
        """Write such facts, all or none."""

    async def change_note(self, key: str, change: Callable[[str | None], str]) -> str:
        """Write such a fact from what it says at this moment, so that no change of another's is lost.

        Args:
            key: the fact.
            change: what it says now, or None, to what it is to say, which is returned. It may run in another
                thread; where it raises an error of matinee's nothing is written.
        """

    async def notes_version(self) -> int:
        """A count that grows with every change of a note. Cheap: asked at every answer."""

    async def retain(self, since_ms: int) -> int:
        """Delete events and impressions from before a moment: how many."""

    async def close(self) -> None:
        """Finish what was taken in, and let go."""


def secret_of(notes: Mapping[str, str]) -> bytes:
    """The key with which a store's hashes and ids are made, from its note `secret` (hex)."""
    return bytes.fromhex(notes["secret"])
