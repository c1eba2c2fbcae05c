"""The friend challenge: a friend picks ten titles for somebody, matinee picks ten, and that somebody judges.

A round begins with a viewer, who gives a friend a link. The friend picks ten titles; then matinee picks ten,
knowing nothing of the friend's; the viewer gets all of them shuffled and marks what they would watch. A title
that both picked counts for both. The score is kept over all rounds.

The witness is the round: titles of one round share the viewer's mood and the friend's luck. Each brings one
number, how many more of matinee's ten were marked than of the friend's, and `matinee.core.anytime` says after
any number of rounds what that is worth.

Rounds lie in the store's notes, each under its own key. What finished rounds brought also lies in one of
several lists, by the round's id, so that no list grows with every round of everybody; a round that is looked
at puts itself back into its list, should two processes ever have written the same list in the same moment.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from matinee.core.anytime import Sequential, mean_of, tally
from matinee.serve.asking import Ask
from matinee.serve.refusals import Conflict, NotFound, Refusal
from matinee.serve.service import Answers
from matinee.serve.store import Store

TEN = 10
_LISTS = 64
_LONGEST_TOKEN = 40


class Round(msgspec.Struct, kw_only=True, frozen=True):
    """One round.

    Attributes:
        id: what the viewer's link names.
        friend: what the friend's link names.
        user: the viewer for whom titles are picked; nobody's any more once the round is over, so that
            whoever asks to be deleted leaves nothing here.
        began_ms: when it began.
        picks: the friend's titles.
        answer: matinee's titles, best first; empty until the friend has finished.
        bundle: which bundle answered.
        order: all titles, shuffled.
        marked: what the viewer would watch; None until they said.
        done_ms: when they said it.
    """

    id: str
    friend: str
    user: str
    began_ms: int
    picks: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()
    bundle: str = ""
    order: tuple[str, ...] = ()
    marked: tuple[str, ...] | None = None
    done_ms: int = 0


class Brought(NamedTuple):
    """What a finished round brought: titles marked of ten, matinee's and the friend's."""

    id: str
    done_ms: int
    matinee: int
    friend: int


class Score(NamedTuple):
    """All rounds together.

    Attributes:
        rounds: what each brought, oldest first.
        lead: how many titles of ten matinee is ahead, with what may be said of it on any day.
    """

    rounds: tuple[Brought, ...]
    lead: Sequential


async def begin(store: Store, user: str, now_ms: int) -> Round:
    """Begin a round for a viewer."""
    made = Round(id=secrets.token_urlsafe(12), friend=secrets.token_urlsafe(12), user=user, began_ms=now_ms)
    await store.put_notes({_round_key(made.id): _text(made), _friend_key(made.friend): made.id})
    return made


async def find_round(store: Store, round_id: str) -> Round:
    """The round of a viewer's link.

    Raises:
        NotFound: there is no such round.
    """
    note = await store.note(_round_key(round_id)) if 0 < len(round_id) <= _LONGEST_TOKEN else None
    if note is None:
        raise NotFound("There is no such round: the link is incomplete, or from another server.")
    return msgspec.json.decode(note, type=Round)


async def find_for_friend(store: Store, token: str) -> Round:
    """The round of a friend's link.

    Raises:
        NotFound: there is no such round.
    """
    round_id = await store.note(_friend_key(token)) if 0 < len(token) <= _LONGEST_TOKEN else None
    return await find_round(store, round_id or "")


async def pick(store: Store, one: Round, item: str) -> Round:
    """Put a title among the friend's; one that is there already stays once.

    Raises:
        Conflict: the friend has finished, or has ten, or the viewer knows the title.
    """
    _still_open(one)
    if item in one.picks:
        return one
    if len(one.picks) >= TEN:
        raise Conflict(f"There are {TEN} titles already: take one out first.")
    if item in await seen_by(store, one.user):
        raise Conflict("That title was watched before: pick another one.")
    return await _put(store, msgspec.structs.replace(one, picks=(*one.picks, item)))


async def unpick(store: Store, one: Round, item: str) -> Round:
    """Take a title out again.

    Raises:
        Conflict: the friend has finished.
    """
    _still_open(one)
    return await _put(store, msgspec.structs.replace(one, picks=tuple(p for p in one.picks if p != item)))


async def finish_picks(store: Store, answers: Answers, one: Round) -> Round:
    """The friend has finished: matinee picks its ten, and all of them are shuffled.

    Raises:
        Conflict: the friend has not ten titles, or had finished before.
        Refusal: matinee has not ten titles that the viewer does not know.
    """
    _still_open(one)
    if len(one.picks) < TEN:
        raise Conflict(f"Ten titles make a round, found {len(one.picks)}: pick {TEN - len(one.picks)} more.")
    answer = await answers.recommend(Ask(user=one.user, k=TEN, repeats=False, placement="challenge"))
    if len(answer.items) < TEN:
        raise Refusal(f"Only {len(answer.items)} titles are left that were not watched: a round needs ten.")
    items = tuple(item.item for item in answer.items)
    order = list(dict.fromkeys((*one.picks, *items)))
    random.SystemRandom().shuffle(order)
    done = msgspec.structs.replace(one, answer=items, bundle=answer.bundle, order=tuple(order))
    return await _put(store, done)


async def mark(store: Store, one: Round, items: Sequence[str], now_ms: int) -> Round:
    """The viewer has said what they would watch; what was said first stays.

    Raises:
        Conflict: the friend has not finished.
    """
    if not one.order:
        raise Conflict("The friend has not picked ten titles yet: come back when they have.")
    if one.marked is not None:
        return one
    marked = tuple(item for item in one.order if item in set(items))
    return await _put(store, msgspec.structs.replace(one, marked=marked, done_ms=now_ms, user=""))


def brought(one: Round) -> Brought:
    """What a finished round brought."""
    marked = set(one.marked or ())
    return Brought(one.id, one.done_ms, len(marked & set(one.answer)), len(marked & set(one.picks)))


async def keep_listed(store: Store, one: Round) -> None:
    """See to it that a finished round stands in its list."""
    if one.marked is not None and brought(one) not in await _list(store, _place(one.id)):
        await _put(store, one)


async def score(store: Store) -> Score:
    """The score over all finished rounds."""
    found = [result for place in range(_LISTS) for result in await _list(store, place)]
    return score_of(sorted(found, key=lambda result: (result.done_ms, result.id)))


def score_of(rounds: Sequence[Brought]) -> Score:
    """The score of some rounds, oldest first.

    Each round's lead, from -10 to 10, is a value from 0 to 1 for the test; 1/2 is no lead at all.
    """
    test = mean_of(tally([(one.matinee - one.friend + TEN) / (2 * TEN) for one in rounds]))
    return Score(tuple(rounds), _in_titles(test))


async def seen_by(store: Store, user: str) -> set[str]:
    """Titles that a viewer knows already: nobody may pick them."""
    return {seen.item for seen in await store.history(user, 5_000)}


def _in_titles(test: Sequential) -> Sequential:
    def titles(value: float) -> float:
        return 2 * TEN * value - TEN

    return replace(test, mean=titles(test.mean), low=titles(test.low), high=titles(test.high))


def _still_open(one: Round) -> None:
    if one.order:
        raise Conflict("The ten titles of this round are picked: it cannot be changed any more.")


async def _put(store: Store, one: Round) -> Round:
    notes = {_round_key(one.id): _text(one)}
    if one.marked is not None:
        place = _place(one.id)
        others = [result for result in await _list(store, place) if result.id != one.id]
        notes[_list_key(place)] = msgspec.json.encode([*others, brought(one)]).decode()
    await store.put_notes(notes)
    return one


async def _list(store: Store, place: int) -> list[Brought]:
    note = await store.note(_list_key(place))
    return [] if note is None else msgspec.json.decode(note, type=list[Brought])


def _place(round_id: str) -> int:
    return blake2b(round_id.encode(), digest_size=2).digest()[0] % _LISTS


def _text(one: Round) -> str:
    return msgspec.json.encode(one).decode()


def _round_key(round_id: str) -> str:
    return f"challenge:round:{round_id}"


def _friend_key(token: str) -> str:
    return f"challenge:friend:{token}"


def _list_key(place: int) -> str:
    return f"challenge:done:{place}"
