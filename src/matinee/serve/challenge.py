"""The friend challenge: a friend picks ten titles for somebody, matinee picks ten, and that somebody judges.

A round begins with a viewer, who gives a friend a link. The friend picks ten titles; then matinee picks ten,
knowing nothing of the friend's; the viewer gets all of them shuffled and marks what they would watch. A title
that both picked counts for both. The score is kept over all rounds.

The witness is the round: titles of one round share the viewer's mood and the friend's luck. Each brings one
number, how many more of matinee's ten were marked than of the friend's, and `matinee.core.anytime` says after
any number of rounds what that is worth.

Rounds lie in the store's notes, each under its own key, and name nobody; `matinee.serve.open_rounds` says for
whom a friend is still picking. What finished rounds brought also lies in one of several lists, by the round's
id, so that no list grows with every round of everybody; a round that is looked at puts itself back into its
list, should a process have ended between the two. Every change is made of what the note says at that moment.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec.structs import replace as replaced

from matinee.core.anytime import Sequential, mean_of, tally
from matinee.serve.asking import Ask
from matinee.serve.due import LONGEST, due_history
from matinee.serve.open_rounds import OPEN_ROUNDS, closed, opened, viewer_in
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
    """Begin a round for a viewer.

    Raises:
        Refusal: nothing is known of the viewer.
    """
    first = await store.events(0, 1, user=user)
    if not first:
        raise Refusal(
            "matinee knows nothing of this viewer yet, and a friend would have it too easy: choose one "
            "with a history, or watch something first."
        )
    made = Round(id=secrets.token_urlsafe(12), friend=secrets.token_urlsafe(12), began_ms=now_ms)
    # By the name that the store itself has for them.
    who = first[0].user
    await store.change_note(OPEN_ROUNDS, lambda note: opened(note, made.id, who, now_ms))
    await store.put_notes({_round_key(made.id): _text(made), _friend_key(made.friend): made.id})
    return made


async def viewer_of(store: Store, one: Round, now_ms: int) -> str:
    """For whom a friend is picking; empty where nobody is any more, or the viewer was deleted."""
    return viewer_in(await store.note(OPEN_ROUNDS), one.id, now_ms)


async def find_round(store: Store, round_id: str) -> Round:
    """The round of a viewer's link.

    Raises:
        NotFound: there is no such round.
    """
    note = await store.note(_round_key(round_id)) if 0 < len(round_id) <= _LONGEST_TOKEN else None
    if note is None:
        raise NotFound("There is no such round: the link is incomplete, or from another server.")
    return _round(note)


async def find_for_friend(store: Store, token: str) -> Round:
    """The round of a friend's link.

    Raises:
        NotFound: there is no such round.
    """
    round_id = await store.note(_friend_key(token)) if 0 < len(token) <= _LONGEST_TOKEN else None
    return await find_round(store, round_id or "")


async def pick(store: Store, one: Round, item: str, now_ms: int) -> Round:
    """Put a title among the friend's; one that is there already stays once.

    Raises:
        Conflict: the friend has finished, or has ten, or the viewer knows the title or was deleted.
    """
    if item in await seen_by(store, await _picked_for(store, one, now_ms), now_ms):
        raise Conflict("That title was watched before: pick another one.")

    def with_it(now: Round) -> Round:
        _still_open(now)
        if item in now.picks:
            return now
        if len(now.picks) >= TEN:
            raise Conflict(f"There are {TEN} titles already: take one out first.")
        return replaced(now, picks=(*now.picks, item))

    return await _change(store, one, with_it)


async def unpick(store: Store, one: Round, item: str) -> Round:
    """Take a title out again.

    Raises:
        Conflict: the friend has finished.
    """

    def without(now: Round) -> Round:
        _still_open(now)
        return replaced(now, picks=tuple(pick for pick in now.picks if pick != item))

    return await _change(store, one, without)


async def finish_picks(store: Store, answers: Answers, one: Round, now_ms: int) -> Round:
    """The friend has finished: matinee picks its ten, all of them are shuffled, and the round names nobody.

    Raises:
        Conflict: the friend has not ten titles, or had finished before, or the viewer was deleted.
        Refusal: matinee has not ten titles that the viewer does not know.
    """
    _ten_of(one)
    user = await _picked_for(store, one, now_ms)
    answer = await answers.recommend(Ask(user=user, k=TEN, repeats=False, placement="challenge"))
    if len(answer.items) < TEN:
        raise Refusal(f"Only {len(answer.items)} titles are left that were not watched: a round needs ten.")
    items = tuple(item.item for item in answer.items)

    def done(now: Round) -> Round:
        _ten_of(now)
        order = list(dict.fromkeys((*now.picks, *items)))
        random.SystemRandom().shuffle(order)
        return replaced(now, answer=items, bundle=answer.bundle, order=tuple(order))

    over = await _change(store, one, done)
    await store.change_note(OPEN_ROUNDS, lambda note: closed(note, one.id))
    return over


async def mark(store: Store, one: Round, items: Sequence[str], now_ms: int) -> Round:
    """The viewer has said what they would watch; what was said first stays.

    Raises:
        Conflict: the friend has not finished.
    """

    def said(now: Round) -> Round:
        if not now.order:
            raise Conflict("The friend has not picked ten titles yet: come back when they have.")
        if now.marked is not None:
            return now
        marked = tuple(item for item in now.order if item in set(items))
        return replaced(now, marked=marked, done_ms=now_ms)

    over = await _change(store, one, said)
    await keep_listed(store, over)
    return over


def brought(one: Round) -> Brought:
    """What a finished round brought."""
    marked = set(one.marked or ())
    return Brought(one.id, one.done_ms, len(marked & set(one.answer)), len(marked & set(one.picks)))


async def keep_listed(store: Store, one: Round) -> None:
    """See to it that a finished round stands in its list."""
    place = _place(one.id)
    if one.marked is None or brought(one) in await _list(store, place):
        return

    def with_it(note: str | None) -> str:
        others = [result for result in _listed(note) if result.id != one.id]
        return msgspec.json.encode([*others, brought(one)]).decode()

    await store.change_note(_list_key(place), with_it)


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


async def seen_by(store: Store, user: str, now_ms: int) -> set[str]:
    """Titles that a viewer knows already: nobody may pick them."""
    return {seen.item for seen in await due_history(store, user, LONGEST, now_ms)}


def _in_titles(test: Sequential) -> Sequential:
    def titles(value: float) -> float:
        return 2 * TEN * value - TEN

    return replace(test, mean=titles(test.mean), low=titles(test.low), high=titles(test.high))


def _still_open(one: Round) -> None:
    if one.order:
        raise Conflict("The ten titles of this round are picked: it cannot be changed any more.")


def _ten_of(one: Round) -> None:
    _still_open(one)
    if len(one.picks) < TEN:
        raise Conflict(f"Ten titles make a round, found {len(one.picks)}: pick {TEN - len(one.picks)} more.")


async def _picked_for(store: Store, one: Round, now_ms: int) -> str:
    _still_open(one)
    user = await viewer_of(store, one, now_ms)
    if not user:
        raise Conflict("This round is over, and nobody waits for it any more: begin another one.")
    return user


async def _change(store: Store, one: Round, change: Callable[[Round], Round]) -> Round:
    """Change a round from what is kept of it at this moment; what is kept of it then."""

    def text(note: str | None) -> str:
        return _text(change(one if note is None else _round(note)))

    return _round(await store.change_note(_round_key(one.id), text))


def _round(note: str) -> Round:
    return msgspec.json.decode(note, type=Round)


async def _list(store: Store, place: int) -> list[Brought]:
    return _listed(await store.note(_list_key(place)))


def _listed(note: str | None) -> list[Brought]:
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
