"""Cards: items of an answer as the page shows them, with what moved since another answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matinee.serve.asking import Answer, Recommended
from matinee.serve.page.posters import Poster, poster_of, shown
from matinee.serve.page.titles import Titles, title_of
from matinee.serve.records import ItemRecord

_LONGEST_REASON = 160


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One item of a row.

    Attributes:
        item: its id.
        title: what it is called.
        poster: how it looks.
        place: its place in the row, from 1.
        reason: why it is there; empty where nobody said.
        categories: its genres, at most three.
        moved: places up since before (down below 0), 0 where it stayed; None where it is new.
        compared: whether there is a before.
    """

    item: str
    title: str
    poster: Poster
    place: int = 0
    reason: str = ""
    categories: tuple[str, ...] = ()
    moved: int | None = 0
    compared: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of cards.

    Attributes:
        name: what stands above it.
        cards: its items.
        source: what ranked them.
        recommendation_id: what an event names to say that it followed from this row.
    """

    name: str
    cards: tuple[Card, ...]
    source: str = ""
    recommendation_id: str = ""


async def row_of(titles: Titles, name: str, answer: Answer, before: Sequence[str] | None = None) -> Row:
    """An answer as a row.

    Args:
        titles: what items are called.
        name: what stands above the row.
        answer: its items.
        before: ids of another answer, best first, to tell what moved; None: nothing is told.
    """
    known = await titles.records([one.item for one in answer.items])
    was = {item: place for place, item in enumerate(before or (), start=1)}
    cards = []
    for place, one in enumerate(answer.items, start=1):
        moved = was[one.item] - place if one.item in was else None
        cards.append(_card(one, known, place, moved if before is not None else 0, before is not None))
    return Row(
        name=name, cards=tuple(cards), source=answer.source, recommendation_id=answer.recommendation_id
    )


async def cards_of(titles: Titles, items: Sequence[str]) -> list[Card]:
    """Items as cards without place and reason."""
    known = await titles.records(items)
    return [card_of(item, known.get(item)) for item in items]


def card_of(item: str, record: ItemRecord | None) -> Card:
    """One item as a card."""
    title = title_of(record, item)
    return Card(
        item=item,
        title=title,
        poster=poster_of(item, title, None if record is None else record.image),
        categories=() if record is None else tuple(shown(one, 30) for one in record.categories[:3]),
    )


def summary(cards: Sequence[Card]) -> str:
    """What moved, in a sentence; empty where nothing is compared."""
    if not any(card.compared for card in cards):
        return ""
    new = sum(card.moved is None for card in cards)
    up = sum(card.moved is not None and card.moved > 0 for card in cards)
    down = sum(card.moved is not None and card.moved < 0 for card in cards)
    if not new + up + down:
        return "The row stayed as it was."
    parts = [f"{count} {word}" for count, word in ((new, "new"), (up, "up"), (down, "down")) if count]
    return f"What moved: {', '.join(parts)}."


def _card(
    one: Recommended, known: Mapping[str, ItemRecord], place: int, moved: int | None, compared: bool
) -> Card:
    record = known.get(one.item)
    title = title_of(record, one.item) if record is not None else shown(one.title or one.item)
    return Card(
        item=one.item,
        title=title,
        poster=poster_of(one.item, title, None if record is None else record.image),
        place=place,
        reason=shown("; ".join(one.reasons), _LONGEST_REASON),
        categories=() if record is None else tuple(shown(word, 30) for word in record.categories[:3]),
        moved=moved,
        compared=compared,
    )
