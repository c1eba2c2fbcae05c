"""One writer a process: what many ask at once is committed together, and acknowledged afterwards."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, TypeVar

from matinee.core.errors import MatineeError
from matinee.serve.changes import Batch, Hand, add_all
from matinee.serve.refusals import Busy, StoreError

# Records that wait at most, and that one transaction takes at most.
MOST_WAITING = 20_000
MOST_TOGETHER = 2_000
# Callers who were answered together come back together. Their next wishes are waited for, for a share of what
# a commit takes: else the first to come back would be committed alone while all others wait for the next one.
_SHARE_OF_COMMIT = 0.5
_LONGEST_WAIT_S = 0.004
_GLANCE_S = 0.0002

T = TypeVar("T")


class Journal(Protocol):
    """Transactions of one database, one at a time among all processes."""

    def begin(self) -> Hand:
        """Wait for one's turn, and begin."""

    def commit(self) -> None:
        """Make durable what was written, and let others have their turn."""

    def rollback(self) -> None:
        """Undo what was written, and let others have their turn. Never raises."""

    def rest(self) -> None:
        """Whatever keeps the database small and quick, after a commit. Never raises."""

    def refusal(self, error: Exception) -> MatineeError | None:
        """What to tell for a database's error; None for an error that is not the database's."""

    def is_ill(self, error: Exception) -> bool:
        """Whether the database as a whole cannot be written, whatever it is that is written."""

    def close(self) -> None:
        """Let go."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one call wants written, and where it waits."""

    work: Batch | Callable[[Hand], object]
    size: int
    future: asyncio.Future[object]
    loop: asyncio.AbstractEventLoop


class Writer:
    """A thread that writes everything that this process wants written.

    Args:
        journal: the database.
        most_waiting: records that wait at most; beyond, calls are refused at once.
    """

    def __init__(self, journal: Journal, *, most_waiting: int = MOST_WAITING) -> None:
        self._journal = journal
        self._most_waiting = most_waiting
        self._queue: queue.SimpleQueue[_Wish | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self._last_count = 1
        self._last_commit_s = 0.0
        self._thread = threading.Thread(target=self._run, name="matinee-writer", daemon=True)
        self._thread.start()

    async def add(self, batch: Batch) -> int:
        """Append a batch; durable when it returns.

        Raises:
            Busy: too much is waiting.
            StoreError: it could not be written; nothing of it was kept.
        """
        return await self._wish(batch, len(batch.events) + len(batch.impressions))  # type: ignore[return-value]

    async def change(self, work: Callable[[Hand], T]) -> T:
        """Carry out a change; durable when it returns.

        Args:
            work: what is done with the transaction; it must not have written when it raises an error of
                matinee's.

        Raises:
            Busy: too much is waiting.
            StoreError: it could not be written; nothing of it was kept.
        """
        return await self._wish(work, 1)  # type: ignore[return-value]

    async def close(self) -> None:
        """Write what was taken in, and end."""
        with self._lock:
            first, self._closed = not self._closed, True
        if first:
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _wish(self, work: Batch | Callable[[Hand], object], size: int) -> asyncio.Future[object]:
        loop = asyncio.get_running_loop()
        wish = _Wish(work, max(size, 1), loop.create_future(), loop)
        with self._lock:
            if self._closed:
                raise StoreError("The store was closed: open it again.")
            if self._waiting and self._waiting + wish.size > self._most_waiting:
                raise Busy(f"{self._waiting:,} records wait to be written: send this again in a second.")
            self._waiting += wish.size
            self._queue.put(wish)
        return wish.future

    def _run(self) -> None:
        ended = False
        while not ended:
            first = self._queue.get()
            if first is None:
                break
            ended = self._together(first)
        self._journal.close()

    def _together(self, first: _Wish) -> bool:
        """Write one wish and all that came meanwhile: whether the end was among them."""
        self._await_the_others()
        try:
            hand = self._journal.begin()
        except Exception as error:
            wishes, ended = self._gather(first)
            self._answer(wishes, [self._told(error) for _ in wishes])
            return ended
        # The queue is read after the lock was waited for: who came meanwhile comes along.
        wishes, ended = self._gather(first)
        try:
            outcomes = _carry_out(hand, wishes)
            begun = time.monotonic()
            self._journal.commit()
            self._last_commit_s = time.monotonic() - begun
            self._last_count = len(wishes)
        except Exception as error:
            self._journal.rollback()
            outcomes = self._after(error, wishes)
        self._answer(wishes, outcomes)
        self._journal.rest()
        return ended

    def _await_the_others(self) -> None:
        end = time.monotonic() + min(_SHARE_OF_COMMIT * self._last_commit_s, _LONGEST_WAIT_S)
        while self._queue.qsize() + 1 < self._last_count and time.monotonic() < end:
            time.sleep(_GLANCE_S)

    def _gather(self, first: _Wish) -> tuple[list[_Wish], bool]:
        wishes, size = [first], first.size
        while size < MOST_TOGETHER:
            try:
                wish = self._queue.get_nowait()
            except queue.Empty:
                break
            if wish is None:
                return wishes, True
            wishes.append(wish)
            size += wish.size
        return wishes, False

    def _after(self, error: Exception, wishes: Sequence[_Wish]) -> list[object]:
        """What becomes of wishes that failed together: one bad one must not take the others with it."""
        if len(wishes) == 1 or self._journal.is_ill(error):
            return [self._told(error) for _ in wishes]
        return [self._alone(wish) for wish in wishes]

    def _alone(self, wish: _Wish) -> object:
        try:
            hand = self._journal.begin()
            (outcome,) = _carry_out(hand, [wish])
            self._journal.commit()
        except Exception as error:
            self._journal.rollback()
            return self._told(error)
        return outcome

    def _told(self, error: Exception) -> Exception:
        return error if isinstance(error, MatineeError) else self._journal.refusal(error) or error

    def _answer(self, wishes: Sequence[_Wish], outcomes: Sequence[object]) -> None:
        with self._lock:
            self._waiting -= sum(wish.size for wish in wishes)
        answers: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[object], object]]] = {}
        for wish, outcome in zip(wishes, outcomes, strict=True):
            answers.setdefault(wish.loop, []).append((wish.future, outcome))
        for loop, pairs in answers.items():
            # A loop that has ended has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, pairs)


def _carry_out(hand: Hand, wishes: Sequence[_Wish]) -> list[object]:
    """Do what is wished, in its order; neighbouring additions as one."""
    outcomes: list[object] = []
    for adds, some in groupby(wishes, lambda wish: isinstance(wish.work, Batch)):
        works = [wish.work for wish in some]
        if adds:
            outcomes += add_all(hand, [work for work in works if isinstance(work, Batch)])
        else:
            outcomes += [_changed(hand, work) for work in works if not isinstance(work, Batch)]
    return outcomes


def _changed(hand: Hand, work: Callable[[Hand], object]) -> object:
    try:
        return work(hand)
    except MatineeError as error:
        return error


def _resolve(pairs: Sequence[tuple[asyncio.Future[object], object]]) -> None:
    for future, outcome in pairs:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
