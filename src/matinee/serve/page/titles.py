"""Titles of the catalogue: what an id is called, and which items have some words in their title."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from matinee.serve.known_items import known_item
from matinee.serve.page.posters import shown
from matinee.serve.records import ItemRecord
from matinee.serve.service import Answers, Catalogue

_MOST_WORDS = 8
_LONGEST = 100
# So many that have the words are put in order: those that begin with them come first.
_MOST_ORDERED = 2_000
_MOST_KNOWN = 20_000


class Titles:
    """The titles of what a server knows, made ready for searching once a change.

    Args:
        answers: who knows the catalogue.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._version: Hashable = None
        self._folded: pa.Array | None = None
        self._known: dict[str, ItemRecord | None] = {}

    async def record(self, item: str) -> ItemRecord | None:
        """What is known of an item; None where nobody knows it."""
        return self._record(await self._catalogue(), item)

    async def records(self, items: Sequence[str]) -> dict[str, ItemRecord]:
        """What is known of several; those that nobody knows are left out."""
        catalogue = await self._catalogue()
        found = ((item, self._record(catalogue, item)) for item in dict.fromkeys(items))
        return {item: record for item, record in found if record is not None}

    async def find(self, words: str, most: int) -> list[ItemRecord]:
        """Items whose title holds every word, or whose id is just this; hidden ones are left out."""
        wanted = words[:_LONGEST].lower().split()[:_MOST_WORDS]
        if not wanted:
            return []
        catalogue = await self._catalogue()
        ids = [words.strip(), *self._told(catalogue, wanted), *self._written(catalogue, wanted)]
        found: list[ItemRecord] = []
        for item in dict.fromkeys(ids):
            record = self._record(catalogue, item)
            if record is not None and not record.hidden and _fits(record, words.strip(), wanted):
                found.append(record)
                if len(found) == most:
                    break
        return found

    async def _catalogue(self) -> Catalogue:
        """The catalogue; what was made of an earlier one is forgotten."""
        catalogue = await self._answers.catalogue()
        if self._version != catalogue.version:
            self._version, self._folded = catalogue.version, None
            self._known.clear()
        return catalogue

    def _record(self, catalogue: Catalogue, item: str) -> ItemRecord | None:
        """What is known of an item; the same items are asked for again and again."""
        if item not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[item] = known_item(catalogue, item)
        return self._known[item]

    def _told(self, catalogue: Catalogue, wanted: Sequence[str]) -> list[str]:
        """Ids of what the store calls so."""
        records = catalogue.records.items()
        return [item for item, one in records if one.title and _holds(one.title, wanted)]

    def _written(self, catalogue: Catalogue, wanted: Sequence[str]) -> list[str]:
        """Ids of what the bundle calls so, those that begin with the words first."""
        table = catalogue.table
        column = "title" if "title" in table.column_names else "id"
        if self._folded is None:
            self._folded = pc.utf8_lower(table.column(column).combine_chunks().cast(pa.string()))
        mask = pc.match_substring(self._folded, wanted[0])
        for word in wanted[1:]:
            mask = pc.and_(mask, pc.match_substring(self._folded, word))
        rows = pc.indices_nonzero(pc.fill_null(mask, False))[:_MOST_ORDERED]
        ids, names = table.column("id").take(rows).to_pylist(), self._folded.take(rows).to_pylist()
        phrase = " ".join(wanted)
        pairs = sorted(zip(names, ids, strict=True), key=lambda pair: not pair[0].startswith(phrase))
        return [item for _, item in pairs]


def title_of(record: ItemRecord | None, item: str) -> str:
    """What an item is called on the page: its title, else its id."""
    name = shown(record.title) if record is not None and record.title else ""
    return name or shown(item) or "without a name"


def _holds(title: str, wanted: Sequence[str]) -> bool:
    folded = title.lower()
    return all(word in folded for word in wanted)


def _fits(record: ItemRecord, exact: str, wanted: Sequence[str]) -> bool:
    # The store may call by another name what the bundle was found under.
    return record.id == exact or _holds(record.title or record.id, wanted)
